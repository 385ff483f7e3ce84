//! Not part of the public interface: items for the code that the derive writes, and for this workspace's own
//! tests.

pub use serde::de::DeserializeOwned;

pub use crate::clock::{Clock, Signal, SystemClock};
pub use crate::config::error::config_error;
pub use crate::config::from_secret::fields::field_texts;
pub use crate::config::from_secret::form::{list_items, stray, stray_at_the_ends};
pub use crate::config::parser::{Parser, Text, delimited, from_str, json, value, with};
pub use crate::config::places::{Places, place};
pub use crate::config::traits::{
    Delimited, FromNothing, FromText, ReadFromStr, ReadJson, default, text,
};
pub use crate::config::visit::{
    Field, FieldSource, Nested, Nesting, Reader, Secret, Visit, VisitNested, enter, field, inherit,
    nested, nested_inherit, nesting, optional, or_default, required, resync, skipped, validated,
};
pub use crate::contain::{Panicked, contain};
#[cfg(fuzzing)]
pub use crate::fuzz;
#[cfg(feature = "live")]
pub use crate::live::fingerprint::Fingerprint;
#[cfg(feature = "live")]
pub use crate::live::source::ConfigSource;
pub use crate::loader::builder::loader;
#[cfg(feature = "live")]
pub use crate::loader::live::{live_from, live_from_async};
pub use crate::random::{Randomness, SystemRandomness};
pub use crate::resync::Resync;
pub use crate::transport::seam::{TestConnection, TestExchange};
pub use crate::transport::stream::Socket;
pub use crate::watch::resync::{LONGEST_GAP, ResyncSchedule};
pub use crate::watch::schedule::{
    DEFAULT_INTERVAL, PollOutcome, PollSchedule, SERVICE_FLOOR, jittered,
};
