use std::collections::HashMap;

use secrecy::ExposeSecret as _;

use super::*;
use crate::error::ErrorKind;
use crate::watch::follower::UpdateKind;
use crate::watch::seen::Salt;

const S: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_secs(15);
const RESYNC: Option<Duration> = Some(Duration::from_secs(300));

/// A table, a clock, and a service that answers what the test says.
struct Bench {
    table: WatchState,
    salt: Salt,
    now: Time,
    random: f64,
    service: HashMap<&'static str, Result<&'static str, Error>>,
    /// What the last cycle read.
    read: Vec<String>,
}

impl Bench {
    fn new() -> Self {
        Bench {
            table: WatchState::default(),
            salt: Salt::new([7; 32]),
            now: S,
            random: 0.5,
            service: HashMap::new(),
            read: Vec::new(),
        }
    }

    fn holds(&mut self, id: &'static str, value: &'static str) {
        self.service.insert(id, Ok(value));
    }

    fn fails(&mut self, id: &'static str, kind: ErrorKind) {
        self.service.insert(id, Err(Error::new(kind, "x")));
    }

    /// A watch whose user has read `seen`.
    fn watch(&mut self, id: &str, seen: Option<&str>) -> PartyId {
        let seen = seen.map(|value| self.salt.digest(value));
        self.table.watch(id, seen, RESYNC, self.now, self.random)
    }

    fn follow(&mut self, ids: &[&str]) -> PartyId {
        let ids: Vec<_> = ids.iter().map(|id| ((*id).to_owned(), None)).collect();
        self.table
            .follow(&ids, |_| None, RESYNC, self.now, self.random)
    }

    fn note(&mut self, id: &str, value: &str) {
        let digest = self.salt.digest(value);
        self.table.note(id, digest);
    }

    /// One cycle; `meanwhile` happens while the reads are under way.
    fn cycle_with(
        &mut self,
        poll: Result<&[(&str, SecretChange)], ErrorKind>,
        meanwhile: impl FnOnce(&mut Self),
    ) -> Vec<String> {
        let random = self.random;
        let mut dice = || random;
        self.now += INTERVAL;
        let (mut round, _ids) = self.table.begin(INTERVAL);
        let changes: Result<Vec<(String, SecretChange)>, Error> = poll
            .map(|changes| {
                changes
                    .iter()
                    .map(|(id, status)| ((*id).to_owned(), *status))
                    .collect()
            })
            .map_err(|kind| Error::new(kind, "x"));
        let answer = changes.as_deref();
        self.table.polled(&mut round, answer, self.now, &mut dice);
        let reads = self.table.reads(&round, self.now, &mut dice);
        self.read = reads.iter().map(|read| read.id.to_string()).collect();
        meanwhile(self);
        for read in &reads {
            let answer = match self.service.get(&*read.id).unwrap() {
                Ok(value) => Ok((SecretString::from(*value), self.salt.digest(value))),
                Err(error) => Err(error.clone()),
            };
            let answer = answer.as_ref().map(|(value, digest)| (value, *digest));
            self.table.read(&mut round, read, answer, self.now);
        }
        let told = self.table.finish(round);
        let notices = told
            .notices
            .into_iter()
            .map(|(party, id, notice)| match notice {
                Notice::Changed(value) => format!("{party} {id}={}", value.expose_secret()),
                Notice::Error(error) => format!("{party} {id} {:?}", error.kind()),
                other => format!("{party} {id} {other:?}"),
            });
        let cycles = told.cycles.into_iter().map(|(party, cycle)| {
            let updates = cycle.updates.iter().map(|update| match &update.kind {
                UpdateKind::Value(value) => format!("{}={}", update.id, value.expose_secret()),
                UpdateKind::Failed(error) => format!("{} {:?}", update.id, error.kind()),
                other => format!("{} {other:?}", update.id),
            });
            let updates = updates.collect::<Vec<_>>().join(", ");
            match cycle.outcome {
                Ok(()) => format!("{party} [{updates}]"),
                Err(error) => format!("{party} [{updates}] {:?}", error.kind()),
            }
        });
        notices.chain(cycles).collect()
    }

    fn cycle(&mut self, poll: Result<&[(&str, SecretChange)], ErrorKind>) -> Vec<String> {
        self.cycle_with(poll, |_| ())
    }

    fn quiet(&mut self) -> Vec<String> {
        self.cycle(Ok(&[]))
    }
}

const CHANGED: SecretChange = SecretChange::Changed;

#[test]
fn a_change_is_read_and_told_once() {
    let mut bench = Bench::new();
    bench.watch("sk_a", Some("1"));
    bench.holds("sk_a", "2");
    assert_eq!(bench.cycle(Ok(&[("sk_a", CHANGED)])), ["1 sk_a=2"]);
    assert!(bench.quiet().is_empty());
    assert!(bench.read.is_empty());
}

#[test]
fn a_change_to_what_the_user_already_has_is_none() {
    let mut bench = Bench::new();
    bench.watch("sk_a", Some("1"));
    bench.holds("sk_a", "1");
    assert!(bench.cycle(Ok(&[("sk_a", CHANGED)])).is_empty());
    assert_eq!(bench.read, ["sk_a"]);
}

#[test]
fn a_reported_change_is_told_to_a_watch_that_has_nothing_to_compare_with() {
    let mut bench = Bench::new();
    bench.watch("sk_a", None);
    bench.holds("sk_a", "1");
    assert_eq!(bench.cycle(Ok(&[("sk_a", CHANGED)])), ["1 sk_a=1"]);
}

#[test]
fn a_reported_change_that_the_user_reads_first_is_told_all_the_same() {
    let mut bench = Bench::new();
    let watch = bench.watch("sk_a", None);
    assert_eq!(bench.table.watches("sk_a"), [watch]);
    bench.follow(&["sk_a"]);
    assert_eq!(bench.table.watches("sk_a"), [watch], "a follower is none");
    bench.fails("sk_a", ErrorKind::Network);
    bench.cycle(Ok(&[("sk_a", CHANGED)]));
    bench.holds("sk_a", "2");
    bench.note("sk_a", "2");
    let told = bench.quiet();
    assert!(told.contains(&"1 sk_a=2".to_owned()), "{told:?}");
}

#[test]
fn a_doubt_that_comes_while_a_read_is_under_way_is_a_reason_for_another() {
    let one = |bench: &mut Bench| bench.table.suspect("sk_a");
    let all = |bench: &mut Bench| bench.table.suspect_all();
    for doubt in [one, all] {
        let mut bench = Bench::new();
        bench.watch("sk_a", Some("1"));
        bench.holds("sk_a", "1");
        bench.cycle_with(Ok(&[("sk_a", CHANGED)]), doubt);
        bench.quiet();
        assert_eq!(bench.read, ["sk_a"]);
        bench.quiet();
        assert!(bench.read.is_empty());
    }
}

#[test]
fn a_change_stays_pending_until_its_value_was_read() {
    let mut bench = Bench::new();
    bench.watch("sk_a", Some("1"));
    bench.fails("sk_a", ErrorKind::Network);
    assert_eq!(bench.cycle(Ok(&[("sk_a", CHANGED)])), ["1 sk_a Network"]);
    assert!(bench.quiet().is_empty(), "one error for one outage");
    assert_eq!(bench.read, ["sk_a"], "the service says it once");
    assert!(bench.cycle(Err(ErrorKind::Network)).is_empty());
    assert!(
        bench.read.is_empty(),
        "nothing is read after a poll that failed"
    );
    bench.holds("sk_a", "2");
    assert_eq!(bench.quiet(), ["1 sk_a Recovered", "1 sk_a=2"]);
    assert!(bench.quiet().is_empty());
}

#[test]
fn an_outage_is_one_error_and_one_recovery_for_each_watch() {
    let mut bench = Bench::new();
    bench.watch("sk_a", Some("1"));
    bench.watch("sk_a", Some("1"));
    assert_eq!(
        bench.cycle(Err(ErrorKind::Network)),
        ["1 sk_a Network", "2 sk_a Network"]
    );
    for _ in 0..50 {
        assert!(bench.cycle(Err(ErrorKind::Unavailable)).is_empty());
    }
    bench.watch("sk_b", Some("1"));
    assert_eq!(bench.cycle(Err(ErrorKind::Api)), ["3 sk_b Api"]);
    let recovered = ["1 sk_a Recovered", "2 sk_a Recovered", "3 sk_b Recovered"];
    assert_eq!(bench.quiet(), recovered);
    assert!(bench.quiet().is_empty());
}

#[test]
fn a_read_that_fails_troubles_its_own_watch_alone() {
    let mut bench = Bench::new();
    bench.watch("sk_a", Some("1"));
    bench.watch("sk_b", Some("1"));
    bench.fails("sk_a", ErrorKind::Decode);
    bench.holds("sk_b", "2");
    let told = bench.cycle(Ok(&[("sk_a", CHANGED), ("sk_b", CHANGED)]));
    assert_eq!(told, ["1 sk_a Decode", "2 sk_b=2"]);
}

#[test]
fn a_lost_secret_is_told_and_its_watches_end() {
    for (status, kind, word) in [
        (SecretChange::Deleted, ErrorKind::NotFound, "Deleted"),
        (SecretChange::Denied, ErrorKind::AccessDenied, "Denied"),
    ] {
        let mut bench = Bench::new();
        bench.watch("sk_a", Some("1"));
        bench.watch("sk_a", None);
        let told = bench.cycle(Ok(&[("sk_a", status)]));
        assert_eq!(told, [format!("1 sk_a {word}"), format!("2 sk_a {word}")]);
        assert!(bench.table.is_empty() && !bench.table.knows("sk_a"));

        bench.watch("sk_a", None);
        bench.fails("sk_a", kind);
        let told = bench.cycle(Ok(&[("sk_a", CHANGED)]));
        assert_eq!(
            told,
            [format!("3 sk_a {word}")],
            "the read may be the one to find it"
        );
        assert!(bench.table.is_empty());

        bench.watch("sk_a", None);
        bench.holds("sk_a", "2");
        assert_eq!(
            bench.cycle(Ok(&[("sk_a", CHANGED)])),
            ["4 sk_a=2"],
            "and again"
        );
    }
}

#[test]
fn a_change_that_the_users_own_read_swallowed_is_told() {
    let mut bench = Bench::new();
    bench.watch("sk_a", Some("1"));
    bench.holds("sk_a", "2");
    bench.note("sk_a", "2");
    assert_eq!(bench.quiet(), ["1 sk_a=2"]);
    bench.note("sk_a", "2");
    assert!(bench.quiet().is_empty());
    assert!(bench.read.is_empty(), "the same value is no reason to read");
}

#[test]
fn a_read_of_the_users_whose_answer_was_lost_is_made_up_for() {
    let mut bench = Bench::new();
    bench.watch("sk_a", Some("1"));
    bench.holds("sk_a", "2");
    bench.table.suspect("sk_a");
    assert_eq!(bench.quiet(), ["1 sk_a=2"]);
    bench.table.suspect("sk_unknown");
}

#[test]
fn the_users_first_read_is_the_baseline_of_a_watch_without_one() {
    let mut bench = Bench::new();
    bench.watch("sk_a", None);
    bench.note("sk_a", "1");
    assert!(bench.quiet().is_empty());
    assert!(bench.read.is_empty());
    bench.note("sk_a", "2");
    bench.holds("sk_a", "2");
    assert_eq!(bench.quiet(), ["1 sk_a=2"]);
}

#[test]
fn a_newer_value_that_the_user_reads_meanwhile_is_not_lost() {
    let mut bench = Bench::new();
    bench.watch("sk_a", Some("1"));
    bench.holds("sk_a", "2");
    let told = bench.cycle_with(Ok(&[("sk_a", CHANGED)]), |bench| bench.note("sk_a", "3"));
    assert_eq!(told, ["1 sk_a=2"]);
    bench.holds("sk_a", "3");
    assert_eq!(bench.quiet(), ["1 sk_a=3"]);
    assert!(bench.quiet().is_empty() && bench.read.is_empty());

    bench.holds("sk_a", "4");
    let told = bench.cycle_with(Ok(&[("sk_a", CHANGED)]), |bench| bench.note("sk_a", "4"));
    assert_eq!(told, ["1 sk_a=4"]);
    assert!(bench.quiet().is_empty() && bench.read.is_empty());
}

#[test]
fn watches_on_one_secret_are_each_told_what_they_do_not_know() {
    let mut bench = Bench::new();
    bench.watch("sk_a", Some("1"));
    bench.watch("sk_a", Some("2"));
    bench.holds("sk_a", "2");
    assert_eq!(bench.cycle(Ok(&[("sk_a", CHANGED)])), ["1 sk_a=2"]);
}

#[test]
fn resync_finds_what_another_process_swallowed() {
    let mut bench = Bench::new();
    bench.watch("sk_a", Some("1"));
    bench.holds("sk_a", "2");
    let told: Vec<_> = (0..20).map(|_| bench.quiet().len()).collect();
    assert_eq!(told.iter().sum::<usize>(), 1, "{told:?}");
}

#[test]
fn resync_tells_real_differences_only_and_comes_round_in_time() {
    let mut bench = Bench::new();
    bench.watch("sk_a", Some("1"));
    bench.holds("sk_a", "1");
    let mut reads = 0;
    for _ in 0..100 {
        assert!(bench.quiet().is_empty());
        reads += bench.read.len();
    }
    assert_eq!(
        reads, 5,
        "1,500 s in cycles of 15 s: every 270 s, so at every 18th or 19th"
    );
}

#[test]
fn the_first_reread_of_a_watch_without_a_baseline_is_early_and_silent() {
    let mut bench = Bench::new();
    bench.watch("sk_a", None);
    bench.holds("sk_a", "1");
    let read: Vec<_> = (0..4)
        .map(|_| (bench.quiet().len(), bench.read.len()))
        .collect();
    assert_eq!(read, [(0, 0), (0, 0), (0, 1), (0, 0)]);
    bench.holds("sk_a", "2");
    let told: usize = (0..20).map(|_| bench.quiet().len()).sum();
    assert_eq!(told, 1);
}

#[test]
fn resync_can_be_off() {
    let mut bench = Bench::new();
    let now = bench.now;
    bench.table.watch("sk_a", None, None, now, 0.5);
    bench
        .table
        .follow(&[("sk_b".to_owned(), None)], |_| None, None, now, 0.5);
    for _ in 0..1000 {
        bench.quiet();
        assert!(bench.read.is_empty());
    }
}

#[test]
fn a_reread_that_falls_into_an_outage_is_spread_over_the_time_after_it() {
    let mut bench = Bench::new();
    for n in 0..100 {
        bench.random = f64::from(n) / 100.0;
        bench.watch("sk_a", Some("1"));
        bench.follow(&["sk_b"]);
    }
    bench.holds("sk_a", "1");
    bench.holds("sk_b", "1");
    bench.now += 600 * S;
    let mut dice = (0..).map(|n| f64::from(n % 200) / 200.0);
    let (mut round, _) = bench.table.begin(INTERVAL);
    let error = Error::new(ErrorKind::Network, "x");
    let mut random = || dice.next().unwrap();
    bench
        .table
        .polled(&mut round, Err(&error), bench.now, &mut random);
    let (mut round, _) = bench.table.begin(INTERVAL);
    bench
        .table
        .polled(&mut round, Ok(&[]), bench.now, &mut random);
    let due = |bench: &Bench| {
        bench
            .table
            .parties
            .values()
            .filter(|party| party.due.unwrap() <= bench.now)
            .count()
    };
    assert!(due(&bench) <= 1);
    bench.now += 30 * S;
    assert!(
        (15..=25).contains(&due(&bench)),
        "a tenth of the interval, a tenth of the parties"
    );
}

#[test]
fn a_reread_that_fails_is_made_up_for_in_the_next_cycle() {
    let mut bench = Bench::new();
    bench.watch("sk_a", Some("1"));
    bench.fails("sk_a", ErrorKind::Network);
    let told: Vec<String> = (0..19).flat_map(|_| bench.quiet()).collect();
    assert_eq!(told, ["1 sk_a Network"]);
    bench.holds("sk_a", "2");
    assert_eq!(bench.quiet(), ["1 sk_a Recovered", "1 sk_a=2"]);
}

#[test]
fn followers_get_all_of_one_poll_in_one_cycle_and_empty_ones_too() {
    let mut bench = Bench::new();
    bench.follow(&["sk_b", "sk_a", "sk_c", "sk_a"]);
    bench.follow(&["sk_c", "sk_d"]);
    assert_eq!(bench.quiet(), ["1 []", "2 []"]);
    bench.holds("sk_a", "1");
    bench.holds("sk_b", "2");
    bench.fails("sk_c", ErrorKind::Network);
    bench.fails("sk_d", ErrorKind::AccessDenied);
    let told = bench.cycle(Ok(&[
        ("sk_b", CHANGED),
        ("sk_c", CHANGED),
        ("sk_a", CHANGED),
        ("sk_d", SecretChange::Denied),
        ("sk_stray", CHANGED),
    ]));
    assert_eq!(
        told,
        [
            "1 [sk_a=1, sk_b=2, sk_c Network]",
            "2 [sk_c Network, sk_d Denied]"
        ]
    );
    assert_eq!(bench.quiet(), ["1 [sk_c Network]", "2 [sk_c Network]"]);
    assert_eq!(
        bench.cycle(Err(ErrorKind::Unavailable)),
        ["1 [] Unavailable", "2 [] Unavailable"]
    );
}

#[test]
fn followers_are_resynced_together() {
    let mut bench = Bench::new();
    bench.follow(&["sk_a", "sk_b"]);
    bench.holds("sk_a", "1");
    bench.holds("sk_b", "1");
    let told: Vec<_> = (0..20).map(|_| bench.quiet().remove(0)).collect();
    assert_eq!(
        told.iter()
            .filter(|told| *told != "1 []")
            .collect::<Vec<_>>(),
        ["1 [sk_a=1, sk_b=1]"]
    );
}

#[test]
fn a_follower_learns_what_another_read_of_this_client_swallowed() {
    let mut bench = Bench::new();
    bench.follow(&["sk_a"]);
    bench.holds("sk_a", "2");
    bench.note("sk_a", "2");
    assert_eq!(bench.quiet(), ["1 [sk_a=2]"]);
    bench.note("sk_a", "2");
    assert_eq!(bench.quiet(), ["1 []"]);
}

#[test]
fn a_follower_whose_value_nobody_read_anew_reads_nothing() {
    for read_last in [None, Some("1")] {
        let mut bench = Bench::new();
        let digest = |value: &str| bench.salt.digest(value);
        let known = [("sk_a".to_owned(), Some(digest("1")))];
        let last = read_last.map(digest);
        bench
            .table
            .follow(&known, |_| last, RESYNC, bench.now, bench.random);
        assert!(!bench.table.is_empty());
        assert!(!bench.table.is_watched("sk_a"), "a follower is no watch");
        bench.quiet();
        assert!(bench.read.is_empty(), "{}", read_last.is_some());
        bench.watch("sk_a", Some("1"));
        assert!(bench.table.is_watched("sk_a") && !bench.table.is_watched("sk_b"));
    }
}

#[test]
fn a_follower_with_an_older_value_than_this_client_read_last_is_told() {
    let mut bench = Bench::new();
    bench.follow(&["sk_a"]);
    bench.holds("sk_a", "2");
    let (one, two) = (bench.salt.digest("1"), bench.salt.digest("2"));
    let known = [("sk_a".to_owned(), Some(one))];
    bench
        .table
        .follow(&known, |_| Some(two), RESYNC, bench.now, 0.5);
    assert_eq!(bench.quiet(), ["1 [sk_a=2]", "2 [sk_a=2]"]);
    assert_eq!(bench.quiet(), ["1 []", "2 []"]);
}

#[test]
fn a_followed_secret_that_is_lost_stays_and_recovers_if_the_service_says_changed() {
    let mut bench = Bench::new();
    bench.follow(&["sk_a"]);
    assert_eq!(
        bench.cycle(Ok(&[("sk_a", SecretChange::Deleted)])),
        ["1 [sk_a Deleted]"]
    );
    for _ in 0..50 {
        assert_eq!(
            bench.cycle(Ok(&[("sk_a", SecretChange::Deleted)])),
            ["1 []"],
            "told once"
        );
        assert!(bench.read.is_empty(), "the service has just said so");
    }
    assert_eq!(
        bench.cycle(Ok(&[("sk_a", SecretChange::Denied)])),
        ["1 [sk_a Denied]"]
    );
    bench.holds("sk_a", "2");
    assert_eq!(bench.cycle(Ok(&[("sk_a", CHANGED)])), ["1 [sk_a=2]"]);
}

#[test]
fn what_only_polls_call_lost_is_read_after_one_interval() {
    let mut bench = Bench::new();
    bench.follow(&["sk_a"]);
    bench.fails("sk_a", ErrorKind::AccessDenied);
    for _ in 0..4 {
        bench.cycle(Ok(&[("sk_a", SecretChange::Denied)]));
        assert!(bench.read.is_empty());
    }
    bench.quiet();
    assert_eq!(bench.read, ["sk_a"]);
}

#[test]
fn a_followed_secret_that_is_lost_recovers_if_the_service_leaves_it_out() {
    let mut bench = Bench::new();
    bench.follow(&["sk_a"]);
    bench.cycle(Ok(&[("sk_a", SecretChange::Denied)]));
    bench.fails("sk_a", ErrorKind::AccessDenied);
    let mut read = Vec::new();
    for cycle in 1..=60 {
        assert_eq!(bench.quiet(), ["1 []"]);
        if !bench.read.is_empty() {
            read.push(cycle);
        }
    }
    assert_eq!(
        read,
        [1, 3, 7, 15, 31, 51],
        "gaps double, up to the resync interval"
    );
    bench.holds("sk_a", "2");
    let told: Vec<_> = (0..20).map(|_| bench.quiet().remove(0)).collect();
    assert_eq!(
        told.iter()
            .filter(|told| *told != "1 []")
            .collect::<Vec<_>>(),
        ["1 [sk_a=2]"]
    );
}

#[test]
fn a_lost_secret_is_lost_for_those_who_join_too() {
    let mut bench = Bench::new();
    bench.follow(&["sk_a"]);
    bench.cycle(Ok(&[("sk_a", SecretChange::Deleted)]));
    bench.fails("sk_a", ErrorKind::NotFound);
    bench.watch("sk_a", None);
    bench.follow(&["sk_a"]);
    assert_eq!(
        bench.quiet(),
        ["2 sk_a Deleted", "1 [sk_a Deleted]", "3 [sk_a Deleted]"]
    );
    assert_eq!(bench.table.parties.len(), 2);
}

#[test]
fn who_leaves_in_the_middle_is_not_told_and_who_joins_is() {
    let mut bench = Bench::new();
    let (leaves, stays) = (bench.follow(&["sk_a"]), bench.follow(&["sk_a"]));
    bench.holds("sk_a", "2");
    let told = bench.cycle_with(Ok(&[("sk_a", CHANGED)]), |bench| {
        assert!(bench.table.remove(leaves) && !bench.table.remove(leaves));
        bench.follow(&["sk_a"]);
    });
    // The newcomer may have read before the change, and the service tells it once.
    assert_eq!(told, ["2 [sk_a=2]", "3 [sk_a=2]"]);
    assert!(bench.table.remove(stays));
    assert!(bench.table.knows("sk_a"));
    bench.table.remove(3);
    assert!(bench.table.is_empty() && !bench.table.knows("sk_a"));
}
