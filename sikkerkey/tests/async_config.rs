//! Configs that are loaded, checked and started as futures.

#![cfg(all(feature = "derive", feature = "live"))]
mod common;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use common::{Armed, client, emulator};
use sikkerkey::__private::{Randomness, SystemRandomness};
use sikkerkey::{
    AsyncSikkerKey, CheckReport, ConfigError, Error, ErrorKind, Fetch, Live, ProblemKind,
    SikkerKey, SikkerKeyConfig, Snapshot,
};
use sikkerkey_emulator::{Emulator, Fault, Hold};
use tokio::runtime::{Builder, Runtime};

/// So long that only what never comes takes it.
const LONG: Duration = Duration::from_secs(30);

#[derive(Debug, PartialEq, SikkerKeyConfig)]
#[sikkerkey(validate = "Config::validate")]
struct Config {
    #[sikkerkey(secret = "sk_workers")]
    workers: u16,
    #[sikkerkey(name = "DB_HOST")]
    host: String,
}

impl Config {
    /// User code, which a thread of the client runs.
    fn validate(&self) -> Result<(), &'static str> {
        match thread::current().name() {
            Some("sikkerkey-call" | "sikkerkey-live-job") => {}
            other => panic!("a build on {other:?}"),
        }
        match self.workers {
            0 => panic!("a validation that panics"),
            13 => Err("thirteen workers"),
            _ => Ok(()),
        }
    }
}

fn vault(workers: &str) -> Emulator {
    emulator()
        .secret("sk_workers", workers)
        .secret("sk_host", "db.internal")
        .name("sk_host", "DB_HOST")
        .start()
        .unwrap()
}

/// The runtimes on which a future that blocks its thread hangs.
fn runtimes() -> [Runtime; 2] {
    [
        Builder::new_current_thread().enable_all().build().unwrap(),
        Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap(),
    ]
}

fn is_sent<F: Future + Send + 'static>(future: F) -> F {
    future
}

/// What a program does with any of the clients.
async fn everything(sk: impl AsRef<SikkerKey>) {
    let expected = Config {
        workers: 4,
        host: "db.internal".to_owned(),
    };
    let config = Config::load_async(&sk).await.unwrap();
    assert_eq!(config, expected);
    assert!(Config::check_async(&sk).await.unwrap().is_ok());
    let live = Config::live_async(&sk).await.unwrap();
    assert_eq!(*live.load(), expected);

    let loader = Config::loader(&sk).alias("sk_workers", "sk_host");
    let error = loader.load_async().await.unwrap_err();
    assert_eq!(error.problems().len(), 1);
    assert!(loader.check_async().await.unwrap().is_ok());
    let snapshot = loader.snapshot_async().await;
    assert_eq!(snapshot.ids().collect::<Vec<_>>(), ["sk_host"]);
    let error = loader.live_async().await.unwrap_err();
    assert_eq!(error.problems()[0].path(), "workers");
}

#[test]
fn every_twin_with_every_client_on_every_runtime() {
    for runtime in runtimes() {
        let vault = vault("4");
        let sk = client(&vault);
        runtime.block_on(everything(&sk));
        runtime.block_on(everything(sk.clone().into_async()));
        runtime
            .block_on(runtime.spawn(is_sent(everything(sk.clone()))))
            .unwrap();
        let asynchronous: AsyncSikkerKey = sk.into_async();
        runtime
            .block_on(runtime.spawn(async move { everything(&asynchronous).await }))
            .unwrap();
    }
}

#[test]
fn a_future_borrows_nothing_and_can_be_sent() {
    let vault = vault("4");
    let sk = client(&vault);
    let load = is_sent(Config::load_async(&sk));
    let live = is_sent(Config::live_async(&sk));
    let check = is_sent(Config::check_async(&sk));
    let loader = Config::loader(&sk);
    let loads = is_sent(loader.load_async());
    let snapshot = is_sent(loader.snapshot_async());
    let checks = is_sent(loader.check_async());
    let lives = is_sent(loader.live_async());
    drop(sk);
    let [runtime, _] = runtimes();
    runtime.block_on(async {
        let _: Config = load.await.unwrap();
        let _: Live<Config> = live.await.unwrap();
        let _: CheckReport = check.await.unwrap();
        let _: Config = loads.await.unwrap();
        let _: Snapshot = snapshot.await;
        let _: CheckReport = checks.await.unwrap();
        let _: Live<Config> = lives.await.unwrap();
    });
}

#[test]
fn the_blocking_forms_take_either_client() {
    let vault = emulator().secret("sk_a", "1").start().unwrap();
    #[derive(SikkerKeyConfig)]
    struct One {
        #[sikkerkey(secret = "sk_a")]
        one: u8,
    }
    let sk = client(&vault);
    let asynchronous = sk.clone().into_async();
    assert_eq!(One::load(&sk).unwrap().one, 1);
    assert_eq!(One::load(&asynchronous).unwrap().one, 1);
    assert_eq!(One::live(&asynchronous).unwrap().load().one, 1);
    assert!(
        One::check(Arc::new(asynchronous.clone()).as_ref())
            .unwrap()
            .is_ok()
    );
    assert_eq!(One::loader(asynchronous).load().unwrap().one, 1);
    assert_eq!(One::load(sk).unwrap().one, 1);
}

#[test]
fn nothing_is_sent_before_a_future_is_polled() {
    let vault = vault("4");
    let sk = client(&vault);
    drop(Config::load_async(&sk));
    drop(Config::live_async(&sk));
    drop(Config::check_async(&sk));
    drop(Config::loader(&sk).snapshot_async());
    sk.get_secret("sk_workers").unwrap();
    assert_eq!(vault.requests().len(), 1);
}

/// The client has 16 threads for calls; while all of them read, more work waits.
#[test]
fn what_has_not_begun_is_dropped_with_its_future() {
    let vault = vault("4");
    let sk = client(&vault);
    sk.get_secret("sk_workers").unwrap();
    let held = Hold::new();
    vault.fail_matching("/v1/secret/sk_workers", Fault::Hold(held.clone()));
    let [runtime, _] = runtimes();
    runtime.block_on(async {
        let asynchronous = sk.clone().into_async();
        let mut reads: Vec<_> = (0..16)
            .map(|_| Box::pin(asynchronous.get_secret("sk_workers")))
            .collect();
        let mut load = Box::pin(Config::load_async(&sk));
        poll_fn(|context| {
            let mut are_pending = reads
                .iter_mut()
                .all(|read| read.as_mut().poll(context).is_pending());
            are_pending &= load.as_mut().poll(context).is_pending();
            assert!(are_pending);
            Poll::Ready(())
        })
        .await;
        // Now no thread is left.
        assert!(vault.wait_for(LONG, |requests| requests.len() == 17));
        drop(load);
        held.release();
        for read in reads {
            read.await.unwrap();
        }
        // Taken up after the dropped one would have been.
        assert_eq!(asynchronous.list_secrets().await.unwrap().len(), 2);
    });
    let lists = vault.requests();
    let lists = lists.iter().filter(|r| r.path == "/v1/secrets").count();
    assert_eq!((lists, vault.requests().len()), (1, 18));
}

#[derive(SikkerKeyConfig)]
struct Bomb {
    #[sikkerkey(secret = "sk_workers")]
    #[allow(dead_code, reason = "its drop is what matters")]
    workers: u16,
    #[sikkerkey(skip)]
    #[allow(dead_code, reason = "its drop is what matters")]
    armed: Armed,
}

/// More calls than the client has threads: none of them may be lost.
#[test]
fn a_config_that_nobody_waits_for_any_more_may_panic_when_it_is_dropped() {
    let vault = vault("4");
    let sk = client(&vault);
    sk.get_secret("sk_workers").unwrap();
    let [runtime, _] = runtimes();
    runtime.block_on(async {
        let asynchronous = sk.clone().into_async();
        for read in 2..22 {
            let held = Hold::new();
            vault.fail_next_matching("/v1/secret/sk_workers", Fault::Hold(held.clone()));
            let mut load = Box::pin(Bomb::load_async(&sk));
            poll_fn(|context| {
                assert!(load.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
            assert!(vault.wait_for(LONG, |requests| requests.len() == read));
            drop(load);
            held.release();
        }
        assert_eq!(asynchronous.list_secrets().await.unwrap().len(), 2);
    });
}

#[test]
fn a_panic_of_the_users_code_is_an_error() {
    let vault = vault("0");
    let sk = client(&vault);
    let [runtime, _] = runtimes();
    let error: ConfigError = runtime.block_on(Config::load_async(&sk)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot build Config: 1 problem\n  Config    not read: the call panicked"
    );
    let error = runtime.block_on(Config::live_async(&sk)).unwrap_err();
    assert!(error.to_string().contains("panicked"), "{error}");
}

/// Panics once it is set.
#[derive(Debug, Default)]
struct Panics(AtomicBool);

impl Randomness for Panics {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        assert!(!self.0.load(Ordering::Relaxed), "no randomness");
        SystemRandomness.fill(bytes)
    }

    fn fraction(&self) -> f64 {
        0.5
    }
}

#[test]
fn a_snapshot_whose_call_panics_has_no_value_of_any_secret() {
    let vault = vault("4");
    let panics = Arc::new(Panics::default());
    let sk = SikkerKey::builder()
        .identity_file(vault.identity_path())
        .randomness(panics.clone())
        .build()
        .unwrap();
    panics.0.store(true, Ordering::Relaxed);
    let [runtime, _] = runtimes();
    for snapshot in [
        runtime.block_on(Fetch::new(&sk).snapshot_async(&Config::schema())),
        runtime.block_on(Config::loader(&sk).snapshot_async()),
    ] {
        let error = Config::from_snapshot(&snapshot).unwrap_err();
        let kinds: Vec<_> = error.problems().iter().map(|p| p.kind()).collect();
        assert_eq!(kinds, [ProblemKind::Unavailable; 2], "{error}");
    }
}

#[test]
fn problems_are_those_of_the_blocking_forms() {
    let vault = vault("13");
    let sk = client(&vault);
    let [runtime, _] = runtimes();
    let error = runtime.block_on(Config::load_async(&sk)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot build Config: 1 problem\n  Config    thirteen workers"
    );
    vault.fail_matching("/v1/", Fault::Status(403));
    let error: Error = runtime.block_on(Config::check_async(&sk)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AccessDenied);
}
