//! What a front end does: ask, and read what comes back.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::Running;

/// The body of a question in a new conversation.
pub fn question() -> Value {
    json!({ "message": "What is a humanoid robot?" })
}

/// A response, read whole.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// A field of the body of a 200.
    pub fn field(&self, name: &str) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()[name].as_str().unwrap().to_owned()
    }

    /// The status and the error's code; also checks that the error has the form of every error.
    pub fn error(&self) -> (u16, String) {
        let body = self.json();
        let message = body["error"]["message"].as_str().unwrap();
        assert!(
            message.len() > 10 && message.ends_with('.'),
            "{message:?} is not a sentence for people"
        );
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"));
        let code = body["error"]["code"].as_str().unwrap();
        (self.status, code.to_owned())
    }
}

impl<F> Running<F> {
    /// A request to this path, for the test to complete.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub async fn get(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::GET, path)).await
    }

    /// `POST /chat` with this body.
    pub async fn post(&self, body: &Value) -> Reply {
        Reply::of(self.request(Method::POST, "/chat").json(body)).await
    }

    /// `POST /chat` with this body and one more header.
    pub async fn post_with(&self, body: &Value, header: (&str, &str)) -> Reply {
        let (name, value) = header;
        let request = self.request(Method::POST, "/chat").json(body);
        let name = HeaderName::try_from(name).unwrap();
        Reply::of(request.header(name, HeaderValue::from_str(value).unwrap())).await
    }

    /// A question in a new conversation.
    pub async fn ask(&self, message: &str) -> Reply {
        self.post(&json!({ "message": message })).await
    }

    /// A question in this conversation.
    pub async fn ask_in(&self, session_id: &str, message: &str) -> Reply {
        self.post(&json!({ "message": message, "session_id": session_id }))
            .await
    }
}
