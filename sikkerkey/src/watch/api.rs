use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

#[cfg(feature = "live")]
use secrecy::SecretString;

use super::dispatch::Registration;
use super::event::WatchEvent;
use super::follower::{Follow, Follower};
use super::poller::{Poller, Source};
use super::table::PartyId;
use crate::shared::check_id;
use crate::{Error, SikkerKey};

/// A watch on one secret, made by [`SikkerKey::watch`].
///
/// Dropping it changes nothing: the watch goes on until [`stop`](Self::stop), `unwatch` or `close`,
/// or until its secret is deleted or denied. It does not keep the client alive.
pub struct Watch {
    poller: Weak<Poller>,
    party: PartyId,
    registration: Weak<Registration>,
    id: Arc<str>,
}

impl Watch {
    /// Ends this watch, and no other one on the same secret. After it returns, no call of its
    /// callback is taken up any more; one that had been taken up may still be running. May be
    /// called from inside the callback, and more than once.
    pub fn stop(&self) {
        if let (Some(poller), Some(registration)) =
            (self.poller.upgrade(), self.registration.upgrade())
        {
            poller.stop(self.party, &registration);
        }
    }

    /// The id of the secret that is watched.
    pub fn secret_id(&self) -> &str {
        &self.id
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("secret_id", &self.id)
            .finish_non_exhaustive()
    }
}

impl SikkerKey {
    /// Calls `tell` each time the secret's value changes, is deleted, or is taken away from this
    /// machine.
    ///
    /// The service is asked at once and then every [poll interval](Self::set_poll_interval), with
    /// one request for everything that is watched. What counts as a change is a value that differs
    /// from the one that this client read last, through any call, before the watch began: so read
    /// the secret first, then watch it. A secret that this client has not read is read within the
    /// first minute or so, to have something to compare with; changes before that are told as far as
    /// the service reports them.
    ///
    /// A change is told once, whoever read the new value first, this process, or another one of the
    /// same machine: everything watched is also read again every five minutes
    /// ([`resync`](crate::SikkerKeyBuilder::resync)).
    ///
    /// # The callback
    ///
    /// It runs on a thread of its own, outside every lock: it may read secrets, watch and unwatch,
    /// close the client or drop it. Events of one secret come one after the other, in order. A call
    /// that takes long delays other secrets by at most one cycle. A panic ends that call alone.
    ///
    /// A callback that holds a handle of this client keeps it alive, and the watch with it: end
    /// that with [`Watch::stop`], [`unwatch`](Self::unwatch) or [`close`](Self::close). Without
    /// one, dropping the last handle ends the watch.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().secret("sk_db_prod", "1").start()?;
    /// # let path = vault.identity_path();
    /// use std::sync::mpsc::channel;
    /// use sikkerkey::{SikkerKey, WatchKind};
    ///
    /// let sk = SikkerKey::builder()
    ///     .identity_file(path)
    ///     .poll_interval(Duration::from_millis(5))       // an emulator takes it; the service wants 10 s
    ///     .build()?;
    /// let password = sk.get_secret("sk_db_prod")?;
    /// # let _ = password;
    ///
    /// let (changed, changes) = channel();
    /// let watch = sk.watch("sk_db_prod", move |event| match &event.kind {
    ///     WatchKind::Changed { value, fields } => {
    ///         let _ = (value, fields);                   // connect again with the new one
    ///         let _ = changed.send(event.secret_id.clone());
    ///     }
    ///     WatchKind::Deleted | WatchKind::AccessDenied => eprintln!("{event:?}: the watch has ended"),
    ///     other => eprintln!("{}: {other:?}", event.secret_id),
    /// })?;
    /// # vault.put("sk_db_prod", "2");
    /// assert_eq!(changes.recv()?, "sk_db_prod");
    /// watch.stop();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidId`](crate::ErrorKind::InvalidId); [`Configuration`](crate::ErrorKind::Configuration)
    /// where the operating system gives no thread. Whether the secret exists shows later, as an
    /// event.
    pub fn watch(
        &self,
        id: &str,
        tell: impl FnMut(&WatchEvent) + Send + 'static,
    ) -> Result<Watch, Error> {
        check_id(id)?;
        let poller = self.shared().poller();
        let (party, registration) = poller.watch(self.source(), id, Box::new(tell))?;
        Ok(Watch {
            poller: Arc::downgrade(poller),
            party,
            id: registration.id().clone(),
            registration: Arc::downgrade(&registration),
        })
    }

    /// Ends every watch on a secret; a `Live` that follows it goes on. After it returns, no call
    /// of theirs is taken up any more; one that had been taken up may still be running.
    pub fn unwatch(&self, id: &str) {
        self.shared().poller().unwatch(id);
    }

    /// How often everything that is watched is asked for, ±20 %: 15 s unless set. It acts at once,
    /// counted from the last poll.
    ///
    /// The service refuses polls that are closer together than 10 s, so anything below is raised to
    /// 10 s, with a warning in the log. Against an emulator on this machine any interval goes.
    pub fn set_poll_interval(&self, interval: Duration) {
        self.shared().poller().set_interval(interval);
    }

    /// Ends every watch and every `Live` of this client, and the thread that polls.
    ///
    /// It returns within a second, even while a request hangs, and that request's answer is then
    /// ignored. Reads still work, and a new watch starts polling again. Closing twice is fine, and
    /// so is closing from inside a callback.
    pub fn close(&self) {
        self.shared().poller().close();
    }

    /// Follows many secrets at once, from the values that the follower has. `resync` of `None` is
    /// the client's own setting.
    #[cfg(feature = "live")]
    pub(crate) fn follow(
        &self,
        known: &[(String, Option<SecretString>)],
        follower: Arc<dyn Follower>,
        resync: Option<Option<Duration>>,
    ) -> Follow {
        let poller = self.shared().poller();
        let party = poller.follow(self.source(), known, follower, resync);
        Follow::new(poller, party)
    }

    fn source(&self) -> Weak<dyn Source> {
        let source: Arc<dyn Source> = self.shared().clone();
        Arc::downgrade(&source)
    }
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
