//! The gateway in front of a real process, over HTTP: what the platform would do with a request.

mod stub;

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use local::{
    function::Environment,
    gateway::{self, Event, Functions, Gateway, Pages, Routes},
};
use reqwest::{Client, StatusCode};
use serde_json::Value;
use tokio::time::sleep;

struct Site {
    url: String,
    client: Client,
    functions: Arc<Functions>,
    log: Arc<Mutex<Vec<String>>>,
    /// What the gateway has told of requests.
    told: Arc<Mutex<Vec<String>>>,
    _gateway: Gateway,
    _root: tempfile::TempDir,
}

/// A project with one function, `/echo` rewritten to it, and a page.
async fn site() -> Result<Site> {
    site_with_book(gateway::BOOK).await
}

/// The same, with a book of two pages.
async fn site_with_book(book_path: &str) -> Result<Site> {
    let root = tempfile::tempdir()?;
    fs::create_dir(root.path().join("api"))?;
    fs::write(root.path().join("api/stub_function.rs"), "")?;
    fs::create_dir(root.path().join("public"))?;
    fs::write(root.path().join("public/index.html"), "the page")?;
    fs::create_dir(root.path().join("public/kept"))?;
    fs::write(root.path().join("public/kept/index.html"), "kept")?;
    let book = root.path().join("book");
    for (folder, text) in [("", "the book"), ("walking", "it walks"), ("echo", "no")] {
        fs::create_dir_all(book.join(folder))?;
        fs::write(book.join(folder).join("index.html"), text)?;
    }
    let configuration = r#"{
        "rewrites": [{ "source": "/echo", "destination": "/api/stub_function" }],
        "headers": [{ "source": "/(.*)", "headers": [{ "key": "x-said-by", "value": "vercel.json" }] }]
    }"#;
    fs::write(root.path().join("vercel.json"), configuration)?;

    let log = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&log);
    let on_line = Arc::new(move |_: &str, line: &str| {
        lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line.to_owned());
    });
    let told = Arc::new(Mutex::new(Vec::new()));
    let ended = Arc::clone(&told);
    let watch = Arc::new(move |event: Event<'_>| {
        if let Event::Ended {
            method,
            path,
            status,
            end,
            ..
        } = event
        {
            let words = format!("{method} {path} {status} {end:?}");
            ended
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(words);
        }
    });
    let routes = Routes::read(root.path())?;
    let environment = Environment::Only(Vec::new());
    let names = routes.functions();
    let functions = Functions::new(names, &stub::folder()?, root.path(), environment, on_line);
    let functions = Arc::new(functions);
    let listeners = gateway::bind(0).await?;
    let port = listeners[0].local_addr()?.port();
    let public = root.path().join("public");
    let pages = Pages {
        public: &public,
        book: &book,
        book_path,
        begin_with_book: false,
    };
    let gateway = gateway::serve(listeners, &pages, routes, Arc::clone(&functions), watch)?;
    Ok(Site {
        url: format!("http://127.0.0.1:{port}"),
        client: Client::builder().no_proxy().build()?,
        functions,
        log,
        told,
        _gateway: gateway,
        _root: root,
    })
}

impl Site {
    async fn get(&self, path: &str) -> Result<(StatusCode, String)> {
        let response = self
            .client
            .get(format!("{}{path}", self.url))
            .send()
            .await?;
        Ok((response.status(), response.text().await?))
    }
}

#[tokio::test]
async fn a_function_sees_the_path_that_was_asked_for_and_who_really_asks() -> Result<()> {
    let site = site().await?;
    let request = site
        .client
        .post(format!("{}/echo?a=%20b", site.url))
        .header("x-forwarded-for", "6.6.6.6")
        .header("x-real-ip", "6.6.6.6")
        .header("x-vercel-forwarded-for", "6.6.6.6")
        .header("x-forwarded-host", "evil.example")
        .header("connection", "keep-alive, x-secret")
        .header("x-secret", "1")
        .body("12345");
    let seen = request.send().await?.text().await?;
    let host = site.url.trim_start_matches("http://");
    for line in [
        "POST /echo?a=%20b",
        "body: 5 bytes",
        "x-forwarded-for: 127.0.0.1",
        "x-real-ip: 127.0.0.1",
        "x-vercel-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        &format!("x-forwarded-host: {host}"),
        &format!("host: {host}"),
        // Nothing of our own environment but PATH.
        "variables named HOME: 0",
    ] {
        assert!(
            seen.lines().any(|seen| seen == line),
            "{line} is not in:\n{seen}"
        );
    }
    assert!(seen.contains("x-vercel-id: dev1::"));
    assert!(!seen.contains("6.6.6.6") && !seen.contains("x-secret"));
    Ok(())
}

#[tokio::test]
async fn pages_are_served_and_unknown_paths_are_not_found() -> Result<()> {
    let site = site().await?;
    assert_eq!(
        site.get("/").await?,
        (StatusCode::OK, "the page".to_owned())
    );
    assert_eq!(
        site.get("/nothing").await?,
        (StatusCode::NOT_FOUND, "Not found\n".to_owned())
    );
    assert_eq!(
        site.get("/../api/stub_function.rs").await?.0,
        StatusCode::NOT_FOUND
    );
    let (status, body) = site.get("/api/nothing").await?;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(
        serde_json::from_str::<Value>(&body)?["error"]["code"],
        "not_found"
    );
    Ok(())
}

#[tokio::test]
async fn a_book_is_served_below_the_path_that_it_was_built_for() -> Result<()> {
    for path in ["/", "/book/", "/my/own/"] {
        let site = site_with_book(path).await?;
        let found = |text: &str| (StatusCode::OK, text.to_owned());
        assert_eq!(site.get(path).await?, found("the book"), "{path}");
        let page = format!("{path}walking/");
        assert_eq!(site.get(&page).await?, found("it walks"), "{path}");
        // What is published and the functions are where they are in any case.
        assert_eq!(site.get("/index.html").await?, found("the page"), "{path}");
        assert_eq!(site.get("/kept/").await?, found("kept"), "{path}");
        assert!(site.get("/echo").await?.1.starts_with("GET /echo"));
        assert_eq!(site.get("/nothing").await?.0, StatusCode::NOT_FOUND);
    }
    Ok(())
}

#[tokio::test]
async fn what_a_function_says_is_not_overwritten_by_a_rule() -> Result<()> {
    let site = site().await?;
    for (path, author) in [("/echo", "the function"), ("/", "vercel.json")] {
        let request = site.client.get(format!("{}{path}", site.url));
        let response = request.send().await?;
        let authors: Vec<_> = response.headers().get_all("x-said-by").iter().collect();
        assert_eq!(authors, [author], "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn a_body_over_the_platforms_limit_is_refused() -> Result<()> {
    let site = site().await?;
    let response = site
        .client
        .post(format!("{}/echo", site.url))
        .body(vec![b'a'; 4_500_001])
        .send()
        .await?;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let response = site
        .client
        .post(format!("{}/echo", site.url))
        .body(vec![b'a'; 4_500_000])
        .send()
        .await?;
    assert!(response.text().await?.contains("body: 4500000 bytes"));
    Ok(())
}

#[tokio::test]
async fn an_answer_is_passed_on_as_it_comes_and_ends_with_its_reader() -> Result<()> {
    let site = site().await?;
    site.functions.start().await?;
    let since = Instant::now();
    let response = site
        .client
        .get(format!("{}/echo?stream", site.url))
        .send()
        .await?;
    let mut chunks = response.bytes_stream();
    let first = chunks.next().await.context("no chunk")??;
    assert_eq!(&first[..], b"0\n");
    assert!(
        since.elapsed() < Duration::from_millis(500),
        "all 20 chunks take a second"
    );

    drop(chunks);
    until_there(&site.log, "stream dropped at its middle").await;
    until_there(&site.told, "GET /echo 200 Left").await;
    site.get("/echo?b=c").await?;
    until_there(&site.told, "GET /echo 200 Whole").await;
    Ok(())
}

/// Waits for a line.
async fn until_there(lines: &Mutex<Vec<String>>, line: &str) {
    let since = Instant::now();
    while !lines
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
        .any(|it| it == line)
    {
        assert!(since.elapsed() < Duration::from_secs(5), "no line: {line}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_name_that_somebody_has_given_this_machine_is_refused() -> Result<()> {
    let site = site().await?;
    let asked = async |path: &str, host: &str| {
        let request = site.client.get(format!("{}{path}", site.url));
        anyhow::Ok(request.header("host", host).send().await?.status())
    };
    for path in ["/", "/echo", "/book/"] {
        for host in ["localhost:3000", "LOCALHOST", "127.0.0.1:80", "[::1]:3000"] {
            assert_ne!(asked(path, host).await?, StatusCode::MISDIRECTED_REQUEST);
        }
        for host in [
            "evil.example:3000",
            "localhost.evil.example",
            "127.0.0.1.nip.io:80",
            "",
        ] {
            let status = asked(path, host).await?;
            assert_eq!(status, StatusCode::MISDIRECTED_REQUEST, "{path} of {host}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_function_that_died_is_started_again_for_the_next_request() -> Result<()> {
    let site = site().await?;
    let (status, body) = site.get("/echo?die").await?;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    let body: Value = serde_json::from_str(&body)?;
    assert_eq!(body["error"]["code"], "bad_gateway");
    assert!(
        body["request_id"]
            .as_str()
            .is_some_and(|id| id.starts_with("dev1::"))
    );
    let (status, body) = site.get("/echo").await?;
    assert_eq!(status, StatusCode::OK, "{body}");
    Ok(())
}

#[tokio::test]
async fn a_port_in_use_is_said_to_be() -> Result<()> {
    let listeners = gateway::bind(0).await?;
    let port = listeners[0].local_addr()?.port();
    let error = gateway::bind(port).await.map(drop).unwrap_err();
    let expected =
        format!("port {port} is in use by another program: choose another with `--port`");
    assert_eq!(error.to_string(), expected);
    Ok(())
}
