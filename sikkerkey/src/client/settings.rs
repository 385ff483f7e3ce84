//! Settings of a client that do not depend on the source of its identity.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use super::attempts::Budget;
use super::retry::RetryPolicy;
use crate::clock::{Clock, SystemClock};
use crate::error::Error;
use crate::id::check_id;
use crate::protocol::api_url::ApiUrl;
use crate::random::{Randomness, SystemRandomness};
use crate::resync::Resync;
use crate::transport::{ConnectionSettings, TrustSettings};
use crate::watch::schedule;

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) timeout: Duration,
    pub(crate) deadline: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) poll_interval: Duration,
    pub(crate) resync: Resync,
    pub(crate) resync_secrets: BTreeMap<String, Resync>,
    pub(crate) user_agent: String,
    pub(crate) expected_api_url: Option<String>,
    pub(crate) clock_correction: bool,
    pub(crate) trust: TrustSettings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Randomness>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            timeout: Duration::from_secs(15),
            deadline: Duration::from_secs(30),
            retry: RetryPolicy::default(),
            poll_interval: schedule::DEFAULT_INTERVAL,
            resync: Resync::Adaptive,
            resync_secrets: BTreeMap::new(),
            user_agent: concat!("sikkerkey-rust/", env!("CARGO_PKG_VERSION")).to_owned(),
            expected_api_url: None,
            clock_correction: true,
            trust: TrustSettings::default(),
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandomness),
        }
    }
}

impl Settings {
    /// Checks the settings, and returns those of the connections.
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
        self.check_resyncs()?;
        Ok(ConnectionSettings {
            user_agent: self.user_agent.clone(),
            roots: self.trust.check()?,
        })
    }

    fn check_resyncs(&self) -> Result<(), Error> {
        self.resync_secrets.keys().try_for_each(|id| check_id(id))?;
        let mut all = self.resync_secrets.values().chain([&self.resync]);
        let mistake = all.find_map(|resync| Some((resync, resync.mistake()?)));
        match mistake {
            Some((resync, mistake)) => {
                Err(Error::configuration(format!("resync {resync}: {mistake}")))
            }
            None => Ok(()),
        }
    }

    /// Refuses an address other than the one that is expected.
    pub(crate) fn check_api_url(&self, url: &ApiUrl) -> Result<(), Error> {
        let Some(expected) = &self.expected_api_url else {
            return Ok(());
        };
        let expected = ApiUrl::parse(expected).map_err(|problem| {
            Error::configuration(format!("the URL given to expect_api_url {problem}"))
        })?;
        if expected == *url {
            return Ok(());
        }
        Err(Error::configuration(format!(
            "the identity sends requests to {url}, and expect_api_url says {expected}: nothing was \
             sent there"
        )))
    }

    /// Returns the time limits of a call that starts now.
    pub(crate) fn budget(&self) -> Budget {
        Budget {
            started: self.clock.monotonic(),
            deadline: self.deadline,
            timeout: self.timeout,
        }
    }
}
