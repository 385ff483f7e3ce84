//! A developer's own secrets over those of a vault.

#![cfg(all(feature = "derive", feature = "live"))]
mod common;

use std::collections::BTreeMap;

use common::emulator;
use common::stage::{PATIENCE, Stage};
use sikkerkey::live::SecretState;
use sikkerkey::{
    CheckStatus, Freshness, Live, ProblemKind, ReadOutcome, Resync, RetryPolicy, SikkerKey,
    SikkerKeyConfig, Snapshot,
};

#[derive(Debug, SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = "sk_mail")]
    mail: String,
    #[sikkerkey(name = "SENTRY DSN")]
    sentry: Option<String>,
    #[sikkerkey(secret = "sk_flags", json)]
    flags: BTreeMap<String, u32>,
    #[sikkerkey(nested)]
    db: Database,
}

#[derive(Debug, SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
struct Database {
    host: String,
    user: Option<String>,
    port: u16,
}

fn stage() -> Stage {
    let vault = emulator()
        .secret("sk_mail", "mail-vault")
        .secret("sk_dsn", "dsn-vault")
        .name("sk_dsn", "SENTRY DSN")
        .json("sk_flags", r#"{"old": 1, "beta": 0}"#)
        .json("sk_db", r#"{"host": "db-vault", "port": 5432}"#);
    Stage::new(vault.start().unwrap())
}

fn client(stage: &Stage) -> SikkerKey {
    stage.builder().retry(RetryPolicy::none()).build().unwrap()
}

fn over<const N: usize>(secrets: [(&str, &str); N]) -> Snapshot {
    Snapshot::from_iter(secrets)
}

#[test]
fn a_whole_secret_is_not_read_and_not_looked_up() {
    let stage = stage();
    let own = over([
        ("sk_mail", "mail-own"),
        ("SENTRY DSN", "dsn-own"),
        (
            "sk_db",
            r#"{"host": "localhost", "port": "1", "user": "me"}"#,
        ),
    ]);
    let config = Config::loader(client(&stage))
        .overrides(own)
        .load()
        .unwrap();
    assert_eq!(config.mail, "mail-own");
    assert_eq!(config.sentry.as_deref(), Some("dsn-own"));
    let db = config.db;
    assert_eq!(
        (db.host.as_str(), db.port, db.user.as_deref()),
        ("localhost", 1, Some("me"))
    );
    let paths: Vec<_> = stage.vault.requests().into_iter().map(|r| r.path).collect();
    assert_eq!(paths, ["/v1/secret/sk_flags"]);
}

#[test]
fn an_object_replaces_only_the_fields_that_it_names() {
    let stage = stage();
    let own = over([
        ("sk_db", r#"{"host": "localhost"}"#),
        ("sk_flags", r#"{"beta": 7, "new": 2}"#),
    ]);
    let config = Config::loader(client(&stage))
        .overrides(own)
        .load()
        .unwrap();
    assert_eq!(
        (config.db.host.as_str(), config.db.port),
        ("localhost", 5432)
    );
    assert_eq!(config.db.user, None);
    let flags: Vec<_> = config
        .flags
        .iter()
        .map(|(name, n)| (name.as_str(), *n))
        .collect();
    assert_eq!(flags, [("beta", 7), ("new", 2), ("old", 1)]);
    assert_eq!((stage.reads("sk_db"), stage.reads("sk_flags")), (1, 1));
}

#[test]
fn what_is_below_decides_about_the_other_fields() {
    let own = || over([("sk_db", r#"{"host": "localhost"}"#)]);
    let stage = stage();
    let loader = Config::loader(client(&stage)).overrides(own());
    let problem = || {
        let error = loader.load().unwrap_err();
        error.to_string()
    };
    stage.vault.delete("sk_db");
    assert_eq!(
        problem(),
        "cannot build Config: 1 problem\n  \
         db.port  sk_db/port  no field \"port\"; the secret has \"host\""
    );
    stage.vault.put("sk_db", "plain");
    assert!(problem().contains("no field \"port\""));
    stage.vault.deny("sk_db");
    let text = problem();
    assert!(text.contains("db.port  sk_db/port  denied"), "{text}");
}

#[test]
fn an_override_can_take_a_secret_away() {
    let stage = stage();
    let own = over([]).with([
        ("sk_mail", ReadOutcome::Denied),
        ("SENTRY DSN", ReadOutcome::Missing),
    ]);
    let loader = Config::loader(client(&stage)).overrides(own);
    let error = loader.load().unwrap_err();
    let found: Vec<_> = error
        .problems()
        .iter()
        .map(|p| (p.path(), p.kind()))
        .collect();
    assert_eq!(found, [("mail", ProblemKind::Denied)]);
    let report = loader.check().unwrap();
    let bad: Vec<_> = report.problems().map(|c| c.requirement().path()).collect();
    assert_eq!(bad, ["mail"]);
}

#[test]
fn an_alias_leads_to_an_override_too() {
    let stage = stage();
    let loader = Config::loader(client(&stage)).alias("sk_mail", "sk_mail_stg");
    let by_target = loader.clone().overrides(over([("sk_mail_stg", "target")]));
    assert_eq!(by_target.load().unwrap().mail, "target");
    let by_word = loader.overrides(over([("sk_mail", "word"), ("sk_mail_stg", "target")]));
    let error = by_word.load().unwrap_err().to_string();
    // The config's own word comes first, so the other has no effect.
    assert!(
        error.contains("sk_mail_stg  overridden, and the config"),
        "{error}"
    );
}

#[test]
fn an_override_without_effect_is_a_problem_before_anything_is_read() {
    let stage = stage();
    let own = over([
        ("sk_mial", "canary"),
        ("nothing like it", "canary"),
        (
            "sk_db",
            r#"{"hosts": "canary", "port": 1, "sk-live-4242": "canary"}"#,
        ),
        ("sk_flags", r#"{"any": 1}"#),
    ]);
    let loader = Config::loader(client(&stage)).overrides(own);
    let error = loader.load().unwrap_err();
    assert_eq!(
        error.to_string(),
        "\
cannot build Config: 4 problems
  Config  nothing like it  overridden, and the config does not read this secret
  Config  sk_db/hosts      overridden, and the config does not read this field (did you mean \"host\"?)
  Config  sk_db            overridden, and the config does not read a field whose name is not shown
  Config  sk_mial          overridden, and the config does not read this secret; near it: sk_mail"
    );
    assert!(
        error
            .problems()
            .iter()
            .all(|p| p.kind() == ProblemKind::Conflict)
    );
    let live = loader.clone().live().unwrap_err();
    assert_eq!(live.to_string(), error.to_string());
    assert_eq!(stage.vault.requests().len(), 0);
    let check = loader.check().unwrap();
    assert_eq!(check.refusals(), error.problems());
    assert!(!check.is_ok());
}

#[test]
fn a_check_shows_what_is_overridden() {
    let stage = stage();
    stage.vault.delete("sk_mail");
    let own = over([
        ("sk_mail", "mail-own"),
        ("SENTRY DSN", "dsn-own"),
        ("sk_flags", "{}"),
        ("sk_db", r#"{"host": "localhost"}"#),
    ]);
    let loader = Config::loader(client(&stage)).overrides(own);
    let report = loader.check().unwrap();
    assert_eq!(
        report.to_string(),
        "    PATH     SECRET                  FIELD  NEEDED    STATUS
ok  mail     sk_mail                        required  overridden
ok  sentry   \"SENTRY DSN\" -> sk_dsn         optional  overridden
ok  flags    sk_flags                       required  overridden
ok  db.host  sk_db                   host   required  overridden
ok  db.user  sk_db                   user   optional  field missing
ok  db.port  sk_db                   port   required  found
"
    );
    assert_eq!(stage.vault.requests().len(), 1);

    let text = loader
        .overrides(over([("sk_db", "plain")]))
        .check()
        .unwrap();
    let statuses: Vec<_> = text.iter().map(|check| check.status()).collect();
    assert_eq!(statuses[3..], [CheckStatus::NotStructured; 3]);
}

#[track_caller]
fn state(live: &Live<Config>, id: &str) -> Option<SecretState> {
    let status = live.status();
    let mut secrets = status.secrets();
    secrets
        .find(|secret| secret.id() == id)
        .map(|secret| secret.state())
}

#[test]
fn a_live_config_follows_what_is_below() {
    let stage = stage();
    let own = over([
        ("sk_mail", "mail-own"),
        ("sk_db", r#"{"host": "localhost"}"#),
    ]);
    let loader = Config::loader(client(&stage)).overrides(own);
    let live = loader.live().unwrap();
    stage.rest();
    let mut changes = live.subscribe();
    for id in ["sk_mail", "sk_db"] {
        assert_eq!(state(&live, id), Some(SecretState::Overridden), "{id}");
    }
    assert_eq!(state(&live, "sk_flags"), Some(SecretState::Current));
    assert!(
        live.status()
            .to_string()
            .ends_with(", sk_db overridden, sk_mail overridden")
    );

    stage.vault.put("sk_mail", "mail-vault-2");
    stage
        .vault
        .put("sk_db", r#"{"host": "db-vault-2", "port": 5433}"#);
    stage.poll();
    let change = changes.recv_timeout(PATIENCE).unwrap();
    assert_eq!(change.paths(), ["db.port"]);
    let db = &change.after().db;
    assert_eq!((db.host.as_str(), db.port), ("localhost", 5433));
    assert_eq!(change.after().mail, "mail-own");
    assert_eq!(state(&live, "sk_db"), Some(SecretState::Overridden));

    // A resync, and a refresh: the value below is what they compare with, and what they read.
    let generation = live.status().generation();
    live.refresh().unwrap();
    assert_eq!(live.status().generation(), generation);
    stage.poll();
    assert!(!live.refresh_secret("sk_mail").unwrap());
    assert_eq!(stage.reads("sk_mail"), 0);

    stage.vault.delete("sk_db");
    stage.polls(2);
    stage.clock.threads_at_rest("sikkerkey-live", 1);
    assert_eq!(state(&live, "sk_db"), Some(SecretState::Deleted));
    assert_eq!(live.status().freshness(), Freshness::Degraded);
    assert!(
        stage
            .vault
            .requests()
            .iter()
            .all(|request| { !String::from_utf8_lossy(&request.body).contains("sk_mail") })
    );
}

/// What is said of a secret that nothing is read of has no effect, and is no mistake.
#[test]
fn settings_of_overridden_secrets_are_no_mistakes() {
    let stage = stage();
    let aliases = [
        ("sk_mail", "sk_mail_stg"),
        ("SENTRY DSN", "sk_dsn_stg"),
        ("sk_flags", "sk_flags_stg"),
        ("sk_db", "sk_db_stg"),
    ];
    stage
        .vault
        .put("sk_db_stg", r#"{"host": "db-stg", "port": 1}"#);
    let own = || {
        over([
            ("sk_mail", "mail-own"),
            ("SENTRY DSN", "dsn-own"),
            ("sk_flags_stg", "7"),
            ("sk_db", r#"{"host": "localhost"}"#),
        ])
    };
    let loader = Database::loader(client(&stage))
        .alias("sk_db", "sk_db_stg")
        .strict_aliases()
        .resync_secret("sk_db_stg", Resync::Never);
    let db = over([("sk_db", r#"{"host": "localhost"}"#)]);
    let live = loader.overrides(db).live().unwrap();
    assert_eq!(
        (live.load().host.as_str(), live.load().port),
        ("localhost", 1)
    );
    let states: Vec<_> = live
        .status()
        .secrets()
        .map(|of| (of.id().to_owned(), of.state()))
        .collect();
    assert_eq!(states, [("sk_db_stg".to_owned(), SecretState::Overridden)]);

    let loader = Config::loader(client(&stage))
        .aliases(aliases)
        .strict_aliases()
        .overrides(own())
        .resync_secret("sk_mail", Resync::Never)
        .resync_secret("sk_flags_stg", Resync::Never);
    let error = loader.load().unwrap_err();
    assert_eq!(error.problems().len(), 1, "{error}");
    assert_eq!(error.problems()[0].path(), "flags");
    let error = loader.clone().live().unwrap_err();
    assert_eq!(error.problems().len(), 1, "{error}");
    let error = loader
        .resync_secret("sk_nothing", Resync::Never)
        .live()
        .unwrap_err();
    assert!(error.to_string().contains("sk_nothing"), "{error}");
}

#[test]
fn a_config_that_is_overridden_as_a_whole_needs_no_vault() {
    let stage = stage();
    let own = over([("sk_db", r#"{"host": "localhost", "port": 1, "user": "me"}"#)]);
    let loader = Database::loader(client(&stage)).overrides(own);
    let live = loader.live().unwrap();
    let status = live.status();
    assert!(status.is_offline());
    assert_eq!(status.freshness(), Freshness::Fresh);
    live.refresh().unwrap();
    assert_eq!(stage.vault.requests().len(), 0);
}
