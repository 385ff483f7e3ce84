//! Enrollment: a machine registers with a token.

use std::collections::HashSet;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::{Machine, Vault};
use crate::clock::millis;
use crate::http::Response;
use crate::switches::ApiUrl;
use crate::{canaries, random, signature};

/// The policy of an enrollment token; [`Emulator::issue`](crate::Emulator::issue) returns the token.
///
/// ```
/// # use std::time::Duration;
/// # use sikkerkey_emulator::{Emulator, Token};
/// # let vault = Emulator::builder().start()?;
/// let policy = Token::new(3, Duration::from_secs(60)).name_pattern("worker-{uuid8}");
/// let token: String = vault.issue(policy);
/// # Ok::<(), sikkerkey_emulator::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a token exists once Emulator::issue made it"]
pub struct Token {
    uses: u32,
    ttl: Duration,
    name_pattern: Option<String>,
    machine_lifetime: Option<Option<Duration>>,
    secrets: Option<HashSet<String>>,
}

impl Token {
    /// Returns a policy for this many enrollments, valid for `ttl` of the service's time.
    pub fn new(uses: u32, ttl: Duration) -> Self {
        Self {
            uses,
            ttl,
            name_pattern: None,
            machine_lifetime: None,
            secrets: None,
        }
    }

    /// Sets the name of each machine; `{uuid8}` in it becomes eight random hex digits. Defaults to the name that the
    /// client asks for.
    pub fn name_pattern(mut self, pattern: impl Into<String>) -> Self {
        self.name_pattern = Some(pattern.into());
        self
    }

    /// Sets the lifetime of each machine; with `None` it never expires. Defaults to the vault's setting,
    /// [`EmulatorBuilder::machine_lifetime`](crate::EmulatorBuilder::machine_lifetime).
    pub fn machine_lifetime(mut self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.machine_lifetime = Some(lifetime.into());
        self
    }

    /// Sets the only secrets that each machine may read. Defaults to all.
    pub fn secrets<S: Into<String>>(mut self, ids: impl IntoIterator<Item = S>) -> Self {
        self.secrets = Some(ids.into_iter().map(Into::into).collect());
        self
    }
}

/// A token that was issued, with its policy.
pub(super) struct Issued {
    policy: Token,
    expires: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Register {
    token: String,
    public_key: String,
    hostname: String,
    name: Option<String>,
}

impl Vault {
    /// Issues a token and returns its text.
    pub(crate) fn issue(&mut self, policy: Token, now: i64) -> String {
        let token = format!("sket_{}", random::hex::<20>());
        canaries::note(&token);
        let expires = now.saturating_add(millis(policy.ttl));
        self.tokens
            .insert(token.clone(), Issued { policy, expires });
        token
    }

    /// `POST /v1/{vault}/enroll/register`. A refusal does not spend a use of the token.
    pub(crate) fn register(&mut self, body: &[u8], now: i64) -> Response {
        // Not serde's own text, which may quote the token.
        let Ok(register) = serde_json::from_slice::<Register>(body) else {
            return Response::error(400, "token, publicKey and hostname are required");
        };
        if register.hostname.trim().is_empty() {
            return Response::error(400, "hostname is empty");
        }
        let Some(key) = signature::public_key(&register.public_key) else {
            return Response::error(400, "publicKey is not 32 bytes of an Ed25519 key in base64");
        };
        let refused = self.switches.token_refused_status;
        let Some(issued) = self.tokens.get_mut(&register.token) else {
            return Response::error(refused, "Unknown enrollment token");
        };
        if issued.expires <= now {
            return Response::error(refused, "Enrollment token expired");
        }
        if issued.policy.uses == 0 {
            return Response::error(refused, "Enrollment token has no uses left");
        }
        if self.machines.values().any(|m| m.key == key) {
            return Response::error(409, "This key is already enrolled");
        }
        issued.policy.uses -= 1;

        let policy = &issued.policy;
        let name = match &policy.name_pattern {
            Some(pattern) => pattern.replace("{uuid8}", &random::hex::<4>()),
            None => register
                .name
                .filter(|n| !n.is_empty())
                .unwrap_or(register.hostname),
        };
        let lifetime = policy
            .machine_lifetime
            .unwrap_or(self.switches.machine_lifetime);
        let mut machine = Machine::new(name, key);
        machine.expires = lifetime.map(|l| now.saturating_add(millis(l)));
        machine.only = policy.secrets.clone();

        let id = random::uuid();
        let mut response =
            json!({ "machineId": id, "machineName": machine.name, "vaultId": self.id });
        match &self.switches.enrolled_api_url {
            ApiUrl::Own => response["apiUrl"] = self.url.as_str().into(),
            ApiUrl::Other(url) => response["apiUrl"] = url.as_str().into(),
            ApiUrl::LeftOut => {}
        }
        if let Some(at) = machine.expires {
            response["expiresAt"] = if self.switches.expiry_in_millis {
                at
            } else {
                at / 1000
            }
            .into();
        }
        self.enter(id, machine);
        Response::json(self.switches.enrollment_status, &response)
    }
}
