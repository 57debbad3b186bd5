//! The book: what is read of built pages, kept as an index, found in it, and missed in it.

mod answers;
mod costs;
mod gaps;
mod generators;
mod hostile;
mod indexing;
mod kills;
mod marks;
mod out_of_order;
mod owner;
mod program;
mod search;
