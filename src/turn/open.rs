//! Turns that end without a whole answer: their keys are released, and what they did not use is given
//! back, at once or after the reader has been told.

use std::time::Duration;

use tokio::time::sleep;

use crate::app::App;
use crate::database::{self, Database};
use crate::error::{Code, Failure, chain};
use crate::session::{self, Ask, Ended, Turn};

/// How long a statement may still be at work in the database after nobody waits for it any more: as
/// long as it may wait for a lock, and some.
const LATECOMER: Duration = Duration::from_millis(1_500);

/// How long a reader is kept waiting for the end of a turn that has failed: whoever is told asks again,
/// and should find the key released.
pub(super) const END_WAIT: Duration = Duration::from_secs(1);

/// A turn whose reader is told first that the database has failed: it is ended afterwards, if the
/// database can be reached again.
pub(super) struct Open {
    turn: Turn,
    /// What it has cost, among others.
    ended: Ended,
    /// Its `begin` may still be at work.
    begins: bool,
}

impl Open {
    /// A turn that has begun.
    pub(super) fn new(turn: Turn, ended: Ended) -> Self {
        Self {
            turn,
            ended,
            begins: false,
        }
    }

    /// A turn that has begun or may still begin, and has cost nothing.
    pub(super) fn beginning(turn: Turn) -> Self {
        Self {
            turn,
            ended: Ended {
                cost: Some(0),
                passed: false,
            },
            begins: true,
        }
    }

    pub(super) async fn end(self, app: &App, ask: &Ask) {
        let Ok(ready) = app.ready() else { return };
        end(&ready.database, ask, &self.turn, self.ended).await;
        if self.begins {
            sleep(LATECOMER).await;
            end(&ready.database, ask, &self.turn, self.ended).await;
        }
    }
}

/// Ends a turn without a whole answer.
pub(super) async fn end(database: &Database, ask: &Ask, turn: &Turn, ended: Ended) {
    // If this fails, the key is released when its lease ends: no reason for the turn to fail
    // differently.
    if let Err(error) = session::fail(database, turn, ask.key.as_ref(), ended).await {
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

/// The reader may have read the whole answer, so they are told what becomes of it.
pub(super) fn not_stored(error: database::Error) -> Failure {
    let message = if error.is_unsure() {
        "The conversation store did not confirm in time that the answer is saved. Your question is \
         saved, but an answer that you have read here may be missing later. If it is, please ask again."
    } else {
        "The conversation store cannot be reached right now, so the answer could not be saved. Your \
         question is saved, but an answer that you have read here is not kept. Please ask again in a \
         moment."
    };
    Failure::from(error).saying(message)
}

/// The instance is being stopped, and the database takes too long.
pub(super) fn cut_off() -> Failure {
    Failure::new(
        Code::InternalError,
        "The answer was interrupted on our side, and it is not certain what of it is saved. Please \
         try again.",
    )
    .because("the instance is being stopped, and the database has not answered")
}
