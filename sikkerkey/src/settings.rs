//! What can be set about a client, however its identity comes about.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use crate::clock::{Clock, SystemClock};
use crate::transport::Roots;
use crate::watch::schedule;
use crate::{Error, RetryPolicy, transport};

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
        }
    }
}

impl Settings {
    /// What the connections need, checked.
    pub(crate) fn transport(&self) -> Result<transport::Settings, Error> {
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
        Ok(transport::Settings {
            user_agent: self.user_agent.clone(),
            roots,
        })
    }
}

/// The setters that both builders have; each has its [`Settings`] in `self.settings`.
macro_rules! setters {
    () => {
        /// The longest time of one attempt, from the name look-up to the last byte. 15 s by default.
        pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
            self.settings.timeout = timeout;
            self
        }

        /// The longest time of a whole call, repetitions and delays included. 30 s by default.
        pub fn deadline(mut self, deadline: std::time::Duration) -> Self {
            self.settings.deadline = deadline;
            self
        }

        /// How often and how soon a call is repeated.
        pub fn retry(mut self, policy: $crate::RetryPolicy) -> Self {
            self.settings.retry = policy;
            self
        }

        /// The time between two polls of everything that is watched. 15 s by default. The service
        /// takes at least 10 s, so a shorter interval counts as 10 s, except against an emulator
        /// on this machine.
        pub fn poll_interval(mut self, interval: std::time::Duration) -> Self {
            self.settings.poll_interval = interval;
            self
        }

        /// How often everything that is watched is read again although no change was reported,
        /// because a report can be lost on its way. 5 minutes by default; `None` turns it off.
        pub fn resync(mut self, every: Option<std::time::Duration>) -> Self {
            self.settings.resync = every;
            self
        }

        /// Trusts this certificate authority, given as PEM with one certificate or more, *instead
        /// of* the bundled ones; a second call adds to the first.
        ///
        /// Without it, Mozilla's authorities count, as they were when this crate was built: they
        /// are part of the program, so that it works in an image without any files. A company's
        /// own authority, or a proxy that inspects TLS, needs this setting.
        pub fn root_certificate_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
            let pem = $crate::settings::Pem(pem.as_ref().to_vec());
            self.settings.root_pems.push(pem);
            self
        }

        /// The `User-Agent` header, `sikkerkey-rust/VERSION` by default.
        pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
            self.settings.user_agent = user_agent.into();
            self
        }

        /// Takes time and randomness from here. For tests.
        #[doc(hidden)]
        pub fn clock(mut self, clock: std::sync::Arc<dyn $crate::__private::Clock>) -> Self {
            self.settings.clock = clock;
            self
        }
    };
}

pub(crate) use setters;
