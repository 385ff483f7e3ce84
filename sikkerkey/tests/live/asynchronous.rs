//! The async twins, on tokio.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sikkerkey::live::RecvError;
use sikkerkey::{Live, SikkerKeyConfig};

use crate::{Config, PATIENCE, client, vault};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn an_async_resource_follows_the_config() {
    let vault = vault();
    let live = Config::live(&client(&vault)).unwrap();
    runtime().block_on(async {
        let fail = Arc::new(AtomicBool::new(false));
        let failing = Arc::clone(&fail);
        let pool = live
            .resource_async(move |config: Arc<Config>| {
                let failing = failing.load(Ordering::SeqCst);
                async move {
                    tokio::task::yield_now().await;
                    if failing {
                        Err("no connection")
                    } else {
                        Ok(config.name.clone())
                    }
                }
            })
            .await
            .unwrap();
        assert_eq!(*pool.load(), "one");
        fail.store(true, Ordering::SeqCst);
        vault.put("sk_name", "two");
        until(|| pool.consecutive_failures() > 1).await;
        assert_eq!(*pool.load(), "one");
        fail.store(false, Ordering::SeqCst);
        until(|| *pool.load() == "two").await;
    });
}

#[test]
fn an_async_probe_refuses_and_accepts() {
    let vault = vault();
    let sk = client(&vault);
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
        let mut changes = live.subscribe();
        vault.put("sk_name", "bad");
        let refused = tokio::time::timeout(PATIENCE, changes.recv_async())
            .await
            .unwrap();
        assert!(matches!(refused, Err(RecvError::Refused(_))));
        vault.put("sk_name", "two");
        let change = tokio::time::timeout(PATIENCE, changes.recv_async())
            .await
            .unwrap();
        assert_eq!(change.unwrap().after().name, "two");
    });
}

#[test]
fn an_async_probe_outside_a_runtime_is_an_error() {
    let vault = vault();
    let error = Config::loader(&client(&vault))
        .probe_async(|_| async { Ok::<(), &str>(()) })
        .live()
        .unwrap_err();
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}

#[test]
fn refreshing_is_a_future_too() {
    let vault = vault();
    let live = Config::live(&client(&vault)).unwrap();
    runtime().block_on(async {
        vault.put("sk_name", "two");
        live.refresh_async().await.unwrap();
        assert_eq!(live.load().name, "two");
    });
}

async fn until(holds: impl Fn() -> bool) {
    tokio::time::timeout(PATIENCE, async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    })
    .await
    .expect("this never became true");
}
