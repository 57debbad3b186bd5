//! `book forget`: removes a book's index.

use clap::Args;
use textbook_chat::book;
use textbook_chat::config::BookProgram;

use crate::{Address, Failure};

/// Removes the index of the book; questions are then answered without it
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    address: Address,
}

pub(crate) async fn run(
    arguments: &Arguments,
    mut settings: BookProgram,
) -> Result<String, Failure> {
    let base = arguments.address.base(&settings)?;
    let database = crate::database(&mut settings)?;
    let url = base.url().as_str();
    Ok(if book::forget(&database, url).await? {
        format!("The index of {url} is removed.\n")
    } else {
        format!("There is no index of {url}: nothing was removed.\n")
    })
}
