//! The book: what is read of built pages, kept as an index, and found in it.

mod generators;
mod hostile;
mod indexing;
mod kills;
mod marks;
mod owner;
mod program;
mod search;
