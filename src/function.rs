//! Runs a route as a function of the platform: boot, then hand every request to the edge.
//!
//! The platform is Vercel, or AWS Lambda if the process runs there and was built with the feature
//! `lambda`. Which one it is ends here: nothing behind the edge knows.

#[cfg(feature = "lambda")]
mod lambda;
#[cfg(target_os = "linux")]
mod listener;

use std::sync::{Arc, Once};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use vercel_runtime::{AppState, Error, Request, ResponseBody, service_fn};

use crate::app::App;
use crate::background::Background;
use crate::error::chain;
use crate::http::{Route, serve};
use crate::{config, telemetry};

/// How long a stopping instance waits for its last responses; the platform kills it after 500 ms.
const LINGER: Duration = Duration::from_millis(50);

/// Serves `route` until the platform stops the process; returns when the turns in flight have
/// ended.
///
/// # Errors
///
/// When the platform's port cannot be listened on, or Lambda's runtime API cannot be reached.
pub async fn run(route: &'static Route) -> Result<(), Error> {
    let dotenv = config::load_dotenv();
    telemetry::init();
    if let Err(problem) = dotenv {
        tracing::warn!(problem, "settings");
    }
    let app = Arc::new(App::boot());
    if route.warms {
        let app = Arc::clone(&app);
        tokio::spawn(async move { app.warm().await });
    }
    #[cfg(feature = "lambda")]
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() {
        return lambda::run(route, app).await;
    }
    tokio::spawn(stop_on_sigterm(Arc::clone(&app)));
    // Runs when this task first waits, and by then the runtime listens.
    tokio::spawn(async { tune() });
    // Connections accepted before that are tuned at the first request.
    let first = Arc::new(Once::new());
    vercel_runtime::run(service_fn(move |request: Request, state: AppState| {
        first.call_once(tune);
        let app = Arc::clone(&app);
        // Without the platform's socket, the context writes plain lines in its own format.
        let on_platform = std::env::var_os("VERCEL_IPC_PATH").is_some()
            && request
                .headers()
                .contains_key("x-vercel-internal-request-id");
        let sink = on_platform.then(|| state.log_context.clone());
        let background = Background::new(move |work| state.wait_until(work));
        async move {
            // Never an `Err`: the runtime would send its text to the client, unescaped.
            let reply = serve(route, app, request, background, sink).await;
            reply.map(ResponseBody)
        }
    }))
    .await?;
    // The turns have ended, but their responses may still be on their way to the socket.
    tokio::time::sleep(LINGER).await;
    Ok(())
}

/// Makes the runtime's listener fit for streams, where possible.
fn tune() {
    #[cfg(target_os = "linux")]
    if let Err(error) = listener::tune() {
        tracing::warn!(cause = chain(&error), "the listener keeps its defaults");
    }
}

/// The runtime stops accepting requests by itself; the turns in flight must be told, too.
async fn stop_on_sigterm(app: Arc<App>) {
    match signal(SignalKind::terminate()) {
        Ok(mut sigterm) => {
            sigterm.recv().await;
            app.stop();
        }
        Err(error) => tracing::warn!(cause = chain(&error), "SIGTERM cannot be listened to"),
    }
}
