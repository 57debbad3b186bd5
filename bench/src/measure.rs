//! The measurements, one file for each kind; each fills its rows of the table.

pub mod book;
pub mod cold;
pub mod instructions;
pub mod memory;
pub mod overhead;
pub mod round_trips;
pub mod stream;
