//! The state that all handles of one issued certificate share.

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use rustls::sign::CertifiedKey;

use super::super::identity::TlsIdentity;
use super::status::CertificateStatus;
use crate::clock::{Clock, Signal};
use crate::error::Error;
use crate::id::SecretId;
use crate::sync::lock;

pub(super) struct IssuedState {
    pub(super) id: SecretId,
    /// The current certificate. A handshake reads it with one atomic load, without a lock.
    current: ArcSwap<TlsIdentity>,
    record: Mutex<RenewalRecord>,
    /// Raised when the certificate is closed.
    pub(super) closed: Signal,
    pub(super) clock: Arc<dyn Clock>,
    /// The process that renews it.
    process: u32,
}

struct RenewalRecord {
    issued: u64,
    failures: u32,
    last_error: Option<Error>,
    closed: bool,
}

impl IssuedState {
    pub(super) fn new(id: SecretId, first: TlsIdentity, clock: Arc<dyn Clock>) -> Self {
        IssuedState {
            id,
            current: ArcSwap::from_pointee(first),
            record: Mutex::new(RenewalRecord {
                issued: 1,
                failures: 0,
                last_error: None,
                closed: false,
            }),
            closed: Signal::default(),
            clock,
            process: std::process::id(),
        }
    }

    pub(super) fn current(&self) -> Arc<TlsIdentity> {
        self.current.load_full()
    }

    pub(super) fn pair(&self) -> Arc<CertifiedKey> {
        self.current.load().certified_key()
    }

    pub(super) fn renewed(&self, next: TlsIdentity) {
        let mut record = lock(&self.record);
        record.issued += 1;
        record.failures = 0;
        record.last_error = None;
        self.current.store(Arc::new(next));
    }

    pub(super) fn failed(&self, error: Error) {
        let mut record = lock(&self.record);
        record.failures = record.failures.saturating_add(1);
        record.last_error = Some(error);
    }

    pub(super) fn status(&self) -> CertificateStatus {
        let status = |record: Option<&RenewalRecord>, error| CertificateStatus {
            validity: self.current.load().validity(),
            now: self.clock.unix_now(),
            issued: record.map_or(0, |record| record.issued),
            failures: record.map_or(0, |record| record.failures),
            last_error: error,
        };
        // Before any lock is taken: a thread of the parent process may have held it.
        if self.process != std::process::id() {
            return status(
                None,
                Some(Error::configuration(
                    "this process was forked from the one that renews the certificate: ask for one here",
                )),
            );
        }
        let record = lock(&self.record);
        status(Some(&record), record.last_error.clone())
    }

    pub(super) fn close(&self) {
        if self.process == std::process::id() {
            lock(&self.record).closed = true;
            self.closed.raise();
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        lock(&self.record).closed
    }
}
