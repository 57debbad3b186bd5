//! The platform's edge, on this machine: static files, rewrites, and a proxy to the functions.
//!
//! Owns what a request is mapped to and what the platform adds to it. Never interprets a body, and
//! never holds back a streamed one.

mod functions;
mod proxy;
mod routes;

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{StatusCode, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Redirect, Response},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tower_http::services::ServeDir;

pub use functions::{Functions, Log};
pub use proxy::{End, Event, Watch};
pub use routes::Routes;

/// The running gateway. Once this is dropped it takes no more connections; open ones end with their
/// answers.
#[derive(Debug)]
pub struct Gateway {
    servers: Vec<JoinHandle<()>>,
}

/// Takes `port` on loopback, or any free one for 0. Connections wait until [`serve`] is called.
///
/// # Errors
///
/// When another program listens on the port.
pub async fn bind(port: u16) -> Result<Vec<TcpListener>> {
    let v4 = listen(Ipv4Addr::LOCALHOST.into(), port).await?;
    let port = v4.local_addr()?.port();
    // Many programs try ::1 first for `localhost`. Without IPv6, they go on to 127.0.0.1.
    match listen(Ipv6Addr::LOCALHOST.into(), port).await {
        Ok(v6) => Ok(vec![v4, v6]),
        Err(error) if error.is::<PortInUse>() => Err(error),
        Err(_) => Ok(vec![v4]),
    }
}

#[derive(Debug)]
struct PortInUse(u16);

impl std::fmt::Display for PortInUse {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(
            formatter,
            "port {} is in use by another program: choose another with `--port`",
            self.0
        )
    }
}

impl std::error::Error for PortInUse {}

async fn listen(address: IpAddr, port: u16) -> Result<TcpListener> {
    match TcpListener::bind((address, port)).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(PortInUse(port)),
        Err(error) => Err(error).with_context(|| format!("cannot listen on {address} port {port}")),
    }
}

/// The path that a book on this machine is served below, unless it was built for another.
pub const BOOK: &str = "/book/";

/// The files that are served.
#[derive(Debug)]
pub struct Pages<'a> {
    /// What the platform publishes.
    pub public: &'a Path,
    /// A book.
    pub book: &'a Path,
    /// The path that it is served below, with a slash at either end. At `/`, what is published and the
    /// functions go first, but for the start page.
    pub book_path: &'a str,
    /// Whether the start page is that book's. `/index.html` is always the published one.
    pub begin_with_book: bool,
}

/// Serves `pages`, and the functions that `routes` lead to. `watch` is told of each request to a
/// function.
///
/// # Errors
///
/// When the client of the proxy cannot be made.
pub fn serve(
    listeners: Vec<TcpListener>,
    pages: &Pages,
    routes: Routes,
    functions: Arc<Functions>,
    watch: Watch,
) -> Result<Gateway> {
    let book = ServeDir::new(pages.book);
    let folder = pages.book_path.trim_end_matches('/');
    let front = Arc::new(Front {
        routes,
        proxy: proxy::Proxy::new(functions, watch)?,
        files: ServeDir::new(pages.public),
        book_at_root: folder.is_empty().then(|| book.clone()),
        begin_at: pages.begin_with_book.then(|| pages.book_path.to_owned()),
    });
    let app = match folder {
        "" => Router::new(),
        folder => Router::new().nest_service(folder, book),
    };
    let app = app
        .fallback(handle)
        .layer(from_fn_with_state(Arc::clone(&front), add_headers))
        .layer(from_fn(refuse_other_hosts))
        .with_state(front);
    let servers = listeners.into_iter().map(|listener| {
        let service = app
            .clone()
            .into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move {
            // Without a shutdown signal this ends only when the task is aborted.
            let _ = axum::serve(listener, service).await;
        })
    });
    Ok(Gateway {
        servers: servers.collect(),
    })
}

impl Drop for Gateway {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}

struct Front {
    routes: Routes,
    proxy: proxy::Proxy,
    files: ServeDir,
    book_at_root: Option<ServeDir>,
    /// Where the start page leads.
    begin_at: Option<String>,
}

/// Refuses requests for a host that is not this machine. A page elsewhere can give its own name this
/// machine's address; its requests would then be of one origin with this site, and ask with a
/// developer's key.
async fn refuse_other_hosts(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    let host = host.map_or("localhost", |host| host.to_str().unwrap_or_default());
    if is_this_machine(host) {
        return next.run(request).await;
    }
    let message = "this server is for this machine alone: open it as localhost";
    proxy::error(
        StatusCode::MISDIRECTED_REQUEST,
        "misdirected_request",
        message,
        &proxy::new_id(),
    )
}

/// Of `host:port`.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.to_ascii_lowercase();
    ["localhost", "127.0.0.1", "[::1]"].contains(&name.as_str())
}

/// Adds what `vercel.json` says of the path, and overwrites nothing.
async fn add_headers(State(front): State<Arc<Front>>, request: Request, next: Next) -> Response {
    let rules = front.routes.headers(request.uri().path());
    let mut response = next.run(request).await;
    let failed = response.status().is_client_error() || response.status().is_server_error();
    for (name, value) in &rules {
        // A page that is not there today may be there tomorrow.
        if failed && name == header::CACHE_CONTROL {
            continue;
        }
        let entry = response.headers_mut().entry(name);
        entry.or_insert_with(|| value.clone());
    }
    response
}

async fn handle(
    State(front): State<Arc<Front>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let path = request.uri().path();
    match (path, &front.book_at_root, &front.begin_at) {
        ("/", Some(book), _) => return file(book, request).await,
        ("/", None, Some(begin)) => return Redirect::temporary(begin).into_response(),
        _ => {}
    }
    if let Some(function) = front.routes.function(path) {
        return front.proxy.forward(function, peer.ip(), request).await;
    }
    if path == "/api" || path.starts_with("/api/") {
        let message = format!("there is no function at {path}");
        return proxy::error(
            StatusCode::NOT_FOUND,
            "not_found",
            &message,
            &proxy::new_id(),
        );
    }
    let Some(book) = &front.book_at_root else {
        return file(&front.files, request).await;
    };
    let (parts, _) = request.into_parts();
    let published = file(
        &front.files,
        Request::from_parts(parts.clone(), Body::empty()),
    );
    match published.await {
        answer if answer.status() == StatusCode::NOT_FOUND => {
            file(book, Request::from_parts(parts, Body::empty())).await
        }
        answer => answer,
    }
}

async fn file(files: &ServeDir, request: Request) -> Response {
    match files.clone().try_call(request).await {
        Ok(response) if response.status() == StatusCode::NOT_FOUND => {
            (StatusCode::NOT_FOUND, "Not found\n").into_response()
        }
        Ok(response) => response.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
