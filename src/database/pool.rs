//! Making the pool: its limits, and TLS that verifies certificates.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use postgres_native_tls::MakeTlsConnector;
use tokio_postgres::NoTls;
use tokio_postgres::config::SslMode;

use super::Error;
use crate::config::DatabaseSettings;
use crate::error::chain;

/// How long what was sent may go unacknowledged. A server's machine acknowledges at once what its
/// server takes long to answer: so this finds a connection that something on the way has forgotten,
/// long before a statement's time is over, and no slow statement. (The system knows this limit on
/// Linux only.)
const UNACKNOWLEDGED: Duration = Duration::from_secs(2);

/// A pool that connects to nothing yet.
pub(super) fn make(settings: &DatabaseSettings) -> Result<Pool, Error> {
    let config = ManagerConfig {
        // A look at the socket, no round trip: what it misses, the retry of `query` catches.
        recycling_method: RecyclingMethod::Fast,
    };
    let mut postgres = settings.postgres.clone();
    if postgres.get_tcp_user_timeout().is_none() {
        postgres.tcp_user_timeout(UNACKNOWLEDGED);
    }
    // tokio-postgres applies it to each address; the pool's limit covers the whole.
    postgres.connect_timeout(settings.connect_timeout);
    let manager = if postgres.get_ssl_mode() == SslMode::Disable {
        Manager::from_config(postgres, NoTls, config)
    } else {
        Manager::from_config(postgres, tls()?, config)
    };
    Pool::builder(manager)
        .max_size(settings.pool_size)
        .wait_timeout(Some(settings.wait_timeout))
        .create_timeout(Some(settings.connect_timeout))
        .recycle_timeout(Some(settings.connect_timeout))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| Error::SetUp(error.to_string()))
}

/// A TLS connector that verifies certificates, and speaks ALPN so that `sslnegotiation=direct`
/// in the URL works.
///
/// # Errors
///
/// When OpenSSL cannot be set up.
pub fn tls() -> Result<MakeTlsConnector, Error> {
    let mut builder = native_tls::TlsConnector::builder();
    postgres_native_tls::set_postgresql_alpn(&mut builder);
    let connector = builder
        .build()
        .map_err(|error| Error::SetUp(chain(&error)))?;
    Ok(MakeTlsConnector::new(connector))
}
