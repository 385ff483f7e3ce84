//! Leased secrets: a read mints a login for the reading machine, which expires.

use std::time::Duration;

use super::SecretValue;
use crate::clock::millis;
use crate::{canaries, random};

/// The terms of a leased secret; [`EmulatorBuilder::lease`](crate::EmulatorBuilder::lease) makes a secret leased.
///
/// The first read mints a login for the machine: the secret's own fields (`host`, `port`, `database`) and, after them,
/// a `username` and a `password`. While the lease lasts, the machine gets the same login; after its end, the next read
/// mints another. Leases follow the service's clock, which [`Emulator::advance`](crate::Emulator::advance) moves.
/// [`Emulator::accepts_login`](crate::Emulator::accepts_login) stands for the database.
///
/// ```
/// # use std::time::Duration;
/// use sikkerkey_emulator::{Emulator, Lease};
///
/// let hour = Duration::from_secs(3600);
/// let vault = Emulator::builder()
///     .structured("sk_pg", [("host", "db.example"), ("database", "app")])
///     .lease("sk_pg", Lease::new(hour).renew_on_read(true).max_life(24 * hour))
///     .start()?;
/// # Ok::<(), sikkerkey_emulator::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a lease holds once a secret has it"]
pub struct Lease {
    ttl: Duration,
    renew_on_read: bool,
    mint_on_every_read: bool,
    max_life: Option<Duration>,
    revoke_on_disable: bool,
    in_polls: bool,
}

impl Lease {
    /// Returns terms for logins that last this long.
    pub fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            renew_on_read: false,
            mint_on_every_read: false,
            max_life: None,
            revoke_on_disable: false,
            in_polls: false,
        }
    }

    /// Sets whether the read of an active lease extends it to the full time again. Defaults to `false`.
    pub fn renew_on_read(mut self, on: bool) -> Self {
        self.renew_on_read = on;
        self
    }

    /// Sets whether every read mints another login; earlier ones last until their own end. Defaults to `false`.
    pub fn mint_on_every_read(mut self, on: bool) -> Self {
        self.mint_on_every_read = on;
        self
    }

    /// Limits the life of a login, however often it is renewed. Defaults to no limit.
    pub fn max_life(mut self, longest: impl Into<Option<Duration>>) -> Self {
        self.max_life = longest.into();
        self
    }

    /// Sets whether [`Emulator::disable_machines`](crate::Emulator::disable_machines) ends the logins. Defaults to
    /// `false`.
    pub fn revoke_on_disable(mut self, on: bool) -> Self {
        self.revoke_on_disable = on;
        self
    }

    /// Sets whether polls report the secret, a question that the service's documentation leaves open. With `true`, it
    /// is `changed` once the machine's lease has ended, and otherwise reported as other secrets are. With `false`,
    /// polls leave it out. Defaults to `false`.
    pub fn in_polls(mut self, on: bool) -> Self {
        self.in_polls = on;
        self
    }
}

/// A leased secret: its terms, and the logins that have not ended.
#[derive(Clone)]
pub(super) struct Leased {
    terms: Lease,
    /// Oldest first. A machine reads its last one.
    logins: Vec<Login>,
    minted: u64,
}

#[derive(Clone)]
struct Login {
    machine: String,
    username: String,
    password: String,
    ends: i64,
    /// The latest end that a renewal can set.
    latest: i64,
}

impl Leased {
    pub(super) fn new(terms: Lease) -> Self {
        Self {
            terms,
            logins: Vec::new(),
            minted: 0,
        }
    }

    /// The value that a read by this machine gets.
    pub(super) fn read(&mut self, machine: &str, base: &SecretValue, now: i64) -> SecretValue {
        let ends = now.saturating_add(millis(self.terms.ttl));
        let found = self
            .logins
            .iter_mut()
            .rfind(|login| login.machine == machine && login.ends > now);
        let login = match found {
            Some(login) if !self.terms.mint_on_every_read => {
                if self.terms.renew_on_read {
                    login.ends = ends.min(login.latest);
                }
                login.clone()
            }
            _ => self.mint(machine, ends, now),
        };
        base.with_login(&login.username, &login.password)
    }

    fn mint(&mut self, machine: &str, ends: i64, now: i64) -> Login {
        // An ended login stays until its machine gets another, so that polls can report the end.
        self.logins
            .retain(|login| login.ends > now || login.machine != machine);
        let latest = self.terms.max_life.map(millis);
        let latest = latest.map_or(i64::MAX, |life| now.saturating_add(life));
        self.minted += 1;
        let login = Login {
            machine: machine.to_owned(),
            username: format!("lease_{}_{}", self.minted, random::hex::<4>()),
            password: random::hex::<16>(),
            ends: ends.min(latest),
            latest,
        };
        canaries::note(&login.password);
        self.logins.push(login.clone());
        login
    }

    /// Whether this machine had a lease that has ended.
    pub(super) fn ended(&self, machine: &str, now: i64) -> bool {
        let last = self.logins.iter().rfind(|login| login.machine == machine);
        last.is_some_and(|login| login.ends <= now)
    }

    pub(super) fn accepts(&self, username: &str, password: &str, now: i64) -> bool {
        self.logins.iter().any(|login| {
            login.username == username && login.password == password && login.ends > now
        })
    }

    pub(super) fn minted(&self) -> u64 {
        self.minted
    }

    pub(super) fn in_polls(&self) -> bool {
        self.terms.in_polls
    }

    pub(super) fn revoked_on_disable(&self) -> bool {
        self.terms.revoke_on_disable
    }

    /// Ends every login.
    pub(super) fn end(&mut self) {
        self.logins
            .iter_mut()
            .for_each(|login| login.ends = i64::MIN);
    }
}
