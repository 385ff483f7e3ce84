//! Loading and checking against the service: how many requests, which secrets, what is reported.
#![allow(dead_code, reason = "some configs are never built")]

use sikkerkey::{
    CheckStatus, Error, ErrorKind, ProblemKind, SecretString, SikkerKey, SikkerKeyConfig,
};
use sikkerkey_emulator::{Emulator, EmulatorBuilder, Fault};
use sikkerkey_tests::emulator;

fn client(vault: &Emulator) -> SikkerKey {
    SikkerKey::new(vault.identity_path()).unwrap()
}

fn paths(vault: &Emulator) -> Vec<String> {
    let mut paths: Vec<_> = vault.requests().into_iter().map(|r| r.path).collect();
    paths.sort();
    paths
}

#[derive(Debug, SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
struct Database {
    host: String,
    #[sikkerkey(default = 5432)]
    port: u16,
    password: SecretString,
}

#[derive(Debug, SikkerKeyConfig)]
struct App {
    #[sikkerkey(nested)]
    db: Database,
    #[sikkerkey(secret = "sk_db", field = "host")]
    again: String,
    #[sikkerkey(secret = "sk_key")]
    key: SecretString,
    #[sikkerkey(name = "REGION")]
    region: Option<String>,
    #[sikkerkey(nested, secret = "sk_replica")]
    replica: Option<Database>,
}

fn vault() -> EmulatorBuilder {
    emulator()
        .structured("sk_db", [("host", "db"), ("password", "p")])
        .secret("sk_key", "k")
        .secret("sk_canary", "never read")
        .secret("sk_r1", "eu")
        .name("sk_r1", "REGION")
        .project("sk_r1", "proj_a")
        .secret("sk_r2", "us")
        .name("sk_r2", "REGION")
        .project("sk_r2", "proj_b")
}

#[test]
fn each_secret_is_read_once_and_no_other() {
    let vault = vault().start().unwrap();
    let app = App::loader(&client(&vault))
        .project("proj_b")
        .load()
        .unwrap();
    assert_eq!(
        (app.db.host.as_str(), app.again.as_str(), app.db.port),
        ("db", "db", 5432)
    );
    assert_eq!(app.region.as_deref(), Some("us"));
    assert!(app.replica.is_none());
    assert_eq!(
        paths(&vault),
        [
            "/v1/secret/sk_db",
            "/v1/secret/sk_key",
            "/v1/secret/sk_r2",
            "/v1/secret/sk_replica",
            "/v1/secrets/list",
        ]
    );
}

#[test]
fn an_alias_replaces_an_id_or_a_name() {
    let vault = vault().start().unwrap();
    let loader = App::loader(&client(&vault))
        .alias("sk_key", "sk_r1")
        .alias("REGION", "sk_r1");
    let snapshot = loader.snapshot();
    assert_eq!(
        snapshot.ids().collect::<Vec<_>>(),
        ["sk_db", "sk_r1", "sk_replica"]
    );
    assert_eq!(loader.load().unwrap().region.as_deref(), Some("eu"));
    assert!(
        paths(&vault)
            .iter()
            .all(|path| path.starts_with("/v1/secret/"))
    );
}

#[test]
fn an_ambiguous_name_lists_its_secrets() {
    let vault = vault().start().unwrap();
    let error = App::load(&client(&vault)).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"cannot build App: 1 problem
  region  "REGION"  ambiguous: 2 secrets have this name: sk_r1 "REGION" in proj_a, sk_r2 "REGION" in proj_b"#
    );
    assert_eq!(error.problems()[0].kind(), ProblemKind::Ambiguous);
}

#[derive(Debug, SikkerKeyConfig)]
struct Named {
    #[sikkerkey(name = "REGOIN")]
    region: String,
    #[sikkerkey(name = "NOTHING LIKE IT")]
    nothing: String,
}

#[test]
fn an_unknown_name_lists_those_near_it() {
    let vault = vault().start().unwrap();
    let error = Named::loader(&client(&vault))
        .project("proj_a")
        .load()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"cannot build Named: 2 problems
  region   "REGOIN"           missing: this machine sees no secret of this name; near it: sk_r1 "REGION" in proj_a
  nothing  "NOTHING LIKE IT"  missing: this machine sees no secret of this name"#
    );
}

#[derive(Debug, SikkerKeyConfig)]
#[rustfmt::skip]
struct Ten {
    #[sikkerkey(secret = "sk_0")] s0: u8,
    #[sikkerkey(secret = "sk_1")] s1: u8,
    #[sikkerkey(secret = "sk_2")] s2: u8,
    #[sikkerkey(secret = "sk_3", field = "f")] s3: u8,
    #[sikkerkey(secret = "sk_4")] s4: Option<u8>,
    #[sikkerkey(secret = "sk_5", default)] s5: u8,
    #[sikkerkey(secret = "sk_6", json)] s6: Vec<u8>,
    #[sikkerkey(secret = "sk_7")] s7: bool,
    #[sikkerkey(secret = "sk_8")] s8: u8,
    #[sikkerkey(secret = "sk_9")] s9: u8,
}

#[test]
fn one_denied_one_malformed_one_failing_are_one_report() {
    let vault = (0..9).fold(emulator(), |vault, i| vault.secret(format!("sk_{i}"), "1"));
    let vault = vault.start().unwrap();
    vault.deny("sk_4");
    vault.put("sk_2", "two");
    vault.fail_matching("/v1/secret/sk_8", Fault::Status(500));
    let error = Ten::load(&client(&vault)).unwrap_err();
    let found: Vec<_> = error
        .problems()
        .iter()
        .map(|p| (p.path(), p.kind()))
        .collect();
    assert_eq!(
        found,
        [
            ("s2", ProblemKind::Invalid),
            ("s3", ProblemKind::NotStructured),
            ("s4", ProblemKind::Denied),
            ("s6", ProblemKind::Invalid),
            ("s7", ProblemKind::Invalid),
            ("s8", ProblemKind::Unavailable),
            ("s9", ProblemKind::Missing),
        ]
    );
    assert!(
        error.to_string().contains("\n  s8  sk_8    not read: "),
        "{error}"
    );
    let source = std::error::Error::source(&error)
        .unwrap()
        .downcast_ref::<Error>()
        .unwrap();
    assert_eq!(
        (source.kind(), source.http_status()),
        (ErrorKind::Api, Some(500))
    );
    assert_eq!(vault.request_count(), 10);
}

/// The service locks an address out after a few failed authentications.
#[test]
fn an_unknown_machine_stops_the_load() {
    let vault = (0..9).fold(emulator(), |vault, i| vault.secret(format!("sk_{i}"), "1"));
    let vault = vault.start().unwrap();
    let sk = client(&vault);
    vault.expire_machines();
    let error = Ten::loader(&sk).concurrency(1).load().unwrap_err();
    assert_eq!(vault.request_count(), 1);
    assert_eq!(error.problems().len(), 10);
    assert!(
        error.to_string().ends_with("sk_9    not read, as above"),
        "{error}"
    );
}

#[test]
fn a_check_reads_no_value() {
    let vault = vault().start().unwrap();
    let report = App::check(&client(&vault)).unwrap();
    assert_eq!(paths(&vault), ["/v1/cli/secrets"]);
    assert!(!report.is_ok());
    assert_eq!(
        report.to_string(),
        r#"    PATH              SECRET      FIELD     NEEDED    STATUS
ok  db.host           sk_db       host      required  found
ok  db.port           sk_db       port      default   field missing
ok  db.password       sk_db       password  required  found
ok  again             sk_db       host      required  found
ok  key               sk_key                required  found
!!  region            "REGION"              optional  several secrets have this name; they are sk_r1 "REGION" in proj_a, sk_r2 "REGION" in proj_b
??  replica.host      sk_replica  host      optional  not visible to this machine: missing or not granted
??  replica.port      sk_replica  port      default   not visible to this machine: missing or not granted
??  replica.password  sk_replica  password  optional  not visible to this machine: missing or not granted
"#
    );
}

#[test]
fn a_check_of_a_service_that_is_too_old_takes_the_plain_lists() {
    let vault = vault().cli_calls(false).start().unwrap();
    let loader = App::loader(&client(&vault)).project("proj_a");
    assert!(loader.check().unwrap().is_ok());
    assert_eq!(
        paths(&vault),
        ["/v1/cli/secrets", "/v1/secrets", "/v1/secrets/list"]
    );
}

#[test]
fn a_check_tells_what_a_load_would_miss() {
    let vault = vault()
        .structured("sk_replica", [("Host", "r")])
        .start()
        .unwrap();
    vault.deny("sk_key");
    let report = App::loader(&client(&vault))
        .project("proj_a")
        .check()
        .unwrap();
    assert_eq!(paths(&vault), ["/v1/cli/secrets"]);
    let problems: Vec<_> = report.problems().map(|c| c.requirement().path()).collect();
    // The replica has none of its values: its field names are others.
    assert_eq!(problems, ["key"]);
    vault.put_structured("sk_replica", [("host", "r")]);
    vault.put("sk_db", "single");
    let report = App::loader(&client(&vault))
        .project("proj_a")
        .check()
        .unwrap();
    let problems: Vec<_> = report
        .problems()
        .map(|c| (c.requirement().path(), c.status()))
        .collect();
    assert_eq!(
        problems,
        [
            ("db.host", CheckStatus::NotStructured),
            ("db.port", CheckStatus::NotStructured),
            ("db.password", CheckStatus::NotStructured),
            ("again", CheckStatus::NotStructured),
            ("key", CheckStatus::Missing),
            ("replica.password", CheckStatus::FieldMissing),
        ]
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json[4]["status"], "missing");
    assert_eq!(json[4]["requirement"]["path"], "key");
}

#[test]
fn a_hint_of_the_check_names_twelve_secrets_at_most() {
    let mut vault = vault();
    for number in 0..20 {
        let id = format!("sk_region_{number}");
        vault = vault.secret(&id, "x").name(&id, "REGION");
    }
    let vault = vault.start().unwrap();
    let report = App::check(&client(&vault)).unwrap();
    let text = report.to_string();
    assert!(text.contains("and 10 more"), "{text}");
}
