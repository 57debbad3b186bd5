//! The book: what is read of built pages, kept as an index, found in it, and missed in it.

mod gaps;
mod generators;
mod hostile;
mod indexing;
mod kills;
mod owner;
mod program;
mod search;
