//! The connections of an instance: made when they are needed, kept, shared while they are busy.
//!
//! The pool (deadpool) makes connections, keeps idle ones and limits their number. A statement
//! takes an idle one; if there is none, it follows the statements that are under way on another
//! (tokio-postgres pipelines them), rather than wait for their round trip. Each statement is a
//! transaction of its own, so nothing is shared but the wire.
//!
//! A connection is idle (in the pool), busy (statements are under way on it, and others may
//! follow), stalled (busy, and nothing has ended on it for a while) or condemned (it has failed: no
//! statement follows, and it is closed when the last has ended).
//!
//! Never runs a statement.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use deadpool_postgres::{Object, Pool, PoolError, TimeoutType, Timeouts};
use tokio::sync::{Notify, OnceCell, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::Client;

use super::{Error, describe, pool};
use crate::config::DatabaseSettings;
use crate::error::chain;

/// When the least busy connection has this many statements, another is made if the pool may grow.
const GROW: usize = 4;

/// A connection on which no statement has ended for this long may be waiting for a lock: while the
/// pool may grow, no other statement follows on it.
const STALLED: Duration = Duration::from_millis(50);

/// Statements that may be under way on one connection. The server runs them one after the other:
/// many more would only wait there instead of here.
const PIPELINE: usize = 8;

/// The connections of an instance.
#[derive(Debug)]
pub(super) struct Connections {
    settings: DatabaseSettings,
    pool: OnceCell<Pool>,
    /// Done when the first connection has been tried.
    first: OnceCell<()>,
    /// Statements that wait for a place are served in turn: a shared connection may never become
    /// idle.
    places: Semaphore,
    busy: Mutex<Vec<Weak<Connection>>>,
    /// Notified whenever there is another connection to share.
    made: Notify,
}

/// Whether the pool may still make another connection.
#[derive(Clone, Copy)]
enum Room {
    ToGrow,
    None,
}

/// A place on a connection, for one statement.
#[derive(Debug)]
pub(super) struct Place<'a> {
    connection: Arc<Connection>,
    _permit: SemaphorePermit<'a>,
}

/// A connection with statements under way; it returns to the pool when the last has ended.
#[derive(Debug)]
struct Connection {
    /// Present until this is dropped.
    object: Option<Object>,
    condemned: AtomicBool,
    /// When the last statement on it ended, or the first began.
    moved: Mutex<Instant>,
}

impl Connections {
    /// Nothing is connected yet.
    pub(super) fn new(settings: DatabaseSettings) -> Self {
        Self {
            pool: OnceCell::new(),
            first: OnceCell::new(),
            places: Semaphore::new(settings.pool_size * PIPELINE),
            busy: Mutex::default(),
            made: Notify::new(),
            settings,
        }
    }

    /// Makes the pool and its first connection.
    pub(super) async fn warm(&self) {
        if let Ok(pool) = self.pool().await {
            self.connect_first(pool).await;
        }
    }

    /// A place to run one statement.
    pub(super) async fn get(&self, deadline: Instant) -> Result<Place<'_>, Error> {
        let pool = self.pool().await?;
        let get = async {
            self.connect_first(pool).await;
            let permit = timeout(self.settings.wait_timeout, self.places.acquire()).await;
            let permit = permit.map_err(|_elapsed| PoolError::Timeout(TimeoutType::Wait))?;
            Ok(Place {
                connection: self.connection(pool).await?,
                _permit: permit.map_err(|_closed| PoolError::Closed)?,
            })
        };
        let place = timeout_at(deadline, get).await;
        let place = place.unwrap_or(Err(PoolError::Timeout(TimeoutType::Create)));
        place.map_err(|error| {
            Error::NoConnection(match error {
                PoolError::Timeout(TimeoutType::Wait) => "the pool was busy for too long".into(),
                PoolError::Timeout(_) => "connecting took too long".into(),
                PoolError::Backend(error) => describe(&error),
                error => chain(&error),
            })
        })
    }

    /// Makes one connection for all statements that come meanwhile, rather than one for each.
    async fn connect_first(&self, pool: &Pool) {
        self.first
            .get_or_init(|| async { drop(pool.get().await) })
            .await;
    }

    /// An idle connection; else one that has little to do; else a new one; else the least busy.
    async fn connection(&self, pool: &Pool) -> Result<Arc<Connection>, PoolError> {
        let idle = pool.status().available > 0;
        if !idle && let Some(connection) = self.least_busy(Room::ToGrow) {
            return Ok(connection);
        }
        let at_once = Timeouts {
            wait: Some(Duration::ZERO),
            ..pool.timeouts()
        };
        loop {
            let made = self.made.notified();
            let busy = match pool.timeout_get(&at_once).await {
                Ok(object) => return Ok(self.share(object)),
                Err(error) => error,
            };
            // Also if another one could not be made.
            if let Some(connection) = self.least_busy(Room::None) {
                return Ok(connection);
            }
            if !matches!(busy, PoolError::Timeout(TimeoutType::Wait)) {
                return Err(busy);
            }
            // All are being made, or condemned and not yet gone.
            tokio::select! {
                object = pool.get() => return Ok(self.share(object?)),
                () = made => {}
            }
        }
    }

    fn share(&self, object: Object) -> Arc<Connection> {
        let connection = Arc::new(Connection {
            object: Some(object),
            condemned: AtomicBool::new(false),
            moved: Mutex::new(Instant::now()),
        });
        self.busy().push(Arc::downgrade(&connection));
        self.made.notify_waiters();
        connection
    }

    /// The connection with the fewest statements under way, if there is a place on it. One that has
    /// stalled is the last choice, and no choice while the pool may grow.
    fn least_busy(&self, room: Room) -> Option<Arc<Connection>> {
        let mut busy = self.busy();
        busy.retain(|connection| connection.strong_count() > 0);
        let (stalled, least) = busy
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|connection| !connection.is_closed())
            .map(|connection| (connection.has_stalled(), connection))
            .min_by_key(|(stalled, connection)| (*stalled, Arc::strong_count(connection)))?;
        // The reference held here is one of them.
        let following = Arc::strong_count(&least) - 1;
        let free = match room {
            Room::ToGrow => !stalled && following < GROW,
            Room::None => following < PIPELINE,
        };
        free.then_some(least)
    }

    /// No more statements run on a connection that has failed, nor on the others that are there: a
    /// thawed instance has lost them all. Statements that are under way on them end as they may;
    /// until then the connections keep their places in the pool.
    pub(super) fn condemn(&self, place: &Place<'_>) {
        if place.connection.condemned.swap(true, Ordering::Relaxed) {
            return;
        }
        for other in self.busy().drain(..).filter_map(|other| other.upgrade()) {
            other.condemned.store(true, Ordering::Relaxed);
        }
        if let Some(pool) = self.pool.get() {
            pool.retain(|_, _| false);
        }
    }

    fn busy(&self) -> MutexGuard<'_, Vec<Weak<Connection>>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pool(&self) -> Result<&Pool, Error> {
        self.pool
            .get_or_try_init(|| async {
                let settings = self.settings.clone();
                // Parsing the CA bundle takes 10 ms or more of CPU: not on a thread that serves.
                tokio::task::spawn_blocking(move || pool::make(&settings))
                    .await
                    .map_err(|error| Error::SetUp(error.to_string()))?
            })
            .await
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let moved = &self.connection.moved;
        *moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Connection {
    fn has_stalled(&self) -> bool {
        let moved = *self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        moved.elapsed() > STALLED
    }
}

impl Deref for Place<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.connection
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
