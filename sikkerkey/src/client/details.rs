//! Calls that only newer services offer: kinds, projects and applications.

use super::SikkerKey;
use super::attempts::{Call, LIST_LIMIT};
use super::error_text::Purpose;
use crate::error::{Error, ErrorKind};
use crate::id::check_id;
use crate::protocol::details::{Project, SecretDetails};
use crate::protocol::export::Export;
use crate::protocol::messages::{self, ApplicationRequest};

impl SikkerKey {
    /// Lists the secrets that this machine may read, with kind, project and application. No value is read, so
    /// no canary (a secret that raises an alarm when it is read) is triggered.
    ///
    /// A service that is too old for this list (404) is asked for the plain one: then every kind is
    /// [`SecretKind::Unknown`](crate::SecretKind::Unknown), and no project has a name.
    ///
    /// ```
    /// # use sikkerkey_emulator::{Emulator, Kind};
    /// # let vault = Emulator::builder().secret("sk_old_admin", "never read").kind("sk_old_admin", Kind::Canary).start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// use sikkerkey::SecretKind;
    ///
    /// let secrets = sk.list_secrets_detailed()?;
    /// let traps: Vec<_> = secrets.iter().filter(|s| s.kind == SecretKind::Canary).collect();
    /// assert_eq!(traps[0].id, "sk_old_admin");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Any error of a request.
    pub fn list_secrets_detailed(&self) -> Result<Vec<SecretDetails>, Error> {
        match self.details()? {
            Some(secrets) => Ok(secrets),
            None => Ok(self.list_secrets()?.into_iter().map(Into::into).collect()),
        }
    }

    /// Lists the projects in which this machine may read a secret.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder()
    /// #     .secret("sk_a", "4").project("sk_a", "proj_shop").project_name("proj_shop", "Shop")
    /// #     .start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// for project in sk.list_projects()? {
    ///     println!("{}: {}", project.id, project.name); // proj_shop: Shop
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if the service is too old for this call; any other error of a request.
    pub fn list_projects(&self) -> Result<Vec<Project>, Error> {
        let call = listing(Purpose::ListProjects, "/v1/cli/projects");
        let _span = call.span();
        let answer = self.inner.call(&call, &self.inner.settings().retry)?;
        let projects = answer.decode(call.purpose, messages::projects)?;
        Ok(projects.into_iter().map(Project::from).collect())
    }

    /// Reads every secret of one application that this machine may read, in one request, as names
    /// and values for an environment.
    ///
    /// A service that is too old for applications may ignore the application, and export everything that this
    /// machine may read. With such a service, [`list_projects`](Self::list_projects) fails.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder()
    /// #     .secret("sk_a", "1").name("sk_a", "KEY").application("sk_a", "app_web")
    /// #     .start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// let export = sk.export_application("app_web")?;
    /// assert_eq!(export.names().collect::<Vec<_>>(), ["KEY"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`export`](Self::export), and [`ErrorKind::InvalidId`] for the application.
    pub fn export_application(&self, application: &str) -> Result<Export, Error> {
        check_id(application)?;
        let body = messages::encode(&ApplicationRequest {
            application_id: application,
        });
        self.export_with(Purpose::ExportApplication(application), Some(body))
    }

    /// Requests the detailed list. Returns `None` if the service does not offer it.
    pub(crate) fn details(&self) -> Result<Option<Vec<SecretDetails>>, Error> {
        let call = listing(Purpose::ListDetails, "/v1/cli/secrets");
        let _span = call.span();
        let answer = match self.inner.call(&call, &self.inner.settings().retry) {
            Ok(answer) => answer,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let secrets = answer.decode(call.purpose, messages::details)?;
        Ok(Some(secrets.into_iter().map(Into::into).collect()))
    }
}

fn listing(purpose: Purpose<'static>, path: &str) -> Call<'static> {
    Call {
        purpose,
        method: "GET",
        path: path.to_owned(),
        headers: &[],
        body: None,
        limit: LIST_LIMIT,
    }
}
