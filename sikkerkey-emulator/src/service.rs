//! The service: from a request to its response. It knows no socket.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::clock::Clock;
use crate::fault::Plan;
use crate::gate::{Gate, LEEWAY};
use crate::http::{Request, Response};
use crate::origin;
use crate::recorded::Log;
use crate::signature::{signed_text, verifies};
use crate::vault::{Asker, Subject, Vault};

/// The state that all connections of one emulator share.
pub(crate) struct Service {
    pub(crate) clock: Clock,
    pub(crate) log: Log,
    vault: Mutex<Vault>,
    gate: Mutex<Gate>,
    plan: Mutex<Plan>,
    latency: Mutex<Duration>,
    connection_latency: Mutex<Duration>,
    headers: Mutex<Vec<(String, String)>>,
    /// The name in the emulator's certificate, if it is not a name of this machine.
    host: Option<&'static str>,
    /// While true, connections are cut without a response.
    pub(crate) outage: AtomicBool,
}

/// The headers of a signed request.
const SIGNED: [&str; 4] = ["X-Machine-Id", "X-Timestamp", "X-Nonce", "X-Signature"];

/// A call that needs a signature.
enum Call<'a> {
    Read(&'a str),
    List,
    ListProject,
    ListRich,
    ListProjects,
    Export,
    Poll,
}

impl Service {
    pub(crate) fn new(vault: Vault, log: Log, host: Option<&'static str>) -> Self {
        Self {
            host,
            clock: Clock::default(),
            log,
            vault: Mutex::new(vault),
            gate: Mutex::default(),
            plan: Mutex::default(),
            latency: Mutex::default(),
            connection_latency: Mutex::default(),
            headers: Mutex::default(),
            outage: AtomicBool::new(false),
        }
    }

    pub(crate) fn vault(&self) -> MutexGuard<'_, Vault> {
        lock(&self.vault)
    }

    pub(crate) fn gate(&self) -> MutexGuard<'_, Gate> {
        lock(&self.gate)
    }

    pub(crate) fn plan(&self) -> MutexGuard<'_, Plan> {
        lock(&self.plan)
    }

    pub(crate) fn latency(&self) -> MutexGuard<'_, Duration> {
        lock(&self.latency)
    }

    pub(crate) fn connection_latency(&self) -> MutexGuard<'_, Duration> {
        lock(&self.connection_latency)
    }

    /// The additional headers of every response.
    pub(crate) fn headers(&self) -> MutexGuard<'_, Vec<(String, String)>> {
        lock(&self.headers)
    }

    pub(crate) fn in_outage(&self) -> bool {
        self.outage.load(Ordering::Acquire)
    }

    /// The headers of every response.
    pub(crate) fn server_headers(&self) -> Vec<(String, String)> {
        let mut headers = self.headers().clone();
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("date"))
        {
            headers.push(("Date".into(), self.clock.date()));
        }
        headers
    }

    /// The refusal of a request that a web page may have made.
    pub(crate) fn refuse_page(&self, request: &Request) -> Option<Response> {
        origin::refuse(request, self.host)
    }

    /// Acts on a request and returns the response.
    pub(crate) fn handle(&self, request: &Request, from: IpAddr) -> Response {
        let path = request.path();
        if let Some(vault) = enrollment(path) {
            return if request.method == "POST" {
                self.enroll(vault, request, from)
            } else {
                wrong_method("POST")
            };
        }
        let (method, call) = match path {
            "/v1/cli/secrets" if self.offers_cli() => ("GET", Call::ListRich),
            "/v1/cli/projects" if self.offers_cli() => ("GET", Call::ListProjects),
            "/v1/secrets" => ("GET", Call::List),
            "/v1/secrets/list" => ("POST", Call::ListProject),
            "/v1/secrets/export" => ("POST", Call::Export),
            "/v1/secrets/poll" => ("POST", Call::Poll),
            _ => match path.strip_prefix("/v1/secret/") {
                Some(id) if !id.is_empty() && !id.contains('/') => ("GET", Call::Read(id)),
                _ => return Response::error(404, "Not found"),
            },
        };
        if request.method != method {
            return wrong_method(method);
        }
        let machine = match self.authenticate(request, from) {
            Ok(machine) => machine,
            Err(response) => return response,
        };
        if request.target.contains('?') {
            return Response::error(400, "A signed request has no query");
        }
        if !request.body.is_empty() && !is_json(request) {
            return Response::error(415, "Content-Type must be application/json");
        }
        let asker = Asker {
            machine,
            from,
            now: self.clock.now(),
        };
        let mut vault = self.vault();
        match call {
            Call::Read(id) => {
                let subject = Subject {
                    ssh: request.header("X-SikkerKey-Subject-Key"),
                    x509: request.header("X-SikkerKey-Subject-Key-X509"),
                    validity: request.header("X-SikkerKey-Validity"),
                };
                vault.read(asker, id, subject)
            }
            Call::List => vault.list_all(machine),
            Call::ListProject => vault.list_project(machine, &request.body),
            Call::ListRich => vault.list_rich(machine),
            Call::ListProjects => vault.list_projects(machine),
            Call::Export => vault.export(asker, &request.body),
            Call::Poll => vault.poll(asker, &request.body),
        }
    }

    fn enroll(&self, vault: &str, request: &Request, from: IpAddr) -> Response {
        if let Err(response) = self.admit(from) {
            return response;
        }
        if !is_json(request) {
            return Response::error(415, "Content-Type must be application/json");
        }
        let response = {
            let mut own = self.vault();
            if vault != own.id {
                return Response::error(404, "Vault not found");
            }
            own.register(&request.body, self.clock.now())
        };
        self.counted(response, from)
    }

    /// The machine that signed the request, or the refusal.
    fn authenticate<'r>(&self, request: &'r Request, from: IpAddr) -> Result<&'r str, Response> {
        self.admit(from)?;
        self.check(request).map_err(|refusal| {
            // A link or an image in any web page can make such a request, which must not lock the address out.
            if SIGNED.iter().all(|name| request.all(name).next().is_none()) {
                return refusal;
            }
            self.counted(refusal, from)
        })
    }

    fn check<'r>(&self, request: &'r Request) -> Result<&'r str, Response> {
        let header = |name: &str| {
            request.header(name).ok_or_else(|| {
                Response::error(401, &format!("Header {name} is missing or repeated"))
            })
        };
        let [machine, written, nonce, signature] = SIGNED.map(header);
        let (machine, written, nonce, signature) = (machine?, written?, nonce?, signature?);

        let now = self.clock.now();
        let (key, enabled) = {
            let vault = self.vault();
            let known = vault
                .machine(machine)
                .ok_or_else(|| Response::error(401, "Unknown machine"))?;
            if known.expired(now) {
                return Err(Response::error(401, "Machine expired"));
            }
            (known.key, known.enabled)
        };
        let digits = !written.is_empty() && written.bytes().all(|b| b.is_ascii_digit());
        let timestamp = match written.parse::<i64>() {
            Ok(seconds) if digits => seconds.saturating_mul(1000),
            _ => return Err(Response::error(401, "X-Timestamp is not in Unix seconds")),
        };
        // Compared in whole seconds, because the timestamp is in whole seconds.
        if (now / 1000 * 1000)
            .saturating_sub(timestamp)
            .saturating_abs()
            > LEEWAY
        {
            return Err(Response::error(
                401,
                "X-Timestamp is more than 5 minutes off",
            ));
        }
        if STANDARD.decode(nonce).map_or(0, |bytes| bytes.len()) != 16 {
            return Err(Response::error(401, "X-Nonce is not 16 bytes in base64"));
        }
        let text = signed_text(
            &request.method,
            &request.target,
            written,
            nonce,
            &request.body,
        );
        if !verifies(&key, &text, signature) {
            return Err(Response::error(401, "Invalid signature"));
        }
        // After the signature: a request with a wrong one must not use up a nonce.
        if !self.gate().take(machine, nonce, timestamp, now) {
            return Err(Response::error(401, "Nonce was used before"));
        }
        if !enabled {
            return Err(Response::error(403, "Machine is not approved or disabled"));
        }
        Ok(machine)
    }

    fn offers_cli(&self) -> bool {
        self.vault().switches.cli_calls
    }

    fn admit(&self, from: IpAddr) -> Result<(), Response> {
        let (on, status) = {
            let vault = self.vault();
            (vault.switches.lock_out, vault.switches.locked_status)
        };
        if on && self.gate().locked(from, self.clock.now()) {
            return Err(Response::error(
                status,
                "Too many failed authentications from this address",
            ));
        }
        Ok(())
    }

    /// Counts a failed authentication.
    fn counted(&self, response: Response, from: IpAddr) -> Response {
        if response.status == 401 {
            self.gate().failed(from, self.clock.now());
        }
        response
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The vault in `/v1/{vault}/enroll/register`.
fn enrollment(path: &str) -> Option<&str> {
    let vault = path
        .strip_prefix("/v1/")?
        .strip_suffix("/enroll/register")?;
    (!vault.is_empty() && !vault.contains('/')).then_some(vault)
}

fn is_json(request: &Request) -> bool {
    let kind = request.header("Content-Type").unwrap_or_default();
    kind.split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn wrong_method(right: &str) -> Response {
    Response::error(405, "Method not allowed").with("Allow", right)
}
