//! The public names as a program uses them: a change that breaks one breaks its users.
#![allow(
    dead_code,
    missing_docs,
    reason = "a test that cannot go on fails; what is declared is compiled"
)]

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use serde::Deserialize;
use sikkerkey::live::{
    FailClosed, Listener, LiveControl, Loaded, ResourceState, ResourceStatus, SecretState,
    SecretStatus, WeakLive,
};
use sikkerkey::{
    CacheOptions, Change, CheckReport, CheckStatus, ConfigError, Error, ErrorKind, Export,
    ExposeSecret, Fields, Freshness, Live, LiveResource, LoadOptions, Project, Resync, RetryPolicy,
    SecretBox, SecretDetails, SecretKind, SecretListItem, SecretString, SikkerKey, SikkerKeyConfig,
    Snapshot, Stats, Watch, WatchEvent, WatchKind,
};
use sikkerkey_emulator::{Emulator, Fault, Recorded};
use sikkerkey_figment::figment::Figment;
use sikkerkey_figment::{Exported, FigmentExt, LiveFigment, References, Secrets, redact};

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db_prod", validate = "Database::validate")]
struct Database {
    host: String,
    #[sikkerkey(default = 5432)]
    port: u16,
    #[sikkerkey(field = "username")]
    user: String,
    password: SecretString,
}

impl Database {
    fn validate(&self) -> Result<(), &'static str> {
        match self.host.is_empty() {
            true => Err("no host"),
            false => Ok(()),
        }
    }
}

#[derive(Deserialize)]
struct Flags {
    beta: bool,
}

struct Dsn(String);

impl FromStr for Dsn {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Dsn(text.to_owned()))
    }
}

struct Key(Vec<u8>);

fn parse_key(text: &str) -> Result<Key, &'static str> {
    Ok(Key(text.as_bytes().to_vec()))
}

#[derive(SikkerKeyConfig)]
struct AppConfig {
    #[sikkerkey(secret = "sk_stripe_key")]
    stripe: SecretString,
    #[sikkerkey(secret = "sk_db_prod", field = "password")]
    admin_password: SecretString,
    #[sikkerkey(nested)]
    db: Database,
    #[sikkerkey(nested, secret = "sk_db_replica")]
    replica: Option<Database>,
    #[sikkerkey(secret = "sk_flags", json)]
    flags: Flags,
    #[sikkerkey(name = "SENTRY_DSN")]
    sentry: Option<String>,
    #[sikkerkey(secret = "sk_hosts", delimiter = ",")]
    hosts: Vec<String>,
    #[sikkerkey(secret = "sk_dsn", from_str)]
    dsn: Dsn,
    #[sikkerkey(secret = "sk_k", with = "parse_key")]
    key: Key,
    #[sikkerkey(secret = "sk_misc", field = "ip")]
    ip: Option<IpAddr>,
    #[sikkerkey(secret = "sk_misc", field = "timeout", default = Duration::from_secs(1))]
    timeout: Duration,
    #[sikkerkey(secret = "sk_misc", field = "path", default)]
    path: PathBuf,
    #[sikkerkey(skip, default = Instant::now())]
    started: Instant,
}

const DB: [(&str, &str); 3] = [("host", "db"), ("username", "app"), ("password", "hunter2")];

fn vault() -> Emulator {
    Emulator::builder()
        .secret("sk_stripe_key", "sk-live-1")
        .structured("sk_db_prod", DB)
        .secret("sk_flags", r#"{"beta": true}"#)
        .secret("sk_hosts", "a,b")
        .secret("sk_dsn", "dsn")
        .secret("sk_k", "key")
        .secret("sk_sentry", "https://sentry")
        .name("sk_sentry", "SENTRY_DSN")
        .project("sk_sentry", "proj_staging")
        .start()
        .unwrap()
}

fn client(vault: &Emulator) -> SikkerKey {
    SikkerKey::builder()
        .identity_file(vault.identity_path())
        .timeout(Duration::from_secs(15))
        .deadline(Duration::from_secs(30))
        .retry(RetryPolicy::default())
        .poll_interval(Duration::from_millis(5))
        .resync(Resync::Adaptive)
        .refuse_shared_key_file(true)
        .user_agent("names/1")
        .build()
        .unwrap()
}

#[test]
fn the_client() -> Result<(), Error> {
    let vault = vault();
    let sk = client(&vault);
    let _: Result<SikkerKey, Error> = SikkerKey::new("vault_abc123");
    let _: Result<SikkerKey, Error> = SikkerKey::builder().vault("vault_abc123").build();
    let _: fn() -> Result<SikkerKey, Error> = SikkerKey::auto;
    let _: Result<Vec<String>, Error> = SikkerKey::list_vaults();
    let facts = [
        sk.machine_id().to_string(),
        sk.machine_name().to_string(),
        sk.vault_id().to_string(),
        sk.api_url().to_string(),
    ];
    assert!(facts.iter().all(|fact| !fact.is_empty()));

    let value: SecretString = sk.get_secret("sk_stripe_key")?;
    assert_eq!(value.expose_secret(), "sk-live-1");
    let fields: Fields = sk.get_fields("sk_db_prod")?;
    assert_eq!(
        fields.names().collect::<Vec<_>>(),
        ["host", "username", "password"]
    );
    assert_eq!((fields.len(), fields.iter().count()), (3, 3));
    assert!(fields.get("host").is_some());
    let host: SecretString = sk.get_field("sk_db_prod", "host")?;
    assert_eq!(host.expose_secret(), "db");
    assert!(sk.get_json::<Flags>("sk_flags")?.beta);
    let items: Vec<SecretListItem> = sk.list_secrets_by_project("proj_staging")?;
    let item = &items[0];
    assert_eq!((&*item.id, &*item.name), ("sk_sentry", "SENTRY_DSN"));
    assert_eq!(
        (&item.field_names, item.project_id.as_deref()),
        (&None, Some("proj_staging"))
    );
    assert_eq!(sk.list_secrets()?.len(), 7);
    let details: Vec<SecretDetails> = sk.list_secrets_detailed()?;
    assert_eq!(details[0].kind, SecretKind::Secret);
    let projects: Vec<Project> = sk.list_projects()?;
    assert_eq!(projects[0].id, "proj_staging");
    assert!(sk.export_application("app_none")?.is_empty());
    vault.assert_reads_only(&AppConfig::schema());
    let export: Export = sk.export_project("proj_staging")?;
    assert_eq!(export.iter().count(), 1);
    assert!(sk.export()?.collisions().is_empty());

    let error = sk.get_field("sk_db_prod", "nope").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FieldNotFound);
    assert_eq!(error.available_fields(), ["host", "username", "password"]);
    assert_eq!(error.http_status(), None);
    assert!(!error.is_retryable() && !error.is_unavailable());

    let (tell, told) = mpsc::channel();
    let watch: Watch = sk.watch("sk_stripe_key", move |event: &WatchEvent| {
        let text = match &event.kind {
            WatchKind::Changed { value, fields } => {
                format!("{} {}", value.expose_secret(), fields.is_none())
            }
            WatchKind::Deleted | WatchKind::AccessDenied => "gone".to_owned(),
            WatchKind::Error(error) => error.to_string(),
            _ => return,
        };
        let _ = tell.send((event.secret_id.to_string(), text));
    })?;
    vault.put("sk_stripe_key", "sk-live-2");
    let (id, text) = told.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!((&*id, &*text), ("sk_stripe_key", "sk-live-2 true"));
    watch.stop();
    sk.unwatch("sk_stripe_key");
    sk.set_poll_interval(Duration::from_secs(15));

    let options = CacheOptions::new()
        .max_age(Duration::from_secs(60))
        .on_fallback(|_id, _at| {});
    let cached = SikkerKey::builder().identity_file(vault.identity_path());
    cached.cache(options).build()?.get_secret("sk_stripe_key")?;
    sk.close();
    sk.close();
    sk.get_secret("sk_stripe_key").map(drop)
}

#[test]
fn enrollment_and_the_emulator() -> Result<(), Error> {
    let vault = vault();
    let token = vault.enrollment_token(2, Duration::from_secs(60));
    let sk = SikkerKey::bootstrap_in_memory(vault.vault_id(), &token)
        .hostname("worker-1")
        .name("batch")
        .reenroll_when_expired(true)
        .api_url(vault.url())
        .enroll()?;
    sk.get_secret("sk_stripe_key")?;
    vault.expire_machines();
    sk.get_secret("sk_stripe_key")?;
    vault.deny("sk_stripe_key");
    assert_eq!(
        sk.get_secret("sk_stripe_key").unwrap_err().kind(),
        ErrorKind::AccessDenied
    );
    vault.allow("sk_stripe_key");
    vault.delete("sk_stripe_key");
    assert_eq!(
        sk.get_secret("sk_stripe_key").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    vault.latency(Duration::from_millis(1));
    vault.fail_next(Fault::Status(500));
    assert_eq!(sk.get_secret("sk_k").unwrap_err().http_status(), Some(500));
    let requests: Vec<Recorded> = vault.requests();
    assert!(requests.len() > 5 && vault.home().exists() && vault.url().starts_with("http"));
    Ok(())
}

#[test]
fn the_config() -> Result<(), Box<dyn std::error::Error>> {
    let vault = vault();
    let sk = client(&vault);
    assert!(AppConfig::load(&sk)?.replica.is_none());
    let config = AppConfig::loader(&sk)
        .project("proj_staging")
        .alias("sk_db_replica", "sk_db_prod")
        .concurrency(4)
        .load()?;
    assert_eq!(config.sentry.as_deref(), Some("https://sentry"));
    assert_eq!(config.replica.map(|db| db.port), Some(5432));
    println_like(AppConfig::schema().to_string());
    assert!(AppConfig::check(&sk)?.is_ok());
    println_like(AppConfig::check(&sk)?.to_string());
    let options = LoadOptions::new()
        .application("app_staging")
        .aliases([("sk_db_replica", "sk_db_prod")])
        .aliases_from_env("SIKKERKEY_ALIASES_OF_NO_ONE")
        .refuse_canaries();
    let report: CheckReport = AppConfig::loader(&sk)
        .options(options)
        .least_privilege()
        .check()?;
    assert!(report.is_ok() && !report.is_strictly_ok());
    assert!(report.iter().any(|c| c.status() == CheckStatus::Uncertain));
    assert!(AppConfig::loader(&sk).strict_aliases().load().is_err());
    let error: ConfigError =
        AppConfig::from_snapshot(&Snapshot::from_iter([("sk_stripe_key", "x")]))
            .err()
            .unwrap();
    let problem = &error.problems()[0];
    assert_eq!(problem.path(), "admin_password");
    let _: (Option<String>, Option<&str>) =
        (problem.secret().map(|s| s.to_string()), problem.field());
    let _: Option<SecretBox<String>> = None;
    Ok(())
}

fn println_like(text: String) {
    assert!(text.lines().count() > 3, "{text}");
}

#[test]
fn live() -> Result<(), Box<dyn std::error::Error>> {
    let vault = vault();
    let sk = client(&vault);
    let live: Live<AppConfig> = AppConfig::loader(&sk)
        .resync(Resync::Every(Duration::from_secs(300)))
        .resync_secret("sk_stripe_key", Resync::Never)
        .max_stale(Duration::from_secs(60))
        .refresh_gap(Duration::ZERO)
        .probe_timeout(Duration::from_secs(5))
        .fail_closed(FailClosed::new().on_revoked().older_than(patience()))
        .probe(|_: &AppConfig| Ok::<(), String>(()))
        .grace(Duration::from_secs(60))
        .live()?;
    let _: Live<AppConfig> = AppConfig::live(&sk)?;
    assert_eq!(live.load().db.port, live.get().db.port);
    let (tell, told) = mpsc::channel();
    let _: Listener = live.on_change(move |c: &Change<AppConfig>| {
        let _ = tell.send((c.before().db.port, c.after().db.port, c.paths().to_vec()));
    });
    let (tell_part, told_part) = mpsc::channel();
    live.select(|c| &c.db).on_change(move |c| {
        let _ = tell_part.send((c.before().port, c.after().port));
    });
    let pool: LiveResource<u16> = live.resource(|c| Ok::<_, Error>(c.db.port))?;
    let mut changes = live.subscribe();
    vault.put_structured("sk_db_prod", DB.into_iter().chain([("port", "1")]));
    let patience = patience();
    assert_eq!(changes.recv_timeout(patience)?.after().db.port, 1);
    let paths = vec!["db.port".to_owned()];
    assert_eq!(told.recv_timeout(patience)?, (5432, 1, paths));
    assert_eq!(told_part.recv_timeout(patience)?, (5432, 1));
    let refreshed: bool = live.refresh()?;
    assert!(!refreshed && !live.refresh_secret("sk_db_prod")?);
    live.rehearse("sk_stripe_key", "sk-live-2")?;
    let loaded: Loaded<AppConfig> = live.try_load()?;
    assert_eq!(loaded.db.port, 1);
    let all: Vec<Arc<AppConfig>> = live.previous_all();
    assert_eq!(all.len(), 1);
    assert_eq!(live.previous().map(|c| c.db.port), Some(5432));
    assert_eq!((*pool.load(), *pool.get()), (1, 1));
    let status = live.status();
    assert_eq!(
        (status.generation(), status.freshness()),
        (2, Freshness::Fresh)
    );
    assert!(status.last_error().is_none() && status.age() < patience);
    assert_eq!(
        (status.consecutive_failures(), status.secrets().count()),
        (0, 9)
    );
    assert!(status.loaded_at() <= std::time::SystemTime::now());
    assert!(status.rotation_lag().is_some() && !status.identity_shared());
    let secret = status.secrets().find(|secret| secret.id() == "sk_db_prod");
    let secret: &SecretStatus = secret.expect("it is followed");
    assert_eq!(secret.state(), SecretState::Current);
    assert!(secret.reads() >= 2 && secret.last_change().is_some());
    let stats: Stats = sk.stats();
    assert!(stats.requests() >= stats.polls() + stats.reads()["sk_db_prod"]);
    assert_eq!((stats.retries(), stats.fallbacks()), (0, 0));
    Ok(())
}

fn patience() -> Duration {
    Duration::from_secs(30)
}

#[test]
fn live_without_a_service() -> Result<(), Box<dyn std::error::Error>> {
    let fixed: Live<u16> = Live::fixed(5432);
    assert_eq!(*fixed.load(), 5432);
    let (live, control): (Live<u16>, LiveControl<u16>) = Live::manual(1);
    let weak: WeakLive<u16> = live.downgrade();
    let pool: LiveResource<u16> = live
        .resource(|port| match *port {
            3 => Err("no connection"),
            port => Ok(port),
        })?
        .named("pool")
        .on_replaced(|old| assert!(*old < 3));
    let part = live.select(|port| port);
    let of_part: LiveResource<u16> = part.resource(|port| Ok::<_, Error>(*port))?;
    control.swap(2);
    assert_eq!((*pool.load(), *of_part.load(), *part.load()), (2, 2, 2));
    control.swap_paths(3, &["port"]);
    assert_eq!(pool.state(), ResourceState::Failed);
    assert_eq!(pool.last_error().as_deref(), Some("no connection"));
    let status = live.status();
    let resource: &ResourceStatus = status.resources().next().unwrap();
    assert_eq!(
        (resource.name(), resource.consecutive_failures()),
        ("pool", 1)
    );
    assert_eq!(serde_json::to_value(&status)?["freshness"], "fresh");
    control.fail(ErrorKind::AccessDenied);
    control.fail(Error::from(ErrorKind::NotFound));
    control.stale();
    assert_eq!(live.status().freshness(), Freshness::Stale);
    let answer = live.retry_on_refused(|port| Err::<(), _>(*port), |_| true);
    assert_eq!(answer, Err(3));
    drop((live, pool, of_part, part));
    assert!(weak.upgrade().is_none());
    Ok(())
}

#[test]
fn figment() -> Result<(), Box<dyn std::error::Error>> {
    #[derive(Deserialize)]
    struct Extracted {
        stripe: String,
    }
    let vault = vault();
    let sk = client(&vault);
    let figment = Figment::new()
        .merge(Secrets::of::<AppConfig>(&sk))
        .merge(Secrets::of::<AppConfig>(&sk).profile("staging"))
        .merge(Exported::project(&sk, "proj_staging"));
    let figment = References::new(&sk).resolve(figment)?;
    let extracted: Extracted = figment.extract_secret().map_err(redact)?;
    assert_eq!(extracted.stripe, "sk-live-1");
    let layers = {
        let sk = sk.clone();
        move || Figment::new().merge(Secrets::of::<AppConfig>(&sk))
    };
    let live: Live<Extracted> = LiveFigment::new(&sk, layers).live::<Extracted>()?;
    assert_eq!(live.load().stripe, "sk-live-1");
    Ok(())
}

#[test]
fn the_async_client() {
    let vault = vault();
    let sk = client(&vault).into_async();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let value = runtime.block_on(sk.get_secret("sk_stripe_key")).unwrap();
    assert_eq!(value.expose_secret(), "sk-live-1");
}
