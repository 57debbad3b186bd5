//! A connection with statements under way, and a statement's place on it.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::Object;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_postgres::Client;

use super::places::Permits;

/// A connection on which no statement has ended for this long may be waiting for a lock: while the
/// pool may grow, no other statement follows on it.
const STALLED: Duration = Duration::from_millis(50);

/// A connection with statements under way; it returns to the pool when the last has ended.
#[derive(Debug)]
pub(super) struct Connection {
    /// Present until this is dropped.
    object: Option<Object>,
    condemned: AtomicBool,
    /// When the last statement on it ended, or the first began.
    moved: Mutex<Instant>,
    /// A statement on it has got stuck, and those that follow it will not end either.
    stuck: watch::Sender<bool>,
}

impl Connection {
    pub(super) fn new(object: Object) -> Self {
        Self {
            object: Some(object),
            condemned: AtomicBool::new(false),
            moved: Mutex::new(Instant::now()),
            stuck: watch::channel(false).0,
        }
    }

    pub(super) fn has_stalled(&self) -> bool {
        let moved = *self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        moved.elapsed() > STALLED
    }

    /// Closes it when its last statement has ended; returns whether it was condemned before.
    pub(super) fn condemn(&self) -> bool {
        self.condemned.swap(true, Ordering::Relaxed)
    }
}

impl Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.object.as_ref().expect("taken by drop alone")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(object) = self.object.take()
            && *self.condemned.get_mut()
        {
            drop(Object::take(object));
        }
    }
}

/// A place on a connection, for one statement. Its fields are dropped in this order: whoever is told
/// that something has changed finds it changed.
#[derive(Debug)]
pub(super) struct Place<'a> {
    connection: Arc<Connection>,
    _permits: Permits<'a>,
    _left: Left<'a>,
}

impl<'a> Place<'a> {
    /// `changed` is told when it is given up.
    pub(super) fn new(
        connection: Arc<Connection>,
        permits: Permits<'a>,
        changed: &'a Notify,
    ) -> Self {
        Self {
            connection,
            _permits: permits,
            _left: Left(changed),
        }
    }

    /// Its connection.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Sends the other statements on its connection elsewhere.
    pub(super) fn has_stuck(&self) {
        self.connection.stuck.send_replace(true);
    }

    /// Returns when another statement on its connection has got stuck.
    pub(super) async fn is_stuck(&self) {
        let mut stuck = self.connection.stuck.subscribe();
        // The sender lives as long as the connection, which is held here.
        let _ = stuck.wait_for(|stuck| *stuck).await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let moved = &self.connection.moved;
        *moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Deref for Place<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.connection
    }
}

#[derive(Debug)]
struct Left<'a>(&'a Notify);

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.0.notify_waiters();
    }
}
