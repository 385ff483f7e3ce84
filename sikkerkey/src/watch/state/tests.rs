use std::collections::HashMap;

use secrecy::ExposeSecret as _;

use super::*;
use crate::error::ErrorKind;
use crate::watch::follower::UpdateKind;
use crate::watch::resync::{FIRST_GAP, LONGEST_GAP};
use crate::watch::seen::Salt;

const S: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_secs(15);

fn followed(id: &str, value: Option<Digest>) -> Followed<Digest> {
    Followed {
        id: id.to_owned(),
        value,
        unconfirmed: false,
        resync: None,
    }
}

/// A state, a clock, and a service whose responses the test sets.
struct Bench {
    table: WatchState,
    salt: Salt,
    now: Time,
    random: f64,
    service: HashMap<&'static str, Result<&'static str, Error>>,
    /// The ids that the last cycle read.
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

    /// Adds a watch whose user has read `seen`.
    fn watch(&mut self, id: &str, seen: Option<&str>) -> PartyId {
        let seen = seen.map(|value| self.salt.digest(value));
        self.table.watch(id, seen, None, self.now, self.random)
    }

    fn follow(&mut self, ids: &[&str]) -> PartyId {
        let ids: Vec<_> = ids.iter().map(|id| followed(id, None)).collect();
        self.table.follow(&ids, |_| None, self.now, self.random)
    }

    fn leave(&mut self, party: PartyId) -> bool {
        self.table.remove(party, self.now, self.random)
    }

    fn note(&mut self, id: &str, value: &str) {
        let digest = self.salt.digest(value);
        self.table.note(id, digest, None, self.now, self.random);
    }

    /// Runs one cycle; `meanwhile` runs while the reads are under way.
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
        let reads = self.table.reads(&round, self.now);
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
fn a_reported_change_reaches_a_watch_without_a_value_to_compare_with() {
    let mut bench = Bench::new();
    bench.watch("sk_a", None);
    bench.holds("sk_a", "1");
    assert_eq!(bench.cycle(Ok(&[("sk_a", CHANGED)])), ["1 sk_a=1"]);
}

#[test]
fn a_reported_change_is_delivered_even_if_the_user_reads_it_first() {
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
fn a_lost_secret_is_reported_and_its_watches_end() {
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
fn a_follower_waits_for_the_newer_value_that_the_user_reads_meanwhile() {
    let mut bench = Bench::new();
    bench.follow(&["sk_a"]);
    bench.holds("sk_a", "2");
    let told = bench.cycle_with(Ok(&[("sk_a", CHANGED)]), |bench| bench.note("sk_a", "3"));
    assert_eq!(told, ["1 [sk_a Outdated]"]);
    bench.holds("sk_a", "3");
    assert_eq!(bench.quiet(), ["1 [sk_a=3]"]);
}

#[test]
fn a_follower_learns_which_half_of_a_rotation_is_still_to_come() {
    let mut bench = Bench::new();
    bench.follow(&["sk_a", "sk_b"]);
    bench.holds("sk_a", "2");
    bench.holds("sk_b", "2");
    let both = [("sk_a", CHANGED), ("sk_b", CHANGED)];
    let told = bench.cycle_with(Ok(&both), |bench| bench.table.suspect("sk_b"));
    assert_eq!(told, ["1 [sk_a=2, sk_b Outdated]"]);
    assert_eq!(bench.quiet(), ["1 [sk_b=2]"]);
}

#[test]
fn a_value_that_another_read_overtakes_before_the_end_of_the_cycle_is_not_told() {
    let mut bench = Bench::new();
    bench.follow(&["sk_a"]);
    bench.now += INTERVAL;
    let (mut round, _) = bench.table.begin(INTERVAL);
    let changed = vec![("sk_a".to_owned(), CHANGED)];
    bench
        .table
        .polled(&mut round, Ok(&changed), bench.now, &mut || 0.5);
    let reads = bench.table.reads(&round, bench.now);
    let (value, digest) = (SecretString::from("2"), bench.salt.digest("2"));
    bench
        .table
        .read(&mut round, &reads[0], Ok((&value, digest)), bench.now);
    bench.note("sk_a", "3");
    let cycle = bench.table.finish(round).cycles.remove(0).1;
    assert_eq!(format!("{:?}", cycle.updates[0].kind), "Outdated");
    bench.holds("sk_a", "3");
    assert_eq!(bench.quiet(), ["1 [sk_a=3]"]);
}

#[test]
fn a_follower_that_comes_with_an_older_value_than_the_poller_read_last_is_told() {
    let mut bench = Bench::new();
    bench.follow(&["sk_a"]);
    bench.holds("sk_a", "2");
    assert_eq!(bench.cycle(Ok(&[("sk_a", CHANGED)])), ["1 [sk_a=2]"]);
    let one = bench.salt.digest("1");
    let known = [followed("sk_a", Some(one))];
    // The client's own reads found the older value, too.
    bench.table.follow(&known, |_| Some(one), bench.now, 0.5);
    assert_eq!(bench.quiet(), ["1 [sk_a=2]", "2 [sk_a=2]"]);
    assert_eq!(bench.quiet(), ["1 []", "2 []"]);
    assert_eq!(bench.table.sharing.longest_gap(bench.now), LONGEST_GAP);
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
fn resync_tells_real_differences_only_and_its_gaps_grow_to_an_hour() {
    let mut bench = Bench::new();
    bench.watch("sk_a", Some("1"));
    bench.holds("sk_a", "1");
    let mut reads = Vec::new();
    for cycle in 1..1000 {
        assert!(bench.quiet().is_empty());
        if !bench.read.is_empty() {
            reads.push(cycle);
        }
    }
    let gaps: Vec<_> = reads.windows(2).map(|two| (two[1] - two[0]) / 4).collect();
    assert_eq!(reads[0] / 4, 4, "5 minutes, in cycles of 15 s");
    assert_eq!(gaps, [9, 18, 37, 56, 56, 56], "minutes");
}

#[test]
fn a_watch_without_a_baseline_makes_no_read_of_its_own_and_takes_the_first() {
    let mut bench = Bench::new();
    bench.watch("sk_a", None);
    bench.holds("sk_a", "1");
    let read: usize = (0..17)
        .map(|_| bench.quiet().len() + bench.read.len())
        .sum();
    assert_eq!(read, 0);
    assert!(bench.quiet().is_empty());
    assert_eq!(bench.read, ["sk_a"], "the resync's, told to nobody");
    bench.holds("sk_a", "2");
    let told: usize = (0..20).map(|_| bench.quiet().len()).sum();
    assert_eq!(told, 1);
}

#[test]
fn resync_can_be_off() {
    let mut bench = Bench::new();
    bench.table = WatchState::new(Resync::Never);
    bench.watch("sk_a", None);
    bench.follow(&["sk_b"]);
    for _ in 0..1000 {
        bench.quiet();
        assert!(bench.read.is_empty());
    }
}

/// With a policy that ends the secret at its 50th read, over a year without a rotation.
#[test]
fn without_resync_a_secret_of_fifty_reads_lives_for_years() {
    let mut bench = Bench::new();
    let known = [Followed {
        resync: Some(Resync::Never),
        ..followed("sk_a", Some(bench.salt.digest("1")))
    }];
    bench.table.follow(&known, |_| None, bench.now, 0.5);
    bench.holds("sk_a", "1");
    let mut reads = 1; // of the load
    let polls = 365 * 24 * 6;
    for _ in 0..polls {
        bench.now += INTERVAL * 39;
        bench.quiet();
        reads += bench.read.len();
    }
    assert_eq!(reads, 1);
    assert_eq!(bench.now.as_secs() / 86_400, 365);
    // One that changes twelve times a year is read once for each change.
    for n in 0..12 {
        bench.holds("sk_a", ["2", "3"][n % 2]);
        bench.cycle(Ok(&[("sk_a", CHANGED)]));
        reads += bench.read.len();
    }
    assert_eq!(reads, 13);
}

#[test]
fn a_stated_wish_counts_for_more_than_the_setting_and_the_most_frequent_wins() {
    let every = |seconds| Some(Resync::Every(S * seconds));
    for (wishes, reads) in [
        (vec![None, Some(Resync::Never)], 0),
        (vec![None, every(600)], 7),
        (vec![every(600), every(300), Some(Resync::Never)], 13),
        (vec![None, None], 3),
    ] {
        let mut bench = Bench::new();
        bench.holds("sk_a", "1");
        let seen = Some(bench.salt.digest("1"));
        for wish in &wishes {
            bench.table.watch("sk_a", seen, *wish, bench.now, 0.5);
        }
        let mut count = 0;
        for _ in 0..240 {
            bench.quiet();
            count += bench.read.len();
        }
        assert_eq!(count, reads, "{wishes:?} in an hour");
    }
}

#[test]
fn a_party_that_leaves_takes_its_setting_along() {
    let mut bench = Bench::new();
    bench.holds("sk_a", "1");
    bench.watch("sk_a", Some("1"));
    let often = Some(Resync::Every(S * 15));
    let party = bench.table.watch("sk_a", None, often, bench.now, 0.5);
    bench.quiet();
    assert_eq!(bench.read, ["sk_a"]);
    bench.leave(party);
    let mut count = 0;
    for _ in 0..40 {
        bench.quiet();
        count += bench.read.len();
    }
    assert!(count <= 2, "{count}");
}

/// Runs cycles until one reads, and returns its notifications.
fn until_read(bench: &mut Bench) -> (u32, Vec<String>) {
    until_read_with(bench, |_| ())
}

/// Runs `meanwhile` while a secret is read.
fn until_read_with(bench: &mut Bench, meanwhile: impl Fn(&mut Bench)) -> (u32, Vec<String>) {
    for cycle in 1..1000 {
        let told = bench.cycle_with(Ok(&[]), |bench| {
            if !bench.read.is_empty() {
                meanwhile(bench);
            }
        });
        if !bench.read.is_empty() {
            return (cycle, told);
        }
    }
    panic!("nothing was read");
}

#[test]
fn two_swallowed_changes_show_that_the_identity_is_shared() {
    let mut bench = Bench::new();
    for id in ["sk_a", "sk_b"] {
        bench.watch(id, Some("1"));
        bench.holds(id, "1");
    }
    for _ in 0..6 {
        until_read(&mut bench);
    }
    bench.holds("sk_a", "2");
    let (cycles, told) = until_read(&mut bench);
    assert_eq!(told, ["1 sk_a=2"]);
    assert!((200..=240).contains(&cycles), "within an hour: {cycles}");
    assert!(!bench.table.is_shared(), "it may have been an accident");
    let (cycles, _) = until_read(&mut bench);
    assert!(cycles <= 20, "now every 5 minutes: {cycles}");

    bench.holds("sk_b", "2");
    let (cycles, told) = until_read(&mut bench);
    assert!(cycles <= 20 && told == ["2 sk_b=2"], "{cycles} {told:?}");
    assert!(bench.table.is_shared());
    for _ in 0..1000 {
        let (cycles, _) = until_read(&mut bench);
        assert!(cycles <= 20, "for good: {cycles}");
    }
}

#[test]
fn a_client_that_ends_its_watches_keeps_its_resync_and_whether_its_identity_is_shared() {
    let mut table = WatchState::new(Resync::Never);
    table.sharing.sighted(S);
    table.sharing.sighted(100 * S);
    table.sharing.sighted(100_000 * S);
    assert!(table.is_shared());
    let salt = Salt::new([7; 32]);
    let former = table.watch("sk_a", Some(salt.digest("1")), None, S, 0.5);
    let mut cleared = table.cleared();
    assert!(cleared.is_empty());
    assert_eq!(cleared.resync, Resync::Never);
    assert!(cleared.is_shared());
    let next = cleared.watch("sk_a", None, None, S, 0.5);
    assert_ne!(next, former, "a handle of the former party may exist");
    assert!(!cleared.remove(former, S, 0.5));
}

#[test]
fn what_else_was_swallowed_is_found_at_once() {
    let mut bench = Bench::new();
    let often = Some(Resync::Every(S * 15));
    let seen = Some(bench.salt.digest("1"));
    bench.table.watch("sk_a", seen, often, bench.now, 0.5);
    bench.watch("sk_b", Some("1"));
    bench.holds("sk_a", "2");
    bench.holds("sk_b", "2");
    assert_eq!(bench.quiet(), ["1 sk_a=2"]);
    assert_eq!(bench.read, ["sk_a"]);
    assert_eq!(bench.quiet(), ["2 sk_b=2"]);
}

#[test]
fn a_day_after_one_swallowed_change_gaps_grow_again() {
    let mut bench = Bench::new();
    bench.watch("sk_a", Some("1"));
    bench.holds("sk_a", "2");
    until_read(&mut bench);
    let day = bench.now + S * 86_400;
    while bench.now < day - S * 400 {
        assert!(until_read(&mut bench).0 <= 20);
    }
    let gaps: Vec<_> = (0..8).map(|_| until_read(&mut bench).0 / 4).collect();
    assert!(gaps.contains(&9) && gaps.ends_with(&[56]), "{gaps:?}");
}

#[test]
fn what_explains_another_value_is_no_sign_of_sharing() {
    type Explanation = fn(&mut Bench);
    let explanations: [(&str, Explanation); 4] = [
        ("a read of the user's", |bench| {
            bench.table.reading("sk_a");
            bench.table.ended("sk_a");
        }),
        ("a read that is under way", |bench| {
            bench.table.reading("sk_a")
        }),
        ("a lost poll", |bench| {
            let lost = Error::new(ErrorKind::Network, "x").sent();
            let (mut round, _) = bench.table.begin(INTERVAL);
            let now = bench.now;
            bench.table.polled(&mut round, Err(&lost), now, &mut || 0.5);
        }),
        ("a poll that was asked twice", |bench| {
            bench.table.repeated()
        }),
    ];
    for (what, explain) in explanations {
        let mut bench = Bench::new();
        bench.watch("sk_a", Some("1"));
        bench.holds("sk_a", "2");
        for _ in 0..16 {
            bench.quiet();
        }
        for cycle in 0..20 {
            if cycle % 2 == 0 || what.contains("user") {
                explain(&mut bench);
            }
            bench.quiet();
            if !bench.read.is_empty() {
                break;
            }
        }
        assert_eq!(bench.read, ["sk_a"], "{what}");
        assert_eq!(
            bench.table.sharing.longest_gap(bench.now),
            LONGEST_GAP,
            "{what}"
        );
    }
}

#[test]
fn a_read_that_ended_long_ago_explains_no_other_value() {
    let mut bench = Bench::new();
    bench.watch("sk_a", Some("1"));
    bench.holds("sk_a", "1");
    bench.table.reading("sk_a");
    bench.table.ended("sk_a");
    until_read(&mut bench);
    bench.quiet();
    bench.holds("sk_a", "2");
    until_read(&mut bench);
    assert_eq!(bench.table.sharing.longest_gap(bench.now), FIRST_GAP);
}

#[test]
fn a_read_that_begins_meanwhile_explains_another_value() {
    let mut bench = Bench::new();
    bench.watch("sk_a", Some("1"));
    bench.holds("sk_a", "1");
    until_read(&mut bench);
    bench.quiet();
    bench.holds("sk_a", "2");
    let (_, told) = until_read_with(&mut bench, |bench| bench.table.reading("sk_a"));
    assert_eq!(told, ["1 sk_a=2"]);
    assert_eq!(bench.table.sharing.longest_gap(bench.now), LONGEST_GAP);
}

#[test]
fn a_lost_poll_brings_the_next_reread_and_one_that_was_not_sent_does_not() {
    for (lost, within) in [(true, 30), (false, 240)] {
        let mut bench = Bench::new();
        bench.watch("sk_a", Some("1"));
        bench.holds("sk_a", "1");
        for _ in 0..6 {
            until_read(&mut bench);
        }
        let error = Error::new(ErrorKind::Network, "x");
        let error = if lost { error.sent() } else { error };
        let (mut round, _) = bench.table.begin(INTERVAL);
        let now = bench.now;
        bench
            .table
            .polled(&mut round, Err(&error), now, &mut || 0.5);
        let (cycles, _) = until_read(&mut bench);
        assert_eq!(cycles <= 30, within == 30, "{cycles}");
        assert!(cycles <= within);
    }
}

#[test]
fn a_follower_that_reads_for_itself_is_not_given_the_value_again() {
    let mut bench = Bench::new();
    let party = bench.follow(&["sk_a"]);
    let value = bench.salt.digest("2");
    bench.holds("sk_a", "3");
    bench.table.note("sk_a", value, Some(party), bench.now, 0.5);
    bench.quiet();
    assert!(
        bench.read.is_empty(),
        "each read of a lease may mint another"
    );
    // Another party must be notified, so the value is read for both.
    bench.watch("sk_a", Some("1"));
    bench.table.note("sk_a", value, Some(party), bench.now, 0.5);
    bench.quiet();
    assert_eq!(bench.read, ["sk_a"]);
}

#[test]
fn an_unconfirmed_value_is_read_at_the_first_poll() {
    let mut bench = Bench::new();
    bench.holds("sk_a", "1");
    let cached = Followed {
        unconfirmed: true,
        ..followed("sk_a", Some(bench.salt.digest("1")))
    };
    bench.table.follow(&[cached], |_| None, bench.now, 0.5);
    assert_eq!(bench.cycle(Err(ErrorKind::Network)), ["1 [] Network"]);
    assert_eq!(bench.quiet(), ["1 [sk_a=1]"]);
    assert_eq!(bench.quiet(), ["1 []"]);
}

#[test]
fn a_reread_that_falls_into_an_outage_is_spread_over_the_time_after_it() {
    let late = (0..100).map(|n| {
        let mut bench = Bench::new();
        bench.watch("sk_a", Some("1"));
        bench.follow(&["sk_b"]);
        bench.holds("sk_a", "1");
        bench.holds("sk_b", "1");
        bench.now += 600 * S;
        bench.cycle(Err(ErrorKind::Network));
        bench.random = f64::from(n) / 100.0;
        until_read(&mut bench).0
    });
    let late: Vec<_> = late.collect();
    assert!(late.is_sorted());
    assert_eq!((late[50], late[99]), (10, 20), "in cycles: over 5 minutes");
}

#[test]
fn a_reread_that_fails_is_made_up_for_in_the_next_cycle() {
    let mut bench = Bench::new();
    bench.watch("sk_a", Some("1"));
    bench.fails("sk_a", ErrorKind::Network);
    let told: Vec<String> = (0..18).flat_map(|_| bench.quiet()).collect();
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
fn a_follower_whose_value_is_still_the_last_read_reads_nothing() {
    for read_last in [None, Some("1")] {
        let mut bench = Bench::new();
        let digest = |value: &str| bench.salt.digest(value);
        let known = [followed("sk_a", Some(digest("1")))];
        let last = read_last.map(digest);
        bench
            .table
            .follow(&known, |_| last, bench.now, bench.random);
        assert!(!bench.table.is_empty());
        assert!(!bench.table.is_watched("sk_a"), "a follower is no watch");
        bench.quiet();
        assert!(bench.read.is_empty(), "{}", read_last.is_some());
        bench.watch("sk_a", Some("1"));
        assert!(bench.table.is_watched("sk_a") && !bench.table.is_watched("sk_b"));
    }
}

#[test]
fn a_follower_with_an_older_value_than_this_client_read_last_is_notified() {
    let mut bench = Bench::new();
    bench.follow(&["sk_a"]);
    bench.holds("sk_a", "2");
    let (one, two) = (bench.salt.digest("1"), bench.salt.digest("2"));
    let known = [followed("sk_a", Some(one))];
    bench.table.follow(&known, |_| Some(two), bench.now, 0.5);
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
            ["1 [sk_a Deleted]"],
            "each time that it is said"
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
    let known = [followed("sk_a", Some(bench.salt.digest("1")))];
    bench.table.follow(&known, |_| None, bench.now, 0.5);
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
    let known = [followed("sk_a", Some(bench.salt.digest("1")))];
    bench.table.follow(&known, |_| None, bench.now, 0.5);
    bench.cycle(Ok(&[("sk_a", SecretChange::Denied)]));
    bench.fails("sk_a", ErrorKind::AccessDenied);
    let mut read = Vec::new();
    for cycle in 1..=1200 {
        let told = bench.quiet();
        match bench.read.is_empty() {
            true => assert_eq!(told, ["1 []"]),
            false => {
                assert_eq!(told, ["1 [sk_a Denied]"]);
                read.push(cycle);
            }
        }
    }
    assert_eq!(
        read,
        [1, 3, 7, 15, 31, 40, 104, 232, 472, 712, 952, 1192],
        "gaps double, up to an hour, with one read after 10 minutes"
    );
    bench.holds("sk_a", "2");
    let told: Vec<_> = (0..240).map(|_| bench.quiet().remove(0)).collect();
    let mut told = told.iter().filter(|told| *told != "1 []");
    assert_eq!(told.next().unwrap(), "1 [sk_a=2]");
}

#[test]
fn an_optional_secret_that_never_was_there_is_read_rarely() {
    let mut bench = Bench::new();
    bench.follow(&["sk_a"]);
    bench.fails("sk_a", ErrorKind::NotFound);
    let mut reads = 0;
    for _ in 0..5760 {
        bench.quiet();
        reads += bench.read.len();
    }
    assert!((24..=32).contains(&reads), "a day: {reads}");
}

#[test]
fn a_lost_secret_is_lost_for_parties_that_join_too() {
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
fn a_party_that_leaves_in_the_middle_gets_nothing_and_one_that_joins_is_notified() {
    let mut bench = Bench::new();
    let (leaves, stays) = (bench.follow(&["sk_a"]), bench.follow(&["sk_a"]));
    bench.holds("sk_a", "2");
    let told = bench.cycle_with(Ok(&[("sk_a", CHANGED)]), |bench| {
        assert!(bench.leave(leaves) && !bench.leave(leaves));
        bench.follow(&["sk_a"]);
    });
    // The new watch's user may have read before the change, and the service reports it once.
    assert_eq!(told, ["2 [sk_a=2]", "3 [sk_a=2]"]);
    assert!(bench.leave(stays));
    assert!(bench.table.knows("sk_a"));
    bench.leave(3);
    assert!(bench.table.is_empty() && !bench.table.knows("sk_a"));
}
