//! What a swap is: everything of one poll at once, and only when something differs.

use std::sync::{Arc, Once};

use sikkerkey::{Freshness, Live, SikkerKeyConfig};

use crate::common::stage::is_poll;
use crate::{Config, WORKER, changed, client, cycles, db, settle, stage, start};

#[test]
fn the_first_config_is_generation_one_and_fresh() {
    let (_stage, live) = start();
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
    let ids: Vec<_> = status
        .secrets()
        .map(|secret| secret.id().to_owned())
        .collect();
    assert_eq!(ids, ["sk_db", "sk_name"]);
}

#[test]
fn all_that_changed_in_one_poll_is_one_swap() {
    let (stage, live) = start();
    let mut changes = live.subscribe();
    stage
        .vault
        .put_all([("sk_name", "two".to_owned()), ("sk_db", db("beta", "2"))]);
    stage.poll();
    assert_eq!(changed(&mut changes), ["name", "db.host", "db.port"]);
    cycles(&stage, 3);
    assert_eq!(live.status().generation(), 2);
    let config = live.get();
    assert_eq!(
        (&*config.name, &*config.db.host, config.db.port),
        ("two", "beta", 2)
    );
}

#[test]
fn only_the_fields_that_differ_are_named() {
    let (stage, live) = start();
    let mut changes = live.subscribe();
    stage.vault.put("sk_db", db("alpha", "2"));
    stage.poll();
    assert_eq!(changed(&mut changes), ["db.port"]);
}

#[test]
fn equal_values_swap_nothing() {
    let (stage, live) = start();
    let before = live.get();
    stage.vault.put("sk_name", "one");
    stage.vault.put("sk_db", db("alpha", "1"));
    cycles(&stage, 4);
    assert_eq!(live.status().generation(), 1);
    assert!(Arc::ptr_eq(&before, &live.get()));
}

#[test]
fn a_rotation_between_the_load_and_the_first_poll_is_not_lost() {
    let stage = Arc::new(stage());
    let sk = client(&stage);
    // The probe runs after the reads of the first load, and before the poller first asks.
    let live = Config::loader(&sk)
        .probe({
            let (stage, once) = (Arc::clone(&stage), Once::new());
            move |_: &Config| {
                once.call_once(|| stage.vault.put("sk_name", "two"));
                Ok::<(), &str>(())
            }
        })
        .live()
        .unwrap();
    settle(&stage);
    assert_eq!(live.load().name, "two");
}

#[test]
fn several_lives_share_one_poller() {
    let stage = stage();
    let sk = client(&stage);
    let (one, two) = (Config::live(&sk).unwrap(), Config::live(&sk).unwrap());
    let (mut first, mut second) = (one.subscribe(), two.subscribe());
    stage.rest();
    stage.clock.threads_at_rest(WORKER, 2);
    stage.vault.put("sk_name", "two");
    stage.poll();
    assert_eq!(changed(&mut first), ["name"]);
    assert_eq!(changed(&mut second), ["name"]);
    let requests = stage.vault.requests();
    let polls = requests.iter().filter(|request| is_poll(request));
    let ids = polls.map(|poll| poll.text().matches("sk_").count());
    assert_eq!(ids.max(), Some(2), "each id is asked for once");
}

#[test]
fn a_live_config_is_send_and_sync_and_says_nothing_in_debug() {
    fn assert<T: Send + Sync + Clone>(_: &T) {}
    let (_stage, live) = start();
    assert(&live);
    let shown = format!("{live:?}");
    assert!(
        !shown.contains("alpha") && shown.contains("generation"),
        "{shown}"
    );
    let _: &Live<Config> = &live;
}
