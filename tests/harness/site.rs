//! A site on this machine, served as static hosts do it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Reply, World};

/// A question that the small book answers, in the section [`SECTION`] of its page `Walking`.
pub const QUESTION: &str = "How do I bend the knees?";

/// The headings above that answer.
pub const SECTION: &str = "Task > Solution";

/// The built pages of a small book, as one generator makes them.
pub fn fixture(generator: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories/book/fixtures");
    folder.join(generator).join("site")
}

impl World {
    /// The same with a small book, which is in the index, and its address.
    pub async fn with_book(self) -> (Self, String) {
        const SECRET: &str = "open sesame";
        let site = Server::of(fixture("mdbook")).await;
        let world = self.with("BOOK_URL", site.book());
        let world = world.with("CRON_SECRET", SECRET);
        // By words alone, so that what is found does not depend on the database's extensions.
        let world = world.with("EMBEDDING_MODEL", "");
        let refresh = world.refresh().await;
        let refreshed = Reply::of(refresh.request(Method::GET, "/refresh").bearer_auth(SECRET));
        let refreshed = refreshed.await;
        assert_eq!(refreshed.status, 200, "{refreshed:?}");
        assert_eq!(refreshed.json()["done"], true, "{refreshed:?}");
        (world, site.book())
    }
}

/// What is answered instead of a file: the head's lines after the version, and the body.
pub type Script = HashMap<String, (String, Vec<u8>)>;

/// A server for the folder at `/book/`, while it lives.
pub struct Server {
    address: String,
    /// The requests so far, heads as they came.
    pub requests: Arc<Mutex<Vec<String>>>,
    /// How many more are answered.
    left: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub async fn of(folder: PathBuf) -> Self {
        Self::with(folder, Script::new()).await
    }

    pub async fn with(folder: PathBuf, script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let left = Arc::new(AtomicUsize::new(usize::MAX));
        let (seen, script, answers) = (Arc::clone(&requests), Arc::new(script), Arc::clone(&left));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (folder, seen, script, answers) = (
                    folder.clone(),
                    Arc::clone(&seen),
                    Arc::clone(&script),
                    Arc::clone(&answers),
                );
                tokio::spawn(async move {
                    answer(stream, &folder, &seen, &script, &answers).await;
                });
            }
        });
        Self {
            address,
            requests,
            left,
            task,
        }
    }

    /// So many more requests are answered; each after them is read, and the connection closed.
    pub fn die_after(&self, requests: usize) {
        self.left.store(requests, Ordering::SeqCst);
    }

    pub fn book(&self) -> String {
        format!("http://{}/book/", self.address)
    }

    pub fn asked_for(&self, path: &str) -> bool {
        let start = format!("GET {path} ");
        self.requests
            .lock()
            .unwrap()
            .iter()
            .any(|head| head.starts_with(&start))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    mut stream: TcpStream,
    folder: &Path,
    seen: &Mutex<Vec<String>>,
    script: &Script,
    left: &AtomicUsize,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else {
            return;
        };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    seen.lock().unwrap().push(head.clone());
    let one_less = |left: usize| left.checked_sub(1);
    if left
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
        .is_err()
    {
        return;
    }
    let (lines, body) = if let Some((lines, body)) = script.get(&path) {
        (lines.clone(), body.clone())
    } else if let Some(file) = file(folder, &path) {
        let kind = if file.extension().is_some_and(|e| e == "xml") {
            "application/xml"
        } else {
            "text/html"
        };
        let content = std::fs::read(&file).unwrap();
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        let etag = format!("\"{:x}\"", hasher.finish());
        if head.contains(&format!("if-none-match: {etag}")) {
            (format!("304 Not Modified\r\nETag: {etag}"), Vec::new())
        } else {
            (
                format!("200 OK\r\nETag: {etag}\r\nContent-Type: {kind}"),
                content,
            )
        }
    } else {
        ("404 Not Found".to_owned(), b"<h1>Not found</h1>".to_vec())
    };
    let length = if lines.contains("Content-Length") {
        String::new()
    } else {
        format!("\r\nContent-Length: {}", body.len())
    };
    let head = format!("HTTP/1.1 {lines}{length}\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&body).await;
    if lines.contains("Content-Length") {
        // A promise that is not kept: the reader's time must end this.
        tokio::time::sleep(std::time::Duration::from_mins(1)).await;
    }
}

fn file(folder: &Path, path: &str) -> Option<PathBuf> {
    let inner = path.strip_prefix("/book/")?;
    let exact = folder.join(inner);
    [
        exact.clone(),
        exact.join("index.html"),
        folder.join(format!("{inner}.html")),
    ]
    .into_iter()
    .find(|file| file.is_file())
}
