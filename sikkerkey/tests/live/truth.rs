//! The status says what is known, and nothing else.

use std::time::Duration;

use sikkerkey::live::{FailClosed, SecretState};
use sikkerkey::{Freshness, Live, ProblemKind, SikkerKeyConfig};
use sikkerkey_emulator::Fault;

use crate::common::emulator;
use crate::common::stage::{INTERVAL, Stage};
use crate::{Config, changed, client, cycles, db, settle, stage, start};

const MINUTE: Duration = Duration::from_secs(60);

fn state<T>(live: &Live<T>, id: &str) -> SecretState {
    let status = live.status();
    let mut secrets = status.secrets();
    secrets.find(|secret| secret.id() == id).unwrap().state()
}

#[cfg(feature = "cache")]
#[test]
fn a_start_from_the_cache_says_how_old_it_is() {
    let stage = stage();
    let folder = stage.vault.home().join("fallback");
    let cached = || {
        stage
            .builder()
            .retry(sikkerkey::RetryPolicy::none())
            .cache(sikkerkey::CacheOptions::new().folder(&folder))
            .build()
            .unwrap()
    };
    let before = cached();
    Config::load(&before).unwrap();
    assert_eq!(before.cached_count().unwrap(), 2);
    drop(before);
    stage.pass(20 * MINUTE);
    stage.vault.fail_always(Fault::Status(502));
    let live = Config::live(&cached()).unwrap();
    settle(&stage);
    let status = live.status();
    assert_eq!(status.freshness(), Freshness::Stale);
    assert_eq!(status.age(), 20 * MINUTE);
    assert_eq!(state(&live, "sk_name"), SecretState::Cached);
    assert!(status.to_string().contains("sk_name cached"), "{status}");
    assert!(live.refresh().is_err(), "a cached value confirms nothing");
    assert_eq!(state(&live, "sk_name"), SecretState::Cached);
    assert_eq!(live.status().freshness(), Freshness::Stale);

    stage.vault.put("sk_name", "two");
    stage.vault.read_elsewhere("sk_name");
    stage.vault.clear_faults();
    cycles(&stage, 1);
    assert_eq!(live.load().name, "two", "the first good poll reads all");
    assert_eq!(state(&live, "sk_name"), SecretState::Current);
    assert_eq!(live.status().freshness(), Freshness::Fresh);
}

#[test]
fn every_config_within_the_grace_is_kept() {
    let stage = stage();
    let live = Config::loader(&client(&stage))
        .grace(MINUTE)
        .live()
        .unwrap();
    settle(&stage);
    stage.vault.put("sk_name", "two");
    cycles(&stage, 1);
    stage.vault.put("sk_db", db("beta", "2"));
    cycles(&stage, 1);
    let names = |live: &Live<Config>| {
        let all = live.previous_all();
        let shown = all.iter().map(|c| format!("{} {}", c.name, c.db.port));
        shown.collect::<Vec<_>>()
    };
    assert_eq!(names(&live), ["two 1", "one 1"]);
    assert_eq!(live.previous().unwrap().name, "two");
    stage.pass(MINUTE - INTERVAL);
    settle(&stage);
    assert_eq!(names(&live), ["two 1"]);
    stage.pass(INTERVAL);
    settle(&stage);
    assert!(live.previous_all().is_empty() && live.previous().is_none());
}

#[test]
fn at_most_64_configs_are_kept() {
    let stage = stage();
    let live = Config::loader(&client(&stage))
        .grace(MINUTE * 600)
        .live()
        .unwrap();
    settle(&stage);
    for n in 0..70 {
        stage.vault.put("sk_name", n.to_string());
        cycles(&stage, 1);
    }
    let all = live.previous_all();
    assert_eq!((all.len(), &*all[0].name, &*all[63].name), (64, "68", "5"));
}

#[test]
fn a_config_can_fail_closed() {
    let stage = stage();
    let rules = FailClosed::new().on_revoked().older_than(30 * MINUTE);
    let live = Config::loader(&client(&stage))
        .fail_closed(rules)
        .live()
        .unwrap();
    let open = Config::live(&client(&stage)).unwrap();
    stage.clock.threads_at_rest("sikkerkey-poll", 2);
    let poll = || {
        let left = stage.clock.threads_at_rest("sikkerkey-poll", 2);
        stage.pass(left);
        stage.clock.threads_at_rest("sikkerkey-poll", 2);
        stage.clock.threads_at_rest(crate::WORKER, 2);
    };
    assert_eq!(live.try_load().unwrap().name, "one");
    stage.vault.deny("sk_name");
    stage.vault.delete("sk_db");
    for _ in 0..40 {
        poll();
        assert!(live.try_load().is_ok(), "not within 10 minutes");
    }
    for _ in 0..3 {
        poll();
    }
    let error = live.try_load().unwrap_err();
    let kinds: Vec<_> = error.problems().iter().map(|p| p.kind()).collect();
    assert_eq!(
        kinds,
        [ProblemKind::Missing, ProblemKind::Denied],
        "{error}"
    );
    assert!(
        error.to_string().contains("secret sk_name is denied"),
        "{error}"
    );
    assert_eq!(live.load().name, "one", "load goes on");
    assert!(open.try_load().is_ok(), "without rules nothing is refused");

    stage.vault.allow("sk_name");
    stage.vault.put("sk_db", db("alpha", "1"));
    while live.try_load().is_err() {
        poll();
    }
    stage.vault.fail_always(Fault::Status(503));
    for _ in 0..120 {
        assert!(live.try_load().is_ok());
        poll();
    }
    poll();
    let error = live.try_load().unwrap_err();
    assert_eq!(error.problems()[0].kind(), ProblemKind::Unavailable);
    stage.vault.clear_faults();
    poll();
    assert!(live.try_load().is_ok());
}

#[test]
fn an_interrupted_denial_begins_anew() {
    let stage = stage();
    let live = Config::loader(&client(&stage))
        .fail_closed(FailClosed::new().on_revoked())
        .live()
        .unwrap();
    settle(&stage);
    for _ in 0..4 {
        stage.vault.deny("sk_name");
        cycles(&stage, 30);
        stage.vault.allow("sk_name");
        while state(&live, "sk_name") != SecretState::Current {
            cycles(&stage, 1);
        }
        assert!(live.try_load().is_ok());
    }
}

#[test]
fn a_denied_secret_recovers_by_itself() {
    // A policy's window: no poll says that it opens.
    let vault = emulator()
        .secret("sk_name", "one")
        .returned_is_changed(false);
    let stage = Stage::new(vault.start().unwrap());
    stage.vault.put("sk_db", db("alpha", "1"));
    let live = Config::live(&client(&stage)).unwrap();
    settle(&stage);
    stage.vault.deny("sk_name");
    cycles(&stage, 4 * 60 * 3);
    assert_eq!(state(&live, "sk_name"), SecretState::Denied);
    let asked = stage.vault.requests();
    let asked = asked.iter().filter(|r| r.path.ends_with("sk_name")).count();
    assert!(asked <= 15, "with growing gaps: {asked}");
    stage.vault.allow("sk_name");
    stage.vault.put("sk_name", "two");
    stage.vault.read_elsewhere("sk_name");
    cycles(&stage, 4 * 61);
    assert_eq!(live.load().name, "two");
    assert_eq!(live.status().freshness(), Freshness::Fresh);
}

#[derive(Debug, SikkerKeyConfig)]
#[allow(dead_code, reason = "a secret that stays")]
struct Optional {
    #[sikkerkey(secret = "sk_name")]
    name: String,
    #[sikkerkey(secret = "sk_sentry")]
    sentry: Option<String>,
    #[sikkerkey(secret = "sk_level", default = 3)]
    level: u8,
}

#[test]
fn an_optional_secret_that_is_deleted_becomes_none() {
    for gone_in_every_poll in [true, false] {
        let vault = emulator()
            .gone_in_every_poll(gone_in_every_poll)
            .secret("sk_name", "one")
            .secret("sk_sentry", "dsn-1")
            .secret("sk_level", "5");
        let stage = Stage::new(vault.start().unwrap());
        let live = Optional::live(&client(&stage)).unwrap();
        settle(&stage);
        let mut changes = live.subscribe();
        stage.vault.delete("sk_sentry");
        stage.vault.delete("sk_level");
        stage.poll();
        assert_eq!(changed(&mut changes), ["sentry", "level"]);
        settle(&stage);
        assert_eq!(
            (live.load().sentry.as_deref(), live.load().level),
            (None, 3)
        );
        assert_eq!(state(&live, "sk_sentry"), SecretState::Absent);
        assert_eq!(live.status().freshness(), Freshness::Fresh);
        cycles(&stage, 10);
        assert_eq!(live.status().generation(), 2);
        stage.vault.put("sk_sentry", "dsn-2");
        while live.load().sentry.is_none() {
            cycles(&stage, 1);
        }
        // A denied one is never taken for an absent one.
        stage.vault.deny("sk_sentry");
        cycles(&stage, 50);
        assert_eq!(live.load().sentry.as_deref(), Some("dsn-2"));
        assert_eq!(live.status().freshness(), Freshness::Degraded);
    }
}

#[test]
fn a_refresh_of_a_deleted_secret_that_is_required_is_an_error() {
    let (stage, live) = start();
    stage.vault.delete("sk_db");
    let error = live.refresh().unwrap_err();
    let paths: Vec<_> = error.problems().iter().map(|p| p.path()).collect();
    assert_eq!(paths, ["db.host", "db.port"]);
    assert!(
        error.to_string().contains("the secret was deleted"),
        "{error}"
    );
    assert_eq!(live.load().db.host, "alpha");
    stage.pass(Duration::from_secs(1));
    assert!(live.refresh_secret("sk_db").is_err());
    stage.pass(Duration::from_secs(1));
    assert!(!live.refresh_secret("sk_name").unwrap());
}

#[test]
fn refresh_secret_takes_what_the_config_reads_and_nothing_else() {
    #[derive(SikkerKeyConfig)]
    struct Aliased {
        #[sikkerkey(secret = "sk_prod")]
        a: String,
        #[sikkerkey(name = "REGION")]
        region: String,
    }
    let vault = emulator()
        .secret("sk_stage", "1")
        .secret("sk_region", "north")
        .name("sk_region", "REGION");
    let stage = Stage::new(vault.start().unwrap());
    let live = Aliased::loader(&client(&stage))
        .alias("sk_prod", "sk_stage")
        .refresh_gap(Duration::ZERO)
        .live()
        .unwrap();
    settle(&stage);
    for (n, (said, id)) in [
        ("sk_prod", "sk_stage"),
        ("sk_stage", "sk_stage"),
        ("REGION", "sk_region"),
        ("sk_region", "sk_region"),
    ]
    .into_iter()
    .enumerate()
    {
        stage.vault.put(id, n.to_string());
        assert!(live.refresh_secret(said).unwrap(), "{said}");
        let config = live.load();
        let value = if id == "sk_stage" {
            &config.a
        } else {
            &config.region
        };
        assert_eq!(*value, n.to_string());
    }
    let requests = stage.vault.request_count();
    for said in ["sk_prdo", "REGOIN", "sk_elsewhere", ""] {
        assert!(live.refresh_secret(said).is_err(), "{said}");
    }
    let text = live.refresh_secret("sk_prdo").unwrap_err().to_string();
    assert!(text.contains("did you mean \"sk_prod\"?"), "{text}");
    assert_eq!(stage.vault.request_count(), requests, "nothing is read");
}

#[test]
fn after_a_refresh_a_name_means_the_secret_that_has_it_now() {
    #[derive(SikkerKeyConfig)]
    struct Named {
        #[sikkerkey(name = "REGION")]
        region: String,
    }
    let vault = emulator()
        .secret("sk_region", "north")
        .secret("sk_area", "south")
        .name("sk_region", "REGION");
    let stage = Stage::new(vault.start().unwrap());
    let live = Named::loader(&client(&stage))
        .refresh_gap(Duration::ZERO)
        .live()
        .unwrap();
    settle(&stage);
    stage.vault.rename("sk_region", "FORMER");
    stage.vault.rename("sk_area", "REGION");
    assert!(live.refresh().unwrap());
    assert_eq!(live.load().region, "south");
    let ids = |live: &Live<Named>| -> Vec<String> {
        let status = live.status();
        status.secrets().map(|one| one.id().to_owned()).collect()
    };
    assert_eq!(ids(&live), ["sk_area"]);

    stage.vault.put("sk_area", "east");
    assert!(live.refresh_secret("REGION").unwrap());
    assert_eq!(live.load().region, "east");
    assert!(live.refresh_secret("sk_region").is_err(), "read no longer");
}

#[test]
fn the_lag_of_a_rotation_is_that_of_the_swap() {
    let (stage, live) = start();
    assert_eq!(live.status().rotation_lag(), None);
    let change = |live: &Live<Config>| {
        let status = live.status();
        let mut secrets = status.secrets();
        secrets
            .find(|of| of.id() == "sk_name")
            .unwrap()
            .last_change()
    };
    assert_eq!(change(&live), None);
    stage.vault.put("sk_name", "two");
    cycles(&stage, 1);
    assert_eq!(live.status().rotation_lag(), Some(Duration::ZERO));
    assert!(change(&live).is_some());
    stage.vault.put("sk_name", "invalid");
    cycles(&stage, 1);
    stage.pass(Duration::from_secs(5));
    assert_eq!(live.status().rotation_lag(), Some(Duration::from_secs(5)));
    stage.vault.put("sk_name", "three");
    cycles(&stage, 1);
    assert_eq!(live.status().rotation_lag(), Some(INTERVAL));
}
