//! Reading and listing, and every way in which that can be refused.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{Fake as _, FakeClock, builder, chain, client, emulator};
use sikkerkey::{Error, ErrorKind, ExposeSecret, SikkerKey};
use sikkerkey_emulator::{Emulator, Fault, Reply};

fn vault() -> Emulator {
    emulator()
        .secret("sk_key", "sk-live-1")
        .json("sk_db", r#"{"host":"db","port":5432,"password":"hünter2"}"#)
        .name("sk_db", "DB Creds")
        .project("sk_db", "proj_production")
        .denied("sk_denied", "hunter2")
        .start()
        .unwrap()
}

#[test]
fn every_form_of_a_read() {
    let vault = vault();
    let sk = client(&vault);
    assert_eq!(
        sk.get_secret("sk_key").unwrap().expose_secret(),
        "sk-live-1"
    );
    let fields = sk.get_fields("sk_db").unwrap();
    assert_eq!(
        fields.names().collect::<Vec<_>>(),
        ["host", "port", "password"]
    );
    assert_eq!(fields.get("port").unwrap().expose_secret(), "5432");
    assert_eq!(
        sk.get_field("sk_db", "password").unwrap().expose_secret(),
        "hünter2"
    );

    #[derive(serde::Deserialize)]
    struct Database {
        port: u16,
    }
    assert_eq!(sk.get_json::<Database>("sk_db").unwrap().port, 5432);
}

#[test]
fn values_of_every_kind_arrive_as_they_are() {
    let long = "x".repeat(1024 * 1024);
    let escapes = "\"\\\n\r\t\u{1}é日本\u{1f511}".repeat(100);
    let vault = emulator()
        .secret("sk_empty", "")
        .secret("sk_long", &long)
        .secret("sk_quotes", "\"".repeat(1024 * 1024))
        .secret("sk_escapes", &escapes)
        .start()
        .unwrap();
    let sk = client(&vault);
    assert_eq!(sk.get_secret("sk_empty").unwrap().expose_secret(), "");
    assert_eq!(sk.get_secret("sk_long").unwrap().expose_secret(), long);
    assert_eq!(
        sk.get_secret("sk_escapes").unwrap().expose_secret(),
        escapes
    );
    assert_eq!(
        sk.get_secret("sk_quotes").unwrap().expose_secret().len(),
        1024 * 1024
    );
}

#[test]
fn the_longest_value_arrives_however_the_service_writes_it() {
    let vault = vault();
    let escaped = "\\u00fc".repeat(512 * 1024);
    let body = format!(r#"{{"id": "sk_key", "value": "{escaped}"}}"#);
    vault.fail_next(Reply::new(200).body(body));
    let value = client(&vault).get_secret("sk_key").unwrap();
    assert_eq!(value.expose_secret().len(), 1024 * 1024);
}

#[test]
fn a_list_of_many_megabytes_arrives() {
    let name = "n".repeat(4 * 1024);
    let vault = (0..500).fold(emulator(), |vault, n| {
        let id = format!("sk_{n}");
        vault.secret(&id, "x").name(&id, &name)
    });
    let vault = vault.start().unwrap();
    let list = client(&vault).list_secrets().unwrap();
    assert!(list.len() == 500 && list.iter().all(|item| item.name == name));
}

#[test]
fn machine_facts() {
    let vault = vault();
    let sk = client(&vault);
    assert_eq!(sk.vault_id(), vault.vault_id());
    assert_eq!(sk.machine_id(), vault.machine_id());
    assert_eq!(sk.api_url(), vault.url());
    assert_eq!(
        Some(sk.machine_name()),
        vault.machine_name(vault.machine_id())
    );
    assert_eq!(sk.expires_at(), None);
    let debug = format!("{sk:?}");
    assert!(debug.contains(vault.machine_id()), "{debug}");
}

#[test]
fn lists_say_names_fields_and_projects() {
    let vault = vault();
    let sk = client(&vault);
    let by_id: BTreeMap<_, _> = sk
        .list_secrets()
        .unwrap()
        .into_iter()
        .map(|item| (item.id.clone(), item))
        .collect();
    assert_eq!(by_id.keys().collect::<Vec<_>>(), ["sk_db", "sk_key"]);
    assert_eq!(by_id["sk_db"].name, "DB Creds");
    assert_eq!(
        by_id["sk_db"].project_id.as_deref(),
        Some("proj_production")
    );
    let fields = by_id["sk_db"].field_names.as_deref().unwrap();
    assert_eq!(fields, ["host", "port", "password"]);
    assert_eq!(by_id["sk_key"].field_names, None);

    let project = sk.list_secrets_by_project("proj_production").unwrap();
    assert_eq!(
        project
            .iter()
            .map(|item| item.id.as_str())
            .collect::<Vec<_>>(),
        ["sk_db"]
    );
    assert!(sk.list_secrets_by_project("proj_other").unwrap().is_empty());
    // A list reads no value.
    assert!(
        vault
            .requests()
            .iter()
            .all(|request| request.path.starts_with("/v1/secrets"))
    );
}

#[test]
fn a_bad_id_sends_nothing() {
    let vault = vault();
    let sk = client(&vault);
    for id in [
        "",
        "../secrets",
        "sk a",
        "sk_é",
        "sk?x",
        "sk#x",
        "sk%2f",
        "sk\n",
        "sk/x",
        "..",
    ] {
        for error in [
            sk.get_secret(id).unwrap_err(),
            sk.get_fields(id).unwrap_err(),
            sk.list_secrets_by_project(id).unwrap_err(),
            sk.export_project(id).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidId, "{id:?}");
        }
    }
    assert_eq!(vault.request_count(), 0);
}

#[test]
fn fields_that_are_not_there() {
    let vault = vault();
    let sk = client(&vault);
    let error = sk.get_fields("sk_key").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SecretStructure);
    assert_eq!(
        error.to_string(),
        "secret sk_key has no fields: its value is not a JSON object"
    );
    let error = sk.get_field("sk_db", "user").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FieldNotFound);
    assert_eq!(error.available_fields(), ["host", "port", "password"]);
    assert_eq!(
        error.to_string(),
        "secret sk_db has no field \"user\": it has host, port, password"
    );
}

#[test]
fn json_that_does_not_fit_is_not_quoted() {
    #[derive(Debug, serde::Deserialize)]
    #[allow(dead_code, reason = "only its failure matters")]
    struct Numbers {
        host: u16,
    }
    let vault = emulator()
        .secret("sk_a", r#"{"host":"hunter2"}"#)
        .secret("sk_b", "hunter2")
        .start()
        .unwrap();
    let sk = client(&vault);
    for (id, says) in [("sk_a", "does not fit"), ("sk_b", "is not JSON")] {
        let error = sk.get_json::<Numbers>(id).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SecretStructure);
        let text = chain(&error);
        assert!(text.contains(says) && text.contains(id), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

/// The error of a read that meets this fault, again at each attempt.
fn failure(fault: impl Into<Fault>) -> (Error, u64) {
    let vault = vault();
    let sk = client(&vault);
    vault.fail_always(fault);
    let error = sk.get_secret("sk_key").unwrap_err();
    (error, vault.request_count())
}

#[test]
fn each_status_has_its_kind_and_says_what_to_do() {
    let table: [(u16, ErrorKind, u64, &str); 12] = [
        (
            400,
            ErrorKind::Api,
            1,
            "the service answered 400 while reading secret sk_key",
        ),
        (
            401,
            ErrorKind::Authentication,
            1,
            "authentication failed while reading secret sk_key (401): the service does not know this machine",
        ),
        (
            403,
            ErrorKind::AccessDenied,
            1,
            "access was denied while reading secret sk_key (403): this machine is not approved",
        ),
        (
            404,
            ErrorKind::NotFound,
            1,
            "no such secret while reading secret sk_key (404)",
        ),
        (
            409,
            ErrorKind::Conflict,
            1,
            "the service reports a conflict while reading secret sk_key (409)",
        ),
        (
            429,
            ErrorKind::RateLimited,
            4,
            "too many requests while reading secret sk_key (429)",
        ),
        (
            500,
            ErrorKind::Api,
            1,
            "the service answered 500 while reading secret sk_key",
        ),
        (501, ErrorKind::Api, 1, "the service answered 501"),
        (502, ErrorKind::Api, 1, "the service answered 502"),
        (
            503,
            ErrorKind::Unavailable,
            4,
            "the service is temporarily unavailable while reading secret sk_key (503)",
        ),
        (504, ErrorKind::Api, 1, "the service answered 504"),
        (522, ErrorKind::Api, 1, "the service answered 522"),
    ];
    for (status, kind, attempts, says) in table {
        let (error, sent) = failure(Fault::Status(status));
        assert_eq!(error.kind(), kind, "{status}");
        assert_eq!(error.http_status(), Some(status));
        assert_eq!(sent, attempts, "{status}");
        let text = error.to_string();
        assert!(text.starts_with(says), "{text}");
    }
}

#[test]
fn a_missing_and_a_denied_secret() {
    let vault = vault();
    let sk = client(&vault);
    assert_eq!(
        sk.get_secret("sk_none").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        sk.get_secret("sk_denied").unwrap_err().kind(),
        ErrorKind::AccessDenied
    );
    vault.deny("sk_key");
    assert_eq!(
        sk.get_secret("sk_key").unwrap_err().kind(),
        ErrorKind::AccessDenied
    );
    vault.allow("sk_key");
    sk.get_secret("sk_key").unwrap();
}

#[test]
fn what_is_no_answer_is_network_and_is_tried_again() {
    for fault in [
        Fault::Close,
        Fault::Reset,
        Fault::Truncated,
        Fault::WrongLength(5),
        Fault::Garbage,
        Fault::EndlessHead,
    ] {
        let (error, sent) = failure(fault.clone());
        assert_eq!(error.kind(), ErrorKind::Network, "{fault:?}: {error}");
        assert_eq!(error.http_status(), None);
        assert!(error.is_unavailable() && error.is_retryable());
        assert_eq!(sent, 4, "{fault:?}");
        assert!(
            error.to_string().contains("reading secret sk_key"),
            "{error}"
        );
    }
}

#[test]
fn an_answer_of_another_form_is_decode_and_is_not_tried_again() {
    let reply = |body: &str| Fault::from(Reply::new(200).body(body));
    for fault in [
        Fault::InvalidJson,
        Fault::InvalidUtf8,
        Fault::EmptyObject,
        Fault::WrongLength(-3),
        reply(""),
        reply("<html>hunter2</html>"),
        reply(r#"{"value":null,"x":"hunter2"}"#),
        reply(r#"{"value":["hunter2"]}"#),
        reply(r#"{"value":"hunter2"} trailing"#),
        reply(r#"{"value":"hunter2","value":"hunter2"}"#),
    ] {
        let (error, sent) = failure(fault.clone());
        assert_eq!(error.kind(), ErrorKind::Decode, "{fault:?}: {error}");
        assert_eq!(error.http_status(), Some(200));
        assert!(!error.is_unavailable() && !error.is_retryable());
        assert_eq!(sent, 1, "{fault:?}");
        assert!(!chain(&error).contains("hunter2"), "{}", chain(&error));
    }
}

#[test]
fn the_services_own_words_are_one_clean_line() {
    let (error, _) = failure(Reply::new(403).body("{\"error\":\"no\\n\\u001b[31mgrant\"}"));
    assert!(
        error
            .to_string()
            .ends_with("; the service says: no \\u{1b}[31mgrant"),
        "{error}"
    );
    let (error, _) = failure(Reply::new(500).body("<html>a page of a proxy</html>"));
    assert!(
        error
            .to_string()
            .ends_with("; its body has no message in JSON"),
        "{error}"
    );
    let (error, _) = failure(Reply::new(500));
    assert!(
        error.to_string().ends_with("while reading secret sk_key"),
        "{error}"
    );
    let long = format!("{{\"error\":\"{}\"}}", "é".repeat(10_000));
    let (error, _) = failure(Reply::new(500).body(long));
    assert!(error.to_string().chars().count() < 320, "{error}");
}

#[test]
fn a_redirect_is_never_followed() {
    let elsewhere = vault();
    let (error, sent) = failure(Fault::Redirect(format!(
        "{}/v1/secret/sk_key",
        elsewhere.url()
    )));
    assert_eq!(error.kind(), ErrorKind::Api);
    assert_eq!(error.http_status(), Some(302));
    assert!(error.to_string().contains("never followed"), "{error}");
    assert_eq!((sent, elsewhere.request_count()), (1, 0));
}

#[test]
fn a_connection_serves_one_read_after_the_other() {
    let vault = vault();
    let sk = client(&vault);
    for _ in 0..20 {
        sk.get_secret("sk_key").unwrap();
    }
    sk.get_secret("sk_none").unwrap_err();
    sk.list_secrets().unwrap();
    assert_eq!(vault.connections(), 1);
    vault.cut_connections();
    sk.get_secret("sk_key").unwrap();
}

#[test]
fn a_client_is_one_for_all_threads() {
    fn is_shared<T: Clone + Send + Sync + 'static>() {}
    is_shared::<SikkerKey>();
    let vault = vault();
    let sk = client(&vault);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(
                        sk.get_secret("sk_key").unwrap().expose_secret(),
                        "sk-live-1"
                    );
                }
            });
        }
    });
    assert!(vault.connections() <= 8, "{}", vault.connections());
    let nonces: std::collections::HashSet<_> = vault
        .requests()
        .iter()
        .map(|r| r.nonce().unwrap().to_owned())
        .collect();
    assert_eq!(nonces.len(), 160);
}

#[test]
fn requests_name_the_client_and_a_user_agent_that_is_none_is_refused() {
    let vault = vault();
    client(&vault).get_secret("sk_key").unwrap();
    let sent = vault.requests().pop().unwrap();
    let expected = format!("sikkerkey-rust/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(sent.header("User-Agent"), Some(expected.as_str()));
    let error = common::builder(&vault)
        .user_agent("a\r\nX-Evil: 1")
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
}

#[test]
fn after_a_final_401_calls_fail_at_once_with_growing_gaps() {
    let vault = vault();
    let clock = FakeClock::new();
    let sk = builder(&vault).fake(&clock).build().unwrap();
    sk.get_secret("sk_key").unwrap();
    vault.clear_requests();
    vault.fail_always(Fault::Status(401));
    let first = sk.get_secret("sk_key").unwrap_err();
    for _ in 0..5 {
        let error = sk.list_secrets().unwrap_err();
        assert_eq!(error.to_string(), first.to_string());
        assert_eq!(error.http_status(), Some(401));
    }
    assert_eq!(vault.requests().len(), 1, "the service locks out at three");
    for (gap, sent) in [(10, 2), (39, 2), (1, 3), (160, 4), (600, 5), (600, 6)] {
        clock.pass(Duration::from_secs(gap));
        sk.get_secret("sk_key").unwrap_err();
        sk.get_secret("sk_key").unwrap_err();
        assert_eq!(vault.requests().len(), sent, "after {gap} s");
    }
    vault.clear_faults();
    clock.pass(Duration::from_secs(600));
    for _ in 0..3 {
        sk.get_secret("sk_key").unwrap();
    }
}
