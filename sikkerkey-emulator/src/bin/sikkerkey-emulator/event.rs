//! Events, as a line for a person and as JSON for a program. They never contain a value or a key.

use serde_json::{Map, Value, json};
use sikkerkey_emulator::{Edit, Emulator, FileError, Recorded, WebhookDelivery};

/// One event of the service, such as a read or a rotation.
pub(crate) struct Event {
    /// The name, such as `read`, `refused` or `rotated`; "event" in JSON.
    pub(crate) name: &'static str,
    pub(crate) tone: Tone,
    /// The text after the name in a line.
    pub(crate) text: String,
    pub(crate) facts: Map<String, Value>,
}

/// The color of an event on a terminal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Routine, such as a poll without a change.
    Faint,
    Good,
    /// A change.
    News,
    Bad,
}

impl Event {
    fn new(name: &'static str, tone: Tone, text: String, facts: Value) -> Self {
        let facts = match facts {
            Value::Object(facts) => facts,
            _ => Map::new(),
        };
        Self {
            name,
            tone,
            text,
            facts,
        }
    }

    /// A request that has its response.
    pub(crate) fn of(request: &Recorded, vault: &Emulator) -> Self {
        let path = request.path.as_str();
        let (name, what) = call(path);
        let machine = request.machine_id.as_deref().unwrap_or_default();
        // The machine of the identity on disk is not named, because it is the usual one.
        let by = if machine == vault.machine_id() {
            String::new()
        } else {
            let name = vault.machine_name(machine);
            name.map_or_else(String::new, |name| format!(" by {}", printable(&name)))
        };
        let mut facts = json!({
            "status": request.status,
            "method": request.method,
            "path": path,
        });
        if let Some(machine) = &request.machine_id {
            facts["machine"] = json!(machine);
        }
        if name == "read" {
            facts["id"] = json!(what);
        }
        if request.status >= 400 {
            let reason = request.error.as_deref().unwrap_or_default();
            facts["reason"] = json!(reason);
            let call = format!("{} {}", request.method, printable(path));
            let text = format!("{} {call}{by}: {}", request.status, printable(reason));
            return Self::new("refused", Tone::Bad, text, facts);
        }
        let mut text = printable(&what);
        let mut tone = Tone::Good;
        if name == "poll" {
            let said = request.changes.iter();
            let said: Vec<_> = said
                .map(|(id, status)| format!("{} {}", printable(id), printable(status)))
                .collect();
            (text, tone) = if said.is_empty() {
                ("nothing new".into(), Tone::Faint)
            } else {
                (said.join(", "), Tone::News)
            };
            facts["changes"] = json!(request.changes);
        }
        Self::new(name, tone, format!("{text}{by}"), facts)
    }

    /// A canary that was read.
    pub(crate) fn alarm(id: &str) -> Self {
        let text = format!("{} is a canary, and was read", printable(id));
        Self::new("alarm", Tone::Bad, text, json!({ "id": id }))
    }

    /// A secret that its policy rotated.
    pub(crate) fn rotation(id: &str) -> Self {
        let text = format!("{} by its policy", printable(id));
        Self::new(
            "rotated",
            Tone::News,
            text,
            json!({ "id": id, "by": "policy" }),
        )
    }

    /// A webhook that was sent.
    pub(crate) fn delivery(sent: &WebhookDelivery) -> Self {
        let (tone, came) = match sent.status {
            0 => (Tone::Bad, "no response".to_owned()),
            status @ 200..300 => (Tone::Good, status.to_string()),
            status => (Tone::Bad, status.to_string()),
        };
        let text = format!("{} {} to {}: {came}", sent.event, sent.secret_id, sent.url);
        let facts = json!({
            "status": sent.status, "type": sent.event, "id": sent.secret_id, "url": sent.url,
        });
        Self::new("webhook", tone, text, facts)
    }

    /// The changes of an edit of the file, secret by secret.
    pub(crate) fn edit(edit: &Edit) -> impl Iterator<Item = Self> {
        let did = [
            ("rotated", &edit.rotated),
            ("added", &edit.added),
            ("changed", &edit.described),
            ("deleted", &edit.deleted),
        ];
        did.into_iter().flat_map(|(name, ids)| {
            ids.iter()
                .map(move |id| Self::new(name, Tone::News, id.clone(), json!({ "id": id })))
        })
    }

    /// An edit that is broken.
    pub(crate) fn broken(error: &FileError) -> Self {
        let mut facts = json!({ "reason": super::chain(error) });
        if let FileError::Content {
            path,
            line,
            column,
            reason,
            ..
        } = error
        {
            facts = json!({ "file": path, "line": line, "column": column, "reason": reason });
        }
        Self::new("broken", Tone::Bad, super::explained(error), facts)
    }
}

/// The name of a call, and the secret or project that it is about.
fn call(path: &str) -> (&'static str, String) {
    match path {
        "/v1/secrets/poll" => ("poll", String::new()),
        "/v1/secrets/export" => ("export", "of what this machine may read".into()),
        "/v1/secrets" | "/v1/secrets/list" | "/v1/cli/secrets" => ("list", "secrets".into()),
        "/v1/cli/projects" => ("list", "projects".into()),
        _ if path.ends_with("/enroll/register") => ("enroll", "a new machine".into()),
        _ => match path.strip_prefix("/v1/secret/") {
            Some(id) => ("read", id.to_owned()),
            None => ("request", path.to_owned()),
        },
    }
}

/// Foreign text, without characters that control a terminal.
fn printable(text: &str) -> String {
    const MOST: usize = 100;
    let mut shown = String::new();
    for c in text.chars().take(MOST) {
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}
