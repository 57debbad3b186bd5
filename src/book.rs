//! The book: its built pages are read, kept as a searchable index, and searched.
//!
//! Three doors lead here: the program `book`, the function `refresh`, and `cargo dev`. A turn uses
//! only [`search`].
//!
//! - [`pages`]: built HTML in, chunks with addresses and anchors out; knows no database
//! - [`index`]: builds a new version beside the one in use, then puts it in its place; [`plan`] only
//!   says what that would do
//! - [`search`]: a question in, the sections that it is about out; by words, vectors and page
//! - [`evaluate`]: measures how well that works, with questions whose answers are known
//! - [`gaps`]: what readers asked that it did not answer, for its owner
//! - [`language`]: which stemmer a text's words get: by its script, then by its `lang`

mod embed;
pub mod evaluate;
pub mod gaps;
pub mod index;
pub mod language;
pub mod pages;
pub mod plan;
mod report;
mod rows;
pub mod search;
mod section;
mod store;
mod versions;

pub use embed::{
    Embedding, Error as EmbedError, cost as embedding_cost, has_vectors_of, ready as has_vectors,
    without_vector,
};
pub use versions::{Active, active, forget};
