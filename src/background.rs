//! Work that outlives the response: a turn that is still to be stored.
//!
//! Knows no platform: each passes in how work is started and awaited.

use std::sync::Arc;

use futures_util::future::BoxFuture;

/// Hands the platform work that must be done before the instance may be stopped or frozen.
#[derive(Clone)]
pub struct Background(Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>);

impl std::fmt::Debug for Background {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Background")
    }
}

impl Background {
    /// `spawn` starts the work and makes the platform wait for it.
    pub fn new(spawn: impl Fn(BoxFuture<'static, ()>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(spawn))
    }

    /// Starts this work.
    pub fn wait_until(&self, work: impl Future<Output = ()> + Send + 'static) {
        (self.0)(Box::pin(work));
    }
}
