//! The book: what is read of built pages, kept as an index, and found in it.

mod answers;
mod generators;
mod hostile;
mod indexing;
mod kills;
mod marks;
mod out_of_order;
mod owner;
mod program;
mod search;
