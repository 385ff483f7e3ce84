//! Watching: one thread and one request a cycle for everything that is watched.
//!
//! What it promises: a change that the service reports stays pending until its value was read;
//! what another process of the same identity swallowed is found by the next re-read; an outage is one
//! error and one recovery; a callback that is slow or panics harms no other secret.
//!
//! `schedule`, `resync` and `state` are pure, `poller` is the thread around them, `callbacks` runs what the
//! user registered.

#![cfg_attr(
    not(feature = "live"),
    allow(dead_code, unused_imports, reason = "Live is who follows")
)]

pub(crate) mod callbacks;
mod event;
pub(crate) mod follower;
mod handle;
mod poller;
pub(crate) mod resync;
pub(crate) mod schedule;
pub(crate) mod seen;
mod state;

pub use event::{WatchEvent, WatchKind};
pub(crate) use follower::{Cycle, Follower, UpdateKind};
pub(crate) use handle::Follow;
pub use handle::Watch;
pub(crate) use poller::{PollAnswer, Poller, Upstream};
pub(crate) use state::{Followed, PartyId, REVOKED_AFTER, SecretChange};
