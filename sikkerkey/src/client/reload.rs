//! An identity on disk, read again after the service has refused it.

use std::sync::{Arc, Mutex};

use super::key_source::KeySource;
use super::session::{CurrentSession, Session};
use super::settings::Settings;
use crate::error::Error;
use crate::identity::{Identity, IdentityFile, TrustRules};
use crate::log::{HeldEvents, log};
use crate::sync::lock;
use crate::transport::{ConnectionSettings, Transport};

/// Reads a client's identity again. A key or an identity can be replaced on disk while the client runs:
/// Kubernetes does that when a mounted secret changes.
pub(crate) struct Reload {
    file: IdentityFile,
    rules: TrustRules,
    key: KeySource,
    connections: ConnectionSettings,
    /// Held while the files are read, so that one of many refused calls reads them.
    reading: Mutex<()>,
}

impl Reload {
    pub(super) fn new(
        file: IdentityFile,
        rules: TrustRules,
        key: KeySource,
        connections: ConnectionSettings,
    ) -> Self {
        Reload {
            file,
            // The warning about readers of the key was logged once already.
            rules: rules.quiet(),
            key,
            connections,
            reading: Mutex::new(()),
        }
    }

    /// Reads the identity on disk and makes it the current session. Returns `None` if it is the one that was
    /// refused.
    pub(crate) fn renew(
        &self,
        refused: &Arc<Session>,
        current: &CurrentSession,
        settings: &Settings,
    ) -> Option<Arc<Session>> {
        let _held = HeldEvents::new();
        let _reading = lock(&self.reading);
        let newest = current.get();
        if !Arc::ptr_eq(&newest, refused) {
            return Some(newest);
        }
        let renewed = self.read(settings).and_then(|identity| {
            if is_same(&identity, &refused.identity) {
                return Ok(None);
            }
            let transport = match identity.api_url == refused.identity.api_url {
                true => refused.transport.clone(),
                false => Transport::new(&identity.api_url, &self.connections)?,
            };
            Ok(Some(Session::new(identity, transport, false)))
        });
        match renewed {
            Ok(None) => None,
            Ok(Some(session)) => {
                log!(
                    info,
                    "the identity on disk has changed; it is used from now on as machine {}",
                    session.identity.machine_id
                );
                let session = Arc::new(session);
                current.replace(session.clone());
                Some(session)
            }
            Err(error) => {
                log!(debug, "the identity could not be read again: {error}");
                None
            }
        }
    }

    fn read(&self, settings: &Settings) -> Result<Identity, Error> {
        let identity = self.file.read(&self.rules, self.key.signer()?)?;
        settings.check_api_url(&identity.api_url)?;
        Ok(identity)
    }
}

fn is_same(a: &Identity, b: &Identity) -> bool {
    a.machine_id == b.machine_id
        && a.api_url == b.api_url
        && a.signer.public_key() == b.signer.public_key()
}
