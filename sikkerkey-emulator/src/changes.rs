//! Changing what is in the vault while it is served.

use std::time::Duration;

use crate::clock::millis;
use crate::emulator::Emulator;
use crate::vault::{Kind, Policy, SecretValue};

/// # Changing what is in the vault
impl Emulator {
    /// Sets a single value: creates the secret, rotates it, or brings a deleted one back. Every put is a change, even
    /// with the same value.
    pub fn put(&self, id: impl AsRef<str>, value: impl Into<String>) {
        self.vault(|vault| vault.put(id.as_ref(), SecretValue::single(value.into())));
    }

    /// Sets the fields of a secret, in this order.
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

    /// Sets the value to this text, byte for byte; structured if it is a JSON object.
    pub fn put_json(&self, id: impl AsRef<str>, text: impl Into<String>) {
        let value = SecretValue::json(text.into());
        self.vault(|vault| vault.put(id.as_ref(), value));
    }

    /// Changes several secrets atomically: no request sees only some of the changes. A value that is a JSON object
    /// makes a structured secret.
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

    /// Withdraws the grant of a secret from every machine, including those that enroll later.
    pub fn deny(&self, id: impl AsRef<str>) {
        self.vault(|vault| vault.deny(id.as_ref()));
    }

    /// Restores the grant.
    pub fn allow(&self, id: impl AsRef<str>) {
        self.vault(|vault| vault.allow(id.as_ref()));
    }

    /// Marks a secret as read by every machine, as if a second process with the same identity had read it first and so
    /// swallowed the change. Neither policies nor [`Emulator::reads`] count it.
    pub fn read_elsewhere(&self, id: impl AsRef<str>) {
        self.vault(|vault| vault.read_elsewhere(id.as_ref()));
    }

    /// Changes a secret's display name; its value is unchanged.
    pub fn rename(&self, id: impl AsRef<str>, name: impl Into<String>) {
        self.vault(|vault| vault.describe(id.as_ref(), |secret| secret.name = name.into()));
    }

    /// Moves a secret to a project; `None` removes it from its project.
    pub fn move_to(&self, id: impl AsRef<str>, project: Option<&str>) {
        let project = project.map(Into::into);
        self.vault(|vault| vault.describe(id.as_ref(), |secret| secret.project = project));
    }

    /// Says what a secret is, such as a canary from now on; `None` goes by what it holds.
    pub fn set_kind(&self, id: impl AsRef<str>, kind: impl Into<Option<Kind>>) {
        let kind = kind.into();
        self.vault(|vault| vault.describe(id.as_ref(), |secret| secret.kind = kind));
    }

    /// Sets or removes the policy of a secret; its counts start at zero.
    pub fn set_policy(&self, id: impl AsRef<str>, policy: impl Into<Option<Policy>>) {
        let policy = policy.into();
        self.vault(|vault| vault.set_policy(id.as_ref(), policy));
    }

    /// A second machine co-signs the reads of a secret for this long, as [`Policy::co_sign`] wants it. A new policy wants it
    /// anew.
    pub fn co_sign(&self, id: impl AsRef<str>, lasting: Duration) {
        let until = self.service.clock.now().saturating_add(millis(lasting));
        self.vault(|vault| vault.co_sign(id.as_ref(), until));
    }

    /// Ends every login of a leased secret.
    pub fn end_leases(&self, id: impl AsRef<str>) {
        self.vault(|vault| vault.end_leases(id.as_ref()));
    }

    /// Whether a login of a leased secret is valid now, as the database would decide.
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

    /// The number of logins that a leased secret has minted.
    pub fn minted(&self, id: impl AsRef<str>) -> u64 {
        self.vault(|vault| vault.minted(id.as_ref()))
    }
}
