//! The chat backend of an online textbook, as a bundle of serverless functions.
//!
//! The modules below are listed in the order in which a request meets them:
//!
//! 1. `api/*.rs`: one function per route; each boots and hands over to [`function`], nothing else.
//! 2. [`function`]: runs a route on the platform, and tells it of [`background`] work. [`app`] is
//!    what an instance makes once, from the settings in [`config`].
//! 3. [`http`]: the edge. Limits, CORS ([`cors`]), request ids, panics; every error leaves here
//!    ([`error`]). It knows the address that a request comes from ([`caller`]).
//! 4. [`chat`], [`chatkit`], [`feedback`], [`health`], [`refresh`]: the routes. The first two turn a
//!    request into a [`question`], identify its [`reader`], recognise a repeated request
//!    ([`idempotency`]), know what becomes of an answer whose reader leaves ([`leaving`]), and ask for
//!    a turn.
//! 5. [`turn`]: the recipe, top to bottom. Only it composes the steps, which never call each other;
//!    they share the types of the step before.
//!    - [`guard`]: what may be asked and spent, and an instance's memory of refusals
//!    - [`session`]: the conversation in PostgreSQL, one statement before the model and one after
//!    - [`retrieval`]: the sections that an answer rests on. [`book`] reads, indexes and searches it
//!    - [`prompt`]: question, history and sections in, the model's messages out; pure
//!    - [`citation`]: the model's marks, checked as they stream; pure
//!    - [`llm`]: the call to the model and its answer
//! 6. The turn's events become a response in the route that asked: JSON, or over [`sse`] a stream.
//!
//! Beneath: [`database`] is the way to PostgreSQL, [`telemetry`] the log, [`pseudonym`] the names
//! under which others know networks and conversations, [`time`] how times are written.

pub mod function;

pub mod app;
pub mod background;
pub mod config;

pub mod caller;
pub mod cors;
pub mod error;
pub mod http;

pub mod chat;
pub mod chatkit;
pub mod feedback;
pub mod health;
pub mod refresh;

pub mod idempotency;
pub mod leaving;
pub mod question;
pub mod reader;

pub mod turn;

pub mod book;
pub mod citation;
pub mod guard;
pub mod llm;
pub mod prompt;
pub mod retrieval;
pub mod session;

pub mod sse;

pub mod database;
pub mod pseudonym;
pub mod telemetry;
pub mod time;
