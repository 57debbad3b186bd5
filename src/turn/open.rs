//! Turns that end without a whole answer: their keys are released, and what they did not use is given
//! back, at once or after the reader has been told.

use std::time::Duration;

use tokio::time::sleep;

use crate::app::App;
use crate::database::{self, Database};
use crate::error::{Failure, chain};
use crate::session::{self, Ask, Turn};

/// How long a statement may still be at work in the database after nobody waits for it any more: as
/// long as it may wait for a lock, and some.
const LATECOMER: Duration = Duration::from_millis(1_500);

/// A turn whose reader is told first that the database has failed: it is ended afterwards, if the
/// database can be reached again.
pub(super) struct Open {
    pub(super) turn: Turn,
    /// What it has cost.
    pub(super) cost: i64,
    /// Its `begin` may still be at work.
    pub(super) begins: bool,
}

impl Open {
    pub(super) async fn end(self, app: &App, ask: &Ask) {
        let Ok(ready) = app.ready() else { return };
        end(&ready.database, ask, &self.turn, self.cost).await;
        if self.begins {
            sleep(LATECOMER).await;
            end(&ready.database, ask, &self.turn, self.cost).await;
        }
    }
}

/// Ends a turn without a whole answer.
pub(super) async fn end(database: &Database, ask: &Ask, turn: &Turn, cost: i64) {
    // If this fails, the key is released when its lease ends: no reason for the turn to fail
    // differently.
    if let Err(error) = session::fail(database, turn, ask.key.as_ref(), cost).await {
        tracing::warn!(
            cause = chain(&error),
            "the turn stays charged, its key taken"
        );
    }
}

/// The database has not said whether the question is stored.
pub(super) fn not_confirmed(error: database::Error, turn: &Turn, ask: &Ask) -> Failure {
    let failure = Failure::from(error).saying(
        "The conversation store did not answer in time. Your question was not answered, but it may \
         have been saved. Please ask again in a moment.",
    );
    // A widget has not been told of a new conversation and its question, and could not retry it.
    if ask.owned && ask.retried.is_none() {
        failure
    } else {
        failure.in_session(turn.conversation)
    }
}
