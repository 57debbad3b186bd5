//! The question, put to the model and, where it is on, to the moderation at the same time.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::timeout;

use crate::llm::{AnswerStream, Error};

/// How long the call to the model may go on when the moderation has failed: where the provider cannot
/// be reached, the call finds out at about the same time, and has cost nothing.
const SAME_MOMENT: Duration = Duration::from_secs(1);

/// What has come of it.
pub(super) struct Asked {
    /// The answer, of which nothing may be passed on before the verdict; an error where there is none
    /// of the two.
    pub(super) stream: Result<AnswerStream, Error>,
    /// The moderation has no objection. False where it is off.
    pub(super) passed: bool,
    /// The model cannot have charged anything.
    pub(super) is_free: bool,
}

/// Waits for the first piece of the answer and for the verdict, whichever comes last.
pub(super) async fn ask(
    call: impl Future<Output = Result<AnswerStream, Error>>,
    moderation: Option<impl Future<Output = Result<(), Error>>>,
) -> Asked {
    let Some(moderation) = moderation else {
        let stream = call.await;
        return Asked {
            is_free: is_free(&stream),
            passed: false,
            stream,
        };
    };
    let (stream, error) = match select(pin!(call), pin!(moderation)).await {
        Either::Left((stream, moderation)) => match moderation.await {
            Ok(()) => return passed(stream),
            Err(error) => (Some(stream), error),
        },
        Either::Right((Ok(()), call)) => return passed(call.await),
        Either::Right((Err(error @ Error::Moderation(_)), call)) => {
            (timeout(SAME_MOMENT, call).await.ok(), error)
        }
        Either::Right((Err(error), _)) => (None, error),
    };
    Asked {
        is_free: stream.as_ref().is_some_and(is_free),
        stream: Err(error),
        passed: false,
    }
}

fn passed(stream: Result<AnswerStream, Error>) -> Asked {
    Asked {
        is_free: is_free(&stream),
        stream,
        passed: true,
    }
}

fn is_free(stream: &Result<AnswerStream, Error>) -> bool {
    stream.as_ref().is_err_and(Error::is_free_of_charge)
}
