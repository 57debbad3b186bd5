//! A TLS front for PostgreSQL, with an authority of its own: the embedded server has no TLS.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{AlpnError, Ssl, SslAcceptor, SslMethod, select_next_proto};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_openssl::SslStream;

use super::Database;

/// What a client sends to ask for TLS first; a direct one sends its handshake at once.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A running front, reached as `localhost`.
pub struct TlsFront {
    pub port: u16,
    /// The certificate that a client must trust, as a PEM file.
    pub authority: PathBuf,
    handshakes: Arc<AtomicUsize>,
}

impl TlsFront {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (certificate, key) = self_signed();
        let authority = std::env::temp_dir().join(format!("textbook-chat-authority-{port}.pem"));
        std::fs::write(&authority, certificate.to_pem().unwrap()).unwrap();
        let acceptor = Arc::new(acceptor(&certificate, &key));
        let handshakes = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&handshakes);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&acceptor), Arc::clone(&count)));
            }
        });
        Self {
            port,
            authority,
            handshakes,
        }
    }

    /// How many clients have trusted the certificate so far.
    pub fn handshakes(&self) -> usize {
        self.handshakes.load(Ordering::SeqCst)
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.authority);
    }
}

async fn serve(
    mut client: TcpStream,
    acceptor: Arc<SslAcceptor>,
    handshakes: Arc<AtomicUsize>,
) -> Option<()> {
    let mut first = [0];
    client.peek(&mut first).await.ok()?;
    let direct = first[0] != SSL_REQUEST[0];
    if !direct {
        let mut request = [0; SSL_REQUEST.len()];
        client.read_exact(&mut request).await.ok()?;
        assert_eq!(request, SSL_REQUEST);
        client.write_all(b"S").await.ok()?;
    }
    let ssl = Ssl::new(acceptor.context()).ok()?;
    let mut client = SslStream::new(ssl, client).ok()?;
    Pin::new(&mut client).accept().await.ok()?;
    let alpn = client.ssl().selected_alpn_protocol();
    assert!(
        !direct || alpn == Some(b"postgresql"),
        "PostgreSQL insists on it"
    );
    handshakes.fetch_add(1, Ordering::SeqCst);
    let mut server = TcpStream::connect(("127.0.0.1", Database::port()))
        .await
        .ok()?;
    copy_bidirectional(&mut client, &mut server).await.ok()?;
    Some(())
}

fn acceptor(certificate: &X509, key: &PKey<Private>) -> SslAcceptor {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    builder.set_private_key(key).unwrap();
    builder.set_certificate(certificate).unwrap();
    builder.set_alpn_select_callback(|_, offered| {
        select_next_proto(b"\x0apostgresql", offered).ok_or(AlpnError::NOACK)
    });
    builder.build()
}

fn self_signed() -> (X509, PKey<Private>) {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "localhost").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::days_from_now(1).unwrap())
        .unwrap();
    builder
        .append_extension(BasicConstraints::new().ca().build().unwrap())
        .unwrap();
    let names = SubjectAlternativeName::new()
        .dns("localhost")
        .build(&builder.x509v3_context(None, None))
        .unwrap();
    builder.append_extension(names).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    (builder.build(), key)
}
