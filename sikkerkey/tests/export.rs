//! Secrets as an environment.

mod common;

#[cfg(unix)]
use std::process::Command;

use common::{client, emulator};
use sikkerkey::ExposeSecret;
use sikkerkey_emulator::{Emulator, Reply};

fn vault() -> Emulator {
    emulator()
        .secret("sk_key", "sk-live-1")
        .name("sk_key", "Api Key")
        .json("sk_db", r#"{"host":"db","port":5432}"#)
        .name("sk_db", "DB Creds")
        .project("sk_db", "proj_production")
        .denied("sk_denied", "hunter2")
        .start()
        .unwrap()
}

#[test]
fn everything_in_one_request() {
    let vault = vault();
    let export = client(&vault).export().unwrap();
    let mut names: Vec<_> = export.names().collect();
    names.sort_unstable();
    assert_eq!(names, ["API_KEY", "DB_CREDS_HOST", "DB_CREDS_PORT"]);
    assert_eq!(export.get("DB_CREDS_PORT").unwrap().expose_secret(), "5432");
    let requests = vault.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].body.is_empty());
    assert_eq!(requests[0].header("Content-Length"), Some("0"));
}

#[test]
fn one_project() {
    let vault = vault();
    let export = client(&vault).export_project("proj_production").unwrap();
    assert_eq!(export.len(), 2);
    assert_eq!(
        vault.requests()[0].text(),
        r#"{"projectId":"proj_production"}"#
    );
}

#[cfg(unix)]
#[test]
fn a_child_process_gets_it_and_this_one_does_not() {
    let vault = vault();
    let export = client(&vault).export().unwrap();
    let child = Command::new("sh")
        .args(["-c", "printf %s \"$API_KEY:$DB_CREDS_HOST\""])
        .envs(export.envs())
        .output()
        .unwrap();
    assert_eq!(child.stdout, b"sk-live-1:db");
    assert!(std::env::var_os("DB_CREDS_HOST").is_none());
}

#[test]
fn names_that_fold_into_one_are_listed() {
    let vault = vault();
    vault.fail_next(Reply::new(200).body(
        r#"{"secrets":[{"id":"sk_1","name":"a b","value":"1"},{"id":"sk_2","name":"a-b","value":"2","fieldNames":null}]}"#,
    ));
    let export = client(&vault).export().unwrap();
    assert_eq!(export.get("A_B").unwrap().expose_secret(), "2");
    let [collision] = export.collisions() else {
        panic!("one collision was expected");
    };
    assert_eq!(collision.name, "A_B");
    assert_eq!(collision.secrets, ["sk_1", "sk_2"]);
}

#[test]
fn an_export_of_another_form_is_decode() {
    let vault = vault();
    let sk = client(&vault);
    for body in [
        "[]",
        "{}",
        r#"{"secrets":[{"id":"sk_1","name":"x"}]}"#,
        r#"{"secrets":{}}"#,
    ] {
        vault.fail_next(Reply::new(200).body(body));
        assert_eq!(
            sk.export().unwrap_err().kind(),
            sikkerkey::ErrorKind::Decode,
            "{body}"
        );
    }
    vault.fail_next(Reply::new(200).header("Content-Length", "67108865"));
    assert_eq!(
        sk.export().unwrap_err().kind(),
        sikkerkey::ErrorKind::Decode
    );
}
