//! Not part of the public interface: what this workspace's own tests reach for.

pub use crate::clock::{Clock, SystemClock};
