//! What a swap is: everything of one poll at once, and only when something differs.

use std::sync::Arc;

use sikkerkey::{Freshness, Live, SikkerKeyConfig};

use crate::{Config, changed, client, db, polls, start, vault};

#[test]
fn the_first_config_is_generation_one_and_fresh() {
    let (_vault, live) = start();
    assert_eq!(live.load().name, "one");
    assert_eq!(live.load().db.port, 1);
    let status = live.status();
    assert_eq!(
        (status.generation(), status.freshness()),
        (1, Freshness::Fresh)
    );
    assert_eq!(status.consecutive_failures(), 0);
    assert!(status.last_error().is_none());
    assert!(live.previous().is_none());
    let ids: Vec<_> = status.secrets().map(|(id, _)| id.to_owned()).collect();
    assert_eq!(ids, ["sk_db", "sk_name"]);
}

#[test]
fn all_that_changed_in_one_poll_is_one_swap() {
    let (vault, live) = start();
    let mut changes = live.subscribe();
    vault.put_all([("sk_name", "two".to_owned()), ("sk_db", db("beta", "2"))]);
    assert_eq!(changed(&mut changes), ["name", "db.host", "db.port"]);
    polls(&vault, 3);
    assert_eq!(live.status().generation(), 2);
    let config = live.get();
    assert_eq!(
        (&*config.name, &*config.db.host, config.db.port),
        ("two", "beta", 2)
    );
}

#[test]
fn only_the_fields_that_differ_are_named() {
    let (vault, live) = start();
    let mut changes = live.subscribe();
    vault.put("sk_db", db("alpha", "2"));
    assert_eq!(changed(&mut changes), ["db.port"]);
}

#[test]
fn equal_values_swap_nothing() {
    let (vault, live) = start();
    let before = live.get();
    vault.put("sk_name", "one");
    vault.put("sk_db", db("alpha", "1"));
    polls(&vault, 4);
    assert_eq!(live.status().generation(), 1);
    assert!(Arc::ptr_eq(&before, &live.get()));
}

#[test]
fn a_rotation_between_the_load_and_the_first_poll_is_not_lost() {
    let vault = Arc::new(vault());
    let sk = client(&vault);
    // The probe runs after the reads of the first load, and before the poller first asks.
    let live = Config::loader(&sk)
        .probe({
            let (vault, once) = (Arc::clone(&vault), std::sync::Once::new());
            move |_: &Config| {
                once.call_once(|| vault.put("sk_name", "two"));
                Ok::<(), &str>(())
            }
        })
        .live()
        .unwrap();
    let mut changes = live.subscribe();
    if live.load().name != "two" {
        changed(&mut changes);
    }
    assert_eq!(live.load().name, "two");
}

#[test]
fn several_lives_share_one_poller() {
    let vault = vault();
    let sk = client(&vault);
    let (one, two) = (Config::live(&sk).unwrap(), Config::live(&sk).unwrap());
    let (mut first, mut second) = (one.subscribe(), two.subscribe());
    vault.put("sk_name", "two");
    assert_eq!(changed(&mut first), ["name"]);
    assert_eq!(changed(&mut second), ["name"]);
    let ids = |body: &[u8]| String::from_utf8_lossy(body).matches("sk_").count();
    let polls: Vec<_> = vault.requests();
    let widest = polls.iter().filter(|r| r.path == "/v1/secrets/poll");
    assert_eq!(
        widest.map(|r| ids(&r.body)).max(),
        Some(2),
        "each id is asked for once"
    );
}

#[test]
fn a_live_config_is_send_and_sync_and_says_nothing_in_debug() {
    fn assert<T: Send + Sync + Clone>(_: &T) {}
    let (_vault, live) = start();
    assert(&live);
    let shown = format!("{live:?}");
    assert!(
        !shown.contains("alpha") && shown.contains("generation"),
        "{shown}"
    );
    let _: &Live<Config> = &live;
}
