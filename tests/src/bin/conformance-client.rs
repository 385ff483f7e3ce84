//! Plays calls on `sikkerkey`, one line of JSON in, one line of JSON out: the twin of
//! `conformance/official.py`, which tells what a line is.

use std::error::Error as StdError;
use std::io::{self, BufRead as _, Write as _};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use sikkerkey::__private::{Clock, Randomness, SystemClock, SystemRandomness};
use sikkerkey::{
    CacheOptions, Error, ErrorKind, ExposeSecret as _, Fields, SikkerKey, SikkerKeyBuilder,
    WatchEvent, WatchKind,
};

fn main() -> Result<(), Box<dyn StdError>> {
    let mut driver = Driver::new();
    let mut out = io::stdout();
    for line in io::stdin().lock().lines() {
        let call: Value = serde_json::from_str(&line?)?;
        let answer = match driver.play(&call) {
            Ok(value) => json!({ "ok": value }),
            Err(Failed::Client(error)) => {
                if error.kind() == ErrorKind::Authentication {
                    driver.pass_the_gap();
                }
                failure(&error)
            }
            Err(Failed::Script(why)) => return Err(why),
        };
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

/// How a call ends that has no answer.
enum Failed {
    /// As the official client's exceptions: it is compared.
    Client(Error),
    /// The call itself makes no sense.
    Script(Box<dyn StdError>),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed::Client(error)
    }
}

fn script(why: impl Into<Box<dyn StdError>>) -> Failed {
    Failed::Script(why.into())
}

/// A clock that can be wrong, never sleeps between attempts, and can repeat a nonce. After a 401 it
/// skips the time in which this client, unlike the official one, sends nothing.
#[derive(Debug)]
struct Seam {
    system: SystemClock,
    ahead: AtomicI64,
    skipped: AtomicU64,
    fixed_nonce: AtomicBool,
    slept: Mutex<Vec<Duration>>,
}

impl Clock for Seam {
    fn unix_now(&self) -> i64 {
        self.system.unix_now() + self.ahead.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic() + Duration::from_secs(self.skipped.load(Ordering::Relaxed))
    }

    fn sleep(&self, time: Duration) {
        let mut slept = self.slept.lock().unwrap_or_else(PoisonError::into_inner);
        slept.push(time);
    }
}

impl Randomness for Seam {
    fn fraction(&self) -> f64 {
        0.5 // the middle of each jitter: 1, 2 and 4 s
    }

    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        if self.fixed_nonce.load(Ordering::Relaxed) {
            bytes.fill(7);
            return Ok(());
        }
        SystemRandomness.fill(bytes)
    }
}

struct Driver {
    clock: Arc<Seam>,
    /// Of the client, where its identity is on disk.
    builder: Option<SikkerKeyBuilder>,
    client: Option<SikkerKey>,
    events: (Sender<WatchEvent>, Receiver<WatchEvent>),
    fallbacks: Arc<Mutex<Vec<Value>>>,
}

impl Driver {
    /// The longest gap after a 401.
    fn pass_the_gap(&self) {
        self.clock.skipped.fetch_add(600, Ordering::Relaxed);
    }

    fn new() -> Self {
        Driver {
            clock: Arc::new(Seam {
                system: SystemClock::new(),
                ahead: AtomicI64::new(0),
                skipped: AtomicU64::new(0),
                fixed_nonce: AtomicBool::new(false),
                slept: Mutex::default(),
            }),
            builder: None,
            client: None,
            events: mpsc::channel(),
            fallbacks: Arc::default(),
        }
    }

    fn play(&mut self, call: &Value) -> Result<Value, Failed> {
        let text = |key: &str| call.get(key).and_then(Value::as_str);
        let need = |key: &str| text(key).ok_or_else(|| script(format!("{call} lacks {key}")));
        let number = |key: &str| call.get(key).and_then(Value::as_i64);
        match need("op")? {
            "open" => self.open(text("vault")),
            "bootstrap" => {
                let bootstrap = SikkerKey::bootstrap_in_memory(need("vault")?, need("token")?);
                let mut bootstrap = bootstrap
                    .clock(self.clock.clone())
                    .randomness(self.clock.clone());
                if let Some(hostname) = text("hostname") {
                    bootstrap = bootstrap.hostname(hostname);
                }
                if let Some(name) = text("name") {
                    bootstrap = bootstrap.name(name);
                }
                self.client = Some(bootstrap.enroll()?);
                self.facts()
            }
            "list_vaults" => Ok(json!(SikkerKey::list_vaults()?)),
            "get_secret" => Ok(json!(
                self.client()?.get_secret(need("id")?)?.expose_secret()
            )),
            "get_fields" => Ok(fields(&self.client()?.get_fields(need("id")?)?)),
            "get_field" => Ok(json!(
                self.client()?
                    .get_field(need("id")?, need("field")?)?
                    .expose_secret()
            )),
            "list_secrets" => Ok(list(self.client()?.list_secrets()?)),
            "list_secrets_by_project" => {
                let listed = self.client()?.list_secrets_by_project(need("project")?)?;
                Ok(list(listed))
            }
            "export" => {
                let export = match text("project") {
                    Some(project) => self.client()?.export_project(project)?,
                    None => self.client()?.export()?,
                };
                let entries = export.iter().map(|(n, v)| (n, v.expose_secret()));
                Ok(object(entries))
            }
            "watch" => {
                let events = self.events.0.clone();
                let watch = self.client()?.watch(need("id")?, move |event| {
                    // Nobody listens any more when this program ends.
                    let _ = events.send(event.clone());
                })?;
                drop(watch); // it goes on
                Ok(Value::Null)
            }
            "unwatch" => {
                self.client()?.unwatch(need("id")?);
                Ok(Value::Null)
            }
            "set_poll_interval" => {
                let seconds = u64::try_from(number("seconds").unwrap_or(0)).unwrap_or(0);
                self.client()?
                    .set_poll_interval(Duration::from_secs(seconds));
                Ok(Value::Null)
            }
            "quick_polls" => {
                self.client()?.set_poll_interval(Duration::from_millis(20));
                Ok(Value::Null)
            }
            "next_event" => {
                let within = Duration::from_secs(20);
                let event = self.events.1.recv_timeout(within).map_err(script)?;
                Ok(watched(&event))
            }
            "close" => {
                self.client()?.close();
                Ok(Value::Null)
            }
            "enable_cache" => {
                let told = Arc::clone(&self.fallbacks);
                let mut options = CacheOptions::new().on_fallback(move |id, _cached_at| {
                    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                    told.push(json!([id, true]));
                });
                if let Some(age) = number("max_age").and_then(|age| u64::try_from(age).ok()) {
                    options = options.max_age(Duration::from_secs(age));
                }
                let builder = self.builder.clone();
                let builder = builder.ok_or_else(|| script("no identity on disk is open"))?;
                self.client = Some(builder.cache(options).build()?);
                Ok(Value::Null)
            }
            "fallbacks_told" => {
                let told = self
                    .fallbacks
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                Ok(json!(*told))
            }
            "cached_count" => Ok(json!(self.client()?.cached_count()?)),
            "clear_cache" => {
                self.client()?.clear_cache()?;
                Ok(Value::Null)
            }
            "clock_ahead" => {
                let ahead = number("seconds").unwrap_or(0);
                self.clock.ahead.store(ahead, Ordering::Relaxed);
                Ok(Value::Null)
            }
            "fix_nonce" => {
                self.clock.fixed_nonce.store(true, Ordering::Relaxed);
                Ok(Value::Null)
            }
            "free_nonce" => {
                self.clock.fixed_nonce.store(false, Ordering::Relaxed);
                Ok(Value::Null)
            }
            "delays" => {
                let mut slept = self
                    .clock
                    .slept
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                let slept: Vec<u64> = slept.drain(..).map(|time| time.as_secs()).collect();
                Ok(json!(slept))
            }
            op => Err(script(format!("no call is named {op}"))),
        }
    }

    fn open(&mut self, vault: Option<&str>) -> Result<Value, Failed> {
        let mut builder = SikkerKey::builder()
            .clock(self.clock.clone())
            .randomness(self.clock.clone());
        if let Some(vault) = vault {
            builder = builder.vault(vault);
        }
        self.client = Some(builder.clone().build()?);
        self.builder = Some(builder);
        self.facts()
    }

    fn facts(&self) -> Result<Value, Failed> {
        let client = self.client()?;
        Ok(json!({
            "machine_id": client.machine_id(),
            "machine_name": client.machine_name(),
            "vault_id": client.vault_id(),
            "api_url": client.api_url(),
        }))
    }

    fn client(&self) -> Result<&SikkerKey, Failed> {
        self.client
            .as_ref()
            .ok_or_else(|| script("no client is open"))
    }
}

fn list(secrets: Vec<sikkerkey::SecretListItem>) -> Value {
    secrets
        .into_iter()
        .map(|secret| {
            json!({
                "id": secret.id,
                "name": secret.name,
                "field_names": secret.field_names.map(|names| names.join(",")),
                "project_id": secret.project_id,
            })
        })
        .collect()
}

fn fields(fields: &Fields) -> Value {
    object(fields.iter().map(|(name, v)| (name, v.expose_secret())))
}

fn object<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    let entries: Map<String, Value> = entries.map(|(n, v)| (n.to_owned(), json!(v))).collect();
    Value::Object(entries)
}

fn watched(event: &WatchEvent) -> Value {
    let (status, value, parsed) = match &event.kind {
        WatchKind::Changed { value, fields, .. } => ("changed", Some(value), fields.as_ref()),
        WatchKind::Deleted => ("deleted", None, None),
        WatchKind::AccessDenied => ("access_denied", None, None),
        WatchKind::Error(_) => ("error", None, None),
        WatchKind::Recovered => ("recovered", None, None),
        _ => ("unknown", None, None),
    };
    json!({
        "id": event.secret_id,
        "status": status,
        "value": value.map(|value| value.expose_secret()),
        "fields": parsed.map(fields),
    })
}

fn failure(error: &Error) -> Value {
    let mut answer = json!({
        "error": format!("{:?}", error.kind()),
        "status": error.http_status(),
    });
    if error.kind() == ErrorKind::FieldNotFound {
        answer["available"] = json!(error.available_fields());
    }
    answer
}
