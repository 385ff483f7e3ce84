//! Changing what is in the vault while it is served.

use crate::emulator::Emulator;
use crate::vault::{Policy, SecretValue};

/// # Changing what is in the vault
impl Emulator {
    /// Gives a secret this one value: a new secret, a rotation, or the return of a deleted one. Every put is a change,
    /// also where the value is the same.
    pub fn put(&self, id: impl AsRef<str>, value: impl Into<String>) {
        self.vault(|vault| vault.put(id.as_ref(), SecretValue::single(value.into())));
    }

    /// Gives a secret these fields, in this order.
    pub fn put_structured<K, V>(
        &self,
        id: impl AsRef<str>,
        fields: impl IntoIterator<Item = (K, V)>,
    ) where
        K: Into<String>,
        V: Into<serde_json::Value>,
    {
        let value = SecretValue::structured(fields);
        self.vault(|vault| vault.put(id.as_ref(), value));
    }

    /// Gives a secret this text, byte for byte; structured when it is a JSON object.
    pub fn put_json(&self, id: impl AsRef<str>, text: impl Into<String>) {
        let value = SecretValue::json(text.into());
        self.vault(|vault| vault.put(id.as_ref(), value));
    }

    /// Changes several secrets in one instant: no request sees some of them only. A value that is a JSON object makes a
    /// structured secret.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().start()?;
    /// vault.put_all([("sk_user", "app-2"), ("sk_password", "hunter3")]);
    /// vault.put_all([("sk_db", r#"{"host":"db2"}"#)]);
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
    pub fn put_all<I: AsRef<str>, V: Into<String>>(
        &self,
        secrets: impl IntoIterator<Item = (I, V)>,
    ) {
        let values: Vec<_> = secrets
            .into_iter()
            .map(|(id, v)| (id, SecretValue::json(v.into())))
            .collect();
        self.vault(|vault| {
            values
                .into_iter()
                .for_each(|(id, value)| vault.put(id.as_ref(), value))
        });
    }

    /// Deletes a secret. A later put brings it back, under its old name.
    pub fn delete(&self, id: impl AsRef<str>) {
        self.vault(|vault| vault.delete(id.as_ref()));
    }

    /// Takes the grant of a secret from every machine, also those that will enroll.
    pub fn deny(&self, id: impl AsRef<str>) {
        self.vault(|vault| vault.deny(id.as_ref()));
    }

    /// Gives the grant back.
    pub fn allow(&self, id: impl AsRef<str>) {
        self.vault(|vault| vault.allow(id.as_ref()));
    }

    /// Counts as a read of this secret by every machine: as when a second process with the same identity reads
    /// it first, and so swallows the change.
    pub fn read_elsewhere(&self, id: impl AsRef<str>) {
        self.vault(|vault| vault.read_elsewhere(id.as_ref()));
    }

    /// Changes a secret's display name, which is no change of its value.
    pub fn rename(&self, id: impl AsRef<str>, name: impl Into<String>) {
        self.vault(|vault| vault.describe(id.as_ref(), |secret| secret.name = name.into()));
    }

    /// Moves a secret to a project, or out of any.
    pub fn move_to(&self, id: impl AsRef<str>, project: Option<&str>) {
        let project = project.map(Into::into);
        self.vault(|vault| vault.describe(id.as_ref(), |secret| secret.project = project));
    }

    /// Gives a secret this policy, or none; its reads are counted from now on.
    pub fn set_policy(&self, id: impl AsRef<str>, policy: impl Into<Option<Policy>>) {
        let policy = policy.into();
        self.vault(|vault| vault.set_policy(id.as_ref(), policy));
    }

    /// Ends every login that a leased secret has minted.
    pub fn end_leases(&self, id: impl AsRef<str>) {
        self.vault(|vault| vault.end_leases(id.as_ref()));
    }

    /// Whether a login of a leased secret is good: the database's side of it.
    pub fn accepts_login(
        &self,
        id: impl AsRef<str>,
        username: impl AsRef<str>,
        password: impl AsRef<str>,
    ) -> bool {
        let now = self.service.clock.now();
        self.vault(|vault| {
            vault.accepts_login(id.as_ref(), username.as_ref(), password.as_ref(), now)
        })
    }

    /// How many logins a leased secret has minted.
    pub fn minted(&self, id: impl AsRef<str>) -> u64 {
        self.vault(|vault| vault.minted(id.as_ref()))
    }
}
