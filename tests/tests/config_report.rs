//! The report of a config that cannot be built: exact texts, and no value in any of them.
#![allow(dead_code, reason = "the configs are never built")]

use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use sikkerkey::{
    ConfigError, Error, ErrorKind, ProblemKind, ReadOutcome, SecretString, SikkerKeyConfig,
    Snapshot, ValueError,
};

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db_prod")]
struct Database {
    host: String,
    port: u16,
    #[sikkerkey(field = "username")]
    user: String,
    password: SecretString,
    #[sikkerkey(default = Duration::from_secs(5))]
    timeout: Duration,
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_smtp", rename_all = "kebab-case")]
struct Mail {
    relay_host: String,
    relay_port: u16,
    user_name: String,
    from_address: String,
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_limits", validate = "Limits::validate")]
struct Limits {
    soft: u32,
    hard: u32,
}

impl Limits {
    fn validate(&self) -> Result<(), &'static str> {
        match self.soft <= self.hard {
            true => Ok(()),
            false => Err("the soft limit is above the hard one\nswap them"),
        }
    }
}

#[derive(SikkerKeyConfig)]
struct AppConfig {
    #[sikkerkey(secret = "sk_stripe_key")]
    stripe: SecretString,
    #[sikkerkey(nested)]
    db: Database,
    #[sikkerkey(nested, secret = "sk_db_replica")]
    replica: Option<Database>,
    #[sikkerkey(nested)]
    mail: Mail,
    #[sikkerkey(nested)]
    limits: Limits,
    #[sikkerkey(secret = "sk_flags", json)]
    flags: Vec<bool>,
    #[sikkerkey(name = "SENTRY_DSN")]
    sentry: String,
    #[sikkerkey(secret = "sk_workers")]
    workers: u8,
    #[sikkerkey(secret = "sk_cache", field = "ttl")]
    cache_ttl: Duration,
    #[sikkerkey(secret = "sk_cache", field = "size")]
    cache_size: u64,
    #[sikkerkey(secret = "sk_listen")]
    listen: SocketAddr,
    #[sikkerkey(secret = "sk_debug")]
    debug: bool,
    #[sikkerkey(secret = "sk_region")]
    region: Option<String>,
}

#[track_caller]
fn problems(result: Result<AppConfig, ConfigError>) -> ConfigError {
    result.map(drop).unwrap_err()
}

#[test]
fn twenty_problems_are_one_report_to_work_through() {
    let snapshot = Snapshot::from_iter([
        (
            "sk_db_replica",
            r#"{"host": "r", "port": "65536", "username": "u"}"#,
        ),
        ("sk_smtp", r#"{"relay_host": "mx", "user-name": "u"}"#),
        ("sk_limits", r#"{"soft": 9, "hard": 3}"#),
        ("sk_flags", "[true, 1]"),
        ("sk_workers", "256"),
        ("sk_cache", "not json"),
        ("sk_listen", "localhost:80"),
        ("sk_debug", "yes"),
    ])
    .with([
        ("sk_db_prod", ReadOutcome::Denied),
        ("sk_region", ReadOutcome::Denied),
    ]);
    let error = problems(AppConfig::from_snapshot(&snapshot));
    assert_eq!(
        error.to_string(),
        r#"cannot build AppConfig: 20 problems
  stripe             sk_stripe_key           missing: the snapshot has no such secret
  db.host            sk_db_prod/host         denied: this machine is not approved, or has no grant for it
  db.port            sk_db_prod/port         denied, as above
  db.user            sk_db_prod/username     denied, as above
  db.password        sk_db_prod/password     denied, as above
  db.timeout         sk_db_prod/timeout      denied, as above
  replica.port       sk_db_replica/port      not a u16: above 65535
  replica.password   sk_db_replica/password  no field "password"; the secret has "host", "port", "username"
  mail.relay_host    sk_smtp/relay-host      no field "relay-host" (did you mean "relay_host"?); the secret has "relay_host", "user-name"
  mail.relay_port    sk_smtp/relay-port      no field "relay-port"; the secret has "relay_host", "user-name"
  mail.from_address  sk_smtp/from-address    no field "from-address"; the secret has "relay_host", "user-name"
  limits                                     the soft limit is above the hard one
                                             swap them
  flags              sk_flags                not JSON of a Vec<bool>: it is JSON of another shape, at line 1 column 8
  sentry             "SENTRY_DSN"            missing: the snapshot has no such secret
  workers            sk_workers              not a u8: above 255
  cache_ttl          sk_cache/ttl            not structured: the value is not a JSON object, so it has no fields
  cache_size         sk_cache/size           not structured, as above
  listen             sk_listen               not a socket address: one looks like 10.0.0.1:8080 or [::1]:8080
  debug              sk_debug                not a bool: it must be `true` or `false`
  region             sk_region               denied: this machine is not approved, or has no grant for it"#
    );
    assert_eq!(format!("{error:?}"), error.to_string());
    let kinds: Vec<_> = error
        .problems()
        .iter()
        .map(|p| (p.path(), p.kind()))
        .collect();
    assert_eq!(kinds[0], ("stripe", ProblemKind::Missing));
    assert_eq!(kinds[5], ("db.timeout", ProblemKind::Denied));
    assert_eq!(kinds[11], ("limits", ProblemKind::Validation));
    let one = &error.problems()[6];
    assert_eq!(
        one.to_string(),
        "replica.port: sk_db_replica/port: not a u16: above 65535"
    );
    assert_eq!(
        (one.field(), one.secret().map(|s| s.as_str())),
        (Some("port"), Some("sk_db_replica"))
    );
}

#[derive(Debug, SikkerKeyConfig)]
#[sikkerkey(secret = "sk_login", validate = "Login::validate")]
struct Login {
    password: String,
}

impl Login {
    fn validate(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("{} is too short", self.password).into())
    }
}

/// `validate` may return any error; its text could quote a value.
#[test]
fn an_error_whose_text_was_not_in_the_program_is_not_quoted() {
    let snapshot = Snapshot::from_iter([("sk_login", r#"{"password": "hunter2"}"#)]);
    let error = Login::from_snapshot(&snapshot).unwrap_err();
    assert_eq!(
        error.to_string(),
        "\
cannot build Login: 1 problem
  Login    `validate` refused it (the error's text is not shown: it could quote a secret)"
    );
    assert_eq!(error.problems()[0].kind(), ProblemKind::Validation);
}

#[derive(Debug, SikkerKeyConfig)]
struct Groups {
    #[sikkerkey(nested, secret = "sk_group")]
    group: Option<Group>,
}

#[derive(Debug, SikkerKeyConfig)]
#[sikkerkey(secret = "sk_other", validate = "never")]
struct Group {
    needed: String,
    #[sikkerkey(default)]
    preset: u8,
    #[sikkerkey(nested, secret = "sk_inner")]
    inner: Option<Inner>,
}

#[derive(Debug, SikkerKeyConfig)]
#[sikkerkey(secret = "sk_inner")]
struct Inner {
    a: u8,
    b: u8,
}

fn never(_: &Group) -> Result<(), &'static str> {
    Ok(())
}

/// An optional group is `None` where not one of its values is there, and else must be whole.
#[test]
fn an_optional_group_is_all_or_nothing() {
    let build = |secrets: &[(&str, ReadOutcome)]| {
        Groups::from_snapshot(&Snapshot::default().with(secrets.to_vec()))
    };
    let value = |text: &str| ReadOutcome::Value(text.into());
    assert!(build(&[]).unwrap().group.is_none());
    assert!(build(&[("sk_group", value("{}"))]).unwrap().group.is_none());
    let group = build(&[("sk_group", value(r#"{"needed": "x"}"#))])
        .unwrap()
        .group
        .unwrap();
    assert!(group.inner.is_none() && group.preset == 0);

    for (secrets, paths) in [
        (
            vec![("sk_group", value(r#"{"preset": "1"}"#))],
            vec!["group.needed"],
        ),
        (
            vec![("sk_inner", value(r#"{"a": 1}"#))],
            vec!["group.needed", "group.inner.b"],
        ),
        (
            vec![("sk_group", value("no fields"))],
            vec!["group.needed", "group.preset"],
        ),
        (
            vec![("sk_inner", ReadOutcome::Denied)],
            vec!["group.needed", "group.inner.a", "group.inner.b"],
        ),
    ] {
        let error = build(&secrets).unwrap_err();
        let found: Vec<_> = error.problems().iter().map(|p| p.path()).collect();
        assert_eq!(found, paths);
    }
}

/// Every way of reading, each given a text that is wrong and must not be repeated.
#[derive(Debug, SikkerKeyConfig)]
#[sikkerkey(secret = "sk_canary")]
struct Canaries {
    whole: u16,
    #[sikkerkey(json)]
    json: std::collections::BTreeMap<String, u8>,
    #[sikkerkey(from_str)]
    from_str: Quoting,
    #[sikkerkey(with = "quoting")]
    with: u8,
    #[sikkerkey(with = "says_why")]
    why: u8,
    #[sikkerkey(with = "static_text")]
    text: u8,
    #[sikkerkey(delimiter = ",")]
    list: Vec<u16>,
    ip: IpAddr,
    flag: bool,
    letter: char,
    duration: Duration,
    float: Option<f64>,
    #[sikkerkey(default = 5)]
    preset: u64,
    #[sikkerkey(secret = "sk_raw", json)]
    raw: Vec<Tagged>,
    #[sikkerkey(secret = "sk_raw", field = "x")]
    unstructured: String,
}

#[derive(Debug, serde::Deserialize)]
enum Tagged {
    A,
}

#[derive(Debug)]
struct Quoting;

impl std::str::FromStr for Quoting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Err(format!("cannot read {text}"))
    }
}

fn quoting(text: &str) -> Result<u8, Box<dyn std::error::Error>> {
    Err(format!("cannot read {text}").into())
}

fn says_why(_: &str) -> Result<u8, ValueError> {
    Err(ValueError::new("it is odd"))
}

fn static_text(_: &str) -> Result<u8, &'static str> {
    Err("it is even")
}

#[test]
fn the_alternate_form_is_one_line_for_a_log() {
    let limits = r#"{"soft": 9, "hard": 3}"#;
    let error = Limits::from_snapshot(&Snapshot::from_iter([("sk_limits", limits)]));
    let error = error.map(drop).unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "cannot build Limits: 1 problem: the soft limit is above the hard one swap them"
    );
    assert_eq!(error.problems()[0].to_string().lines().count(), 1);
    assert_eq!(format!("{error:?}"), error.to_string());
    assert_eq!(format!("{error:#?}"), error.to_string());

    let many = problems(AppConfig::from_snapshot(&Snapshot::default()));
    let line = format!("{many:#}");
    let shown = many.problems().iter().map(ToString::to_string);
    let shown: Vec<_> = shown.take(12).collect();
    let more = many.problems().len() - 12;
    assert_eq!(
        line,
        format!(
            "cannot build AppConfig: {} problems: {}; and {more} more",
            many.problems().len(),
            shown.join("; ")
        )
    );
    assert!(!line.contains('\n'));
}

#[derive(SikkerKeyConfig)]
struct Two {
    #[sikkerkey(secret = "sk_a")]
    a: String,
    #[sikkerkey(secret = "sk_b")]
    b: Option<String>,
}

#[test]
fn an_error_is_unavailable_or_retryable_if_each_of_its_problems_is() {
    let failed = |kind: ErrorKind| ReadOutcome::Unavailable(Error::from(kind));
    let value = ReadOutcome::Value("x".into());
    for (a, b, unavailable, retryable) in [
        (failed(ErrorKind::Network), value.clone(), true, true),
        (
            failed(ErrorKind::Network),
            failed(ErrorKind::Network),
            true,
            true,
        ),
        (
            failed(ErrorKind::Network),
            failed(ErrorKind::RateLimited),
            false,
            true,
        ),
        (failed(ErrorKind::RateLimited), value.clone(), false, true),
        (
            failed(ErrorKind::Network),
            failed(ErrorKind::Api),
            false,
            false,
        ),
        (
            failed(ErrorKind::Network),
            ReadOutcome::Denied,
            false,
            false,
        ),
        (
            ReadOutcome::Missing,
            failed(ErrorKind::Network),
            false,
            false,
        ),
        (ReadOutcome::Missing, value.clone(), false, false),
        (value.clone(), failed(ErrorKind::Network), true, true),
    ] {
        let snapshot = Snapshot::default().with([("sk_a", a), ("sk_b", b)]);
        let error = Two::from_snapshot(&snapshot).map(drop).unwrap_err();
        let found = (error.is_unavailable(), error.is_retryable());
        assert_eq!(found, (unavailable, retryable), "{error}");
    }
}

#[test]
fn an_error_is_made_for_a_test() {
    for (kind, problem) in [
        (ErrorKind::NotFound, ProblemKind::Missing),
        (ErrorKind::AccessDenied, ProblemKind::Denied),
        (ErrorKind::Network, ProblemKind::Unavailable),
        (ErrorKind::Decode, ProblemKind::Unavailable),
    ] {
        let error = ConfigError::from(kind);
        assert_eq!(error.problems().len(), 1);
        assert_eq!(error.problems()[0].kind(), problem);
        assert_eq!(
            error.problems()[0].client_error().map(Error::kind),
            Some(kind)
        );
        let source = error
            .source()
            .and_then(|source| source.downcast_ref::<Error>());
        assert_eq!(source.map(Error::kind), Some(kind));
    }
    let error = ConfigError::from(Error::from(ErrorKind::Network));
    assert_eq!(
        error.to_string(),
        "cannot build the config: 1 problem\n  the config    not read: no response"
    );
    assert_eq!(
        format!("{error:#}"),
        "cannot build the config: 1 problem: not read: no response"
    );
}

#[test]
fn no_text_of_an_error_has_a_value() {
    let canary = "hunter2-c4n4ry";
    let fields = [
        "whole", "json", "from_str", "with", "why", "text", "list", "ip", "flag", "letter",
        "duration", "float", "preset",
    ];
    for hostile in [
        canary.to_owned(),
        format!("{{\"{canary}\": \"{canary}\"}}"),
        format!("[\"{canary}\", 1"),
        format!("1,{canary}"),
        format!("\"{canary}\""),
        format!("{canary}\u{1b}[31m\r\n{canary}"),
    ] {
        let object: serde_json::Map<_, _> = fields
            .iter()
            .map(|field| ((*field).to_owned(), hostile.clone().into()))
            .collect();
        let object = serde_json::Value::from(object).to_string();
        let raw = format!("[\"{hostile}\"]");
        let snapshot = Snapshot::from_iter([("sk_canary", object), ("sk_raw", raw)]);
        let error = Canaries::from_snapshot(&snapshot).unwrap_err();
        assert_eq!(error.problems().len(), fields.len() + 2);

        let mut texts = vec![
            format!("{error} {error:#} {error:?} {error:#?} {snapshot:?} {snapshot:#?}"),
            format!("{:?} {:#?}", error.problems(), error.problems()),
        ];
        let mut source = error.source();
        while let Some(cause) = source {
            texts.push(format!("{cause} {cause:?}"));
            source = cause.source();
        }
        let panic = std::panic::catch_unwind(AssertUnwindSafe(|| {
            Canaries::from_snapshot(&snapshot).unwrap()
        }));
        texts.push(panic.unwrap_err().downcast_ref::<String>().unwrap().clone());
        for text in texts {
            assert!(!text.contains(canary), "a value is in {text}");
        }
        let said: Vec<_> = error.problems().iter().map(|p| p.message()).collect();
        assert!(said.contains(&"not a Quoting") && said.contains(&"not a u8: it is even"));
        assert!(said.contains(&"not a u8: it is odd"));
    }
}
