//! The lists: the secrets and projects that a machine sees. A list is not a read.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::machine::State;
use super::{Kind, Secret, Vault};
use crate::http::Response;
use crate::switches::TypeField;

/// The project and application that a list or an export is limited to.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Scope {
    project_id: Option<String>,
    application_id: Option<String>,
}

impl Vault {
    /// `GET /v1/secrets`.
    pub(crate) fn list_all(&self, machine: &str) -> Response {
        self.list(machine, &Scope::default())
    }

    /// `POST /v1/secrets/list`.
    pub(crate) fn list_project(&self, machine: &str, body: &[u8]) -> Response {
        match serde_json::from_slice::<Scope>(body) {
            Ok(scope) if scope.project_id.is_some() => self.list(machine, &scope),
            _ => Response::error(400, "projectId is required"),
        }
    }

    /// `GET /v1/cli/secrets`.
    pub(crate) fn list_rich(&self, machine: &str) -> Response {
        let items = self.visible(machine, &Scope::default());
        let items = items.into_iter().map(|(id, secret)| {
            let mut item = self.item(id, secret, true);
            self.add_names(&mut item, secret);
            match self.switches.type_field {
                TypeField::Shown => self.insert(&mut item, "type", Some(secret.kind().as_str())),
                TypeField::Empty => self.insert(&mut item, "type", Some("")),
                TypeField::LeftOut => {}
            }
            item
        });
        Response::json(200, &json!({ "secrets": items.collect::<Vec<_>>() }))
    }

    /// `GET /v1/cli/projects`: the projects in which this machine has a grant, in the order of their first secrets.
    pub(crate) fn list_projects(&self, machine: &str) -> Response {
        let mut seen = Vec::new();
        let mut items = Vec::new();
        for (_, secret) in self.visible(machine, &Scope::default()) {
            let Some(project) = &secret.project else {
                continue;
            };
            if seen.contains(&project) {
                continue;
            }
            seen.push(project);
            let mut item = Map::new();
            self.insert(&mut item, "projectId", Some(project));
            self.add_names(&mut item, secret);
            items.push(item);
        }
        Response::json(200, &json!({ "projects": items }))
    }

    fn list(&self, machine: &str, scope: &Scope) -> Response {
        let items: Vec<_> = self
            .visible(machine, scope)
            .into_iter()
            .map(|(id, s)| self.item(id, s, true))
            .collect();
        Response::json(200, &json!({ "secrets": items }))
    }

    /// The ids that machines asked for, without the secrets that are among these ids and display names.
    pub(crate) fn read_outside(&self, allowed: &BTreeSet<String>) -> Vec<String> {
        let is_outside = |id: &&str| {
            let secret = self.secrets.get(*id);
            !allowed.contains(*id) && secret.is_none_or(|secret| !allowed.contains(&secret.name))
        };
        self.reads
            .ids()
            .filter(is_outside)
            .map(str::to_owned)
            .collect()
    }

    /// The secrets in scope that this machine may read, in the order in which they were first put.
    pub(super) fn visible(&self, machine: &str, scope: &Scope) -> Vec<(&str, &Secret)> {
        let mut found: Vec<_> = self
            .secrets
            .iter()
            .filter(|(id, s)| {
                self.holds(scope, s) && matches!(self.state(machine, id), State::Present(_))
            })
            .map(|(id, s)| (id.as_str(), s))
            .collect();
        found.sort_by_key(|(_, secret)| secret.place);
        found
    }

    /// Whether the scope includes a secret. If it has both, the project decides and not the application.
    fn holds(&self, scope: &Scope, secret: &Secret) -> bool {
        match (&scope.project_id, &scope.application_id) {
            (Some(project), _) => secret.project.as_ref() == Some(project),
            (None, Some(application)) => self.applications(secret).any(|own| own == application),
            (None, None) => true,
        }
    }

    /// The applications of a secret: its own, then its project's.
    fn applications<'a>(&'a self, secret: &'a Secret) -> impl Iterator<Item = &'a str> {
        let project = secret.project.as_ref().and_then(|id| self.projects.get(id));
        let inherited = project.and_then(|project| project.application.as_deref());
        let own = secret.applications.iter().map(String::as_str);
        own.chain(inherited)
    }

    pub(super) fn item(&self, id: &str, secret: &Secret, project: bool) -> Map<String, Value> {
        let mut item = Map::new();
        self.insert(&mut item, "id", Some(id));
        self.insert(&mut item, "name", Some(&secret.name));
        let fields = secret.field_names().map(|names| names.join(","));
        self.insert(&mut item, "fieldNames", fields.as_deref());
        if project {
            self.insert(&mut item, "projectId", secret.project.as_deref());
        }
        item
    }

    /// Adds the names of a secret's project and application; without a name, the id.
    fn add_names(&self, item: &mut Map<String, Value>, secret: &Secret) {
        let project = secret.project.as_deref();
        let name = project.map(|id| match self.projects.get(id) {
            Some(project) => project.name.as_deref().unwrap_or(id),
            None => id,
        });
        self.insert(item, "projectName", name);
        let application = self.applications(secret).next();
        self.insert(item, "applicationId", application);
        let name = application.map(|id| self.application_names.get(id).map_or(id, String::as_str));
        self.insert(item, "applicationName", name);
    }

    /// Adds a text; for `None` it is null or left out, as the switch says.
    fn insert(&self, item: &mut Map<String, Value>, key: &str, value: Option<&str>) {
        if value.is_some() || self.switches.null_fields {
            item.insert(key.into(), value.into());
        }
    }
}

impl Secret {
    pub(super) fn kind(&self) -> Kind {
        self.kind.unwrap_or(match &self.leased {
            _ if self.issuing.is_some() => Kind::Certificate,
            Some(_) => Kind::Leased,
            None if self.value.fields.is_some() => Kind::Structured,
            None => Kind::Secret,
        })
    }

    /// The names of the fields that a read returns.
    fn field_names(&self) -> Option<Vec<String>> {
        match &self.leased {
            Some(_) => self.value.with_login("", "").fields,
            None => self.value.fields.clone(),
        }
    }
}
