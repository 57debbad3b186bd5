//! Runs a route as a function of the platform: boot, then hand every request to the edge.
//!
//! The platform is Vercel, or AWS Lambda if the process runs there and was built with the feature
//! `lambda`. Which one it is ends here: nothing behind the edge knows.

#[cfg(target_os = "linux")]
mod duplicates;
#[cfg(feature = "lambda")]
mod lambda;
#[cfg(target_os = "linux")]
mod listener;
#[cfg(target_os = "linux")]
mod socket;
mod vercel;

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use vercel_runtime::Error;

use crate::app::App;
use crate::error::chain;
use crate::http::Route;
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
    let ended = vercel::run(route, app).await;
    // The turns have ended, but their responses may still be on their way to the socket.
    tokio::join!(tokio::time::sleep(LINGER), telemetry::written());
    ended
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
