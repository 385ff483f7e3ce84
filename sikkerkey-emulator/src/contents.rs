//! The vault's content when the emulator starts.

use crate::builder::EmulatorBuilder;
use crate::vault::{CertificateProfile, Kind, Lease, Policy, SecretValue};

/// # Content of the vault
impl EmulatorBuilder {
    /// Adds a secret with one value, a text.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// let vault = Emulator::builder().secret("sk_stripe_key", "sk-live-1").start()?;
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
    pub fn secret(self, id: impl Into<String>, value: impl Into<String>) -> Self {
        self.put(id, SecretValue::single(value.into()))
    }

    /// Adds a secret with fields, in this order; a field's value is text or any JSON value.
    ///
    /// ```
    /// use serde_json::json;
    /// use sikkerkey_emulator::Emulator;
    ///
    /// let vault = Emulator::builder()
    ///     .structured("sk_db_prod", [("host", "db.example"), ("password", "hunter2")])
    ///     .structured("sk_limits", [("port", json!(5432)), ("tls", json!(true))])
    ///     .start()?;
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
    pub fn structured<K, V>(
        self,
        id: impl Into<String>,
        fields: impl IntoIterator<Item = (K, V)>,
    ) -> Self
    where
        K: Into<String>,
        V: Into<serde_json::Value>,
    {
        self.put(id, SecretValue::structured(fields))
    }

    /// Adds a secret whose value is this text, byte for byte. A JSON object makes it structured.
    pub fn json(self, id: impl Into<String>, text: impl Into<String>) -> Self {
        self.put(id, SecretValue::json(text.into()))
    }

    /// Sets the display name of a secret. Defaults to its id.
    pub fn name(self, id: impl Into<String>, name: impl Into<String>) -> Self {
        let (id, name) = (id.into(), name.into());
        self.change(move |vault| vault.describe(&id, |secret| secret.name = name))
    }

    /// Sets the project of a secret, by its id. Defaults to none.
    pub fn project(self, id: impl Into<String>, project: impl Into<String>) -> Self {
        let (id, project) = (id.into(), project.into());
        self.change(move |vault| vault.describe(&id, |secret| secret.project = Some(project)))
    }

    /// Adds an application that the secret belongs to, by its id. Defaults to none.
    pub fn application(self, id: impl Into<String>, application: impl Into<String>) -> Self {
        let (id, application) = (id.into(), application.into());
        self.change(move |vault| {
            vault.describe(&id, |secret| secret.applications.push(application))
        })
    }

    /// Sets the display name of a project. Defaults to its id.
    pub fn project_name(self, project: impl Into<String>, name: impl Into<String>) -> Self {
        let (project, name) = (project.into(), name.into());
        self.change(move |vault| vault.project(&project).name = Some(name))
    }

    /// Sets the application of a project and its secrets. Defaults to none.
    pub fn project_application(
        self,
        project: impl Into<String>,
        application: impl Into<String>,
    ) -> Self {
        let (project, application) = (project.into(), application.into());
        self.change(move |vault| vault.project(&project).application = Some(application))
    }

    /// Sets the display name of an application. Defaults to its id.
    pub fn application_name(self, application: impl Into<String>, name: impl Into<String>) -> Self {
        let (application, name) = (application.into(), name.into());
        self.change(move |vault| vault.name_application(application, Some(name)))
    }

    /// Adds a secret that no machine may read, until [`Emulator::allow`](crate::Emulator::allow).
    pub fn denied(self, id: impl Into<String>, value: impl Into<String>) -> Self {
        let (id, value) = (id.into(), value.into());
        self.change(move |vault| {
            vault.put(&id, SecretValue::single(value));
            vault.deny(&id);
        })
    }

    /// Sets the kind of a secret. Defaults to what its content says, see [`Kind`].
    ///
    /// ```
    /// use sikkerkey_emulator::{Emulator, Kind};
    ///
    /// let vault = Emulator::builder()
    ///     .secret("sk_trap", "nobody needs this")
    ///     .kind("sk_trap", Kind::Canary)
    ///     .start()?;
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
    pub fn kind(self, id: impl Into<String>, kind: Kind) -> Self {
        let id = id.into();
        self.change(move |vault| vault.describe(&id, |secret| secret.kind = Some(kind)))
    }

    /// Sets the access policy of a secret. Defaults to none.
    pub fn policy(self, id: impl Into<String>, policy: Policy) -> Self {
        let id = id.into();
        self.change(move |vault| vault.set_policy(&id, Some(policy)))
    }

    /// Adds a secret that issues certificates, with an authority of its own.
    pub fn certificate(self, id: impl Into<String>, profile: CertificateProfile) -> Self {
        let id = id.into();
        self.json(id.clone(), "{}")
            .change(move |vault| vault.set_certificate(&id, Some(profile)))
    }

    /// Makes a secret leased: a read adds a `username` and a `password` for the reading machine to its fields. Defaults
    /// to no lease.
    pub fn lease(self, id: impl Into<String>, lease: Lease) -> Self {
        let id = id.into();
        self.change(move |vault| vault.set_lease(&id, Some(lease)))
    }

    pub(crate) fn put(self, id: impl Into<String>, value: SecretValue) -> Self {
        let id = id.into();
        self.change(move |vault| vault.put(&id, value))
    }
}
