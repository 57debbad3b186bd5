//! The contract as it is written down, `public/openapi.json`, and the functions: whatever one has,
//! the other has, and every kind of response is as the document says.

mod document;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use textbook_chat::app::App;
use textbook_chat::config::Settings;
use textbook_chat::error::Code;
use textbook_chat::http::{Background, BoxError, MAX_BODY_BYTES, Route, serve};
use textbook_chat::{chat, health};

use crate::harness::model::{Script, held};
use crate::harness::{PAGE, Reply, Running, World};
use document::{Contract, keys, read};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

const ROUTES: [Route; 2] = [chat::ROUTE, health::ROUTE];

#[test]
fn the_document_and_the_functions_know_the_same_paths_and_methods() {
    let contract = Contract::read();
    let document = &contract.document;
    assert_eq!(document["servers"][0]["url"], "/");
    assert_eq!(document["servers"][1]["url"], "/api");
    assert_eq!(document["servers"].as_array().unwrap().len(), 2);
    let paths: BTreeSet<_> = keys(&document["paths"]).map(str::to_owned).collect();

    let routes = ROUTES.iter().map(|route| format!("/{}", route.name));
    assert_eq!(paths, routes.collect());
    let functions = fs::read_dir(Path::new(ROOT).join("api")).unwrap();
    let functions = functions.map(|file| {
        let file = file.unwrap().path();
        format!("/{}", file.file_stem().unwrap().to_str().unwrap())
    });
    assert_eq!(paths, functions.collect());
    let rewrites = read("vercel.json")["rewrites"].take();
    let rewrites: BTreeMap<_, _> = rewrites
        .as_array()
        .unwrap()
        .iter()
        .map(|rewrite| {
            let [source, destination] =
                ["source", "destination"].map(|it| rewrite[it].as_str().unwrap().to_owned());
            (source, destination)
        })
        .collect();
    let below_api = paths
        .iter()
        .map(|path| (path.clone(), format!("/api{path}")));
    assert_eq!(rewrites, below_api.collect());

    for route in ROUTES {
        let path = format!("/{}", route.name);
        let documented: BTreeSet<_> = keys(&document["paths"][&path])
            .map(str::to_uppercase)
            .collect();
        let methods = route.methods.iter().chain([&Method::OPTIONS]);
        assert_eq!(
            documented,
            methods.map(ToString::to_string).collect(),
            "{path}"
        );
    }
}

#[test]
fn the_document_and_the_functions_know_the_same_codes_with_the_same_statuses() {
    let contract = Contract::read();
    let ours: BTreeSet<_> = Code::ALL
        .map(|code| (code.as_str(), code.status().as_u16()))
        .into();
    assert_eq!(ours.len(), Code::ALL.len());
    let responses = contract.responses();
    let answered = responses.iter().flat_map(|(_, status, response)| {
        let codes = contract.codes(response).into_iter();
        codes.map(move |code| (code, *status))
    });
    assert_eq!(ours, answered.collect(), "in the responses");
    let listed = contract.document["components"]["schemas"]["ErrorCode"]["oneOf"].as_array();
    let listed = listed.unwrap().iter().map(|code| {
        let status = code["title"].as_str().unwrap().parse().unwrap();
        (code["const"].as_str().unwrap(), status)
    });
    assert_eq!(ours, listed.collect(), "in the list");
    for (name, status, response) in &responses {
        let error = contract.get(response)["content"]["application/json"]["schema"]["allOf"][0]["$ref"]
            == "#/components/schemas/Error";
        assert_eq!(
            error,
            !contract.codes(response).is_empty(),
            "{name} {status} says which codes"
        );
    }
}

#[tokio::test]
async fn the_documents_limits_are_the_functions_own() {
    let document = read("public/openapi.json");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let world = World::new().await;
    let limits = Settings::from_variables(world.settings().iter().cloned())
        .unwrap()
        .limits;
    let fields = &document["components"]["schemas"]["Question"]["properties"];
    assert_eq!(fields["message"]["maxLength"], limits.message);
    assert_eq!(fields["selected_text"]["maxLength"], limits.selected_text);
}

#[tokio::test]
async fn every_kind_of_response_is_as_the_document_says() {
    let mut contract = Contract::read();
    let world = World::new().await;
    let mut client = Client {
        contract: &mut contract,
    };
    client.questions(&world).await;
    client.unanswered_questions(&world).await;
    client.refusals(&world).await;
    client.conversations(&world).await;
    client.health(&world).await;
    client.pages(&world).await;
    client.large_bodies(&world).await;
    client.edge(&world).await;

    let kinds = contract.kinds();
    let unseen: Vec<_> = kinds.difference(&contract.seen).collect();
    assert!(
        unseen.is_empty(),
        "documented, and never answered: {unseen:#?}"
    );
    assert_eq!(kinds, contract.seen);
    let mapping =
        &contract.document["components"]["schemas"]["StreamPart"]["discriminator"]["mapping"];
    let parts = keys(mapping).chain(["[DONE]"]).map(str::to_owned);
    assert_eq!(contract.parts, parts.collect());

    let operations = contract.operations();
    let listed: BTreeSet<_> = kinds
        .iter()
        .map(|(name, status, _)| (name, status))
        .collect();
    let statuses: BTreeSet<_> = kinds.iter().map(|(_, status, _)| status).collect();
    eprintln!(
        "{} paths with {} operations; {} statuses, {} over all operations; {} codes; {} kinds of responses; {} stream parts",
        keys(&contract.document["paths"]).count(),
        operations.len(),
        statuses.len(),
        listed.len(),
        Code::ALL.len(),
        kinds.len(),
        contract.parts.len(),
    );
}

/// Sends requests and holds what comes back against the contract.
struct Client<'a> {
    contract: &'a mut Contract,
}

impl Client<'_> {
    async fn send(&mut self, function: &Running, method: Method, path: &str, status: u16) -> Reply {
        self.send_with(function, method, path, status, |request| request)
            .await
    }

    async fn send_with(
        &mut self,
        function: &Running,
        method: Method,
        path: &str,
        status: u16,
        complete: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Reply {
        let reply = Reply::of(complete(function.request(method.clone(), path))).await;
        assert_eq!(reply.status, status, "{method} {path} {reply:?}");
        self.contract.check(&method, path, &reply);
        reply
    }

    async fn ask(&mut self, chat: &Running, body: &Value, status: u16) -> Reply {
        let ask = |request: RequestBuilder| request.json(body);
        self.send_with(chat, Method::POST, "/chat", status, ask)
            .await
    }

    async fn stream(&mut self, chat: &Running) {
        let ask = |request: RequestBuilder| {
            request
                .header("accept", "text/event-stream")
                .json(&json!({ "message": "hi" }))
        };
        self.send_with(chat, Method::POST, "/api/chat", 200, ask)
            .await;
    }

    async fn questions(&mut self, world: &World) {
        let chat = world.chat().await;
        let body = json!({ "message": "hi", "selected_text": "A passage." });
        self.ask(&chat, &body, 200).await;
        self.ask(&chat, &json!({ "session_id": 7 }), 400).await;
        self.send(&chat, Method::POST, "/chat", 415).await;
        self.stream(&chat).await;
        let broken = Script::begin().words("Half an ").vanish();
        world.model.next(broken);
        self.stream(&chat).await;

        let with_key = |message: &str| {
            let body = json!({ "message": message });
            move |request: RequestBuilder| request.header("idempotency-key", "k1").json(&body)
        };
        world.model.next(held());
        let asked = world.model.asked().len();
        let first = tokio::spawn(Reply::of(with_key("hi")(
            chat.request(Method::POST, "/chat"),
        )));
        world.model.was_asked(asked + 1).await;
        self.send_with(&chat, Method::POST, "/chat", 409, with_key("hi"))
            .await;
        world.model.release();
        assert_eq!(first.await.unwrap().status, 200);
        self.send_with(&chat, Method::POST, "/chat", 422, with_key("bye"))
            .await;
        self.send_with(&chat, Method::POST, "/chat", 200, with_key("hi"))
            .await;
    }

    async fn unanswered_questions(&mut self, world: &World) {
        let chat = world.chat().await;
        let question = json!({ "message": "hi" });
        let refusal = Script::refusal(401, "invalid_request_error", "invalid_api_key");
        world.model.next(refusal);
        let reply = self.ask(&chat, &question, 500).await;
        assert!(reply.json()["session_id"].is_string(), "{reply:?}");
        let hasty = world.chat_with("LLM_TIMEOUT_MS", 100).await;
        world.model.next(Script::silence());
        self.ask(&hasty, &question, 500).await;

        let session = chat.ask("hi").await.field("session_id");
        world.model.next(held());
        let asked = world.model.asked().len();
        let body = json!({ "message": "And?", "session_id": session });
        let answer = tokio::spawn(Reply::of(chat.request(Method::POST, "/chat").json(&body)));
        world.model.was_asked(asked + 1).await;
        let path = format!("/chat?session_id={session}");
        self.send(&chat, Method::DELETE, &path, 204).await;
        world.model.release();
        let reply = answer.await.unwrap();
        assert_eq!(reply.status, 404);
        self.contract.check(&Method::POST, "/chat", &reply);
    }

    async fn refusals(&mut self, world: &World) {
        let question = json!({ "message": "hi" });
        let paced = world.chat_with("RATE_LIMIT_NETWORK_PER_DAY", 1).await;
        self.ask(&paced, &question, 200).await;
        self.ask(&paced, &question, 429).await;
        let poor = world.chat_with("DAILY_BUDGET_USD", "0.001").await;
        self.ask(&poor, &question, 503).await;
        let full = world.chat_with("MAX_TURNS_IN_FLIGHT", 1).await;
        world.model.next(held());
        let asked = world.model.asked().len();
        let first = tokio::spawn(Reply::of(
            full.request(Method::POST, "/chat").json(&question),
        ));
        world.model.was_asked(asked + 1).await;
        self.ask(&full, &question, 503).await;
        world.model.release();
        assert_eq!(first.await.unwrap().status, 200);
        let flagging = World::new().await.with("MODERATION", "input");
        flagging.model.flag_everything();
        self.ask(&flagging.chat().await, &question, 400).await;
    }

    async fn conversations(&mut self, world: &World) {
        let chat = world.chat().await;
        let body = json!({ "message": "hi", "selected_text": "A passage." });
        let session = chat.post(&body).await.field("session_id");
        let path = format!("/chat?session_id={session}");
        self.send(&chat, Method::GET, &path, 200).await;
        self.send(&chat, Method::GET, "/api/chat", 400).await;
        self.send(&chat, Method::DELETE, "/chat", 400).await;
        self.send(&chat, Method::DELETE, &path, 204).await;
        self.send(&chat, Method::GET, &path, 404).await;

        let nowhere = "postgresql://postgres@127.0.0.1:1/none?sslmode=disable";
        for (name, value) in [("DATABASE_URL", nowhere), ("OPENAI_API_KEY", "")] {
            let chat = world.chat_with(name, value).await;
            self.ask(&chat, &json!({ "message": "hi" }), 500).await;
            self.send(&chat, Method::GET, &path, 500).await;
            self.send(&chat, Method::DELETE, &path, 500).await;
        }
        self.send(&chat, Method::PUT, "/chat", 405).await;
        self.send(&chat, Method::GET, "/chats", 404).await;
    }

    async fn health(&mut self, world: &World) {
        let health = world.health().await;
        for method in [Method::GET, Method::HEAD] {
            self.send(&health, method.clone(), "/health", 200).await;
            let address =
                |request: RequestBuilder| request.header("x-vercel-forwarded-for", "203.0.113.7");
            self.send_with(&health, method, "/api/health?check=ready", 200, address)
                .await;
        }
        self.send(&health, Method::POST, "/health", 405).await;
        let mut broken = World::new().await;
        broken.set("OPENAI_API_KEY", "");
        let health = broken.health().await;
        for method in [Method::GET, Method::HEAD] {
            self.send(&health, method, "/health?check=ready", 503).await;
        }
    }

    /// Every operation, for a page that may call and for one that may not.
    async fn pages(&mut self, world: &World) {
        let (chat, health) = (world.chat().await, world.health().await);
        for (name, _) in self.contract.operations() {
            let (method, path) = name.split_once(' ').unwrap();
            let method: Method = method.parse().unwrap();
            let function = if path == "/chat" { &chat } else { &health };
            let from = |origin: &'static str| {
                move |request: RequestBuilder| request.header("origin", origin)
            };
            self.send_with(
                function,
                method.clone(),
                path,
                403,
                from("https://evil.example"),
            )
            .await;
            if method == Method::OPTIONS {
                self.send(function, method.clone(), path, 204).await;
            }
            let reply = Reply::of(from(PAGE)(function.request(method.clone(), path))).await;
            assert_eq!(reply.header("access-control-allow-origin"), Some(PAGE));
            self.contract.check(&method, path, &reply);
        }
    }

    async fn large_bodies(&mut self, world: &World) {
        let (chat, health) = (world.chat().await, world.health().await);
        for (name, _) in self.contract.operations() {
            let (method, path) = name.split_once(' ').unwrap();
            let method: Method = method.parse().unwrap();
            let function = if path == "/chat" { &chat } else { &health };
            let large = |request: RequestBuilder| request.body(vec![b' '; MAX_BODY_BYTES + 1]);
            let status = if method == Method::OPTIONS { 204 } else { 413 };
            self.send_with(function, method, path, status, large).await;
        }
    }

    /// What cannot be brought about from outside, made by the edge itself in this process: bodies
    /// that break off, handlers that panic, and codes that no function answers yet.
    async fn edge(&mut self, world: &World) {
        let settings = Settings::from_variables(world.settings().iter().cloned());
        let app = Arc::new(App::new(settings));
        for (name, _) in self.contract.operations() {
            let (method, path) = name.split_once(' ').unwrap();
            let route = ROUTES
                .into_iter()
                .find(|route| path == format!("/{}", route.name))
                .unwrap();
            if method == "OPTIONS" {
                continue;
            }
            let request = || {
                let request = http::Request::builder().method(method).uri(path);
                request.header("content-type", "application/json")
            };
            let broken = futures_util::stream::iter([Err::<http_body::Frame<Bytes>, BoxError>(
                "broken".into(),
            )]);
            let request_that_breaks = request().body(StreamBody::new(broken)).unwrap();
            let reply = answer(&route, &app, request_that_breaks).await;
            assert_eq!(reply.status, 400);
            self.contract.check(&method.parse().unwrap(), path, &reply);

            let panicking = Route {
                handler: |_, _| Box::pin(async { panic!("on purpose") }),
                ..route
            };
            let whole_request = request().body(Full::new(Bytes::from("{}"))).unwrap();
            let reply = answer(&panicking, &app, whole_request).await;
            assert_eq!(reply.status, 500);
            self.contract.check(&method.parse().unwrap(), path, &reply);
        }
    }
}

/// What the edge makes of a request, without a server.
async fn answer<B>(route: &Route, app: &Arc<App>, request: http::Request<B>) -> Reply
where
    B: http_body::Body<Data = Bytes> + Send + Unpin,
{
    let head = request.method() == Method::HEAD;
    let background = Background::new(|work| drop(tokio::spawn(work)));
    let (parts, body) = serve(route, Arc::clone(app), request, background, None)
        .await
        .into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Reply {
        status: parts.status.as_u16(),
        headers: parts.headers,
        // A server sends none to who asks for the head alone.
        text: if head {
            String::new()
        } else {
            String::from_utf8(body.to_vec()).unwrap()
        },
    }
}
