//! References in files and other layers, resolved.
// A test fails by panicking; the error is figment's own.
#![allow(clippy::result_large_err)]

use figment::providers::{Env, Format, Json, Serialized, Toml};
use figment::value::Dict;
use figment::{Error, Figment, Jail};
use serde::{Deserialize, Serialize};
use sikkerkey::{LoadOptions, SikkerKey};
use sikkerkey_emulator::{Emulator, Fault};
use sikkerkey_figment::{FigmentExt, References};
use sikkerkey_tests::emulator;

fn vault() -> Emulator {
    emulator()
        .secret("sk_key", "sk-live-1")
        .structured(
            "sk_db",
            [
                ("password", "12345"),
                ("port", "5432"),
                ("tls", "true"),
                ("a/b %", "odd"),
            ],
        )
        .name("sk_db", "DB CREDS")
        .project("sk_db", "proj_x")
        .json("sk_list", r#"["a", {"b": 1}]"#)
        .denied("sk_denied", "hunter2")
        .start()
        .unwrap()
}

fn client(vault: &Emulator) -> SikkerKey {
    SikkerKey::new(vault.identity_path().display().to_string()).unwrap()
}

fn resolved(vault: &Emulator, toml: &str) -> Result<Figment, Error> {
    References::new(&client(vault)).resolve(Figment::from(Toml::string(toml)))
}

fn read(vault: &Emulator) -> Vec<String> {
    let mut read: Vec<String> = vault
        .requests()
        .iter()
        .filter_map(|r| r.path.strip_prefix("/v1/secret/").map(str::to_owned))
        .collect();
    read.sort();
    read
}

#[test]
fn every_form_is_resolved_and_each_secret_is_read_once() {
    let vault = vault();
    let figment = resolved(
        &vault,
        r#"
        plain = "x"
        key = "sikkerkey://sk_key"
        again = ["y", "sikkerkey://sk_key", { deep = ["sikkerkey://sk_db/password"] }]
        [db]
        port = "sikkerkey://sk_db/port?as=number"
        tls = "sikkerkey://sk_db/tls?as=bool"
        odd = "sikkerkey://sk_db/a%2Fb%20%25"
        named = "sikkerkey:///DB CREDS/password?as=string"
        list = "sikkerkey://sk_list?as=json"
        escaped = "sikkerkey:literal:sikkerkey://sk_key"
        "#,
    )
    .unwrap();

    #[derive(Debug, Deserialize, PartialEq)]
    struct Db {
        port: u16,
        tls: bool,
        odd: String,
        named: String,
        list: (String, Dict),
        escaped: String,
    }
    let text = |path: &str| figment.extract_inner::<String>(path).unwrap();
    assert_eq!(
        (text("plain"), text("key")),
        ("x".into(), "sk-live-1".into())
    );
    let db: Db = figment.extract_inner("db").unwrap();
    assert_eq!((db.port, db.tls, db.odd.as_str()), (5432, true, "odd"));
    assert_eq!(db.named, "12345", "a password stays a string");
    assert_eq!((db.list.0.as_str(), db.list.1.len()), ("a", 1));
    assert_eq!(db.escaped, "sikkerkey://sk_key");
    let again: (String, String, figment::value::Map<String, Vec<String>>) =
        figment.extract_inner("again").unwrap();
    assert_eq!((again.0.as_str(), again.1.as_str()), ("y", "sk-live-1"));
    assert_eq!(again.2["deep"], ["12345"]);
    assert_eq!(read(&vault), ["sk_db", "sk_key", "sk_list"]);
}

#[test]
fn any_layer_may_hold_references() {
    #[derive(Serialize)]
    struct Defaults {
        key: &'static str,
    }
    let vault = vault();
    let sk = client(&vault);
    Jail::expect_with(|jail| {
        jail.create_file("App.toml", "file = 'sikkerkey://sk_db/password'")?;
        jail.set_env("APP_VARIABLE", "sikkerkey://sk_db/port?as=number");
        let figment = Figment::from(Serialized::defaults(Defaults {
            key: "sikkerkey://sk_key",
        }))
        .merge(Toml::file("App.toml"))
        .merge(Json::string(r#"{"json": {"a": "sikkerkey://sk_db/tls"}}"#))
        .merge(Env::prefixed("APP_"));
        let figment = References::new(&sk).resolve(figment)?;
        assert_eq!(figment.extract_inner::<String>("key")?, "sk-live-1");
        assert_eq!(figment.extract_inner::<String>("file")?, "12345");
        assert_eq!(figment.extract_inner::<String>("json.a")?, "true");
        assert_eq!(figment.extract_inner::<u16>("variable")?, 5432);
        Ok(())
    });
}

#[test]
fn only_what_the_selected_profile_needs_is_read() {
    let vault = vault();
    let file = Toml::string(
        r#"
        [default]
        a = "sikkerkey://sk_gone"
        b = "sikkerkey://sk_db/password"
        [release]
        a = "sikkerkey://sk_key"
        [debug]
        a = "in debug"
        c = "sikkerkey://sk_denied"
        "#,
    )
    .nested();
    let figment = Figment::from(file).select("release");
    let figment = References::new(&client(&vault)).resolve(figment).unwrap();
    assert_eq!(figment.extract_inner::<String>("a").unwrap(), "sk-live-1");
    assert_eq!(read(&vault), ["sk_db", "sk_key"]);
}

#[test]
fn a_profile_that_does_not_exist_resolves_what_holds_without_it() {
    let vault = vault();
    let file =
        Toml::string("[default]\na = 'sikkerkey://sk_key'\n[debug]\nb = 'sikkerkey://sk_gone'");
    let figment = Figment::from(file.nested()).select("no such profile");
    let figment = References::new(&client(&vault)).resolve(figment).unwrap();
    assert_eq!(figment.extract_inner::<String>("a").unwrap(), "sk-live-1");
}

#[test]
fn of_two_layers_that_set_a_key_only_the_one_that_holds_is_read() {
    let vault = vault();
    let figment = Figment::from(Toml::string("a = 'sikkerkey://sk_gone'"))
        .merge(Toml::string("a = 'sikkerkey://sk_key'"))
        .join(Toml::string("a = 'sikkerkey://sk_denied'"));
    References::new(&client(&vault)).resolve(figment).unwrap();
    assert_eq!(read(&vault), ["sk_key"]);
}

#[test]
fn what_a_secret_holds_is_taken_as_it_is() {
    let vault = vault();
    vault.put("sk_reference", "sikkerkey://sk_key");
    vault.put("sk_toml", "[db]\nport = 1");
    vault.put("sk_json", r#"{"inner": "sikkerkey:/sk_key"}"#);
    let figment = resolved(
        &vault,
        "a = 'sikkerkey://sk_reference'\nb = 'sikkerkey://sk_toml'\n\
         c = 'sikkerkey://sk_json?as=json'\nd = 'sikkerkey:literal:sikkerkey://sk_key'",
    )
    .unwrap();
    let text = |figment: &Figment, path: &str| figment.extract_inner::<String>(path).unwrap();
    let all = |figment: &Figment| ["a", "b", "c.inner", "d"].map(|path| text(figment, path));
    let expected = [
        "sikkerkey://sk_key",
        "[db]\nport = 1",
        "sikkerkey:/sk_key",
        "sikkerkey://sk_key",
    ];
    assert_eq!(all(&figment), expected);
    let again = References::new(&client(&vault)).resolve(figment).unwrap();
    assert_eq!(all(&again), expected, "not even when it is resolved again");
    assert!(!read(&vault).contains(&"sk_key".to_owned()));
}

#[test]
fn all_problems_come_at_once_each_with_its_key_and_its_file() {
    let vault = vault();
    let sk = client(&vault);
    vault.put("sk_plain", "hunter2");
    Jail::expect_with(|jail| {
        jail.create_file(
            "App.toml",
            r#"
            a_missing = "sikkerkey://sk_gone"
            b_denied = "sikkerkey://sk_denied"
            c_typo = "sikkerkey:/sk_key"
            [d]
            no_field = "sikkerkey://sk_db/pasword"
            plain = ["sikkerkey://sk_plain/password"]
            "#,
        )?;
        jail.create_file("Db.json", r#"{"e": {"name": "sikkerkey:///NO SUCH NAME"}}"#)?;
        jail.set_env("APP_F", "sikkerkey://sk_plain?as=number");
        let figment = Figment::from(Toml::file("App.toml"))
            .merge(Json::file("Db.json"))
            .merge(Env::prefixed("APP_"));
        let error = References::new(&sk).resolve(figment).unwrap_err();
        let text = error.to_string();
        let lines: Vec<&str> = text.lines().collect();
        let expected = [
            (
                "sikkerkey://sk_gone: missing",
                "default.a_missing\" in App.toml TOML file",
            ),
            (
                "sikkerkey://sk_denied: denied",
                "default.b_denied\" in App.toml TOML file",
            ),
            (
                "it has one slash, and two are needed; the form is sikkerkey://",
                "default.c_typo\" in App.toml",
            ),
            (
                "sikkerkey://sk_db/pasword: no field \"pasword\" (did you mean \"password\"?)",
                "default.d.no_field\"",
            ),
            (
                "sikkerkey://sk_plain/password: not structured",
                "default.d.plain.0\"",
            ),
            (
                "sikkerkey:///NO SUCH NAME: missing",
                "default.e.name\" in Db.json JSON file",
            ),
            (
                "sikkerkey://sk_plain?as=number: the value is not a number",
                "\"F\" in `APP_` environment",
            ),
        ];
        assert_eq!(lines.len(), expected.len(), "{text}");
        for (line, (said, place)) in lines.iter().zip(expected) {
            assert!(line.starts_with("SikkerKey: "), "{line}");
            assert!(line.contains(said) && line.contains(place), "{line}");
        }
        assert!(!format!("{error:?}").contains("hunter2"));
        assert_eq!(
            sikkerkey_figment::redact(error).to_string(),
            text,
            "nothing to hide"
        );
        Ok(())
    });
}

#[test]
fn a_reference_inside_a_text_is_an_error_that_shows_the_way() {
    let vault = vault();
    let error = resolved(&vault, "url = 'postgres://u:sikkerkey://sk_db/password@h'").unwrap_err();
    let text = error.to_string();
    for said in [
        "it is a part of a longer text, and only a whole value is replaced",
        "store the whole text as one secret, or give the part a key of its own",
        "for the text itself, write sikkerkey:literal:TEXT",
        "for key \"default.url\" in TOML source string",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    assert!(!text.contains("postgres"), "{text}");
    assert_eq!(vault.request_count(), 0);
    let literal = "url = 'sikkerkey:literal:see sikkerkey://sk_db'";
    let figment = resolved(&vault, literal).unwrap();
    assert_eq!(
        figment.extract_inner::<String>("url").unwrap(),
        "see sikkerkey://sk_db"
    );
}

#[test]
fn a_type_error_of_a_resolved_value_names_reference_vault_and_file_but_no_value() {
    let vault = vault();
    let sk = client(&vault);
    Jail::expect_with(|jail| {
        jail.create_file(
            "App.toml",
            "port = 'sikkerkey://sk_key'\nnumber = 'sikkerkey://sk_db/port?as=number'",
        )?;
        let figment = References::new(&sk).resolve(Figment::from(Toml::file("App.toml")))?;
        let error = figment.extract_secret_inner::<u16>("port").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "invalid type: found string, expected u16 for key \"default.port \
                 (sikkerkey://sk_key)\" in {} SikkerKey vault, named in App.toml TOML file",
                sk.vault_id()
            )
        );
        let error = figment
            .extract_secret_inner::<String>("number")
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("invalid type: found unsigned int, expected a string")
        );
        Ok(())
    });
}

#[test]
fn a_figment_without_references_asks_nobody() {
    let vault = vault();
    let figment = resolved(&vault, "a = 1\nb = 'x'").unwrap();
    assert_eq!(figment.extract_inner::<String>("b").unwrap(), "x");
    assert_eq!(vault.request_count(), 0);
}

#[test]
fn a_broken_layer_is_reported_before_anything_is_read() {
    let vault = vault();
    let error = resolved(&vault, "a = 'sikkerkey://sk_key'\nb = ").unwrap_err();
    assert!(
        error.to_string().contains("in TOML source string"),
        "{error}"
    );
    assert_eq!(vault.request_count(), 0);
}

#[test]
fn project_and_alias_are_those_of_a_loader() {
    let vault = vault();
    vault.put("sk_other", "of-sk_other");
    vault.rename("sk_other", "DB CREDS");
    let sk = client(&vault);
    let figment = || {
        Figment::from(Toml::string(
            "a = 'sikkerkey:///DB CREDS/password'\nb = 'sikkerkey://sk_named'",
        ))
    };
    let options = LoadOptions::new().alias("sk_named", "sk_other");
    let resolver = References::new(&sk).options(options);
    let figment_of_project = resolver
        .clone()
        .project("proj_x")
        .resolve(figment())
        .unwrap();
    assert_eq!(figment_of_project.extract::<Dict>().unwrap().len(), 2);
    let text = resolver.resolve(figment()).unwrap_err().to_string();
    assert!(text.contains("ambiguous"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn an_outage_is_told_for_each_key() {
    let vault = vault();
    vault.fail_always(Fault::Status(500));
    let text = resolved(&vault, "a = 'sikkerkey://sk_key'\nb = 'sikkerkey://sk_key'")
        .unwrap_err()
        .to_string();
    assert_eq!(text.matches("not read: ").count(), 2, "{text}");
}
