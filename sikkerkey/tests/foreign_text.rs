//! Names and texts of others, as they are shown and logged. One logger, so one test of the log.

mod common;

use std::sync::Mutex;

use common::{builder, chain, client, emulator};
use log::{LevelFilter, Log, Metadata, Record};
use sikkerkey::{Error, ErrorKind, ExposeSecret, SikkerKey};
use sikkerkey_emulator::{Emulator, Reply};

/// What a terminal must never be sent.
fn is_dangerous(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{feff}')
}

#[track_caller]
fn is_clean(text: &str, longest: usize) {
    assert!(!text.contains(is_dangerous), "{text:?}");
    let length = text.chars().count();
    assert!(length <= longest, "{length} characters: {text:.300}");
}

fn vault(value: &str) -> Emulator {
    emulator().secret("sk_map", value).start().unwrap()
}

fn missing_field(value: &str) -> Error {
    let error = client(&vault(value))
        .get_field("sk_map", "owner")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FieldNotFound);
    is_clean(&error.to_string(), 900);
    error
}

#[test]
fn a_key_of_a_value_is_shown_only_if_it_reads_like_a_name() {
    let error =
        missing_field(r#"{"sk-live-4242":"tenant-a","sk-live-4343":"tenant-b","host":"h"}"#);
    assert_eq!(
        error.to_string(),
        "secret sk_map has no field \"owner\": it has host and 2 fields whose names are not shown"
    );
    assert_eq!(error.available_fields(), ["host"]);
    assert!(!chain(&error).contains("sk-live"), "{}", chain(&error));
    let error = missing_field(r#"{"AKIA2E0A8F3B244C9986":"x"}"#);
    assert!(!chain(&error).contains("AKIA"), "{}", chain(&error));
    // A program still gets all of them.
    let vault = vault(r#"{"sk-live-4242":"tenant-a"}"#);
    let sk = client(&vault);
    let fields = sk.get_fields("sk_map").unwrap();
    assert_eq!(fields.names().collect::<Vec<_>>(), ["sk-live-4242"]);
    assert!(!format!("{fields:?}").contains("sk-live"), "{fields:?}");
}

#[test]
fn names_that_control_a_terminal_and_forty_thousand_of_them() {
    missing_field("{\"a\\u001b[2J\":1,\"\\u202eevil\":2,\"b\\r\\nc\":3}");
    // 12 KB hold two thousand names; a value of a hostile service may hold more.
    let many: Vec<String> = (0..9_999)
        .map(|n| format!("\"field_{}\":1", letters(n)))
        .collect();
    let text = missing_field(&format!("{{{}}}", many.join(","))).to_string();
    assert!(text.ends_with("and 9987 more"), "{text}");
}

fn letters(mut number: usize) -> String {
    let mut text = String::new();
    for _ in 0..4 {
        text.push((b'a' + (number % 26) as u8) as char);
        number /= 26;
    }
    text
}

#[test]
fn names_of_machines_projects_and_secrets() {
    let name = "web\u{1b}]0;owned\u{7}\r\n\u{202e}1";
    let vault = emulator()
        .machine_name(name)
        .secret("sk_a", "x")
        .name("sk_a", name)
        .start()
        .unwrap();
    let sk = client(&vault);
    is_clean(&sk.machine_name(), 65);
    assert!(
        sk.machine_name().contains(r"\u{1b}"),
        "{}",
        sk.machine_name()
    );
    let list = sk.list_secrets().unwrap();
    assert_eq!(list[0].name, name, "by which it is looked up");
    is_clean(&format!("{list:?}"), 300);
}

#[test]
fn an_odd_entry_of_a_list_hides_no_other() {
    let vault = vault("x");
    let sk = client(&vault);
    let reply = || {
        Reply::new(200).body(
            r#"{"secrets":[{"id":"sk_a","name":"a","fieldNames":"a,,b, ","value":"1"},
                {"id":7},{"id":"sk_b","fieldNames":"","value":"{\"a\":\"1\"}","name":"b"},
                {"id":"../sk_c","value":"3","name":"c"}]}"#,
        )
    };
    vault.fail_next(reply());
    let list = sk.list_secrets().unwrap();
    let ids: Vec<&str> = list.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids, ["sk_a", "sk_b"]);
    assert_eq!(list[0].field_names.as_deref().unwrap(), ["a", "b"]);
    assert_eq!(list[1].field_names, None);
    vault.fail_next(reply());
    let export = sk.export().unwrap();
    assert_eq!(export.names().collect::<Vec<_>>(), ["A", "B"]);
    assert_eq!(export.get("B").unwrap().expose_secret(), r#"{"a":"1"}"#);
}

#[test]
fn a_hostile_export_is_refused_before_it_takes_memory() {
    let vault = vault("x");
    let fields: String = (0..9_500).map(|n| format!("\\\"{n:x}\\\":1,")).collect();
    let value = format!("{{{}}}", fields.trim_end_matches(','));
    let entries: Vec<String> = (0..40)
        .map(|n| format!(r#"{{"id":"sk_{n}","name":"n{n}","fieldNames":"a","value":"{value}"}}"#))
        .collect();
    let body = format!(r#"{{"secrets":[{}]}}"#, entries.join(","));
    vault.fail_next(Reply::new(200).body(body));
    let error = client(&vault).export().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
}

struct Lines(Mutex<Vec<String>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = format!("{} {} {}", record.level(), record.target(), record.args());
        self.0.lock().unwrap().push(line);
    }

    fn flush(&self) {}
}

/// In a process of its own: other tests log too.
#[test]
fn inside_log() {
    if std::env::var_os("SIKKERKEY_TEST_INSIDE").is_none() {
        return;
    }
    log::set_logger(&LINES).unwrap();
    log::set_max_level(LevelFilter::Debug);
    let vault = Emulator::builder().secret("sk_a", "x").start().unwrap();
    let sk: SikkerKey = builder(&vault).build().unwrap();
    vault.fail_next(Reply::new(200).body(
        r#"{"secrets":[{"id":"sk_a","name":"ld preload","value":"/tmp/evil.so"},
            {"id":"sk_b\u001b[2J","name":"path","value":"2"},
            {"id":"sk_c","name":"path","value":"3"},{"id":"sk_d","name":"PATH","value":"4"},
            {"id":"sk_e","name":"git","fieldNames":"user",
                "value":"{\"user\":\"x\",\"ghp_4f9a21c8d0e3\":\"ci\"}"}]}"#,
    ));
    sk.export().unwrap();
    let lines = LINES.0.lock().unwrap().clone();
    for (parts, what) in [
        (
            &[
                "WARN",
                "decide what a program loads",
                r#""LD_PRELOAD", "PATH", "GIT_USER", "#,
            ][..],
            "names that steer programs",
        ),
        (
            &["WARN", "1 entries of the export", r#""sk_b\u{1b}[2J""#],
            "the odd entry",
        ),
        (
            &["WARN", r#""PATH" of "sk_c", "sk_d""#],
            "secrets that fold into one name",
        ),
    ] {
        let found = lines
            .iter()
            .any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(found, "{what}: {lines:#?}");
    }
    for line in &lines {
        is_clean(line, 500);
        assert!(!line.contains("evil.so"), "{line}");
        assert!(!line.to_lowercase().contains("4f9a21c8"), "{line}");
    }
}

#[test]
fn what_is_odd_in_an_export_is_logged_in_clean_lines() {
    let mut inside = std::process::Command::new(std::env::current_exe().unwrap());
    inside.args(["--exact", "inside_log", "--nocapture"]);
    let output = inside.env("SIKKERKEY_TEST_INSIDE", "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
}
