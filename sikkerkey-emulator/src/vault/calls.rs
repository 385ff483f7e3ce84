//! The five calls of an authenticated machine, as questions to the vault.

use serde::Deserialize;
use serde_json::{Map, json};

use super::machine::State;
use super::{Secret, Vault};
use crate::clock::millis;
use crate::http::Response;

/// What a list or an export is confined to.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Scope {
    project_id: Option<String>,
    application_id: Option<String>,
}

impl Scope {
    fn holds(&self, secret: &Secret) -> bool {
        self.project_id
            .as_ref()
            .is_none_or(|p| secret.project.as_ref() == Some(p))
            && self
                .application_id
                .as_ref()
                .is_none_or(|a| secret.applications.contains(a))
    }
}

#[derive(Deserialize)]
struct Watch {
    watch: Vec<String>,
}

impl Vault {
    /// `GET /v1/secret/{id}`.
    pub(crate) fn read(&mut self, machine: &str, id: &str) -> Response {
        match self.state(machine, id) {
            State::Deleted => Response::error(404, "Secret not found"),
            State::Denied if self.switches.hide_denied => Response::error(404, "Secret not found"),
            State::Denied => Response::error(403, "Access denied"),
            State::Present(revision) => {
                if let Some(machine) = self.machines.get_mut(machine) {
                    machine.read(id, revision);
                }
                Response::json(200, &json!({ "value": self.secrets[id].value.text }))
            }
        }
    }

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

    fn list(&self, machine: &str, scope: &Scope) -> Response {
        let items: Vec<_> = self
            .visible(machine, scope)
            .into_iter()
            .map(|(id, s)| self.item(id, s, true))
            .collect();
        Response::json(200, &json!({ "secrets": items }))
    }

    /// `POST /v1/secrets/export`: a read of everything in scope.
    pub(crate) fn export(&mut self, machine: &str, body: &[u8]) -> Response {
        let scope = if body.is_empty() {
            Ok(Scope::default())
        } else {
            serde_json::from_slice(body)
        };
        let Ok(scope) = scope else {
            return Response::error(400, "the body is not a JSON object");
        };
        let mut read = Vec::new();
        let mut items = Vec::new();
        for (id, secret) in self.visible(machine, &scope) {
            let mut item = self.item(id, secret, false);
            item.insert("value".into(), secret.value.text.as_str().into());
            items.push(item);
            read.push((id.to_owned(), secret.revision));
        }
        if let Some(machine) = self.machines.get_mut(machine) {
            read.iter()
                .for_each(|(id, revision)| machine.read(id, *revision));
        }
        Response::json(200, &json!({ "secrets": items }))
    }

    /// `POST /v1/secrets/poll`: which of these changed since this machine last read them.
    pub(crate) fn poll(&mut self, machine: &str, body: &[u8], now: i64) -> Response {
        let Ok(Watch { watch }) = serde_json::from_slice(body) else {
            return Response::error(400, "watch must be a list of secret ids");
        };
        let states: Vec<_> = watch
            .into_iter()
            .map(|id| (self.state(machine, &id), id))
            .collect();
        let Some(machine) = self.machines.get_mut(machine) else {
            return Response::error(401, "Unknown machine");
        };
        if let (Some(minimum), Some(last)) = (self.switches.poll_minimum, machine.last_poll) {
            let wait = last.saturating_add(millis(minimum)).saturating_sub(now);
            if wait > 0 {
                let seconds = wait.saturating_add(999) / 1000;
                return Response::error(429, "Polling too fast")
                    .with("Retry-After", seconds.to_string());
            }
        }
        machine.last_poll = Some(now);
        let changes: Map<_, _> = states
            .into_iter()
            .filter_map(|(state, id)| {
                let status = machine.poll(&id, state, &self.switches)?;
                Some((id, json!({ "status": status })))
            })
            .collect();
        Response::json(200, &json!({ "changes": changes }))
    }

    fn state(&self, machine: &str, id: &str) -> State {
        let granted = self.machines.get(machine).is_some_and(|m| m.may_read(id));
        match self.secrets.get(id) {
            None => State::Deleted,
            Some(secret) if secret.deleted => State::Deleted,
            Some(secret) if secret.denied || !granted => State::Denied,
            Some(secret) => State::Present(secret.revision),
        }
    }

    fn visible(&self, machine: &str, scope: &Scope) -> Vec<(&str, &Secret)> {
        let mut found: Vec<_> = self
            .secrets
            .iter()
            .filter(|(id, s)| {
                scope.holds(s) && matches!(self.state(machine, id), State::Present(_))
            })
            .map(|(id, s)| (id.as_str(), s))
            .collect();
        found.sort_by_key(|(_, secret)| secret.place);
        found
    }

    fn item(&self, id: &str, secret: &Secret, project: bool) -> Map<String, serde_json::Value> {
        let mut item = Map::new();
        item.insert("id".into(), id.into());
        item.insert("name".into(), secret.name.as_str().into());
        let mut optional = |key: &str, value: Option<String>| {
            if value.is_some() || self.switches.null_fields {
                item.insert(key.into(), value.into());
            }
        };
        optional(
            "fieldNames",
            secret.value.fields.as_ref().map(|f| f.join(",")),
        );
        if project {
            optional("projectId", secret.project.clone());
        }
        item
    }
}
