//! Changes of the vault's content while it is served.

use std::time::Duration;

use crate::clock::millis;
use crate::emulator::Emulator;
use crate::vault::{Kind, Policy, SecretValue};

/// # Changing the vault's content
impl Emulator {
    /// Sets the value of a secret: creates it, rotates it, or brings a deleted one back. Every put is a change, even
    /// with the same value.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// let vault = Emulator::builder().secret("sk_a", "1").start()?;
    /// vault.put("sk_a", "2"); // a rotation, which polls report
    /// vault.put("sk_b", "1"); // a new secret
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
    pub fn put(&self, id: impl AsRef<str>, value: impl Into<String>) {
        self.vault(|vault| vault.put(id.as_ref(), SecretValue::single(value.into())));
    }

    /// Sets the fields of a structured secret, in this order; a field's value is text or any JSON value.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().start()?;
    /// vault.put_structured("sk_db_prod", [("host", "db2.example"), ("password", "hunter3")]);
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
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

    /// Sets the value to this text, byte for byte. A JSON object makes the secret structured.
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

    /// Deletes a secret. A later put brings it back under its old name.
    pub fn delete(&self, id: impl AsRef<str>) {
        self.vault(|vault| vault.delete(id.as_ref()));
    }

    /// Withdraws the grant of a secret from every machine, including those that enroll later. A grant lets a machine
    /// read a secret; without it, a read gets 403.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().secret("sk_a", "1").start()?;
    /// vault.deny("sk_a");
    /// vault.allow("sk_a");
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
    pub fn deny(&self, id: impl AsRef<str>) {
        self.vault(|vault| vault.deny(id.as_ref()));
    }

    /// Restores the grant of a secret, which [`Emulator::deny`] withdrew.
    pub fn allow(&self, id: impl AsRef<str>) {
        self.vault(|vault| vault.allow(id.as_ref()));
    }

    /// Marks a secret as read by every machine, as if another process with the same identity had read it first. So no
    /// poll reports the change any more. Neither policies nor [`Emulator::reads`] count this read.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().secret("sk_a", "1").start()?;
    /// vault.put("sk_a", "2");
    /// vault.read_elsewhere("sk_a"); // a client must find the change without a poll's report
    /// assert_eq!(vault.reads("sk_a"), 0);
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
    pub fn read_elsewhere(&self, id: impl AsRef<str>) {
        self.vault(|vault| vault.read_elsewhere(id.as_ref()));
    }

    /// Changes the display name of a secret, and not its value.
    pub fn rename(&self, id: impl AsRef<str>, name: impl Into<String>) {
        self.vault(|vault| vault.describe(id.as_ref(), |secret| secret.name = name.into()));
    }

    /// Moves a secret to a project; `None` removes it from its project.
    pub fn move_to(&self, id: impl AsRef<str>, project: Option<&str>) {
        let project = project.map(Into::into);
        self.vault(|vault| vault.describe(id.as_ref(), |secret| secret.project = project));
    }

    /// Sets the kind of a secret, such as a canary; with `None`, its content decides.
    pub fn set_kind(&self, id: impl AsRef<str>, kind: impl Into<Option<Kind>>) {
        let kind = kind.into();
        self.vault(|vault| vault.describe(id.as_ref(), |secret| secret.kind = kind));
    }

    /// Sets the policy of a secret, or removes it with `None`. Its counts start at zero.
    ///
    /// ```
    /// # use sikkerkey_emulator::{Emulator, Policy};
    /// # let vault = Emulator::builder().secret("sk_a", "1").start()?;
    /// vault.set_policy("sk_a", Policy::new().ttl_max_reads(3));
    /// vault.set_policy("sk_a", None);
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
    pub fn set_policy(&self, id: impl AsRef<str>, policy: impl Into<Option<Policy>>) {
        let policy = policy.into();
        self.vault(|vault| vault.set_policy(id.as_ref(), policy));
    }

    /// Co-signs the reads of a secret for this long, as the second machine that [`Policy::co_sign`] requires. A new
    /// policy requires it again.
    pub fn co_sign(&self, id: impl AsRef<str>, lasting: Duration) {
        let until = self.service.clock.now().saturating_add(millis(lasting));
        self.vault(|vault| vault.co_sign(id.as_ref(), until));
    }

    /// Ends every login of a leased secret at once.
    pub fn end_leases(&self, id: impl AsRef<str>) {
        self.vault(|vault| vault.end_leases(id.as_ref()));
    }

    /// Returns whether a login of a leased secret is valid now, as its database would decide.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sikkerkey_emulator::{Emulator, Lease};
    /// # let vault = Emulator::builder().lease("sk_pg", Lease::new(Duration::from_secs(60))).start()?;
    /// assert!(!vault.accepts_login("sk_pg", "lease_1", "guessed"));
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
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

    /// Returns the number of logins that a leased secret has minted.
    pub fn minted(&self, id: impl AsRef<str>) -> u64 {
        self.vault(|vault| vault.minted(id.as_ref()))
    }
}
