//! The official Python client and `sikkerkey` make the same calls, each against an emulator of its
//! own, and must give the same answers and send the same requests.
//!
//! `cargo test` compares with `conformance/answers.json`, which the official client gave.
//! `.ci/conformance` installs the official client, lets it play again, and compares all three.
//!
//! - `SIKKERKEY_OFFICIAL=PATH` is a Python interpreter with the official client;
//!   `SIKKERKEY_OFFICIAL_CACHE=0` says that it is a release without the cache (1.2).
//! - `SIKKERKEY_ANSWERS=write` writes the answers of that client to the file.
#![allow(
    clippy::print_stdout,
    reason = "a failed unwrap fails the test; the summary is what CI shows"
)]

mod cache;
mod calls;
mod identities;
mod newer;
mod play;
mod refusals;
mod scenario;
mod watches;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;

use play::{Player, Record};
use scenario::Step;

/// What the official client answered, by scenario.
type Answers = BTreeMap<String, Vec<Record>>;

#[test]
fn the_official_client_and_this_one_answer_alike() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/answers.json");
    let official = env::var_os("SIKKERKEY_OFFICIAL");
    let has_cache = env::var("SIKKERKEY_OFFICIAL_CACHE").as_deref() != Ok("0");
    let mut scenarios = calls::scenarios();
    scenarios.extend(identities::scenarios());
    scenarios.extend(refusals::scenarios());
    scenarios.extend(watches::scenarios());
    if has_cache {
        scenarios.extend(cache::scenarios());
    }

    let mut live = Answers::new();
    if let Some(python) = &official {
        for scenario in &scenarios {
            let player = Player::official(python);
            live.insert(scenario.name.to_owned(), player.play(scenario));
        }
    }
    if env::var("SIKKERKEY_ANSWERS").as_deref() == Ok("write") {
        assert!(
            official.is_some(),
            "only the official client's answers are kept"
        );
        fs::write(&file, one_call_a_line(&live)).unwrap();
    }
    let kept: Answers = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();

    let mut problems = Vec::new();
    let (mut calls, mut declared) = (0, 0);
    for scenario in &scenarios {
        let name = scenario.name;
        let expected = kept.get(name).map_or(&[][..], Vec::as_slice);
        if let Some(now) = live.get(name)
            && now != expected
        {
            problems.push(format!(
                "{name}: answers.json is not what the official client says now"
            ));
        }
        let ours = Player::ours().play(scenario);
        for (step, (official, ours)) in scenario.calls().zip(expected.iter().zip(&ours)) {
            calls += 1;
            declared += usize::from(matches!(
                step,
                Step::Call {
                    differs: Some(_),
                    ..
                }
            ));
            problems.extend(compare(name, step, official, ours));
        }
        if expected.len() != ours.len() {
            problems.push(format!(
                "{name}: {} calls, {} answers kept",
                ours.len(),
                expected.len()
            ));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    println!(
        "conformance: {calls} calls in {} scenarios, {declared} declared differences, {}",
        scenarios.len(),
        if official.is_some() {
            "official client played now"
        } else {
            "official answers from the file"
        },
    );
}

#[test]
fn cache_files_cross_both_ways() {
    let python = env::var_os("SIKKERKEY_OFFICIAL");
    match python.filter(|_| env::var("SIKKERKEY_OFFICIAL_CACHE").as_deref() != Ok("0")) {
        Some(python) => println!(
            "conformance: {} cached values crossed",
            cache::cross(&python)
        ),
        None => println!("conformance: no official client with a cache here; see .ci/conformance"),
    }
}

/// JSON in which a changed answer is a changed line.
fn one_call_a_line(answers: &Answers) -> String {
    let scenarios = answers.iter().map(|(name, records)| {
        let records: Vec<_> = records
            .iter()
            .map(|r| serde_json::to_string(r).unwrap())
            .collect();
        format!(
            "{}: [\n  {}\n]",
            serde_json::to_string(name).unwrap(),
            records.join(",\n  ")
        )
    });
    format!("{{\n{}\n}}\n", scenarios.collect::<Vec<_>>().join(",\n"))
}

/// What is wrong with our answer, seen beside the official one.
fn compare(scenario: &str, step: &Step, official: &Record, ours: &Record) -> Option<String> {
    let Step::Call {
        call,
        differs,
        requests_differ,
    } = step
    else {
        return None;
    };
    let say = |what: &str, expected: &dyn std::fmt::Display, found: &dyn std::fmt::Display| {
        Some(format!(
            "{scenario}: {call}: {what}\n  expected {expected}\n  found    {found}"
        ))
    };
    match differs {
        None if official.answer != ours.answer => {
            return say("the answers differ", &official.answer, &ours.answer);
        }
        Some((_, expected)) if *expected != ours.answer => {
            return say("not the answer that is declared", expected, &ours.answer);
        }
        Some((why, expected)) if *expected == official.answer => {
            return Some(format!("{scenario}: {call}: no difference any more: {why}"));
        }
        _ => {}
    }
    if !requests_differ && official.requests != ours.requests {
        return say("the requests differ", &official.requests, &ours.requests);
    }
    None
}
