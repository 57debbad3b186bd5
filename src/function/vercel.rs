//! A route on Vercel: its runtime accepts, speaks HTTP and tells the platform when an invocation
//! has ended.
//!
//! The runtime accepts whoever comes, and ends when it cannot, with every turn in the process. So
//! it is only let run while there are places (`Gate`), and every connection that it makes is
//! counted (`Door`). Never looks into a request or an answer.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Once};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep};
use tower::Service;
use vercel_runtime::{AppState, Error, Request, Response, ResponseBody};

use crate::app::App;
use crate::background::Background;
use crate::guard::places::Place;
use crate::http::{Route, serve};
use crate::telemetry;

/// How long an instance tries to listen again before it gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long it waits between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// How long an instance that is being stopped waits for its invocations to end: even on a busy machine,
/// its turns take much less.
const UNHEARD: Duration = Duration::from_secs(2);

/// What the turns of an instance that is being stopped may still need, while nothing listens.
const STOP_LIMIT: Duration = Duration::from_millis(450);

/// Serves `route` until the platform stops the process; returns when the turns have ended.
///
/// # Errors
///
/// When the platform's port cannot be listened on.
pub(super) async fn run(route: &'static Route, app: Arc<App>) -> Result<(), Error> {
    let mut failing: Option<Instant> = None;
    loop {
        let (listened, ended) = tokio::select! {
            listened = listen(route, &app) => listened,
            // The turns have ended by then, but a platform that does not read cannot be told so.
            () = app.stopping(UNHEARD) => return Ok(()),
        };
        let Err(error) = ended else { return Ok(()) };
        // The places are counted, but the system may run out of something else, or another part of
        // the process of descriptors. The runtime has then let go of its port, not of the turns.
        match failing {
            None if !listened => return Err(error),
            Some(since) if !listened && since.elapsed() > PATIENCE => return Err(error),
            Some(_) if !listened => {}
            _ => {
                tracing::error!(cause = error.to_string(), "nobody can be accepted");
                failing = Some(Instant::now());
            }
        }
        tokio::select! {
            () = sleep(PAUSE) => {}
            () = app.stopping(STOP_LIMIT) => return Ok(()),
        }
    }
}

/// Lets the runtime run while there are places. Returns whether it has listened, and how it ended.
async fn listen(route: &'static Route, app: &Arc<App>) -> (bool, Result<(), Error>) {
    // Runs when this task first waits, and by then the runtime listens.
    tokio::spawn(async { tune() });
    let door = Door {
        route,
        app: Arc::clone(app),
        first: Arc::new(Once::new()),
        place: None,
    };
    let mut runtime = pin!(vercel_runtime::run(door));
    let mut stopping = pin!(app.stopping(Duration::ZERO));
    let mut stopped = false;
    let mut listened = false;
    let ended = poll_fn(|context| {
        // Only the runtime's own task accepts. Those of its connections run without it.
        let room = app.places().poll_room(context).is_ready();
        // It must see the signal, too.
        stopped = stopped || stopping.as_mut().poll(context).is_ready();
        if !room && !stopped {
            return Poll::Pending;
        }
        let ended = runtime.as_mut().poll(context);
        listened |= ended.is_pending();
        ended
    });
    let ended = ended.await;
    (listened, ended)
}

/// What the runtime calls for each request. It clones it once for each connection that it accepts,
/// and that clone again for each request; both are gone when the connection is.
struct Door {
    route: &'static Route,
    app: Arc<App>,
    /// Connections accepted before the listener was tuned are tuned at the first request.
    first: Arc<Once>,
    /// The connection's; the first of all doors has none.
    place: Option<Arc<Place>>,
}

impl Clone for Door {
    fn clone(&self) -> Self {
        let place = self.place.clone().unwrap_or_else(|| {
            let place = self.app.places().connect();
            if self.app.places().are_full() {
                yield_soon();
            }
            Arc::new(place)
        });
        Self {
            route: self.route,
            app: Arc::clone(&self.app),
            first: Arc::clone(&self.first),
            place: Some(place),
        }
    }
}

/// Makes the current task wait at its next operation: otherwise the runtime would accept up to 128
/// connections at a stretch.
fn yield_soon() {
    // More than any budget; without one, nothing would ever be pending.
    for _ in 0..1024 {
        let mut context = Context::from_waker(Waker::noop());
        if pin!(consume_budget()).poll(&mut context).is_pending() {
            break;
        }
    }
}

impl Service<(AppState, Request)> for Door {
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Self::Response, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (state, request): (AppState, Request)) -> Self::Future {
        self.first.call_once(tune);
        // Without the platform's socket, the context writes plain lines in its own format.
        let on_platform = std::env::var_os("VERCEL_IPC_PATH").is_some()
            && request
                .headers()
                .contains_key("x-vercel-internal-request-id");
        let sink = on_platform.then(|| state.log_context.clone());
        let ending = state.clone();
        let background = Background::new(move |work| {
            state.wait_until(async {
                work.await;
                telemetry::may_end().await;
            });
        });
        let (route, app) = (self.route, Arc::clone(&self.app));
        Box::pin(async move {
            // Never an `Err`: the runtime would send its text to the client, unescaped.
            let reply = serve(route, app, request, background, sink).await;
            ending.wait_until(telemetry::may_end());
            Ok(reply.map(ResponseBody))
        })
    }
}

/// Makes the runtime's listener fit for streams, and its socket for a host that is slow, where
/// possible.
fn tune() {
    #[cfg(target_os = "linux")]
    if let Err(error) = super::listener::tune().and_then(|()| super::socket::tune()) {
        let cause = crate::error::chain(&error);
        tracing::warn!(cause, "the runtime's sockets keep their defaults");
    }
}
