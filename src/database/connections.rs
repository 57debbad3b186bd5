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

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use deadpool_postgres::{Pool, PoolError, TimeoutType, Timeouts};
use tokio::sync::{Notify, OnceCell};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_postgres::config::Host;

use super::connection::{Connection, Place};
use super::places::Places;
use super::retry::{Fault, may_pass};
use super::{Error, Rank, describe, pool};
use crate::config::DatabaseSettings;
use crate::error::chain;

/// When the least busy connection has this many statements, another is made if the pool may grow.
const GROW: usize = 4;

/// How long no other connection is tried for, when the database has refused one and others live.
const FULL: Duration = Duration::from_millis(500);

/// The connections of an instance.
#[derive(Debug)]
pub(super) struct Connections {
    settings: DatabaseSettings,
    pool: OnceCell<Pool>,
    /// Done when the first connection has been tried.
    first: OnceCell<()>,
    /// Statements that wait for a place are served in turn: a shared connection may never become
    /// idle.
    places: Places,
    busy: Mutex<Vec<Weak<Connection>>>,
    /// Until then, the database is taken to have no room for another connection.
    full_until: Mutex<Option<Instant>>,
    /// Notified whenever there is another connection to share, or another place on one.
    changed: Notify,
}

/// Whether the pool may still make another connection.
#[derive(Clone, Copy)]
enum Room {
    ToGrow,
    None,
}

impl Connections {
    /// Nothing is connected yet.
    pub(super) fn new(settings: DatabaseSettings) -> Self {
        Self {
            pool: OnceCell::new(),
            first: OnceCell::new(),
            places: Places::on(settings.pool_size),
            busy: Mutex::default(),
            full_until: Mutex::default(),
            changed: Notify::new(),
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
    pub(super) async fn get(&self, rank: Rank, deadline: Instant) -> Result<Place<'_>, Fault> {
        let pool = self.pool().await.map_err(Fault::Final)?;
        let get = async {
            self.connect_first(pool).await;
            let permits = timeout(self.settings.wait_timeout, self.places.take(rank)).await;
            let permits = permits.map_err(|_elapsed| PoolError::Timeout(TimeoutType::Wait))?;
            let permits = permits.map_err(|_closed| PoolError::Closed)?;
            let connection = self.connection(pool, rank).await?;
            Ok(Place::new(connection, permits, &self.changed))
        };
        let place = timeout_at(deadline, get).await;
        let place = place.unwrap_or(Err(PoolError::Timeout(TimeoutType::Create)));
        place.map_err(|error| match error {
            PoolError::Timeout(TimeoutType::Wait) => Fault::Busy,
            PoolError::Timeout(_) => Fault::Away(self.to_host("connecting took too long")),
            PoolError::Backend(error) if may_pass(&error) => {
                Fault::Away(self.to_host(&describe(&error)))
            }
            PoolError::Backend(error) => {
                Fault::Final(Error::NoConnection(self.to_host(&describe(&error))))
            }
            error => Fault::Final(Error::NoConnection(chain(&error))),
        })
    }

    /// Why there is no connection, with what an owner has to look at.
    fn to_host(&self, reason: &str) -> String {
        let hosts = self
            .settings
            .postgres
            .get_hosts()
            .iter()
            .map(|host| match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            });
        let hosts: Vec<_> = hosts.collect();
        format!("{reason} ({}, the host of DATABASE_URL)", hosts.join(", "))
    }

    /// Makes one connection for all statements that come meanwhile, rather than one for each.
    async fn connect_first(&self, pool: &Pool) {
        self.first
            .get_or_init(|| async { drop(pool.get().await) })
            .await;
    }

    /// An idle connection; else one that has little to do; else a new one; else the least busy. Where
    /// the database has no room for a new one, a place on one that lives is waited for.
    async fn connection(&self, pool: &Pool, rank: Rank) -> Result<Arc<Connection>, PoolError> {
        let idle = pool.status().available > 0;
        if !idle && let Some(connection) = self.least_busy(Room::ToGrow, rank) {
            return Ok(connection);
        }
        let began = Instant::now();
        let at_once = Timeouts {
            wait: Some(Duration::ZERO),
            ..pool.timeouts()
        };
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if pool.status().available > 0 || !self.is_full() {
                match pool.timeout_get(&at_once).await {
                    Ok(object) => return Ok(self.share(object)),
                    Err(PoolError::Timeout(TimeoutType::Wait)) => {}
                    Err(error) if !self.has_living() => return Err(error),
                    Err(_) => *lock(&self.full_until) = Some(Instant::now() + FULL),
                }
            }
            if let Some(connection) = self.least_busy(Room::None, rank) {
                return Ok(connection);
            }
            if began.elapsed() > self.settings.wait_timeout {
                return Err(PoolError::Timeout(TimeoutType::Wait));
            }
            if self.is_full() {
                tokio::select! {
                    () = changed => {}
                    () = sleep(FULL) => {}
                }
            } else {
                // All are being made, or condemned and not yet gone.
                tokio::select! {
                    object = pool.get() => return Ok(self.share(object?)),
                    () = changed => {}
                }
            }
        }
    }

    fn is_full(&self) -> bool {
        let until = *lock(&self.full_until);
        until.is_some_and(|until| Instant::now() < until) && self.has_living()
    }

    fn has_living(&self) -> bool {
        let busy = self.busy();
        let mut living = busy.iter().filter_map(Weak::upgrade);
        living.any(|connection| !connection.is_closed())
    }

    fn share(&self, object: deadpool_postgres::Object) -> Arc<Connection> {
        let connection = Arc::new(Connection::new(object));
        self.busy().push(Arc::downgrade(&connection));
        self.changed.notify_waiters();
        connection
    }

    /// The connection with the fewest statements under way, if there is a place on it. One that has
    /// stalled is the last choice, and no choice while the pool may grow.
    fn least_busy(&self, room: Room, rank: Rank) -> Option<Arc<Connection>> {
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
            Room::None => following < Places::depth(rank),
        };
        free.then_some(least)
    }

    /// No more statements run on a connection that has failed, nor on the others that are there: a
    /// thawed instance has lost them all. Statements that are under way on them end as they may;
    /// until then the connections keep their places in the pool.
    pub(super) fn condemn(&self, place: &Place<'_>) {
        if place.connection().condemn() {
            return;
        }
        for other in self.busy().drain(..).filter_map(|other| other.upgrade()) {
            other.condemn();
        }
        if let Some(pool) = self.pool.get() {
            pool.retain(|_, _| false);
        }
    }

    fn busy(&self) -> MutexGuard<'_, Vec<Weak<Connection>>> {
        lock(&self.busy)
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
