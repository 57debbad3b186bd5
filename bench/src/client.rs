//! The readers: raw HTTP/1.1 over a kept connection.
//!
//! Owns how a request is written and where a response ends. Costs as little as possible, because it
//! runs on the processors that it measures; reads nothing of a body but the conversation's id.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Longer than any turn may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A reader's connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What came back.
pub struct Reply {
    pub status: u16,
    pub body: String,
    /// The time until the body's first byte, and until its last.
    pub first: Duration,
    pub whole: Duration,
}

impl Reply {
    /// The conversation's id.
    pub fn session(&self) -> Option<&str> {
        let (_, rest) = self.body.split_once(r#""session_id":""#)?;
        rest.get(..36)
    }

    /// Whether the book was searched for it.
    pub fn has_sources(&self) -> bool {
        self.body.contains(r#""sources":["#)
    }

    /// The reply itself, or an error if it is a refusal.
    pub fn ok(self) -> Result<Self> {
        ensure!(
            self.status == 200,
            "status {}: {}",
            self.status,
            self.body.trim_end()
        );
        Ok(self)
    }
}

/// What is asked where it does not matter.
pub const QUESTION: &str = "What is a humanoid robot?";

/// [`QUESTION`] as a request; `more` are whole header lines.
pub fn question(session: Option<&str>, passage: Option<&str>, more: &str) -> Vec<u8> {
    asking(QUESTION, session, passage, more)
}

/// The same of any question that needs no escapes.
pub fn asking(message: &str, session: Option<&str>, passage: Option<&str>, more: &str) -> Vec<u8> {
    let text = |value: Option<&str>| value.map_or("null".into(), |value| format!("\"{value}\""));
    let body = format!(
        r#"{{"message":"{message}","session_id":{},"selected_text":{}}}"#,
        text(session),
        text(passage)
    );
    format!(
        "POST /chat HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n{more}\r\n{body}",
        body.len()
    )
    .into()
}

impl Connection {
    pub async fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        let buffer = Vec::with_capacity(4096);
        Ok(Self { stream, buffer })
    }

    /// Sends a request and reads its whole response.
    pub async fn ask(&mut self, request: &[u8]) -> Result<Reply> {
        let answer = timeout(PATIENCE, self.exchange(request)).await;
        answer.context("no answer in time")?
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<Reply> {
        let started = Instant::now();
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            self.read().await?;
            let end = self.buffer.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                break end + 4;
            }
        };
        let status = self.buffer.get(9..12).context("no status")?;
        let status = str::from_utf8(status)?.parse()?;
        let length = content_length(&self.buffer[..head]);
        let mut first = None;
        loop {
            if self.buffer.len() > head {
                first.get_or_insert_with(|| started.elapsed());
            }
            let ended = match length {
                Some(length) => self.buffer.len() >= head + length,
                None => self.buffer[head..].ends_with(b"0\r\n\r\n"),
            };
            if ended {
                break;
            }
            self.read().await?;
        }
        let whole = started.elapsed();
        Ok(Reply {
            status,
            body: str::from_utf8(&self.buffer[head..])?.to_owned(),
            first: first.unwrap_or(whole),
            whole,
        })
    }

    async fn read(&mut self) -> Result<()> {
        let length = self.stream.read_buf(&mut self.buffer).await?;
        ensure!(length > 0, "the connection was closed");
        Ok(())
    }
}

/// The length that a head announces.
pub fn content_length(head: &[u8]) -> Option<usize> {
    let head = str::from_utf8(head).ok()?;
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let length = name.eq_ignore_ascii_case("content-length");
        length.then(|| value.trim().parse().ok()).flatten()
    })
}
