//! The async twins, on tokio.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sikkerkey::live::{RecvError, ResourceState};
use sikkerkey::{ConfigError, Live, ProblemKind, SikkerKey, SikkerKeyConfig};
use tokio::runtime::{Builder, Runtime};

use crate::common::stage::PATIENCE;
use crate::{Config, TellsItsEnd, client, cycles, db, receive, settle, stage, start};

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
fn while_an_async_build_hangs_no_second_one_starts() {
    let (live, control) = Live::manual(1);
    runtime().block_on(async {
        let (begin, begun) = channel();
        let (go_on, gate) = channel();
        let gate = Arc::new(Mutex::new(gate));
        go_on.send(()).unwrap();
        let (tell, told) = channel();
        let pool = live
            .resource_async(move |config: Arc<i32>| {
                let (begin, gate) = (begin.clone(), Arc::clone(&gate));
                async move {
                    begin.send(*config).unwrap();
                    // It has a thread of the runtime's for itself.
                    gate.lock().unwrap().recv().unwrap();
                    Ok::<_, ()>(*config)
                }
            })
            .await
            .unwrap()
            .named("pool")
            .on_replaced(move |old| {
                // The callback thread is none of the runtime's, and can spawn a task all the same.
                let tell = tell.clone();
                tokio::spawn(async move { tell.send(*old).unwrap() });
            });
        assert_eq!(receive(&begun), 1);
        control.swap(2);
        assert_eq!(receive(&begun), 2);
        assert_eq!(pool.state(), ResourceState::Building);
        assert_eq!(pool.consecutive_failures(), 0);
        control.swap(3);
        control.swap(4);
        assert!(begun.try_recv().is_err());
        go_on.send(()).unwrap();
        assert_eq!(receive(&told), 1);
        assert_eq!(receive(&begun), 4);
        // Only now: the runtime may run two spawned tasks in any order.
        go_on.send(()).unwrap();
        assert_eq!(receive(&told), 2);
        let status = live.status();
        let names: Vec<_> = status.resources().map(|r| r.name().to_owned()).collect();
        assert_eq!(names, ["pool"]);
        assert_eq!(*pool.load(), 4);
    });
}

/// A config whose drop panics while `ARMED`.
#[derive(SikkerKeyConfig)]
struct Bomb {
    #[sikkerkey(secret = "sk_name")]
    name: String,
}

static ARMED: AtomicBool = AtomicBool::new(false);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!ARMED.load(Ordering::SeqCst), "a drop that panics");
    }
}

#[test]
fn a_config_whose_drop_panics_does_not_end_an_async_resource() {
    let stage = stage();
    let loader = Bomb::loader(&client(&stage)).grace(Duration::ZERO);
    let live = loader.live().unwrap();
    settle(&stage);
    runtime().block_on(async {
        let (begin, begun) = channel();
        let pool = live
            .resource_async(move |config: Arc<Bomb>| {
                let name = config.name.clone();
                begin.send(name).unwrap();
                async { Ok::<_, ()>(()) }
            })
            .await
            .unwrap();
        assert_eq!(receive(&begun), "one");
        ARMED.store(true, Ordering::SeqCst);
        let mut built = Vec::new();
        let names: Vec<_> = (0..20).map(|n| format!("name {n}")).collect();
        for name in &names {
            stage.vault.put("sk_name", name);
            cycles(&stage, 1);
            match begun.recv_timeout(PATIENCE) {
                Ok(name) => built.push(name),
                Err(_) => break,
            }
        }
        // Before this thread drops one.
        ARMED.store(false, Ordering::SeqCst);
        assert_eq!(built, names);
        assert_eq!(pool.consecutive_failures(), 0);
    });
}

#[test]
fn an_async_build_that_panics_or_fails_is_tried_again() {
    let (live, control) = Live::manual(1);
    runtime().block_on(async {
        let (begin, begun) = channel();
        let pool = live
            .resource_async(move |config: Arc<i32>| {
                begin.send(*config).unwrap();
                assert!(*config != 2, "before the future");
                async move {
                    assert!(*config != 3, "in the future");
                    match *config {
                        4 => Err("no connection"),
                        config => Ok(config),
                    }
                }
            })
            .await
            .unwrap();
        for (config, error) in [
            (1, None),
            (2, Some("the build panicked")),
            (3, Some("the build panicked")),
            (4, Some("no connection")),
            (5, None),
        ] {
            if config > 1 {
                control.swap(config);
            }
            assert_eq!(receive(&begun), config);
            while pool.last_error().as_deref() != error || pool.state() == ResourceState::Building {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(*pool.load(), 5);
    });
}

#[test]
fn a_part_builds_an_async_resource() {
    let (stage, live) = start();
    runtime().block_on(async {
        let (begin, begun) = channel();
        let pool = live
            .select(|config| &config.db)
            .resource_async(move |db| {
                begin.send(db.port).unwrap();
                async move {
                    tokio::task::yield_now().await;
                    Ok::<_, ()>(format!("{}:{}", db.host, db.port))
                }
            })
            .await
            .unwrap();
        assert_eq!(receive(&begun), 1);
        stage.vault.put("sk_name", "two");
        cycles(&stage, 1);
        stage.vault.put("sk_db", db("beta", "2"));
        cycles(&stage, 1);
        assert_eq!(receive(&begun), 2);
        while *pool.load() != "beta:2" {
            tokio::task::yield_now().await;
        }
        assert!(begun.try_recv().is_err(), "the name is not of the part");
    });
}

#[test]
fn a_resource_whose_runtime_has_ended_says_so() {
    let (live, _control) = Live::manual(1);
    let runtime = runtime();
    let build = live.resource_async(|config: Arc<i32>| async move { Ok::<_, ()>(*config) });
    let pool = runtime.block_on(build).unwrap();
    drop(runtime);
    assert_eq!(pool.state(), ResourceState::Failed);
    let text = pool.last_error().unwrap();
    assert!(text.contains("runtime that builds it has ended"), "{text}");
}

#[test]
fn a_resource_is_built_again_in_the_runtime_that_it_was_first_built_in() {
    let (live, control) = Live::manual(1);
    let runtime = runtime();
    let build = |_: &i32| {
        let entered = tokio::runtime::Handle::try_current();
        entered.map(|_| ()).map_err(|_| "outside the runtime")
    };
    let pool = runtime.block_on(async { live.resource(build) }).unwrap();
    control.swap(2);
    assert_eq!(pool.last_error(), None);
    assert!(live.resource(build).is_err());
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
