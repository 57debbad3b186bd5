//! The stories: what readers, owners and front ends experience, told against the real parts.

#![expect(
    unreachable_pub,
    reason = "the harness marks what it offers to the stories"
)]
#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

#[path = "../harness/mod.rs"]
mod harness;

mod book;
mod chatkit;
mod contract;
mod conversation;
mod cors;
mod database_failures;
mod descriptors;
mod faults;
mod feedback;
mod finishing;
mod growth;
mod guards;
mod health;
mod idempotency;
mod leaving;
mod load;
mod log;
mod migrations;
mod model_failures;
mod moderation;
mod money;
mod openapi;
mod platform;
mod reading;
mod restarts;
mod storing;
mod streaming;
mod versions;
