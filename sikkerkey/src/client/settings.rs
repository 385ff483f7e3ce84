//! What can be set about a client, however its identity comes about.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use super::attempts::Budget;
use super::retry::RetryPolicy;
use crate::clock::{Clock, SystemClock};
use crate::error::Error;
use crate::random::{Randomness, SystemRandomness};
use crate::transport::{ConnectionSettings, Roots};
use crate::watch::schedule;

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) timeout: Duration,
    pub(crate) deadline: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) poll_interval: Duration,
    pub(crate) resync: Option<Duration>,
    pub(crate) user_agent: String,
    pub(crate) root_pems: Vec<Pem>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Randomness>,
}

/// Certificates as the user gave them.
#[derive(Clone)]
pub(crate) struct Pem(pub(crate) Vec<u8>);

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pem({} bytes)", self.0.len())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            timeout: Duration::from_secs(15),
            deadline: Duration::from_secs(30),
            retry: RetryPolicy::default(),
            poll_interval: schedule::DEFAULT_INTERVAL,
            resync: Some(schedule::DEFAULT_RESYNC),
            user_agent: concat!("sikkerkey-rust/", env!("CARGO_PKG_VERSION")).to_owned(),
            root_pems: Vec::new(),
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandomness),
        }
    }
}

impl Settings {
    /// What the connections need, checked.
    pub(crate) fn connections(&self) -> Result<ConnectionSettings, Error> {
        if self.timeout.is_zero() || self.deadline.is_zero() {
            return Err(Error::configuration(
                "a timeout or deadline of zero leaves no time to ask",
            ));
        }
        if self.user_agent.is_empty() || HeaderValue::from_str(&self.user_agent).is_err() {
            return Err(Error::configuration(
                "the user agent is empty or has characters that no header can hold",
            ));
        }
        let mut roots = Roots::bundled();
        for pem in &self.root_pems {
            roots.add_pem(&pem.0)?;
        }
        Ok(ConnectionSettings {
            user_agent: self.user_agent.clone(),
            roots,
        })
    }

    /// The time of a call that begins now.
    pub(crate) fn budget(&self) -> Budget {
        Budget {
            started: self.clock.monotonic(),
            deadline: self.deadline,
            timeout: self.timeout,
        }
    }
}
