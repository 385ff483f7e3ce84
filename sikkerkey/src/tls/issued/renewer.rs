//! The thread that renews one certificate.

use std::sync::Arc;
use std::time::Duration;

use super::super::identity::TlsIdentity;
use super::schedule::{renew_in, retry_in};
use super::state::IssuedState;
use crate::client::SikkerKey;
use crate::client::retry::RetryPolicy;
use crate::contain::{Panicked, contain};
use crate::error::{Error, ErrorKind};
use crate::id::SecretId;
use crate::log::log;
use crate::validity::date;
use crate::x509::subject::Subject;

pub(super) struct Renewer {
    pub(super) client: SikkerKey,
    pub(super) validity: Option<Duration>,
    pub(super) state: Arc<IssuedState>,
}

/// Makes a key and requests its certificate. Also returns how long the certificate is still valid.
pub(super) fn issue(
    client: &SikkerKey,
    id: &SecretId,
    validity: Option<Duration>,
    policy: &RetryPolicy,
) -> Result<(TlsIdentity, Duration), Error> {
    let inner = client.inner();
    let subject = Subject::new(&*inner.settings().random)?;
    let chain = inner.issue(id, &subject, validity, policy)?;
    let identity = TlsIdentity::new(&chain, Arc::clone(subject.key()))
        .map_err(|reason| Error::new(ErrorKind::Decode, reason))?;
    // By the service's clock, which issued it. If this machine's clock is a little behind, the result is
    // still at most the certificate's life.
    let left = chain.validity.until.saturating_sub(inner.service_now());
    let life = chain.validity.until.saturating_sub(chain.validity.from);
    let left = left.min(life).max(0).unsigned_abs();
    Ok((identity, Duration::from_secs(left)))
}

impl Renewer {
    /// Renews the certificate until it is closed. `left` is the remaining time of the first one.
    pub(super) fn run(self, left: Duration) {
        let clock = &*self.state.clock;
        let random = &*self.client.inner().settings().random;
        let mut end = clock.monotonic().saturating_add(left);
        let mut due = clock
            .monotonic()
            .saturating_add(renew_in(left, random.fraction()));
        while self.wait(due) {
            // The next attempt of this loop is the retry.
            let policy = RetryPolicy::none();
            let (id, validity) = (&self.state.id, self.validity);
            // A panic here must not silently end the renewals.
            let next = contain(|| issue(&self.client, id, validity, &policy));
            let now = clock.monotonic();
            match next.unwrap_or_else(|Panicked| Err(panicked())) {
                Ok((next, left)) => {
                    self.state.renewed(next);
                    end = now.saturating_add(left);
                    due = now.saturating_add(renew_in(left, random.fraction()));
                }
                Err(error) => {
                    let until = date(self.state.current().validity().until);
                    log!(
                        warn,
                        "the certificate of {id}, valid until {until}, was not renewed: {error}"
                    );
                    let left = end.saturating_sub(now);
                    let gap = retry_in(left, error.retry_after(), random.fraction());
                    self.state.failed(error);
                    due = now.saturating_add(gap);
                }
            }
        }
    }

    /// Waits until this time. Returns `false` once it is closed.
    fn wait(&self, due: Duration) -> bool {
        loop {
            let seen = self.state.closed.count();
            if self.state.is_closed() {
                return false;
            }
            if self.state.clock.monotonic() >= due {
                return true;
            }
            self.state.clock.wait(&self.state.closed, seen, due);
        }
    }
}

fn panicked() -> Error {
    Error::new(ErrorKind::Api, "the renewal of a certificate panicked")
}
