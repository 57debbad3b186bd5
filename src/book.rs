//! The book: its built pages are read, kept as a searchable index, and searched.
//!
//! Three doors lead here: the program `book`, the function `refresh`, and `cargo dev`. What a turn
//! takes of it is [`search`] alone.
//!
//! - [`pages`]: built HTML in, chunks with addresses and anchors out; knows no database

mod embed;
pub mod index;
mod language;
pub mod pages;
pub mod plan;
mod store;

pub use embed::{Embedding, Error as EmbedError, ready as has_vectors, without_vector};
pub use store::{Active, active, forget};
