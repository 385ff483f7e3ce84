//! The async twins, on tokio.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use sikkerkey::live::{RecvError, ResourceState};
use sikkerkey::{Live, SikkerKeyConfig};

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
        go_on.send(()).unwrap();
        assert_eq!(receive(&told), 1);
        assert_eq!(receive(&begun), 4);
        assert_eq!(receive(&told), 2);
        let status = live.status();
        let names: Vec<_> = status.resources().map(|r| r.name().to_owned()).collect();
        assert_eq!(names, ["pool"]);
        assert_eq!(*pool.load(), 4);
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
        // Even on a thread of the runtime, which must not be blocked on.
        let live: Live<Config> = Config::loader(&sk).probe_async(probe).live().unwrap();
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
