//! A route on AWS Lambda: requests are fetched from its runtime API, one at a time.
//!
//! Owns the loop and what Lambda does differently from Vercel: the request's id, a header, and the
//! instance that is frozen between two requests. Never looks into a request or an answer.

use std::convert::Infallible;
use std::mem::take;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::header;
use lambda_http::request::RequestContext;
use lambda_http::tower::util::ThenLayer;
use lambda_http::{Error, Request, RequestExt, service_fn};
use tokio::task::JoinSet;

use crate::app::App;
use crate::background::Background;
use crate::caller::PlatformAddress;
use crate::http::{RequestId, serve};
use crate::telemetry;

use super::Route;

/// Serves `route` until Lambda ends the process.
///
/// # Errors
///
/// When the runtime API cannot be reached.
pub(super) async fn run(route: &'static Route, app: Arc<App>) -> Result<(), Error> {
    let work = Work::default();
    let background = Background::new({
        let work = work.clone();
        move |task| {
            work.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .spawn(task);
        }
    });
    let handler = service_fn(move |mut request: Request| {
        let (app, background) = (Arc::clone(&app), background.clone());
        async move {
            let address = PlatformAddress(source_ip(&request));
            request.extensions_mut().insert(address);
            if let Some(context) = request.lambda_context_ref() {
                let id = RequestId(context.request_id.clone());
                request.extensions_mut().insert(id);
            }
            let mut reply = serve(route, app, request, background, None).await;
            // It would describe a connection that is Lambda's own.
            reply.headers_mut().remove(header::CONNECTION);
            Ok::<_, Infallible>(reply)
        }
    });
    // Lambda may freeze the instance once it asks for the next request, and not before, even if the
    // response has been sent. So work is awaited here, and a reader never waits for it.
    let finish = ThenLayer::new(move |answered: Result<(), Error>| {
        let work = work.clone();
        async move {
            work.ended().await;
            telemetry::written().await;
            answered
        }
    });
    lambda_http::streaming_runtime(handler)
        .layer(finish)
        .run()
        .await
}

/// The address that Lambda saw; a client can forge headers, but not this.
fn source_ip(request: &Request) -> Option<IpAddr> {
    let RequestContext::ApiGatewayV2(context) = request.request_context_ref()? else {
        return None;
    };
    context.http.source_ip.as_deref()?.parse().ok()
}

/// Work that the current request has started and not awaited.
#[derive(Clone, Default)]
struct Work(Arc<Mutex<JoinSet<()>>>);

impl Work {
    async fn ended(&self) {
        let mut tasks = take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        // A task that panicked has ended, too.
        while tasks.join_next().await.is_some() {}
    }
}
