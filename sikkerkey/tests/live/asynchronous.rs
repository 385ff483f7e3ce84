//! The async twins, on tokio.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use sikkerkey::live::RecvError;
use sikkerkey::{ConfigError, Live, ProblemKind, SikkerKey, SikkerKeyConfig};
use tokio::runtime::{Builder, Runtime};

use crate::common::stage::PATIENCE;
use crate::{Config, TellsItsEnd, client, cycles, receive, settle, stage, start};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn an_async_resource_follows_the_config() {
    let (stage, live) = start();
    runtime().block_on(async {
        let fail = Arc::new(AtomicBool::new(false));
        let failing = Arc::clone(&fail);
        let (tell, builds) = channel();
        let (gone, dropped) = channel();
        let pool = live
            .resource_async(move |config: Arc<Config>| {
                tell.send(()).unwrap();
                let failing = failing.load(Ordering::SeqCst);
                let gone = gone.clone();
                async move {
                    tokio::task::yield_now().await;
                    if failing {
                        return Err("no connection");
                    }
                    Ok(TellsItsEnd::new(&config.name, &gone))
                }
            })
            .await
            .unwrap();
        receive(&builds);
        assert_eq!(pool.load().name, "one");
        fail.store(true, Ordering::SeqCst);
        stage.vault.put("sk_name", "two");
        // A build that begins tells that the one before has ended.
        for _ in 0..3 {
            cycles(&stage, 1);
            receive(&builds);
        }
        assert!(pool.consecutive_failures() > 1);
        assert_eq!(pool.load().name, "one");
        fail.store(false, Ordering::SeqCst);
        stage.poll();
        assert_eq!(receive(&dropped), "one");
        assert_eq!(pool.load().name, "two");
        assert_eq!(pool.consecutive_failures(), 0);
    });
}

#[test]
fn an_async_probe_refuses_and_accepts() {
    let stage = stage();
    let sk = client(&stage);
    runtime().block_on(async {
        let probe = |config: Arc<Config>| async move {
            tokio::task::yield_now().await;
            match config.name.as_str() {
                "bad" => Err("the probe says no"),
                _ => Ok(()),
            }
        };
        let loader = Config::loader(&sk).probe_async(probe);
        let live: Live<Config> = loader.live_async().await.unwrap();
        settle(&stage);
        let mut changes = live.subscribe();
        stage.vault.put("sk_name", "bad");
        stage.poll();
        let refused = tokio::time::timeout(PATIENCE, changes.recv_async())
            .await
            .unwrap();
        assert!(matches!(refused, Err(RecvError::Refused(_))));
        stage.vault.put("sk_name", "two");
        stage.poll();
        let change = tokio::time::timeout(PATIENCE, changes.recv_async())
            .await
            .unwrap();
        assert_eq!(change.unwrap().after().name, "two");
    });
}

/// The runtimes that have one thread to poll on.
fn narrow_runtimes() -> [Runtime; 2] {
    let current = Builder::new_current_thread().enable_all().build();
    let mut one_worker = Builder::new_multi_thread();
    let one_worker = one_worker.worker_threads(1).enable_all().build();
    [current.unwrap(), one_worker.unwrap()]
}

/// Starts with a probe that needs the runtime: its timer, and a task beside it.
async fn probed_live(sk: SikkerKey) -> Live<Config> {
    let loader = Config::loader(&sk).probe_async(|_| async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let beside = tokio::spawn(tokio::task::yield_now());
        beside.await.map_err(|_| "no other task runs")
    });
    loader.live_async().await.unwrap()
}

#[test]
fn the_first_async_probe_leaves_the_thread_of_the_runtime_free() {
    for runtime in narrow_runtimes() {
        let stage = stage();
        let sk = client(&stage);
        let live = runtime.block_on(probed_live(sk.clone()));
        assert_eq!(live.load().name, "one");
        let spawned = runtime.spawn(probed_live(sk));
        assert_eq!(runtime.block_on(spawned).unwrap().load().name, "one");
    }
}

fn starts_blocking(sk: &SikkerKey) -> Result<Live<Config>, ConfigError> {
    let probe = |_: Arc<Config>| async { Ok::<(), &str>(()) };
    Config::loader(sk).probe_async(probe).live()
}

#[test]
fn a_blocking_start_that_would_wait_for_its_own_thread_is_an_error() {
    for runtime in narrow_runtimes() {
        let stage = stage();
        let sk = client(&stage);
        let refused = |started: Result<Live<Config>, ConfigError>| {
            let error = started.unwrap_err();
            assert_eq!(error.problems()[0].kind(), ProblemKind::Probe);
            assert!(
                error.to_string().contains("call live_async().await"),
                "{error}"
            );
        };
        refused(runtime.block_on(async { starts_blocking(&sk) }));
        let spawned = {
            let sk = sk.clone();
            runtime.spawn(async move { starts_blocking(&sk) })
        };
        refused(runtime.block_on(spawned).unwrap());
        assert_eq!(stage.vault.requests().len(), 0);

        // A thread that may block starts.
        let started = runtime.block_on(async {
            let started = tokio::task::spawn_blocking(move || starts_blocking(&sk));
            started.await.unwrap()
        });
        assert_eq!(started.unwrap().load().name, "one");
    }
    let stage = stage();
    let [_, runtime] = narrow_runtimes();
    let _entered = runtime.enter();
    let live = starts_blocking(&client(&stage)).unwrap();
    assert_eq!(live.load().name, "one");
}

#[test]
fn an_async_probe_that_panics_or_loses_its_runtime_refuses() {
    let stage = stage();
    let sk = client(&stage);
    let [_, runtime] = narrow_runtimes();
    let loader = {
        let _entered = runtime.enter();
        Config::loader(&sk).probe_async(|config: Arc<Config>| async move {
            match config.name.as_str() {
                "one" => panic!("a probe that panics"),
                _ => Ok::<(), &str>(()),
            }
        })
    };
    let refused = |started: Result<Live<Config>, ConfigError>| {
        let error = started.unwrap_err().to_string();
        assert!(
            error.contains("the probe panicked, or its runtime ended"),
            "{error}"
        );
    };
    refused(loader.clone().live());
    stage.vault.put("sk_name", "two");
    drop(loader.clone().live().unwrap());
    drop(runtime);
    refused(loader.live());
}

#[test]
fn an_async_probe_outside_a_runtime_is_an_error() {
    let stage = stage();
    let error = Config::loader(&client(&stage))
        .probe_async(|_| async { Ok::<(), &str>(()) })
        .live()
        .unwrap_err();
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}

#[test]
fn refreshing_is_a_future_too() {
    let (stage, live) = start();
    runtime().block_on(async {
        stage.vault.put("sk_name", "two");
        live.refresh_async().await.unwrap();
        assert_eq!(live.load().name, "two");
    });
}
