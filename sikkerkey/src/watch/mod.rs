//! Watching: one thread and one request a cycle for everything that is watched.
//!
//! What it promises: a change that the service reports stays pending until its value was read;
//! what another process of the same identity swallowed is found by the next re-read of
//! everything; an outage is one error and one recovery; a callback that is slow or panics harms
//! no other secret.
//!
//! `schedule` and `table` are pure, `poller` is the thread round them, `dispatch` the callbacks.

#![cfg_attr(
    not(feature = "live"),
    allow(dead_code, unused_imports, reason = "Live is who follows")
)]

mod api;
mod dispatch;
mod event;
mod follower;
mod ledger;
mod poller;
mod reads;
pub(crate) mod schedule;
mod table;

pub use api::Watch;
pub use event::{WatchEvent, WatchKind};
pub(crate) use follower::{Cycle, Follow, Follower, UpdateKind};
pub(crate) use poller::{Poller, Source};
pub(crate) use table::Status;
