//! A model that speaks the wire protocol, byte by byte as its script says.
//!
//! A bare HTTP/1.1 server, because a script must be able to do what no HTTP library allows:
//! stall before the headers, cut a chunk in two, vanish.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;

use super::embedding::{self, Mode};
use super::eventually;

/// What a model answers unless its script says otherwise.
pub const ANSWER: &str = "A humanoid robot is built like a person.";

/// What one request is answered with.
#[derive(Debug, Clone, Default)]
pub struct Script(Vec<Step>);

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<u8>),
    Wait(Duration),
    /// Waits until the test releases one held script.
    Hold,
    /// Ends the connection without the rest.
    Vanish,
}

impl Script {
    /// A whole streamed answer, word by word, with usage.
    pub fn answer(text: &str) -> Self {
        Self::begin()
            .words(text)
            .finish("stop")
            .chunk(&json!({ "choices": [], "usage": { "prompt_tokens": 42, "completion_tokens": 7, "total_tokens": 49 } }))
            .done()
    }

    /// The headers of a stream, and the chunk that names the speaker.
    pub fn begin() -> Self {
        Self::default()
            .write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            .chunk(&json!({ "choices": [{ "index": 0, "delta": { "role": "assistant", "content": "" } }] }))
    }

    /// A plain response.
    pub fn status(status: u16, headers: &str, body: &str) -> Self {
        Self::default().write(format!(
            "HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            body.len()
        ))
    }

    /// An error as OpenAI words it. The message quotes what must never leave the function.
    pub fn refusal(status: u16, kind: &str, code: &str) -> Self {
        let message = format!("Incorrect API key provided: {}", super::API_KEY);
        let body = json!({ "error": { "message": message, "type": kind, "code": code } });
        Self::status(
            status,
            "content-type: application/json\r\n",
            &body.to_string(),
        )
    }

    /// The key is refused, which a second attempt would not change.
    pub fn refused() -> Self {
        Self::refusal(401, "invalid_request_error", "invalid_api_key")
    }

    /// Accepts the request and says nothing.
    pub fn silence() -> Self {
        Self::default().hold()
    }

    pub fn words(self, text: &str) -> Self {
        text.split_inclusive(' ').fold(self, |script, word| {
            script.chunk(&json!({ "choices": [{ "index": 0, "delta": { "content": word } }] }))
        })
    }

    /// The chunk that says that the answer is complete, and why.
    pub fn finish(self, reason: &str) -> Self {
        self.chunk(&json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] }))
    }

    /// One server-sent event with this JSON.
    pub fn chunk(self, value: &Value) -> Self {
        self.event(&value.to_string())
    }

    pub fn event(self, data: &str) -> Self {
        let event = format!("data: {data}\n\n");
        self.write(format!("{:x}\r\n{event}\r\n", event.len()))
    }

    /// The stream's proper end.
    pub fn done(self) -> Self {
        self.event("[DONE]").end()
    }

    /// The end of the HTTP response, without `[DONE]`.
    pub fn end(self) -> Self {
        self.write("0\r\n\r\n")
    }

    pub fn write(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.push(Step::Write(bytes.as_ref().to_vec()));
        self
    }

    pub fn wait(mut self, duration: Duration) -> Self {
        self.0.push(Step::Wait(duration));
        self
    }

    /// The same with each byte in its own write: nothing arrives in one piece.
    pub fn byte_by_byte(self) -> Self {
        let steps = self.0.into_iter().flat_map(|step| match step {
            Step::Write(bytes) => bytes.into_iter().map(|b| Step::Write(vec![b])).collect(),
            step => vec![step],
        });
        Self(steps.collect())
    }

    /// How many bytes it writes.
    pub fn length(&self) -> usize {
        let lengths = self.0.iter().map(|step| match step {
            Step::Write(bytes) => bytes.len(),
            _ => 0,
        });
        lengths.sum()
    }

    pub fn hold(mut self) -> Self {
        self.0.push(Step::Hold);
        self
    }

    pub fn vanish(mut self) -> Self {
        self.0.push(Step::Vanish);
        self
    }
}

/// The answer `At last.`, which the model holds back until it is released.
pub fn held() -> Script {
    let answer = Script::begin().hold().words("At last.");
    answer.finish("stop").done()
}

/// The same, held back after its first word.
pub fn held_halfway() -> Script {
    let answer = Script::begin().words("At ").hold().words("last.");
    answer.finish("stop").done()
}

/// A long answer, word by word: `word0 word1 …`. A reader who leaves while it is spoken is noticed
/// at once; one who leaves during a silence, seconds later.
pub fn talkative() -> Script {
    let words = (0..200).fold(Script::begin(), |script, i| {
        let script = script.words(&format!("word{i} "));
        script.wait(Duration::from_millis(20))
    });
    words.finish("stop").done()
}

/// The address of a model that is not there, for as long as the socket is kept: nothing listens on
/// it, and nobody else is given its port.
pub fn nobody() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = format!("http://{}/v1", socket.local_addr().unwrap());
    (socket, address)
}

/// A request that reached the model.
#[derive(Debug, Clone)]
pub struct Asked {
    pub head: String,
    pub body: Value,
}

impl Asked {
    /// The messages as `role: content`; for a system message, only the role.
    pub fn messages(&self) -> Vec<String> {
        let messages = self.body["messages"].as_array().unwrap().iter();
        messages
            .map(|message| match message["role"].as_str().unwrap() {
                "system" => "system".to_owned(),
                role => format!("{role}: {}", message["content"].as_str().unwrap()),
            })
            .collect()
    }

    pub fn system(&self) -> &str {
        self.body["messages"][0]["content"].as_str().unwrap()
    }
}

/// A running model; it ends with its test.
#[derive(Clone)]
pub struct ScriptedModel {
    port: u16,
    state: Arc<State>,
}

struct State {
    scripts: Mutex<VecDeque<Script>>,
    /// For requests without a script of their own.
    usual: Mutex<Script>,
    asked: Mutex<Vec<Asked>>,
    releases: Semaphore,
    embedding: Mutex<Mode>,
    embedded: Mutex<Vec<String>>,
    embedding_requests: AtomicUsize,
    moderation: Mutex<Vec<Value>>,
    flags: AtomicBool,
    moderation_fails: AtomicBool,
    moderation_holds: AtomicBool,
    written: AtomicUsize,
    hung_up: AtomicUsize,
}

impl ScriptedModel {
    pub fn start() -> Self {
        // A small buffer, so that what it has written is about what was read.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(16 * 1024).unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(1024).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            scripts: Mutex::default(),
            usual: Mutex::new(Script::answer(ANSWER)),
            asked: Mutex::default(),
            releases: Semaphore::new(0),
            embedding: Mutex::default(),
            embedded: Mutex::default(),
            embedding_requests: AtomicUsize::new(0),
            moderation: Mutex::default(),
            flags: AtomicBool::new(false),
            moderation_fails: AtomicBool::new(false),
            moderation_holds: AtomicBool::new(false),
            written: AtomicUsize::new(0),
            hung_up: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { port, state }
    }

    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// The next request is answered with this; further calls queue up.
    pub fn next(&self, script: Script) {
        self.state.scripts.lock().unwrap().push_back(script);
    }

    /// Every request without a script of its own is answered with this.
    pub fn always(&self, script: Script) {
        *self.state.usual.lock().unwrap() = script;
    }

    /// Everything that has been asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }

    /// Waits until this many requests have arrived.
    pub async fn was_asked(&self, times: usize) {
        let asked = eventually(async || (self.asked().len() >= times).then_some(()));
        asked
            .await
            .unwrap_or_else(|| panic!("asked {} times", self.asked().len()));
    }

    /// The last message of what was asked last.
    pub fn last_prompt(&self) -> String {
        self.asked().last().unwrap().messages().pop().unwrap()
    }

    /// The only thing that was asked.
    pub fn asked_once(&self) -> Asked {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:#?}");
        asked[0].clone()
    }

    /// From now on the moderation flags everything.
    pub fn flag_everything(&self) {
        self.flag(true);
    }

    /// From now on the moderation flags everything, or nothing.
    pub fn flag(&self, flags: bool) {
        self.state.flags.store(flags, Ordering::SeqCst);
    }

    /// From now on the moderation is out of order.
    pub fn fail_moderation(&self) {
        self.state.moderation_fails.store(true, Ordering::SeqCst);
    }

    /// From now on the moderation never answers.
    pub fn hold_moderation(&self) {
        self.state.moderation_holds.store(true, Ordering::SeqCst);
    }

    /// From now on the moderation answers, and flags nothing.
    pub fn moderate(&self) {
        self.flag(false);
        self.state.moderation_fails.store(false, Ordering::SeqCst);
        self.state.moderation_holds.store(false, Ordering::SeqCst);
    }

    /// What the moderation has been asked so far.
    pub fn moderated(&self) -> Vec<Value> {
        self.state.moderation.lock().unwrap().clone()
    }

    /// From now on texts are embedded in this way.
    pub fn embed(&self, mode: Mode) {
        *self.state.embedding.lock().unwrap() = mode;
    }

    /// The texts that have been embedded so far.
    pub fn embedded(&self) -> Vec<String> {
        self.state.embedded.lock().unwrap().clone()
    }

    /// How many requests for embeddings have come so far, whatever became of them.
    pub fn embedding_requests(&self) -> usize {
        self.state.embedding_requests.load(Ordering::SeqCst)
    }

    /// How many bytes have been written so far.
    pub fn written(&self) -> usize {
        self.state.written.load(Ordering::SeqCst)
    }

    /// Waits until a caller has hung up in the middle of an answer.
    pub async fn was_hung_up(&self) {
        let hung_up = || self.state.hung_up.load(Ordering::SeqCst) > 0;
        let hung_up = eventually(async || hung_up().then_some(()));
        hung_up.await.expect("the call goes on");
    }

    /// Lets one held script go on.
    pub fn release(&self) {
        self.state.releases.add_permits(1);
    }
}

/// Answers the requests of one connection.
async fn serve(stream: TcpStream, state: Arc<State>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut stream = BufReader::new(stream);
    loop {
        let asked = read(&mut stream).await?;
        if asked.head.starts_with("POST /v1/moderations ") {
            let flagged = state.flags.load(Ordering::SeqCst);
            state.moderation.lock().unwrap().push(asked.body);
            let verdict = json!({ "results": [{ "flagged": flagged }] }).to_string();
            let failed = state.moderation_fails.load(Ordering::SeqCst);
            let status = if failed { 400 } else { 200 };
            let kind = "content-type: application/json\r\n";
            let mut verdict = Script::status(status, kind, &verdict);
            if state.moderation_holds.load(Ordering::SeqCst) {
                verdict = Script::silence();
            }
            for step in verdict.0 {
                match step {
                    Step::Write(bytes) => stream.write_all(&bytes).await.ok()?,
                    _ => std::future::pending().await,
                }
            }
            continue;
        }
        if asked.head.starts_with("POST /v1/embeddings ") {
            state.embedding_requests.fetch_add(1, Ordering::SeqCst);
            let mode = *state.embedding.lock().unwrap();
            let kind = "content-type: application/json\r\n";
            let script = match mode {
                Mode::Silent => std::future::pending().await,
                Mode::Fails => Script::status(400, kind, "{}"),
                _ => Script::status(200, kind, &embedding::answer(&asked.body, mode).to_string()),
            };
            if mode == Mode::ByWords {
                let texts = asked.body["input"].as_array().unwrap().iter();
                let texts = texts.map(|text| text.as_str().unwrap().to_owned());
                state.embedded.lock().unwrap().extend(texts);
            }
            for step in script.0 {
                if let Step::Write(bytes) = step {
                    stream.write_all(&bytes).await.ok()?;
                }
            }
            continue;
        }
        state.asked.lock().unwrap().push(asked);
        let script = state.scripts.lock().unwrap().pop_front();
        let script = script.unwrap_or_else(|| state.usual.lock().unwrap().clone());
        for step in script.0 {
            let hung_up = match step {
                Step::Write(bytes) => {
                    state.written.fetch_add(bytes.len(), Ordering::SeqCst);
                    stream.write_all(&bytes).await.is_err()
                }
                Step::Wait(duration) => tokio::select! {
                    () = tokio::time::sleep(duration) => false,
                    _ = stream.fill_buf() => true,
                },
                Step::Hold => tokio::select! {
                    permit = state.releases.acquire() => {
                        permit.ok()?.forget();
                        false
                    }
                    // The client sends nothing more before it has its answer, unless it hangs up.
                    _ = stream.fill_buf() => true,
                },
                Step::Vanish => return None,
            };
            if hung_up {
                state.hung_up.fetch_add(1, Ordering::SeqCst);
                return None;
            }
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    if head.starts_with("GET ") {
        let body = Value::Null;
        return Some(Asked { head, body });
    }
    let mut body = vec![0; length?];
    stream.read_exact(&mut body).await.ok()?;
    let body = serde_json::from_slice(&body).ok()?;
    Some(Asked { head, body })
}
