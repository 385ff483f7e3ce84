//! Aliases: what staging has instead of production's secrets, and every way to get them wrong.
// A test fails by panicking; the error of the jail is figment's own.
#![allow(clippy::result_large_err)]
#![allow(dead_code, reason = "some configs are never built")]

use figment::Jail;
use sikkerkey::{
    CheckStatus, Fetch, LoadOptions, Loader, ProblemKind, SecretRef, SikkerKey, SikkerKeyConfig,
};
use sikkerkey_emulator::Emulator;
use sikkerkey_tests::emulator;

#[derive(Debug, SikkerKeyConfig)]
struct App {
    #[sikkerkey(secret = "sk_flags")]
    flags: String,
    #[sikkerkey(secret = "sk_db", field = "host")]
    host: String,
    #[sikkerkey(secret = "sk_db", field = "port")]
    port: u16,
    #[sikkerkey(name = "SENTRY DSN")]
    sentry: Option<String>,
}

fn vault() -> Emulator {
    emulator()
        .secret("sk_flags", "of-sk_flags")
        .structured("sk_db", [("host", "db.production"), ("port", "5432")])
        .secret("sk_flags_stg", "of-sk_flags_stg")
        .structured("sk_db_stg", [("host", "db.staging"), ("port", "65536")])
        .secret("sk_dsn", "of-sk_dsn")
        .name("sk_dsn", "SENTRY DSN")
        .project("sk_dsn", "proj_stg")
        .start()
        .unwrap()
}

fn client(vault: &Emulator) -> SikkerKey {
    SikkerKey::new(vault.identity_path()).unwrap()
}

fn loader(vault: &Emulator) -> Loader<App> {
    App::loader(&client(vault))
}

/// What a load with these options says, where it must not send anything.
#[track_caller]
fn refused(vault: &Emulator, options: LoadOptions) -> String {
    let before = vault.request_count();
    let loader = loader(vault).options(options);
    let error = loader.load().unwrap_err();
    assert!(
        error
            .problems()
            .iter()
            .all(|p| p.kind() == ProblemKind::Conflict)
    );
    assert_eq!(loader.snapshot().refusals(), error.problems());
    assert_eq!(loader.live().unwrap_err().problems(), error.problems());
    assert_eq!(vault.request_count(), before, "something was sent");
    error.to_string()
}

#[test]
fn a_report_shows_both_ids() {
    let vault = vault();
    vault.deny("sk_flags_stg");
    let error = loader(&vault)
        .aliases([("sk_flags", "sk_flags_stg"), ("sk_db", "sk_db_stg")])
        .alias("SENTRY DSN", "sk_none")
        .load()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "\
cannot build App: 2 problems
  flags  sk_flags -> sk_flags_stg  denied: this machine is not approved, or has no grant for it
  port   sk_db -> sk_db_stg/port   not a u16: above 65535"
    );
    let problem = &error.problems()[1];
    assert_eq!(problem.secret(), Some(&SecretRef::Id("sk_db".into())));
    assert_eq!(problem.resolved_id(), Some("sk_db_stg"));
    assert_eq!(
        problem.to_string(),
        "port: sk_db -> sk_db_stg/port: not a u16: above 65535"
    );
    vault.assert_reads_only(["sk_flags_stg", "sk_db_stg", "sk_none"]);
}

#[test]
fn an_id_without_an_alias_resolves_to_itself_and_a_name_to_its_id() {
    let vault = vault();
    vault.deny("sk_db");
    vault.deny("sk_dsn");
    let error = loader(&vault).load().unwrap_err();
    assert_eq!(error.problems()[0].resolved_id(), Some("sk_db"));
    assert!(!error.to_string().contains("->"), "{error}");
    let report = loader(&vault).check().unwrap();
    assert_eq!(
        report.to_string(),
        r#"    PATH    SECRET        FIELD  NEEDED    STATUS
ok  flags   sk_flags             required  found
!!  host    sk_db         host   required  not visible to this machine: missing or not granted
!!  port    sk_db         port   required  not visible to this machine: missing or not granted
??  sentry  "SENTRY DSN"         optional  not visible to this machine: missing or not granted
"#
    );
}

#[test]
fn an_alias_that_fits_nothing_is_a_problem_and_nothing_is_read() {
    let vault = vault();
    assert_eq!(
        refused(
            &vault,
            LoadOptions::new()
                .alias("sk_flag", "sk_flags_stg")
                .alias("SENTRY_DSN ", "sk_dsn")
                .alias("sk_other", "sk_db")
                .alias("sk_db", "sk_db_stg")
        ),
        "\
cannot build App: 3 problems
  App    the alias \"SENTRY_DSN \" -> sk_dsn fits no secret of the config: did you mean \"SENTRY DSN\"?
  App    the alias sk_flag -> sk_flags_stg fits no secret of the config: did you mean sk_flags?
  App    the alias sk_other -> sk_db fits no secret of the config, which names sk_db: an alias goes from what the config names to what is read instead"
    );
}

#[test]
fn an_alias_to_what_is_no_id_to_itself_or_in_a_circle_is_a_problem() {
    let vault = vault();
    for (aliases, said) in [
        (vec![("sk_flags", "../sk_flags")], "leads to no id"),
        (vec![("sk_flags", "")], "leads to no id"),
        (vec![("sk_flags", "SENTRY DSN")], "leads to no id"),
        (vec![("sk_flags", "sk_flags")], "leads to itself"),
        (
            vec![("sk_flags", "sk_db"), ("sk_db", "sk_flags")],
            "the aliases go in a circle: sk_db -> sk_flags -> sk_db",
        ),
        (
            vec![("sk_flags", "sk_a1"), ("sk_flags", "sk_b2")],
            "the list of aliases has more than one alias for \"sk_flags\"",
        ),
    ] {
        let text = refused(&vault, LoadOptions::new().aliases(aliases));
        assert!(text.contains(said), "{text}");
        assert_eq!(text.lines().count(), 2, "{text}");
    }
}

#[test]
fn two_secrets_may_be_one_elsewhere_and_a_later_alias_replaces_an_earlier_one() {
    #[derive(Debug, SikkerKeyConfig)]
    struct Two {
        #[sikkerkey(secret = "sk_one")]
        one: String,
        #[sikkerkey(secret = "sk_two")]
        two: String,
    }
    let vault = vault();
    let both = Two::loader(&client(&vault))
        .aliases([("sk_one", "sk_none"), ("sk_two", "sk_flags_stg")])
        .alias("sk_one", "sk_flags_stg");
    let two = both.load().unwrap();
    assert_eq!(
        (&*two.one, &*two.two),
        ("of-sk_flags_stg", "of-sk_flags_stg")
    );
    assert_eq!(vault.request_count(), 1);
    // One step: what is read instead has an alias of its own, which is for the config alone.
    let chain =
        Two::loader(&client(&vault)).aliases([("sk_one", "sk_two"), ("sk_two", "sk_flags")]);
    let snapshot = chain.snapshot();
    assert_eq!(
        snapshot.id_of(&SecretRef::Id("sk_two".into())),
        Some("sk_flags")
    );
    assert_eq!(snapshot.ids().collect::<Vec<_>>(), ["sk_flags", "sk_two"]);
}

#[test]
fn aliases_come_from_the_environment() {
    let vault = vault();
    let from_env = || LoadOptions::new().aliases_from_env("SIKKERKEY_ALIASES");
    Jail::expect_with(|jail| {
        assert_eq!(
            loader(&vault).options(from_env()).load().unwrap().host,
            "db.production"
        );
        jail.set_env("SIKKERKEY_ALIASES", "");
        assert_eq!(from_env(), LoadOptions::new());
        jail.set_env(
            "SIKKERKEY_ALIASES",
            "sk_flags=sk_flags_stg, SENTRY DSN = sk_flags",
        );
        assert_eq!(
            from_env(),
            LoadOptions::new()
                .alias("sk_flags", "sk_flags_stg")
                .alias("SENTRY DSN", "sk_flags")
        );
        let app = loader(&vault)
            .aliases_from_env("SIKKERKEY_ALIASES")
            .load()
            .unwrap();
        assert_eq!(
            (&*app.flags, app.sentry.as_deref()),
            ("of-sk_flags_stg", Some("of-sk_flags"))
        );
        jail.set_env("SIKKERKEY_ALIASES", "sk_flags=sk_flags_stg,sk_db");
        assert_eq!(
            refused(&vault, from_env()),
            "\
cannot build App: 1 problem
  App    SIKKERKEY_ALIASES: \"sk_db\" is not an alias: one is written FROM=TO, and several are divided by commas"
        );
        Ok(())
    });
}

#[test]
fn strict_aliases_read_nothing_that_the_config_names() {
    let vault = vault();
    let strict = LoadOptions::new().strict_aliases();
    assert_eq!(
        refused(&vault, strict.clone().alias("sk_flags", "sk_flags_stg")),
        "\
cannot build App: 2 problems
  host    sk_db         strict aliases: it has no alias
  sentry  \"SENTRY DSN\"  strict aliases: it has no alias, and no project or application is set"
    );
    let shared = [
        ("sk_flags", "sk_db"),
        ("sk_db", "sk_db_stg"),
        ("SENTRY DSN", "sk_dsn"),
    ];
    let text = refused(&vault, strict.clone().aliases(shared));
    assert!(
        text.contains(
            "sk_flags -> sk_db  strict aliases: it leads to an id that the config names itself"
        ),
        "{text}"
    );
    vault.put_structured("sk_db_stg", [("host", "db.staging"), ("port", "5433")]);
    let all = strict.aliases([("sk_flags", "sk_flags_stg"), ("sk_db", "sk_db_stg")]);
    let app = loader(&vault)
        .options(all)
        .project("proj_stg")
        .load()
        .unwrap();
    assert_eq!(
        (&*app.host, app.sentry.as_deref()),
        ("db.staging", Some("of-sk_dsn"))
    );
    vault.assert_reads_only(["sk_flags_stg", "sk_db_stg", "sk_dsn"]);
}

#[test]
fn a_check_shows_both_ids_and_what_is_wrong_with_the_aliases() {
    let vault = vault();
    let report = loader(&vault)
        .alias("sk_flags", "sk_flags_stg")
        .alias("sk_bd", "sk_db_stg")
        .check()
        .unwrap();
    assert_eq!(
        report.to_string(),
        r#"    PATH    SECRET                    FIELD  NEEDED    STATUS
ok  flags   sk_flags -> sk_flags_stg         required  found
ok  host    sk_db                     host   required  found
ok  port    sk_db                     port   required  found
ok  sentry  "SENTRY DSN" -> sk_dsn           optional  found
!!                                                     the alias sk_bd -> sk_db_stg fits no secret of the config: did you mean sk_db?
"#
    );
    assert!(!report.is_ok());
    assert_eq!((report.problems().count(), report.refusals().len()), (0, 1));
    let first = report.iter().next().unwrap();
    assert_eq!(
        (first.status(), first.resolved_id()),
        (CheckStatus::Ok, Some("sk_flags_stg"))
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        (&json[0]["resolved_id"], &json[4]["status"]),
        (&"sk_flags_stg".into(), &"refused".into())
    );
    assert_eq!(json[4]["ok"], false);
    assert!(vault.read_counts().is_empty());
}

#[test]
fn a_schema_that_is_no_struct_has_the_same_rules() {
    let vault = vault();
    let options = LoadOptions::new().alias("sk_flag", "sk_flags_stg");
    let snapshot = Fetch::new(&client(&vault))
        .options(options)
        .snapshot(&App::schema());
    assert_eq!(snapshot.refusals().len(), 1);
    let schema = App::schema();
    let problem = snapshot.text(schema.iter().next().unwrap()).unwrap_err();
    assert_eq!(
        problem.message(),
        "the alias sk_flag -> sk_flags_stg fits no secret of the config: did you mean sk_flags?"
    );
    assert_eq!(vault.request_count(), 0);
}
