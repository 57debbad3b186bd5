//! The model: a server of Chat Completions and of embeddings that costs next to nothing.
//!
//! Owns what is answered and how long that takes. Answers every question with the same stream, at
//! once in one write, or word by word over a set time, and every text with the same vector. Never
//! looks at a request beyond its path.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::sleep,
};

use textbook_chat::llm::DIMENSIONS;

use crate::{client::content_length, proxy::Flights, random::Random};

const WORDS: [&str; 8] = [
    "A ",
    "humanoid ",
    "robot ",
    "is ",
    "built ",
    "like ",
    "a ",
    "person.",
];

const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// A running model.
pub struct Model {
    port: u16,
    state: Arc<State>,
}

struct State {
    flights: Arc<Flights>,
    flights_when_asked: AtomicUsize,
    asked: AtomicU64,
    embedded: AtomicU64,
    busy_nanos: AtomicU64,
    milliseconds: AtomicU64,
    /// The head and the first chunk, one chunk for each word, and the rest.
    pieces: Vec<Vec<u8>>,
    whole: Vec<u8>,
    vector: Vec<u8>,
}

impl Model {
    /// `flights` are looked at whenever the model is asked.
    pub fn start(flights: Arc<Flights>) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        // Many clients may connect at once.
        let listener = socket.listen(4096)?;
        let port = listener.local_addr()?.port();
        let pieces = pieces();
        let state = Arc::new(State {
            flights,
            flights_when_asked: AtomicUsize::default(),
            asked: AtomicU64::default(),
            embedded: AtomicU64::default(),
            busy_nanos: AtomicU64::default(),
            milliseconds: AtomicU64::default(),
            whole: pieces.concat(),
            vector: vector(),
            pieces,
        });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Ok(Self { port, state })
    }

    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// How long an answer takes from now on.
    pub fn takes(&self, time: Duration) {
        let milliseconds = time.as_millis().try_into().unwrap_or(u64::MAX);
        self.state.milliseconds.store(milliseconds, Relaxed);
    }

    /// How often it has been asked for an answer so far.
    pub fn asked(&self) -> u64 {
        self.state.asked.load(Relaxed)
    }

    /// How often it has been asked for a vector so far.
    pub fn embedded(&self) -> u64 {
        self.state.embedded.load(Relaxed)
    }

    /// The flights to the database when it was last asked for an answer.
    pub fn flights_when_asked(&self) -> usize {
        self.state.flights_when_asked.load(Relaxed)
    }

    /// The average time from a question's last byte to its answer's last, since the last call.
    pub fn own_time(&self) -> Duration {
        let asked = self.state.asked.swap(0, Relaxed).max(1);
        Duration::from_nanos(self.state.busy_nanos.swap(0, Relaxed) / asked)
    }
}

fn pieces() -> Vec<Vec<u8>> {
    let event = |data: &str| format!("{:x}\r\ndata: {data}\n\n\r\n", data.len() + 8);
    let chunk = |value: Value| {
        let mut chunk = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_795_000_000,
            "model": "gpt-5.4-mini", "service_tier": "default", "system_fingerprint": "fp_1",
        });
        if let (Some(chunk), Value::Object(value)) = (chunk.as_object_mut(), value) {
            chunk.extend(value);
        }
        event(&chunk.to_string())
    };
    let delta = |delta: Value| json!({ "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": null }] });
    let first = chunk(delta(json!({ "role": "assistant", "content": "" })));
    let words = WORDS.map(|word| chunk(delta(json!({ "content": word }))));
    let finish =
        chunk(json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] }));
    let usage = chunk(json!({
        "choices": [],
        "usage": { "prompt_tokens": 42, "completion_tokens": 8, "total_tokens": 50 },
    }));
    let end = [finish, usage, event("[DONE]"), "0\r\n\r\n".into()].concat();
    let texts = [format!("{HEAD}{first}")].into_iter().chain(words);
    texts.chain([end]).map(String::into_bytes).collect()
}

fn vector() -> Vec<u8> {
    let vector = Random::new(4).direction(DIMENSIONS);
    let body = json!({
        "object": "list", "model": "text-embedding-3-small",
        "data": [{ "object": "embedding", "index": 0, "embedding": vector }],
        "usage": { "prompt_tokens": 12, "total_tokens": 12 },
    });
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into()
}

/// The requests of one connection, one after the other.
async fn serve(mut stream: TcpStream, state: Arc<State>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        let end = loop {
            if let Some(end) = request_end(&buffer)?
                && buffer.len() >= end
            {
                break end;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let started = Instant::now();
        let embeds = buffer.starts_with(b"POST /v1/embeddings ");
        buffer.drain(..end);
        if embeds {
            state.embedded.fetch_add(1, Relaxed);
            stream.write_all(&state.vector).await?;
            continue;
        }
        let flights = state.flights.count();
        state.flights_when_asked.store(flights, Relaxed);
        state.asked.fetch_add(1, Relaxed);
        match state.milliseconds.load(Relaxed) {
            0 => stream.write_all(&state.whole).await?,
            milliseconds => {
                let pause = Duration::from_millis(milliseconds) / 8;
                let mut pieces = state.pieces.iter();
                stream.write_all(pieces.next().context("no head")?).await?;
                for piece in pieces.as_slice().split_last().context("no end")?.1 {
                    sleep(pause).await;
                    stream.write_all(piece).await?;
                }
                stream
                    .write_all(state.pieces.last().context("no end")?)
                    .await?;
            }
        }
        let nanos = started.elapsed().as_nanos().try_into().unwrap_or(u64::MAX);
        state.busy_nanos.fetch_add(nanos, Relaxed);
    }
}

/// Where the first request ends, once its head has arrived.
fn request_end(buffer: &[u8]) -> Result<Option<usize>> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(head) = head else { return Ok(None) };
    let length = content_length(&buffer[..head]).context("a request without its length")?;
    Ok(Some(head + 4 + length))
}
