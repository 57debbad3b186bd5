//! A turn whose reader has left: when it ends although its answer is not whole.

use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::time::sleep;

use super::Event;
use crate::database::Database;
use crate::leaving::WhenLeft;
use crate::session::{self, Ask, Turn};

/// How often a turn that nobody listens to asks whether it is to end: whoever stops it may have
/// reached another instance.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Returns when the turn is to end because of its reader: they have left or, if it is to be finished
/// all the same, have left and called it off. While they listen, this costs nothing.
pub(super) async fn is_over(database: &Database, ask: &Ask, turn: &Turn, events: &Sender<Event>) {
    events.closed().await;
    if ask.when_left == WhenLeft::Stop {
        return;
    }
    tracing::info!("the reader has left; the answer is being finished");
    // A database that cannot be asked may be there again before the answer is whole.
    while !session::is_called_off(database, turn)
        .await
        .unwrap_or(false)
    {
        sleep(LOOK_AGAIN).await;
    }
}
