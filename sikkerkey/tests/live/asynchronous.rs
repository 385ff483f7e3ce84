//! The async twins, on tokio.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

use sikkerkey::live::RecvError;
use sikkerkey::{Live, SikkerKeyConfig};

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
