//! Watches: one thread, and one request in each cycle for all watched secrets.
//!
//! Guarantees: a reported change stays pending until its value was read; a change whose report another
//! process of the same identity consumed is found by the next resync; an outage is one error and one
//! recovery; a callback that is slow or panics does not affect other secrets.
//!
//! `schedule`, `resync` and `state` are pure, `poller` is the thread around them, and `callbacks` runs the
//! user's callbacks.

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
