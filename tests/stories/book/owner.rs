//! An owner of a book, who runs the program `book`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::Database;

pub(crate) const BOOK: &str = "https://book.example/book/";

/// A run that has ended.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) error: String,
}

impl Run {
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.error);
        self.out
    }

    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}{}", self.out, self.error);
        assert_eq!(self.out, "");
        self.error
    }
}

/// Runs the program with these settings alone.
pub(crate) fn book(settings: &[(&str, &str)], arguments: &[&str]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_book"))
        .args(arguments)
        .env_clear()
        .envs(settings.iter().copied())
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap();
    Run {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A provider that answers so many requests for embeddings, each with a vector for each text and a
/// hundred tokens; its address.
pub(crate) fn provider(requests: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for _ in 0..requests {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            let (mut head, mut length) = (String::new(), 0);
            while !head.ends_with("\r\n\r\n") {
                let start = head.len();
                stream.read_line(&mut head).unwrap();
                let line = head[start..].to_ascii_lowercase();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let request: Value = serde_json::from_slice(&body).unwrap();
            let texts = request["input"].as_array().unwrap().len();
            let vector = vec![0.5; 512];
            let vectors = (0..texts).map(|index| json!({"index": index, "embedding": vector}));
            let answer = json!({
                "data": vectors.collect::<Vec<_>>(), "usage": {"prompt_tokens": 100}
            });
            let answer = answer.to_string();
            let length = answer.len();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
            let answer = format!("{head}\r\ncontent-length: {length}\r\n\r\n{answer}");
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    address
}

/// A book of an owner, built into a folder, with a database for its index.
pub(crate) struct Owner {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) database: Database,
}

impl Owner {
    pub(crate) async fn new(pages: usize) -> Self {
        let owner = Self {
            folder: tempfile::tempdir().unwrap(),
            database: Database::new().await,
        };
        owner.write(
            "index.html",
            "The first page of a book about walking machines.",
        );
        for n in 1..pages {
            owner.write(
                &format!("{n}.html"),
                &format!("Chapter {n} is about the number {n}."),
            );
        }
        owner.list();
        owner
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        let html = format!(
            "<html lang=en><head><title>{file}</title></head>
             <body><main><h1>{file}</h1><p>{text}</p></main></body></html>"
        );
        std::fs::write(self.folder.path().join(file), html).unwrap();
    }

    pub(crate) fn remove(&self, file: &str) {
        std::fs::remove_file(self.folder.path().join(file)).unwrap();
    }

    /// Writes the sitemap of what is there.
    pub(crate) fn list(&self) {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "sitemap.xml")
            .collect();
        names.sort();
        let pages = names
            .iter()
            .map(|name| format!("<url><loc>{BOOK}{name}</loc></url>"));
        let sitemap = format!("<urlset>{}</urlset>", pages.collect::<String>());
        std::fs::write(self.folder.path().join("sitemap.xml"), sitemap).unwrap();
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(&[], arguments)
    }

    pub(crate) fn run_with(&self, settings: &[(&str, &str)], arguments: &[&str]) -> Run {
        let own = [("DATABASE_URL", &*self.database.url), ("BOOK_URL", BOOK)];
        book(&[&own, settings].concat(), arguments)
    }

    pub(crate) fn index(&self, more: &[&str]) -> Run {
        self.index_with(&[], more)
    }

    pub(crate) fn index_with(&self, settings: &[(&str, &str)], more: &[&str]) -> Run {
        let folder = self.folder.path().to_str().unwrap();
        self.run_with(settings, &[&["index", "--folder", folder], more].concat())
    }

    pub(crate) fn check(&self) -> Value {
        serde_json::from_str(&self.run(&["check", "--json"]).done()).unwrap()
    }
}
