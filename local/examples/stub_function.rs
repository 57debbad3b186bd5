//! A function to try the gateway with: echoes its request, streams slowly, dies when asked to.

use std::{convert::Infallible, env, fmt::Write, net::Ipv4Addr, process, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::Request,
};
use futures_util::stream;
use tokio::{net::TcpListener, time::sleep};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if env::var_os("STUB_REFUSES").is_some() {
        anyhow::bail!("the stub refuses to start");
    }
    let port = env::var("VERCEL_DEV_PORT")?.parse()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    Ok(axum::serve(listener, Router::new().fallback(handle)).await?)
}

async fn handle(request: Request) -> ([(&'static str, &'static str); 1], Body) {
    let body = match request.uri().query() {
        Some("die") => process::exit(1),
        Some("stream") => slowly(),
        _ => echo(request).await,
    };
    ([("x-said-by", "the function")], body)
}

async fn echo(request: Request) -> Body {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut said = format!(
        "{} {}\nbody: {} bytes\n",
        parts.method,
        parts.uri,
        body.len()
    );
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let _ = writeln!(said, "{name}: {value}");
    }
    let homes = env::vars().filter(|(name, _)| name == "HOME").count();
    let _ = writeln!(said, "variables named HOME: {homes}");
    Body::from(said)
}

/// Twenty chunks in a second.
fn slowly() -> Body {
    let watch = Watch { sent: 0 };
    Body::from_stream(stream::unfold(watch, async |mut watch| {
        sleep(Duration::from_millis(50)).await;
        let chunk = Bytes::from(format!("{}\n", watch.sent));
        watch.sent += 1;
        (watch.sent <= 20).then_some((Ok::<_, Infallible>(chunk), watch))
    }))
}

/// Says so when the stream is dropped before its end.
struct Watch {
    sent: u32,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.sent < 20 {
            eprintln!("stream dropped at its middle");
        }
    }
}
