//! The calls that read and poll, after the machine is authenticated.

use serde::Deserialize;
use serde_json::{Map, json};

use super::lists::Scope;
use super::machine::State;
use super::policy::Polled;
use super::{Asker, Kind, SecretValue, Subject, Vault};
use crate::clock::millis;
use crate::http::Response;

#[derive(Deserialize)]
struct Watch {
    watch: Vec<String>,
}

impl Vault {
    /// `GET /v1/secret/{id}`.
    pub(crate) fn read(&mut self, asker: Asker<'_>, id: &str, subject: Subject<'_>) -> Response {
        self.reads.asked(id);
        self.hand_out_or_issue(asker, id, subject)
            .unwrap_or_else(|refusal| refusal)
    }

    fn hand_out_or_issue(
        &mut self,
        asker: Asker<'_>,
        id: &str,
        subject: Subject<'_>,
    ) -> Result<Response, Response> {
        let granted = matches!(self.state(asker.machine, id), State::Present(_));
        let issuing = self
            .secrets
            .get(id)
            .and_then(|secret| secret.issuing.clone());
        if let Some(issuing) = issuing.filter(|_| granted && self.switches.certificates) {
            // First, because a refused order is not a read.
            let order = issuing.order(subject)?;
            self.hand_out(asker, id)?;
            return Ok(issuing.issue(order, asker.now));
        }
        let value = self.hand_out(asker, id)?;
        Ok(Response::json(200, &json!({ "value": value.text })))
    }

    /// `POST /v1/secrets/export`: a read of every secret in scope.
    pub(crate) fn export(&mut self, asker: Asker<'_>, body: &[u8]) -> Response {
        let scope = if body.is_empty() {
            Ok(Scope::default())
        } else {
            serde_json::from_slice(body)
        };
        let Ok(scope) = scope else {
            return Response::error(400, "the body is not a JSON object");
        };
        let found = self.visible(asker.machine, &scope);
        let found: Vec<_> = found
            .into_iter()
            .map(|(id, secret)| (id.to_owned(), self.item(id, secret, false)))
            .collect();
        let mut items = Vec::new();
        for (id, mut item) in found {
            if let Ok(value) = self.hand_out(asker, &id) {
                item.insert("value".into(), value.text.into());
                items.push(item);
            }
        }
        Response::json(200, &json!({ "secrets": items }))
    }

    /// Reads a value, with all effects of a read; the error is the refusal.
    fn hand_out(&mut self, asker: Asker<'_>, id: &str) -> Result<SecretValue, Response> {
        let machine = asker.machine;
        let revision = match self.state(machine, id) {
            State::Deleted => return Err(Response::error(404, "Secret not found")),
            State::Denied if self.switches.hide_denied => {
                return Err(Response::error(404, "Secret not found"));
            }
            State::Denied => return Err(Response::error(403, "Access denied")),
            State::Present(revision) => revision,
        };
        let Some(secret) = self.secrets.get_mut(id) else {
            return Err(Response::error(404, "Secret not found"));
        };
        let mut rotate = false;
        if let Some(policy) = &secret.policy {
            if let Some(refusal) = policy.refuses(&secret.usage, asker) {
                return Err(policy.response(refusal));
            }
            rotate = policy.count(&mut secret.usage, asker);
        }
        let value = match &mut secret.leased {
            Some(leased) => leased.read(machine, &secret.value, asker.now),
            None => secret.value.clone(),
        };
        if secret.kind() == Kind::Canary {
            self.reads.alarm(id);
        }
        // A lease or an authority has no stored value to rotate: each read makes a new one.
        let stored = secret.leased.is_none() && secret.issuing.is_none();
        let rotated = (rotate && stored).then(|| secret.value.rotated());
        self.reads.served(id);
        if let Some(machine) = self.machines.get_mut(machine) {
            machine.read(id, revision);
        }
        if let Some(rotated) = rotated {
            self.put(id, rotated);
            self.reads.rotated(id);
        }
        Ok(value)
    }

    /// `POST /v1/secrets/poll`: which of these changed since this machine last read them.
    pub(crate) fn poll(&mut self, asker: Asker<'_>, body: &[u8]) -> Response {
        let now = asker.now;
        let Ok(Watch { watch }) = serde_json::from_slice(body) else {
            return Response::error(400, "watch must be a list of secret ids");
        };
        let states: Vec<_> = watch
            .into_iter()
            .filter_map(|id| Some((self.polled_state(asker, &id)?, id)))
            .collect();
        let Some(machine) = self.machines.get_mut(asker.machine) else {
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

    /// Whether a secret exists, and whether this machine has a grant.
    pub(super) fn state(&self, machine: &str, id: &str) -> State {
        let granted = self.machines.get(machine).is_some_and(|m| m.may_read(id));
        match self.secrets.get(id) {
            None => State::Deleted,
            Some(secret) if secret.deleted => State::Deleted,
            Some(secret) if secret.denied || !granted => State::Denied,
            Some(secret) => State::Present(secret.revision),
        }
    }

    /// The state that polls see, with policies and leases; `None` if polls leave the secret out.
    fn polled_state(&self, asker: Asker<'_>, id: &str) -> Option<State> {
        let state = self.state(asker.machine, id);
        let Some(secret) = self.secrets.get(id) else {
            return Some(state);
        };
        if let Some(leased) = &secret.leased {
            if !leased.in_polls() {
                return None;
            }
            if matches!(state, State::Present(_)) && leased.ended(asker.machine, asker.now) {
                // No secret has this revision, so the machine's is out of date.
                return Some(State::Present(u64::MAX));
            }
        }
        let State::Present(_) = state else {
            return Some(state);
        };
        let polled = secret.policy.as_ref().and_then(|policy| {
            let refusal = policy.refuses(&secret.usage, asker)?;
            policy.polled(refusal)
        });
        Some(match polled {
            None => state,
            Some(Polled::Denied) => State::Denied,
            Some(Polled::Deleted) => State::Deleted,
        })
    }
}
