//! Kinds, projects and applications, of a service that tells them and of one that is too old.

mod common;

use common::{client, emulator};
use sikkerkey::{ErrorKind, SecretKind, SikkerKey};
use sikkerkey_emulator::{Emulator, EmulatorBuilder, Fault, Kind, Reply, TypeField};

fn builder() -> EmulatorBuilder {
    emulator()
        .secret("sk_plain", "of-sk_plain")
        .name("sk_plain", "Plain")
        .structured("sk_fields", [("user", "u"), ("pass", "p")])
        .secret("sk_managed", "of-sk_managed")
        .kind("sk_managed", Kind::Managed)
        .secret("sk_leased", "of-sk_leased")
        .kind("sk_leased", Kind::Leased)
        .secret("sk_cert", "of-sk_cert")
        .kind("sk_cert", Kind::Certificate)
        .secret("sk_trap", "of-sk_trap")
        .kind("sk_trap", Kind::Canary)
        .denied("sk_denied", "of-sk_denied")
        .project("sk_plain", "proj_x")
        .project_name("proj_x", "X")
        .project_application("proj_x", "app_1")
        .application_name("app_1", "One")
        .project("sk_fields", "proj_y")
        .application("sk_fields", "app_2")
}

fn start(setting: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> (Emulator, SikkerKey) {
    let vault = setting(builder()).start().unwrap();
    let sk = client(&vault);
    (vault, sk)
}

fn kinds(sk: &SikkerKey) -> Vec<SecretKind> {
    let secrets = sk.list_secrets_detailed().unwrap();
    secrets.iter().map(|secret| secret.kind).collect()
}

#[test]
fn the_rich_list_tells_kind_project_and_application() {
    for null_fields in [true, false] {
        let (vault, sk) = start(|b| b.null_fields(null_fields));
        let secrets = sk.list_secrets_detailed().unwrap();
        let plain = &secrets[0];
        assert_eq!((&*plain.id, &*plain.name), ("sk_plain", "Plain"));
        assert_eq!(plain.field_names, None);
        assert_eq!(plain.project_id.as_deref(), Some("proj_x"));
        assert_eq!(plain.project_name.as_deref(), Some("X"));
        assert_eq!(plain.application_id.as_deref(), Some("app_1"));
        assert_eq!(plain.application_name.as_deref(), Some("One"));
        assert_eq!(secrets[1].field_names.as_deref().unwrap(), ["user", "pass"]);
        assert_eq!(secrets[2].project_id, None);
        assert_eq!(
            kinds(&sk),
            [
                SecretKind::Secret,
                SecretKind::Structured,
                SecretKind::Managed,
                SecretKind::Leased,
                SecretKind::Certificate,
                SecretKind::Canary,
            ]
        );
        assert!(vault.alarms().is_empty() && vault.read_counts().is_empty());
        let paths = vault.requests().into_iter().map(|r| (r.method, r.path));
        let expected = ("GET".to_owned(), "/v1/cli/secrets".to_owned());
        assert!(
            paths
                .collect::<Vec<_>>()
                .iter()
                .all(|path| *path == expected)
        );
    }
}

#[test]
fn a_service_that_is_too_old_gives_the_plain_list() {
    let (vault, sk) = start(|b| b.cli_calls(false));
    let secrets = sk.list_secrets_detailed().unwrap();
    assert_eq!(secrets.len(), 6);
    assert_eq!((&*secrets[0].id, &*secrets[0].name), ("sk_plain", "Plain"));
    assert_eq!(secrets[0].project_id.as_deref(), Some("proj_x"));
    assert_eq!(secrets[0].project_name, None);
    assert_eq!(kinds(&sk), [SecretKind::Unknown; 6]);
    let paths: Vec<_> = vault.requests().into_iter().map(|r| r.path).collect();
    assert_eq!(paths[..2], ["/v1/cli/secrets", "/v1/secrets"]);

    let error = sk.list_projects().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error.to_string().contains("may be too old for this call"),
        "{error}"
    );
    for said in [TypeField::Empty, TypeField::LeftOut] {
        let (_vault, sk) = start(|b| b.type_field(said));
        assert_eq!(kinds(&sk), [SecretKind::Unknown; 6], "{said:?}");
    }
}

#[test]
fn a_404_of_any_form_is_not_offered_and_nothing_else_is() {
    let (vault, sk) = start(|b| b);
    vault.fail_next(Fault::Reply(Reply::new(404).body("<html>not here</html>")));
    assert_eq!(kinds(&sk), [SecretKind::Unknown; 6]);
    for status in [401, 403, 405, 500] {
        let (vault, sk) = start(|b| b);
        vault.fail_always(Fault::Status(status));
        let error = sk.list_secrets_detailed().unwrap_err();
        assert_eq!(error.http_status(), Some(status));
        assert_eq!(vault.request_count(), 1, "{status}");
    }
}

#[test]
fn projects_are_those_with_a_grant() {
    let (vault, sk) = start(|b| b);
    let projects = sk.list_projects().unwrap();
    assert_eq!(projects.len(), 2);
    assert_eq!((&*projects[0].id, &*projects[0].name), ("proj_x", "X"));
    assert_eq!(projects[0].application_id.as_deref(), Some("app_1"));
    assert_eq!(projects[0].application_name.as_deref(), Some("One"));
    vault.deny("sk_fields");
    assert_eq!(sk.list_projects().unwrap().len(), 1);
    assert!(vault.read_counts().is_empty());
}

#[test]
fn an_application_is_exported_alone() {
    for cli_calls in [true, false] {
        let (vault, sk) = start(|b| b.cli_calls(cli_calls));
        let export = sk.export_application("app_1").unwrap();
        assert_eq!(export.names().collect::<Vec<_>>(), ["PLAIN"]);
        assert_eq!(sk.export_application("app_2").unwrap().len(), 2);
        assert!(sk.export_application("app_none").unwrap().is_empty());
        vault.assert_reads_only(["sk_plain", "sk_fields"]);
        assert!(vault.alarms().is_empty());
        let count = vault.request_count();
        let error = sk.export_application("app/1").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidId);
        assert_eq!(vault.request_count(), count);
    }
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn the_async_client_has_the_same_verbs() {
    let (_vault, sk) = start(|b| b);
    let sk = sk.into_async();
    assert_eq!(sk.list_secrets_detailed().await.unwrap().len(), 6);
    assert_eq!(sk.list_projects().await.unwrap().len(), 2);
    assert_eq!(sk.export_application("app_1").await.unwrap().len(), 1);
    let error = sk.export_application("no/id").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidId);
}
