use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use secrecy::ExposeSecret as _;
use sikkerkey_emulator::{Emulator, Fault};

use super::*;
use crate::resync::Resync;
use crate::watch::{Cycle, UpdateKind};

const LONG: Duration = Duration::from_secs(30);

struct Teller(Mutex<Sender<Cycle>>);

impl Follower for Teller {
    fn cycle(&self, cycle: Cycle) {
        let _ = self.0.lock().unwrap().send(cycle);
    }
}

fn vault() -> Emulator {
    let vault = Emulator::builder().secret("sk_a", "1").secret("sk_b", "1");
    vault.start().unwrap()
}

fn client(vault: &Emulator, interval: u64) -> SikkerKey {
    let builder = SikkerKey::builder().identity_file(vault.identity_path());
    let sk = builder
        .poll_interval(Duration::from_millis(interval))
        .resync(Resync::Never);
    sk.build().unwrap()
}

fn ids() -> Vec<String> {
    vec!["sk_a".to_owned(), "sk_b".to_owned()]
}

fn follow(sk: &SikkerKey) -> (Follow, Receiver<Cycle>) {
    let (sender, cycles) = channel();
    let known: Vec<_> = ids()
        .into_iter()
        .map(|id| Followed {
            value: sk.get_secret(&id).ok(),
            id,
            unconfirmed: false,
            resync: None,
        })
        .collect();
    let follow = sk.follow(&known, Arc::new(Teller(Mutex::new(sender))));
    (follow, cycles)
}

/// Returns the updates of the next cycle that has any.
#[track_caller]
fn updates(cycles: &Receiver<Cycle>) -> Vec<String> {
    loop {
        let updates = cycles.recv_timeout(LONG).unwrap().updates;
        if !updates.is_empty() {
            let describe = |update: &crate::watch::follower::Update| match &update.kind {
                UpdateKind::Value(value) => format!("{}={}", update.id, value.expose_secret()),
                UpdateKind::Failed(error) => format!("{} {:?}", update.id, error.kind()),
                other => format!("{} {other:?}", update.id),
            };
            return updates.iter().map(describe).collect();
        }
    }
}

/// Returns the next updates that are not only `last` once more: each poll may say that a secret is gone.
#[track_caller]
fn updates_after(cycles: &Receiver<Cycle>, last: &str) -> Vec<String> {
    loop {
        let updates = updates(cycles);
        if updates != [last] {
            return updates;
        }
    }
}

#[test]
fn all_of_one_poll_is_one_cycle() {
    let vault = vault();
    let sk = client(&vault, 2);
    let (follow, cycles) = follow(&sk);
    for n in 0..20 {
        let value = n.to_string();
        vault.put_all([("sk_a", value.clone()), ("sk_b", value.clone())]);
        assert_eq!(updates(&cycles), [format!("sk_a={n}"), format!("sk_b={n}")]);
    }
    drop(follow);
    while cycles.recv_timeout(LONG).is_ok() {}
}

#[test]
fn a_lost_secret_recovers_however_the_service_reports_it() {
    for every in [true, false] {
        for returned in [true, false] {
            let vault = Emulator::builder()
                .secret("sk_a", "1")
                .secret("sk_b", "1")
                .gone_in_every_poll(every)
                .returned_is_changed(returned);
            let vault = vault.start().unwrap();
            let sk = client(&vault, 2);
            let (_follow, cycles) = follow(&sk);
            vault.delete("sk_a");
            assert_eq!(updates(&cycles), ["sk_a Deleted"]);
            vault.put("sk_a", "2");
            assert_eq!(updates_after(&cycles, "sk_a Deleted"), ["sk_a=2"]);
            vault.deny("sk_b");
            assert_eq!(updates(&cycles), ["sk_b Denied"]);
            vault.allow("sk_b");
            assert_eq!(updates_after(&cycles, "sk_b Denied"), ["sk_b=1"]);
        }
    }
}

#[test]
fn a_failed_read_is_reported_until_it_succeeds() {
    let vault = vault();
    let sk = client(&vault, 2);
    let (_follow, cycles) = follow(&sk);
    // The response begins, so the request is not repeated at once.
    vault.fail_next_matching("/v1/secret/sk_a", Fault::after(Fault::Truncated));
    vault.put("sk_a", "2");
    assert_eq!(updates(&cycles), ["sk_a Network"]);
    assert_eq!(updates(&cycles), ["sk_a=2"]);
}

#[test]
fn close_ends_followers_and_their_handles_do_not_mind() {
    let vault = vault();
    let sk = client(&vault, 2);
    let (follow, cycles) = follow(&sk);
    sk.close();
    while cycles.recv_timeout(LONG).is_ok() {}
    drop(follow);
    let before = vault.request_count();
    sk.get_secret("sk_a").unwrap();
    assert_eq!(vault.request_count(), before + 1);
}
