use std::fmt;
use std::time::SystemTime;

use crate::error::Error;
use crate::validity::{self, Validity};

/// The state of an issued certificate, from [`LiveCertificate::status`](super::LiveCertificate::status).
///
/// `Display` is one line, fit for a health check: `valid until Thu, 01 Jan 2026 08:00:00 GMT, 1 issued`.
///
/// ```
/// # let vault = sikkerkey_emulator::Emulator::builder()
/// #     .certificate("sk_api_cert", sikkerkey_emulator::CertificateProfile::new("api").names(["localhost"]))
/// #     .start()?;
/// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
/// # let certificate = sk.certificate("sk_api_cert").live()?;
/// let status = certificate.status();
/// match status.last_error() {
///     None => println!("{status}"),
///     Some(error) => eprintln!("{} renewals failed: {error}", status.consecutive_failures()),
/// }
/// assert!(!status.has_expired());
/// assert_eq!(status.generation(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CertificateStatus {
    pub(super) validity: Validity,
    pub(super) now: i64,
    pub(super) issued: u64,
    pub(super) failures: u32,
    pub(super) last_error: Option<Error>,
}

impl CertificateStatus {
    /// The first moment at which the current certificate is valid.
    pub fn valid_from(&self) -> SystemTime {
        validity::system_time(self.validity.from)
    }

    /// The last moment at which the current certificate is valid.
    pub fn valid_until(&self) -> SystemTime {
        validity::system_time(self.validity.until)
    }

    /// Whether the current certificate has expired, because each attempt to renew it failed.
    pub fn has_expired(&self) -> bool {
        self.now > self.validity.until
    }

    /// The number of certificates that were issued: 1 for the first, one more with each renewal; 0 in a
    /// process that was forked from the one that renews.
    pub fn generation(&self) -> u64 {
        self.issued
    }

    /// Why the last attempt to renew failed; `None` once one succeeds.
    pub fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }

    /// How many attempts in a row have failed; 0 once one succeeds.
    pub fn consecutive_failures(&self) -> u32 {
        self.failures
    }
}

impl fmt::Display for CertificateStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.has_expired() {
            true => "expired on",
            false => "valid until",
        };
        let (date, issued) = (validity::date(self.validity.until), self.issued);
        write!(f, "{verb} {date}, {issued} issued")?;
        match self.failures {
            0 => Ok(()),
            1 => f.write_str(", 1 failure"),
            many => write!(f, ", {many} failures in a row"),
        }
    }
}
