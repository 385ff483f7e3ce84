//! What a fleet of clients asks of a service in trouble, and of one that has just come back, set against what it asks on a
//! quiet day. `SIKKERKEY_LONG=1` runs 100,000 clients too; `-- --nocapture` prints the figures.
#![allow(clippy::print_stdout, reason = "the figures are the result")]

use std::env;
use std::time::Duration;

use sikkerkey_tests::fleet::{OUTAGE, Outage, RECOVERY, followers, readers};

#[test]
fn an_outage_is_not_made_worse() {
    let long = env::var_os("SIKKERKEY_LONG").is_some();
    let sizes: &[usize] = if long { &[5_000, 100_000] } else { &[5_000] };
    for &clients in sizes {
        for outage in [Outage::Refused, Outage::Silent, Outage::Sealed] {
            let load = followers(clients, outage, 20_260_101);
            let quiet = load.mean(OUTAGE - Duration::from_secs(1_200), OUTAGE);
            let quiet_peak = load.peak(OUTAGE - Duration::from_secs(1_200), OUTAGE);
            let during = load.mean(OUTAGE, RECOVERY) / quiet;
            let peak = load.peak(RECOVERY, RECOVERY + Duration::from_secs(600)) / quiet;
            println!(
                "fleet of {clients}, {outage:?}: {quiet:.1} requests/s (peak {:.2} of it); outage {during:.2}, \
                 peak on recovery {peak:.2}",
                quiet_peak / quiet
            );
            assert!(during <= 1.1, "{clients} {outage:?}: {during}");
            assert!(peak <= 2.0, "{clients} {outage:?}: {peak}");
        }
        let load = readers(clients, 7);
        let quiet = load.mean(OUTAGE - Duration::from_secs(600), OUTAGE);
        let during = load.mean(OUTAGE, RECOVERY) / quiet;
        let after = load.peak(RECOVERY, RECOVERY + Duration::from_secs(60)) / quiet;
        println!(
            "{clients} plain readers, a read a minute: outage {during:.2} (a read has four attempts), peak on \
             recovery {after:.2}"
        );
        assert!(during <= 4.0, "no read has more than four attempts");
    }
}
