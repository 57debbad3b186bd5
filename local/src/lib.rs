//! textbook-chat on one machine: stand-ins for what surrounds the functions in production, for
//! development and tests.
//!
//! | in production    | here                                                   |
//! |------------------|--------------------------------------------------------|
//! | Neon             | [`postgres`]: an embedded PostgreSQL 18 with pgvector  |
//! | OpenAI           | [`model`]: a server that answers with what it was told |
//! | Vercel's runtime | [`function`]: one process of a function's real binary  |
//! | Vercel's edge    | [`gateway`]: static files, rewrites and a proxy        |
//!
//! The tests use the parts one by one; the program `stack`, which `cargo dev` becomes, puts them together.
//! What can be looked at before a build is the crate `launch`. Nothing in here is ever part
//! of a deployed function, and nothing in here knows what the functions do.

pub mod function;
pub mod gateway;
pub mod model;
pub mod postgres;

mod ports;
mod watchdog;
