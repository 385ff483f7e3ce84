//! The export as a layer of figment.
// A test fails by panicking; the error is figment's own.
#![allow(clippy::result_large_err)]

use figment::value::{Dict, Value};
use figment::{Figment, Profile};
use sikkerkey::{LoadOptions, SikkerKey};
use sikkerkey_emulator::{Emulator, Fault, Reply};
use sikkerkey_figment::{Exported, FigmentExt};
use sikkerkey_tests::emulator;

fn vault() -> Emulator {
    emulator()
        .structured(
            "sk_db",
            [
                ("host", "db.example.com"),
                ("port", "5432"),
                ("password", "12345"),
            ],
        )
        .name("sk_db", "Db Creds")
        .project("sk_db", "proj_x")
        .secret("sk_key", "sk-live-1")
        .name("sk_key", "API_KEY")
        .start()
        .unwrap()
}

fn client(vault: &Emulator) -> SikkerKey {
    SikkerKey::new(vault.identity_path().display().to_string()).unwrap()
}

fn keys(provider: Exported) -> Vec<String> {
    fn walk(dict: &Dict, above: &str, keys: &mut Vec<String>) {
        for (key, value) in dict {
            match value {
                Value::Dict(_, inner) => walk(inner, &format!("{above}{key}."), keys),
                _ => keys.push(format!("{above}{key}")),
            }
        }
    }
    let mut keys = Vec::new();
    walk(&Figment::from(provider).extract().unwrap(), "", &mut keys);
    keys
}

#[test]
fn names_become_keys_as_those_of_an_environment_do() {
    let vault = vault();
    let sk = client(&vault);
    let all = || Exported::all(&sk);
    assert_eq!(
        keys(all()),
        [
            "api_key",
            "db_creds_host",
            "db_creds_password",
            "db_creds_port"
        ]
    );
    assert_eq!(
        keys(Exported::project(&sk, "proj_x")),
        ["db_creds_host", "db_creds_password", "db_creds_port"]
    );
    assert_eq!(
        keys(all().only(&["api_key", "DB_CREDS_HOST"])),
        ["api_key", "db_creds_host"]
    );
    assert_eq!(keys(all().ignore(&["Api_Key"])).len(), 3);
    assert_eq!(
        keys(all().filter(|name| name.as_str().ends_with("_PORT"))),
        ["db_creds_port"]
    );
    assert_eq!(
        keys(all().prefixed("db_creds_")),
        ["host", "password", "port"]
    );
    assert_eq!(
        keys(all().prefixed("DB_").split("_")),
        ["creds.host", "creds.password", "creds.port"]
    );
    assert_eq!(
        keys(all().only(&["API_KEY"]).map(|_| "stripe.key".into())),
        ["stripe.key"]
    );
    assert_eq!(keys(all().only(&["API_KEY"]).lowercase(false)), ["API_KEY"]);
    // The steps are taken in order: after the split, there is no such name any more.
    assert!(keys(all().split("_").only(&["API_KEY"])).is_empty());
}

#[test]
fn values_are_strings_unless_json_is_asked_for() {
    let vault = vault();
    let exported = Exported::all(&client(&vault)).prefixed("db_creds_");
    let figment = Figment::from(exported.clone().json(&["port"]));
    assert_eq!(figment.extract_inner::<u16>("port").unwrap(), 5432);
    assert_eq!(
        figment.extract_inner::<String>("password").unwrap(),
        "12345"
    );

    let error = Figment::from(exported.json(&["host"]))
        .extract::<Dict>()
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("host (DB_CREDS_HOST): the value is not JSON"),
        "{text}"
    );
    assert!(!text.contains("example.com"), "{text}");
}

#[test]
fn one_request_serves_all_clones_and_profiles_are_kept_apart() {
    let vault = vault();
    let exported = Exported::all(&client(&vault));
    let figment = Figment::new()
        .merge(exported.clone().profile("staging"))
        .merge(exported.only(&["API_KEY"]).global());
    let profiles: Vec<_> = figment.profiles().cloned().collect();
    assert_eq!(profiles, [Profile::Global, Profile::new("staging")]);
    assert_eq!(vault.request_count(), 1);
}

#[test]
fn options_choose_the_project_and_are_not_shared_with_earlier_clones() {
    let vault = vault();
    let all = Exported::all(&client(&vault)).only(&["API_KEY", "DB_CREDS_PORT"]);
    assert_eq!(keys(all.clone()), ["api_key", "db_creds_port"]);
    let of_project = all.clone().options(LoadOptions::new().project("proj_x"));
    assert_eq!(keys(of_project.clone()), ["db_creds_port"]);
    assert_eq!(keys(all), ["api_key", "db_creds_port"]);
    assert_eq!(vault.request_count(), 2);
    assert!(format!("{of_project:?}").contains("proj_x"));
}

#[test]
fn an_error_names_the_vault_and_the_name_of_the_export() {
    let vault = vault();
    let sk = client(&vault);
    let figment = Figment::from(Exported::project(&sk, "proj_x").split("_"));
    let error = figment
        .extract_secret_inner::<u16>("db.creds.password")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "invalid type: found string, expected u16 for key \
             \"default.db.creds.password (DB_CREDS_PASSWORD)\" in {} SikkerKey export of proj_x",
            sk.vault_id()
        )
    );
}

#[test]
fn a_failed_export_is_an_error_of_the_figment() {
    let vault = vault();
    vault.fail_always(Fault::Status(403));
    let figment = Figment::from(Exported::all(&client(&vault)));
    let error = figment.extract::<Dict>().unwrap_err().to_string();
    assert!(
        error.starts_with("SikkerKey: the export failed: "),
        "{error}"
    );
    assert!(error.ends_with("SikkerKey export"), "{error}");
}

#[test]
fn a_name_that_may_be_a_secret_is_hidden_in_errors() {
    let vault = vault();
    vault.fail_next(Reply::new(200).body(
        r#"{"secrets":[{"id":"sk_git","name":"git","fieldNames":"user",
            "value":"{\"user\":\"x\",\"ghp_4f9a21c8d0e3\":\"ci\"}"}]}"#,
    ));
    let sk = client(&vault);
    let figment = Figment::from(Exported::all(&sk));
    let error = figment
        .extract_secret::<std::collections::BTreeMap<String, u16>>()
        .unwrap_err();
    let text = format!("{error} {error:?}").to_lowercase();
    assert!(!text.contains("4f9a21"), "{error}");
    // The value itself is there, by its name.
    let value: String = figment.extract_inner("git_ghp_4f9a21c8d0e3").unwrap();
    assert_eq!(value, "ci");
}
