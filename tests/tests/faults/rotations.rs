//! Rotations while answers are lost: late is allowed, never is not.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use sikkerkey::{ExposeSecret as _, Resync, WatchKind};
use sikkerkey_emulator::{Emulator, Fault};

use crate::{canary, count, hasty, seed};

/// So long that only a change which is missed for good takes it.
const GIVE_UP: Duration = Duration::from_secs(60);

/// Of five answers one is lost after the service has acted: it holds a change as reported that nobody was told, and
/// a value as read that nobody has.
#[test]
fn no_rotation_is_missed_for_good() {
    let rotations = count(150, 10_000);
    for (said_once, name) in [(true, "reported once"), (false, "reported until read")] {
        let seed = seed();
        let value = |n| canary::value(name, n);
        let vault = Emulator::builder()
            .changed_until_read(!said_once)
            .lock_out(false)
            .record(false)
            .secret("sk_a", value(0))
            .start()
            .unwrap();
        canary::guard(&format!("Canary~{name}~"));
        let lost = [
            Fault::after(Fault::Close),
            Fault::after(Fault::Truncated),
            Fault::after(Fault::Status(502)),
        ];
        let sk = hasty(&vault)
            .poll_interval(Duration::from_millis(1))
            .resync(Resync::Every(Duration::from_millis(20)))
            .build()
            .unwrap();
        // A change is one against what this process has seen.
        sk.get_secret("sk_a").unwrap();
        vault.fail_randomly(seed, 20, lost);
        let (tell, told) = mpsc::channel();
        sk.watch("sk_a", move |event| match &event.kind {
            WatchKind::Changed { value, .. } => drop(tell.send(value.expose_secret().to_owned())),
            WatchKind::Error(error) => canary::search_error(error),
            _ => {}
        })
        .unwrap();

        let started = Instant::now();
        let mut late = Duration::ZERO;
        for n in 1..=rotations {
            vault.put("sk_a", value(n));
            let put = Instant::now();
            // An older value may still arrive; this one must.
            loop {
                let left = GIVE_UP.saturating_sub(put.elapsed());
                let Ok(seen) = told.recv_timeout(left) else {
                    panic!("rotation {n} was missed ({name}); SIKKERKEY_SEED={seed}");
                };
                if seen == value(n) {
                    break;
                }
            }
            late = late.max(put.elapsed());
        }
        sk.close();
        canary::assert_none();
        println!(
            "rotations, {name}: {rotations} in {:.1?}, {} requests, one in five answers lost: 0 missed; \
             latest after {late:.1?}",
            started.elapsed(),
            vault.request_count()
        );
    }
}
