//! `/health`, and what every operation answers.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody};
use reqwest::{Method, RequestBuilder};
use textbook_chat::app::App;
use textbook_chat::background::Background;
use textbook_chat::config::Settings;
use textbook_chat::http::{BoxError, MAX_BODY_BYTES, Route, serve};

use super::{Client, ROUTES};
use crate::harness::site::{Server, fixture};
use crate::harness::{PAGE, Reply, Running, World};

/// A function for each path.
struct Functions {
    chat: Running,
    chatkit: Running,
    feedback: Running,
    health: Running,
    refresh: Running,
}

impl Functions {
    async fn start(world: &World) -> Self {
        Self {
            chat: world.chat().await,
            chatkit: world.chatkit().await,
            feedback: world.feedback().await,
            health: world.health().await,
            refresh: world.refresh().await,
        }
    }

    fn of(&self, path: &str) -> &Running {
        match path {
            "/chat" => &self.chat,
            "/chatkit" => &self.chatkit,
            "/feedback" => &self.feedback,
            "/health" => &self.health,
            "/refresh" => &self.refresh,
            _ => panic!("{path} is no function's"),
        }
    }
}

impl Client<'_> {
    pub(super) async fn everywhere(&mut self, world: &World) {
        self.health(world).await;
        self.refresh().await;
        let functions = Functions::start(world).await;
        for (method, path) in self.methods_and_paths() {
            self.pages(functions.of(&path), &method, &path).await;
            self.large_body(functions.of(&path), &method, &path).await;
        }
        self.edge(world).await;
    }

    fn methods_and_paths(&self) -> Vec<(Method, String)> {
        let operations = self.contract.operations().into_iter();
        let split = |(name, _): (String, _)| {
            let (method, path) = name.split_once(' ').unwrap();
            (method.parse().unwrap(), path.to_owned())
        };
        operations.map(split).collect()
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
        let hurried = World::new().await.with("RATE_LIMIT_READS_PER_MINUTE", 1);
        let hurried = hurried.health().await;
        let ready = "/health?check=ready";
        self.send(&hurried, Method::GET, ready, 200).await;
        for method in [Method::GET, Method::HEAD] {
            self.send(&hurried, method, ready, 429).await;
        }
        let mut broken = World::new().await;
        broken.set("OPENAI_API_KEY", "");
        let health = broken.health().await;
        for method in [Method::GET, Method::HEAD] {
            self.send(&health, method, "/health?check=ready", 503).await;
        }
    }

    async fn refresh(&mut self) {
        const SECRET: (&str, &str) = ("authorization", "Bearer open sesame");
        let with_secret = |request: RequestBuilder| request.header(SECRET.0, SECRET.1);
        let site = Server::of(fixture("mdbook")).await;
        let world = World::new().await.with("CRON_SECRET", "open sesame");
        let world = world.with("BOOK_URL", site.book());
        let refresh = world.refresh().await;
        let get = Method::GET;
        self.send(&refresh, get.clone(), "/refresh", 401).await;
        self.send_with(&refresh, get.clone(), "/api/refresh", 200, with_secret)
            .await;
        let held = "insert into book_versions (url, state, options, held_until)
            select url, 'building', '', now() + interval '1 hour' from book_versions";
        world.database.rows(held).await;
        self.send_with(&refresh, get.clone(), "/refresh", 409, with_secret)
            .await;
        for (variable, value) in [
            ("BOOK_URL", "http://127.0.0.1:1/book/"),
            ("BOOK_URL", ""),
            (
                "DATABASE_URL",
                "postgresql://postgres@127.0.0.1:1/none?sslmode=disable",
            ),
        ] {
            let broken = World::new().await.with("CRON_SECRET", "open sesame");
            let broken = broken.with("BOOK_URL", site.book()).with(variable, value);
            let refresh = broken.refresh().await;
            self.send_with(&refresh, get.clone(), "/refresh", 500, with_secret)
                .await;
        }
    }

    /// An operation called by a page that may call, by one that may not, and by no page.
    async fn pages(&mut self, function: &Running, method: &Method, path: &str) {
        let from =
            |origin: &'static str| move |request: RequestBuilder| request.header("origin", origin);
        let foreign = from("https://evil.example");
        self.send_with(function, method.clone(), path, 403, foreign)
            .await;
        if *method == Method::OPTIONS {
            self.send(function, method.clone(), path, 204).await;
        }
        let reply = Reply::of(from(PAGE)(function.request(method.clone(), path))).await;
        assert_eq!(reply.header("access-control-allow-origin"), Some(PAGE));
        self.contract.check(method, path, &reply);
    }

    async fn large_body(&mut self, function: &Running, method: &Method, path: &str) {
        let large = |request: RequestBuilder| request.body(vec![b' '; MAX_BODY_BYTES + 1]);
        let status = if *method == Method::OPTIONS { 204 } else { 413 };
        self.send_with(function, method.clone(), path, status, large)
            .await;
    }

    /// What cannot be provoked from outside, so the edge itself answers it in this process: bodies
    /// that break off, handlers that panic, and codes that no function uses yet.
    async fn edge(&mut self, world: &World) {
        let settings = Settings::from_variables(world.settings().iter().cloned());
        let app = Arc::new(App::new(settings));
        for (method, path) in self.methods_and_paths() {
            let route = ROUTES
                .into_iter()
                .find(|route| path == format!("/{}", route.name))
                .unwrap();
            if method == Method::OPTIONS {
                continue;
            }
            let request = || {
                let request = http::Request::builder().method(&method).uri(&path);
                request.header("content-type", "application/json")
            };
            let broken = futures_util::stream::iter([Err::<http_body::Frame<Bytes>, BoxError>(
                "broken".into(),
            )]);
            let request_that_breaks = request().body(StreamBody::new(broken)).unwrap();
            let reply = answer(&route, &app, request_that_breaks).await;
            assert_eq!(reply.status, 400);
            self.contract.check(&method, &path, &reply);

            let panicking = Route {
                handler: |_, _| Box::pin(async { panic!("on purpose") }),
                ..route
            };
            let whole_request = request().body(Full::new(Bytes::from("{}"))).unwrap();
            let reply = answer(&panicking, &app, whole_request).await;
            assert_eq!(reply.status, 500);
            self.contract.check(&method, &path, &reply);
        }
    }
}

/// What the edge answers to a request, without a server.
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
        // A server sends no body in answer to HEAD.
        text: if head {
            String::new()
        } else {
            String::from_utf8(body.to_vec()).unwrap()
        },
    }
}
