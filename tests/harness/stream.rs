//! A front end that reads an answer piece by piece.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use super::Running;

/// A streamed response. Dropping it is what happens when a reader leaves.
pub struct Stream {
    response: Response,
    buffer: Vec<u8>,
}

impl Stream {
    /// The stream of a response, which must be streamed.
    pub async fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200, "{:?}", response.text().await);
        Self {
            response,
            buffer: Vec::new(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let value = self.response.headers().get(name)?;
        Some(value.to_str().unwrap())
    }

    /// The next frame, comments included; `None` at the end of the body, or where it breaks off.
    pub async fn frame(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let rest = self.buffer.split_off(end + 2);
                let frame = std::mem::replace(&mut self.buffer, rest);
                return Some(String::from_utf8(frame).unwrap().trim_end().to_owned());
            }
            let chunk = self.response.chunk().await.ok()??;
            self.buffer.extend_from_slice(&chunk);
        }
    }

    /// The next part; `[DONE]` is returned as a string.
    pub async fn part(&mut self) -> Option<Value> {
        loop {
            let frame = self.frame().await?;
            if let Some(data) = frame.strip_prefix("data: ") {
                return Some(serde_json::from_str(data).unwrap_or_else(|_| json!(data)));
            }
            assert!(frame.starts_with(':'), "{frame:?}");
        }
    }

    /// The next event of a stream whose every frame is one event's JSON.
    pub async fn event(&mut self) -> Option<Value> {
        let frame = self.frame().await?;
        let data = frame.strip_prefix("data: ");
        let data = data.unwrap_or_else(|| panic!("{frame:?}"));
        Some(serde_json::from_str(data).unwrap_or_else(|_| panic!("{frame:?}")))
    }

    /// All events that are left.
    pub async fn events(mut self) -> Vec<Value> {
        let mut events = Vec::new();
        while let Some(event) = self.event().await {
            events.push(event);
        }
        events
    }

    /// Reads until this text has arrived.
    pub async fn text(&mut self, wanted: &str) {
        let mut text = String::new();
        while text != wanted {
            let part = self.part().await.unwrap();
            text.push_str(part["delta"].as_str().unwrap_or_default());
            assert!(wanted.starts_with(&text), "{text:?}");
        }
    }

    /// All parts that are left.
    pub async fn rest(mut self) -> Vec<Value> {
        let mut parts = Vec::new();
        while let Some(part) = self.part().await {
            parts.push(part);
        }
        parts
    }
}

/// A whole answer, as its parts tell it.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    pub session_id: String,
    pub answer_id: String,
    pub text: String,
}

/// Checks that these are the parts of a whole answer, in order.
pub fn told(parts: &[Value]) -> Told {
    let kinds: Vec<_> = parts.iter().map(|part| part["type"].as_str()).collect();
    let (start, end) = (&kinds[..3], &kinds[kinds.len() - 4..]);
    assert_eq!(
        start,
        [Some("start"), Some("start-step"), Some("text-start")]
    );
    assert_eq!(
        end,
        [Some("text-end"), Some("finish-step"), Some("finish"), None]
    );
    assert_eq!(parts.last().unwrap(), "[DONE]");
    let deltas = &parts[3..parts.len() - 4];
    Told {
        session_id: parts[0]["messageMetadata"]["sessionId"]
            .as_str()
            .unwrap()
            .into(),
        answer_id: parts[0]["messageId"].as_str().unwrap().into(),
        text: deltas
            .iter()
            .map(|part| part["delta"].as_str().unwrap())
            .collect(),
    }
}

impl<F> Running<F> {
    /// `POST /chat`, accepting a stream; it must be one.
    pub async fn stream(&self, body: &Value) -> Stream {
        self.stream_with(body, &[]).await
    }

    /// The same for a reader who reads nothing before the test does; the kernel buffers only a
    /// little.
    pub async fn stream_unread(&self, body: &Value, headers: &[(&str, &str)]) -> TcpStream {
        let body = body.to_string();
        let mut request = format!(
            "POST /chat HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            request.extend([name, ": ", value, "\r\n"]);
        }
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 * 1024).unwrap();
        let address = self.url.strip_prefix("http://").unwrap().parse().unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        let request = format!("{request}connection: close\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    pub async fn stream_with(&self, body: &Value, headers: &[(&str, &str)]) -> Stream {
        let mut request = self.request(Method::POST, "/chat").json(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header("accept", "text/event-stream");
        let response = request.send().await.unwrap();
        Stream::of(response).await
    }
}
