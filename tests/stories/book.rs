//! The book: what is read of built pages, kept as an index, and found in it.

mod generators;
mod hostile;
mod indexing;
pub mod server;

use std::path::{Path, PathBuf};

/// The built pages of a small book, as one generator makes them.
pub fn fixture(generator: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories/book/fixtures");
    folder.join(generator).join("site")
}
