//! The chat backend of an online textbook, as a bundle of serverless functions.
//!
//! A request walks through these modules, in this order:
//!
//! 1. `api/*.rs`: one function a route; each boots and hands over to [`function`], nothing else.
//! 2. [`function`]: runs a route on the platform.
//! 3. [`http`]: the edge. Limits, CORS ([`cors`]), request ids, panics; every error leaves here.
//!    Who asks ([`client`]) and what may be spent ([`guard`]) is known from here on.
//! 4. [`chat`]: the route. Asking starts a [`turn`], top to bottom; only that composes the steps
//!    below, and they never import each other. [`chatkit`] is the same for OpenAI's ChatKit.
//!    - [`question`]: what a reader sent, parsed into a type that cannot be invalid
//!    - [`idempotency`]: what makes two requests the same one
//!    - [`reader`]: whom a conversation belongs to
//!    - [`session`]: the conversation in PostgreSQL, one statement before the model and one after
//!    - [`retrieval`]: passages of the book; none yet
//!    - [`prompt`]: question and history in, the model's messages out; pure
//!    - [`llm`]: the model's call and its answer
//! 5. The turn's events become a response: JSON in [`chat`], or over [`sse`] a stream:
//!    [`ui_message_stream`], or ChatKit's.
//! 6. [`health`]: the other route.
//!
//! Beside the walk: [`app`] is what an instance makes once, [`config`] the settings, [`database`]
//! the pooled connection, [`error`] what clients and the log are told, [`telemetry`] the log.

pub mod app;
pub mod chat;
pub mod chatkit;
pub mod client;
pub mod config;
pub mod cors;
pub mod database;
pub mod error;
pub mod function;
pub mod guard;
pub mod health;
pub mod http;
pub mod idempotency;
pub mod llm;
pub mod prompt;
pub mod question;
pub mod reader;
pub mod retrieval;
pub mod session;
pub mod sse;
pub mod telemetry;
pub mod turn;
pub mod ui_message_stream;
