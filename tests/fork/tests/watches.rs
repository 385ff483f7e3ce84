//! A child watches and follows with threads of its own.
#![cfg(unix)]

use std::sync::mpsc::channel;
use std::time::Duration;

use sikkerkey::{Freshness, SikkerKey, SikkerKeyConfig};
use sikkerkey_emulator::Emulator;
use sikkerkey_fork_tests::fork;

const LONG: Duration = Duration::from_secs(30);

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = "sk_a")]
    value: String,
}

#[test]
fn a_child_watches_and_its_copy_of_a_live_config_says_that_it_does_not_run() {
    let vault = Emulator::builder().secret("sk_a", "1").start().unwrap();
    let sk = SikkerKey::builder()
        .identity_file(vault.identity_path())
        .poll_interval(Duration::from_millis(5))
        .build()
        .unwrap();
    let live = Config::live(&sk).unwrap();
    let watch = sk.watch("sk_a", |_| ()).unwrap();
    let child = fork(|| {
        assert_eq!(live.load().value, "1", "what it has can be loaded");
        let status = live.status();
        assert_eq!(status.freshness(), Freshness::Stale);
        let error = status.last_error().unwrap().to_string();
        assert!(error.contains("was forked"), "{error}");
        assert!(live.refresh().is_err());

        let (sender, events) = channel();
        sk.get_secret("sk_a").unwrap();
        let here = sk
            .watch("sk_a", move |event| drop(sender.send(event.clone())))
            .unwrap();
        let own = Config::live(&sk).unwrap();
        let mut changes = own.subscribe();
        sk.get_secret("sk_go").unwrap_err();
        events.recv_timeout(LONG).unwrap();
        changes.recv_timeout(LONG).unwrap();
        assert_eq!(own.load().value, "2");
        here.stop();
    });
    // The child asks for this when it is ready.
    assert!(vault.wait_for(LONG, |requests| {
        requests
            .iter()
            .any(|request| request.path.ends_with("sk_go"))
    }));
    // The service tells a machine of a change once, in whichever process asks first: let that be
    // the child.
    watch.stop();
    sk.close();
    vault.put("sk_a", "2");
    child.join();
    assert!(live.subscribe().try_recv().is_err());
}
