//! The platform's edge, on this machine: static files, rewrites, and a proxy to the functions.
//!
//! Owns what a request is mapped to and what the platform adds to it. Never interprets a body, and
//! never holds back a streamed one.

mod functions;
mod proxy;
mod routes;

use std::{
    future::ready,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    http::StatusCode,
    middleware::map_response,
    response::{IntoResponse, Response},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tower_http::services::ServeDir;

pub use functions::{Functions, Log};
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

/// The path that a book on this machine is served below.
pub const BOOK: &str = "/book";

/// Serves `public`, a book below [`BOOK`], and the functions that `routes` lead to.
///
/// # Errors
///
/// When the client of the proxy cannot be made.
pub fn serve(
    listeners: Vec<TcpListener>,
    public: &Path,
    book: &Path,
    routes: Routes,
    functions: Arc<Functions>,
) -> Result<Gateway> {
    let headers = routes.headers().clone();
    let front = Front {
        routes,
        proxy: proxy::Proxy::new(functions)?,
        files: ServeDir::new(public),
    };
    let app = Router::new()
        .nest_service(BOOK, ServeDir::new(book))
        .fallback(handle)
        .with_state(Arc::new(front))
        .layer(map_response(move |mut response: Response| {
            for (name, value) in &headers {
                let entry = response.headers_mut().entry(name);
                entry.or_insert_with(|| value.clone());
            }
            ready(response)
        }));
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
}

async fn handle(
    State(front): State<Arc<Front>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let path = request.uri().path();
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
    match front.files.clone().try_call(request).await {
        Ok(response) if response.status() == StatusCode::NOT_FOUND => {
            (StatusCode::NOT_FOUND, "Not found\n").into_response()
        }
        Ok(response) => response.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
