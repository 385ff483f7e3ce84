//! Not part of the public interface: what the derive's output calls, and what this workspace's own
//! tests reach for.

pub use crate::clock::{Clock, SystemClock};
pub use crate::config::private::*;
pub use crate::watch::schedule::{
    DEFAULT_INTERVAL, DEFAULT_RESYNC, PollOutcome, PollSchedule, SERVICE_FLOOR, baseline_delay,
    jittered, postponed_delay, resync_delay,
};

pub use crate::config::{config_error, loader};
#[cfg(fuzzing)]
pub use crate::fuzz;
#[cfg(feature = "live")]
pub use crate::live::source::{Source as LiveSource, changed_paths};
#[cfg(feature = "live")]
pub use crate::live::start::live_from;
