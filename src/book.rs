//! The book: its built pages are read, kept as a searchable index, and searched.
//!
//! Three doors lead here: the program `book`, the function `refresh`, and `cargo dev`. What a turn
//! takes of it is [`search`] alone.
//!
//! - [`pages`]: built HTML in, chunks with addresses and anchors out; knows no database
//! - [`index`]: a version of it beside the one in use, and then in its place; [`plan`] only says what
//!   that would do
//! - [`search`]: a question in, the sections that it is about out: by words, vectors and page
//! - [`evaluate`]: how well that finds what it should, by questions whose answers are known
//! - [`language`]: how a text's words are reduced: by its script, then by its `lang`

mod embed;
pub mod evaluate;
pub mod index;
pub mod language;
pub mod pages;
pub mod plan;
mod report;
mod rows;
pub mod search;
mod store;
mod versions;

pub use embed::{Embedding, Error as EmbedError, ready as has_vectors, without_vector};
pub use versions::{Active, active, forget};
