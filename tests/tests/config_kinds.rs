//! What a config does with the kinds of its secrets: check, refused canaries, applications.
#![allow(dead_code, reason = "some configs are never built")]

use sikkerkey::{
    CheckReport, CheckStatus, ErrorKind, Fetch, LoadOptions, ProblemKind, Resync, SecretKind,
    SikkerKey, SikkerKeyConfig,
};
use sikkerkey_emulator::{Emulator, EmulatorBuilder, Fault, Kind, Lease, TypeField};
use sikkerkey_tests::emulator;
use std::time::Duration;

#[derive(Debug, SikkerKeyConfig)]
struct App {
    #[sikkerkey(secret = "sk_key")]
    key: String,
    #[sikkerkey(nested)]
    db: Login,
    #[sikkerkey(secret = "sk_trap")]
    trap: Option<String>,
    #[sikkerkey(secret = "sk_cert")]
    cert: Option<String>,
    #[sikkerkey(secret = "sk_region", default)]
    region: String,
}

#[derive(Debug, SikkerKeyConfig)]
#[sikkerkey(secret = "sk_pg")]
struct Login {
    username: String,
    password: String,
}

fn builder() -> EmulatorBuilder {
    emulator()
        .secret("sk_key", "of-sk_key")
        .structured("sk_pg", [("host", "db.example")])
        .lease("sk_pg", Lease::new(Duration::from_secs(3600)))
        .secret("sk_trap", "of-sk_trap")
        .kind("sk_trap", Kind::Canary)
        .secret("sk_cert", "of-sk_cert")
        .kind("sk_cert", Kind::Certificate)
        .denied("sk_region", "of-sk_region")
        .secret("sk_surplus", "of-sk_surplus")
        .name("sk_surplus", "Old \u{202e}key")
        .project("sk_surplus", "proj_x")
        .secret("sk_trap_2", "of-sk_trap_2")
        .kind("sk_trap_2", Kind::Canary)
}

fn client(vault: &Emulator) -> SikkerKey {
    SikkerKey::new(vault.identity_path()).unwrap()
}

fn paths(vault: &Emulator) -> Vec<String> {
    vault.requests().into_iter().map(|r| r.path).collect()
}

fn statuses(report: &CheckReport) -> Vec<(&str, CheckStatus, Option<SecretKind>)> {
    let checks = report.iter();
    checks
        .map(|c| (c.requirement().path(), c.status(), c.kind()))
        .collect()
}

#[test]
fn a_check_tells_kinds_and_what_it_cannot_tell() {
    let vault = builder().start().unwrap();
    let report = App::check(&client(&vault)).unwrap();
    assert_eq!(
        report.to_string(),
        r#"    PATH         SECRET     FIELD     NEEDED    STATUS
ok  key          sk_key               required  found
ok  db.username  sk_pg      username  required  found; leased: choose a resync
ok  db.password  sk_pg      password  required  found; leased: choose a resync
!!  trap         sk_trap              optional  this id is a canary: reading it raises an alarm
!!  cert         sk_cert              optional  a certificate: it has no value to read
??  region       sk_region            default   not visible to this machine: missing or not granted
"#
    );
    assert!(!report.is_ok() && !report.is_strictly_ok());
    assert_eq!(report.problems().count(), 2);
    assert!(report.unneeded().is_empty());
    assert_eq!(paths(&vault), ["/v1/cli/secrets"]);
    assert!(vault.alarms().is_empty() && vault.read_counts().is_empty());
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json[1]["kind"], "leased-secret");
    assert_eq!(json[3]["status"], "canary");
    assert_eq!(json[4]["status"], "certificate");
    assert_eq!(json[5]["status"], "uncertain");
    assert_eq!(json[5]["ok"], true);
    assert_eq!(json[0]["resolved_id"], "sk_key");
}

#[test]
fn a_service_that_tells_no_kinds_is_checked_as_far_as_it_goes() {
    for (cli_calls, said) in [
        (false, TypeField::Shown),
        (true, TypeField::Empty),
        (true, TypeField::LeftOut),
    ] {
        let vault = builder().cli_calls(cli_calls).type_field(said);
        let vault = vault.start().unwrap();
        let report = App::check(&client(&vault)).unwrap();
        let (found, unknown) = (CheckStatus::Ok, Some(SecretKind::Unknown));
        assert_eq!(
            statuses(&report),
            [
                ("key", found, unknown),
                ("db.username", found, unknown),
                ("db.password", found, unknown),
                ("trap", found, unknown),
                ("cert", found, unknown),
                ("region", CheckStatus::Uncertain, None),
            ]
        );
        assert!(report.is_ok() && !report.is_strictly_ok());
        assert_eq!(vault.request_count(), if cli_calls { 1 } else { 2 });
    }
}

/// The start of a config whose `default` field is denied fails, so a green check was too much.
#[test]
fn a_secret_that_may_be_denied_is_uncertain_and_keeps_a_strict_check_from_being_ok() {
    #[derive(Debug, SikkerKeyConfig)]
    struct Regional {
        #[sikkerkey(secret = "sk_key")]
        key: String,
        #[sikkerkey(secret = "sk_region", default)]
        region: String,
        #[sikkerkey(name = "NO SUCH NAME")]
        named: Option<String>,
    }
    let vault = builder().start().unwrap();
    let sk = client(&vault);
    let report = Regional::check(&sk).unwrap();
    let uncertain: Vec<_> = report.uncertain().map(|c| c.requirement().path()).collect();
    assert_eq!(uncertain, ["region", "named"]);
    assert!(report.is_ok() && !report.is_strictly_ok());
    let error = Regional::load(&sk).unwrap_err();
    assert_eq!(error.problems()[0].kind(), ProblemKind::Denied);
    vault.allow("sk_region");
    vault.rename("sk_surplus", "NO SUCH NAME");
    assert!(Regional::check(&sk).unwrap().is_strictly_ok());
    Regional::load(&sk).unwrap();
}

#[test]
fn a_resync_that_was_chosen_anywhere_is_enough_for_a_lease() {
    #[derive(Debug, SikkerKeyConfig)]
    struct OnOneField {
        #[sikkerkey(secret = "sk_pg", field = "username", resync = "40m")]
        user: String,
        #[sikkerkey(secret = "sk_pg", field = "password")]
        password: String,
    }
    #[derive(Debug, SikkerKeyConfig)]
    struct OnTheStruct {
        #[sikkerkey(nested, resync = "40m")]
        login: Login,
    }
    #[derive(Debug, SikkerKeyConfig)]
    struct Nowhere {
        #[sikkerkey(nested)]
        login: Login,
    }
    let vault = builder().start().unwrap();
    let sk = client(&vault);
    let says = |report: CheckReport| report.to_string().contains("leased: choose a resync");
    assert!(says(Nowhere::check(&sk).unwrap()));
    assert!(!says(OnOneField::check(&sk).unwrap()));
    assert!(!says(OnTheStruct::check(&sk).unwrap()));
    let every = Resync::Every(Duration::from_secs(2400));
    let of_all = Nowhere::loader(&sk).resync(every);
    assert!(!says(of_all.check().unwrap()));
    let of_one = Nowhere::loader(&sk).resync_secret("sk_pg", every);
    assert!(!says(of_one.check().unwrap()));
    let of_another = Nowhere::loader(&sk).resync_secret("sk_key", every);
    assert!(says(of_another.check().unwrap()));
    let sk = SikkerKey::builder()
        .identity_file(vault.identity_path())
        .resync_secret("sk_pg", every)
        .build()
        .unwrap();
    assert!(!says(Nowhere::check(&sk).unwrap()));
}

#[test]
fn least_privilege_names_the_grants_that_the_type_does_not_need() {
    for cli_calls in [true, false] {
        let vault = builder().cli_calls(cli_calls).start().unwrap();
        let report = App::loader(&client(&vault))
            .alias("sk_region", "sk_key")
            .least_privilege()
            .check()
            .unwrap();
        let unneeded: Vec<_> = report.unneeded().iter().map(|s| s.id.as_str()).collect();
        // What the service does not tell to be a canary looks like any other secret.
        match cli_calls {
            true => assert_eq!(unneeded, ["sk_surplus"]),
            false => assert_eq!(unneeded, ["sk_surplus", "sk_trap_2"]),
        }
        let text = report.to_string();
        assert!(
            text.contains(r#"not needed: "Old \u{202e}key" in "proj_x""#),
            "{text}"
        );
        assert_eq!(report.is_ok(), !cli_calls, "a grant too many fails no load");
        assert!(!report.is_strictly_ok());
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json[6]["status"], "unneeded");
        assert_eq!(json[6]["secret"]["id"], "sk_surplus");
        assert!(vault.read_counts().is_empty());
    }
    #[derive(Debug, SikkerKeyConfig)]
    struct Empty {}
    let vault = builder().start().unwrap();
    let sk = client(&vault);
    assert!(Empty::check(&sk).unwrap().is_strictly_ok());
    assert_eq!(vault.request_count(), 0);
    let all = Empty::loader(&sk).least_privilege().check().unwrap();
    assert_eq!(all.unneeded().len(), 4);
}

#[test]
fn a_refused_canary_is_a_problem_and_is_not_read() {
    let vault = builder().start().unwrap();
    vault.allow("sk_region");
    let sk = client(&vault);
    let error = App::loader(&sk)
        .alias("sk_key", "sk_trap_2")
        .refuse_canaries()
        .load()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "\
cannot build App: 2 problems
  key   sk_key -> sk_trap_2  a canary: reading it raises an alarm, so it was not read
  trap  sk_trap              a canary: reading it raises an alarm, so it was not read"
    );
    assert_eq!(error.problems()[0].kind(), ProblemKind::Canary);
    assert_eq!(error.problems()[0].resolved_id(), Some("sk_trap_2"));
    vault.assert_reads_only(["sk_pg", "sk_cert", "sk_region"]);
    assert!(vault.alarms().is_empty());
    assert_eq!(paths(&vault)[0], "/v1/cli/secrets");
    // Without the option a canary is a secret like any other.
    App::load(&sk).unwrap();
    assert_eq!(vault.alarms(), ["sk_trap"]);
}

#[test]
fn a_canary_by_name_is_refused_by_the_same_request() {
    #[derive(Debug, SikkerKeyConfig)]
    struct Named {
        #[sikkerkey(name = "ROOT PASSWORD")]
        root: String,
    }
    let vault = builder().name("sk_trap", "ROOT PASSWORD").start().unwrap();
    let loader = Named::loader(&client(&vault)).refuse_canaries();
    let error = loader.load().unwrap_err();
    assert_eq!(
        error.problems()[0].to_string(),
        "root: \"ROOT PASSWORD\" -> sk_trap: a canary: reading it raises an alarm, so it was not read"
    );
    assert_eq!(paths(&vault), ["/v1/cli/secrets"]);
}

#[test]
fn canaries_that_nobody_tells_are_not_refused() {
    for (cli_calls, said) in [(false, TypeField::Shown), (true, TypeField::LeftOut)] {
        let vault = builder().cli_calls(cli_calls).type_field(said);
        let vault = vault.start().unwrap();
        vault.allow("sk_region");
        App::loader(&client(&vault))
            .refuse_canaries()
            .load()
            .unwrap();
        assert_eq!(vault.alarms(), ["sk_trap"]);
    }
}

#[test]
fn without_a_list_nothing_is_read_where_canaries_are_refused() {
    let vault = builder().start().unwrap();
    vault.fail_matching("/v1/cli/secrets", Fault::Status(500));
    let loader = App::loader(&client(&vault)).refuse_canaries();
    let error = loader.load().unwrap_err();
    assert!(
        error
            .problems()
            .iter()
            .all(|p| p.kind() == ProblemKind::Unavailable)
    );
    assert_eq!(error.problems().len(), 6);
    assert_eq!(
        error.problems()[0].client_error().map(|e| e.kind()),
        Some(ErrorKind::Api)
    );
    vault.assert_reads_only([""; 0]);
}

#[test]
fn a_live_config_keeps_what_it_has_when_a_secret_becomes_a_canary() {
    #[derive(Debug, SikkerKeyConfig)]
    struct Keyed {
        #[sikkerkey(secret = "sk_key")]
        key: String,
    }
    let vault = builder().start().unwrap();
    let live = Keyed::loader(&client(&vault))
        .refuse_canaries()
        .live()
        .unwrap();
    vault.set_kind("sk_key", Kind::Canary);
    vault.clear_reads();
    let error = live.refresh().unwrap_err();
    assert_eq!(error.problems()[0].kind(), ProblemKind::Canary);
    assert_eq!(live.load().key, "of-sk_key");
    assert!(vault.alarms().is_empty() && vault.read_counts().is_empty());
}

#[test]
fn a_live_config_reads_nothing_while_nobody_tells_canaries() {
    #[derive(Debug, SikkerKeyConfig)]
    struct Keyed {
        #[sikkerkey(secret = "sk_key")]
        key: String,
        #[sikkerkey(name = "REGION")]
        region: Option<String>,
    }
    let vault = builder()
        .secret("sk_by_name", "of-sk_by_name")
        .name("sk_by_name", "REGION");
    let vault = vault.start().unwrap();
    let live = Keyed::loader(&client(&vault))
        .refuse_canaries()
        .refresh_gap(Duration::ZERO)
        .live()
        .unwrap();
    vault.fail_matching("/v1/cli/secrets", Fault::Status(500));
    vault.clear_reads();
    let error = live.refresh().unwrap_err();
    assert_eq!(error.problems()[0].kind(), ProblemKind::Unavailable);
    let config = live.load();
    assert_eq!(
        (&*config.key, config.region.as_deref()),
        ("of-sk_key", Some("of-sk_by_name"))
    );
    assert!(vault.read_counts().is_empty());
    vault.clear_faults();
    vault.put("sk_key", "of-sk_key-2");
    live.refresh().unwrap();
    let config = live.load();
    assert_eq!(
        (&*config.key, config.region.as_deref()),
        ("of-sk_key-2", Some("of-sk_by_name"))
    );
}

#[derive(Debug, SikkerKeyConfig)]
struct Scoped {
    #[sikkerkey(name = "REGION")]
    region: String,
}

fn applications() -> EmulatorBuilder {
    emulator()
        .secret("sk_eu", "of-sk_eu")
        .name("sk_eu", "REGION")
        .project("sk_eu", "proj_eu")
        .project_application("proj_eu", "app_eu")
        .secret("sk_us", "of-sk_us")
        .name("sk_us", "REGION")
        .application("sk_us", "app_us")
        .secret("sk_only", "of-sk_only")
        .name("sk_only", "ONLY ONE")
}

#[test]
fn a_display_name_is_looked_up_in_an_application() {
    let vault = applications().start().unwrap();
    let sk = client(&vault);
    let load = |options: LoadOptions| Scoped::loader(&sk).options(options).load();
    let of = |application: &str| LoadOptions::new().application(application);
    assert_eq!(load(of("app_eu")).unwrap().region, "of-sk_eu");
    assert_eq!(load(of("app_us")).unwrap().region, "of-sk_us");
    assert_eq!(
        paths(&vault),
        [
            "/v1/cli/secrets",
            "/v1/secret/sk_eu",
            "/v1/cli/secrets",
            "/v1/secret/sk_us"
        ]
    );
    // A project goes first.
    let both = of("app_us").project("proj_eu");
    assert_eq!(load(both.clone()).unwrap().region, "of-sk_eu");
    assert_eq!(load(both.refuse_canaries()).unwrap().region, "of-sk_eu");
    let error = load(of("app_none")).unwrap_err();
    assert_eq!(error.problems()[0].kind(), ProblemKind::Missing);
    let error = load(LoadOptions::new()).unwrap_err();
    assert_eq!(error.problems()[0].kind(), ProblemKind::Ambiguous);
    let error = load(of("no/id")).unwrap_err();
    let cause = error.problems()[0].client_error().map(|e| e.kind());
    assert_eq!(cause, Some(ErrorKind::InvalidId));
    let check = Scoped::loader(&sk).application("app_us").check().unwrap();
    assert_eq!(check.iter().next().unwrap().resolved_id(), Some("sk_us"));
    assert!(
        check.to_string().contains(r#""REGION" -> sk_us"#),
        "{check}"
    );
}

#[test]
fn a_service_without_applications_is_asked_for_the_plain_list() {
    #[derive(Debug, SikkerKeyConfig)]
    struct One {
        #[sikkerkey(name = "ONLY ONE")]
        one: String,
    }
    let vault = applications().cli_calls(false).start().unwrap();
    let sk = client(&vault);
    let one = One::loader(&sk).application("app_eu");
    assert_eq!(one.load().unwrap().one, "of-sk_only");
    assert_eq!(
        paths(&vault),
        ["/v1/cli/secrets", "/v1/secrets", "/v1/secret/sk_only"]
    );
    assert!(one.check().unwrap().is_strictly_ok());
    // What cannot be told apart is a problem, and nothing is read.
    vault.clear_reads();
    let error = Scoped::loader(&sk)
        .application("app_eu")
        .load()
        .unwrap_err();
    assert_eq!(error.problems()[0].kind(), ProblemKind::Ambiguous);
    vault.assert_reads_only([""; 0]);
    // A project is asked for by a call that every service has.
    for options in [LoadOptions::new(), LoadOptions::new().refuse_canaries()] {
        let loader = Scoped::loader(&sk).options(options.project("proj_eu"));
        assert_eq!(loader.load().unwrap().region, "of-sk_eu");
        assert!(loader.check().unwrap().is_ok());
    }
}

#[test]
fn a_schema_says_what_may_be_read() {
    let vault = builder().start().unwrap();
    let sk = client(&vault);
    let _ = Fetch::new(&sk).snapshot(&App::schema());
    vault.assert_reads_only(&App::schema());
    vault.assert_reads_only(App::schema().secrets());
    let vault = applications().start().unwrap();
    let loader = Scoped::loader(&client(&vault)).project("proj_eu");
    loader.load().unwrap();
    vault.assert_reads_only(&Scoped::schema());
}
