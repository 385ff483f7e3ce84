//! The async client does what the blocking one does.

mod common;

use std::time::Duration;

use common::{Fake as _, client, emulator};
use sikkerkey::{AsyncSikkerKey, ErrorKind, ExposeSecret, SikkerKey};
use sikkerkey_emulator::{Emulator, Fault, Hold};

/// So long that only what never comes takes it.
const LONG: Duration = Duration::from_secs(30);

fn vault() -> Emulator {
    emulator()
        .vault("vault_abc123")
        .secret("sk_key", "sk-live-1")
        .json("sk_db", r#"{"host":"db","port":5432}"#)
        .project("sk_db", "proj_production")
        .start()
        .unwrap()
}

#[tokio::test]
async fn every_verb() {
    fn is_shared<T: Clone + Send + Sync + 'static>() {}
    is_shared::<AsyncSikkerKey>();
    let vault = vault();
    let sk = client(&vault).into_async();
    assert_eq!(
        sk.get_secret("sk_key").await.unwrap().expose_secret(),
        "sk-live-1"
    );
    assert_eq!(sk.get_fields("sk_db").await.unwrap().len(), 2);
    assert_eq!(
        sk.get_field("sk_db", "host").await.unwrap().expose_secret(),
        "db"
    );
    let json: serde_json::Value = sk.get_json("sk_db").await.unwrap();
    assert_eq!(json["port"], 5432);
    assert_eq!(sk.list_secrets().await.unwrap().len(), 2);
    assert_eq!(
        sk.list_secrets_by_project("proj_production")
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(sk.export().await.unwrap().len(), 3);
    assert_eq!(sk.export_project("proj_production").await.unwrap().len(), 2);
    assert_eq!(
        sk.get_secret("no/id").await.unwrap_err().kind(),
        ErrorKind::InvalidId
    );
    assert_eq!(sk.vault_id(), "vault_abc123");
    assert_eq!(sk.machine_id(), vault.machine_id());
    assert_eq!(sk.api_url(), vault.url());
    assert_eq!(sk.machine_name(), sk.blocking().machine_name());
    assert!(sk.expires_at().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_run_side_by_side_and_their_futures_can_be_sent() {
    let vault = vault();
    vault.latency(Duration::from_millis(20));
    let sk = client(&vault).into_async();
    let reads: Vec<_> = (0..8)
        .map(|_| {
            let sk = sk.clone();
            tokio::spawn(async move { sk.get_secret("sk_key").await })
        })
        .collect();
    for read in reads {
        assert_eq!(read.await.unwrap().unwrap().expose_secret(), "sk-live-1");
    }
}

#[tokio::test]
async fn enrollment() {
    let vault = vault();
    let token = vault.enrollment_token(1, Duration::from_secs(600));
    let sk = SikkerKey::bootstrap_in_memory("abc123", &token)
        .api_url(vault.url())
        .enroll_async()
        .await
        .unwrap();
    sk.get_secret("sk_key").await.unwrap();
}

#[tokio::test]
async fn watches() {
    let vault = vault();
    let sk = common::builder(&vault)
        .poll_interval(Duration::from_millis(5))
        .build()
        .unwrap()
        .into_async();
    sk.get_secret("sk_key").await.unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let watch = sk
        .watch("sk_key", move |event| {
            tell.send(event.secret_id.clone()).unwrap()
        })
        .unwrap();
    vault.put("sk_key", "sk-live-2");
    let id = tokio::task::spawn_blocking(move || told.recv().unwrap())
        .await
        .unwrap();
    assert_eq!(id, watch.secret_id());
    sk.set_poll_interval(Duration::from_secs(60));
    sk.unwatch("sk_key");
    sk.close().await.unwrap();
    assert_eq!(
        sk.get_secret("sk_key").await.unwrap().expose_secret(),
        "sk-live-2"
    );
}

#[cfg(feature = "cache")]
#[tokio::test]
async fn the_cache() {
    use sikkerkey::CacheOptions;

    let vault = vault();
    let folder = vault.home().join("cache");
    let sk = common::builder(&vault)
        .fake(&common::FakeClock::new())
        .cache(CacheOptions::new().folder(folder))
        .build()
        .unwrap()
        .into_async();
    sk.get_secret("sk_key").await.unwrap();
    vault.fail_always(Fault::Status(502));
    assert_eq!(
        sk.get_secret("sk_key").await.unwrap().expose_secret(),
        "sk-live-1"
    );
    assert_eq!(sk.cached_count().await.unwrap(), 1);
    sk.clear_cache().await.unwrap();
    assert_eq!(
        sk.get_secret("sk_key").await.unwrap_err().http_status(),
        Some(502)
    );
}

/// A runtime of each kind that has one thread to poll on.
fn runtimes() -> [tokio::runtime::Runtime; 2] {
    let current = tokio::runtime::Builder::new_current_thread().build();
    let one_worker = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build();
    [current.unwrap(), one_worker.unwrap()]
}

#[test]
fn a_runtime_with_one_thread_reads_many_at_once() {
    let vault = vault();
    let held = Hold::new();
    for runtime in runtimes() {
        vault.clear_requests();
        vault.fail_next_matching("/v1/secret/sk_key", Fault::Hold(held.clone()));
        let sk = client(&vault).into_async();
        sk.blocking().get_secret("sk_db").unwrap();
        let read = |id: &'static str| {
            let sk = sk.clone();
            async move { sk.get_secret(id).await }
        };
        runtime.block_on(async {
            // From a task too, and while another read does not end.
            let slow = tokio::spawn(read("sk_key"));
            tokio::spawn(read("sk_db")).await.unwrap().unwrap();
            read("sk_db").await.unwrap();
            held.release();
            slow.await.unwrap().unwrap();
        });
    }
}

#[test]
fn a_call_that_was_given_up_does_not_hold_the_end_of_its_runtime() {
    let vault = vault();
    let held = Hold::new();
    let sk = client(&vault).into_async();
    sk.blocking().get_secret("sk_db").unwrap();
    for runtime in runtimes() {
        vault.clear_requests();
        vault.fail_next_matching("/v1/secret/sk_key", Fault::Hold(held.clone()));
        runtime.block_on(async {
            let reading = sk.get_secret("sk_key");
            let mut reading = std::pin::pin!(reading);
            assert!(poll_once(reading.as_mut()).await.is_none());
            // Dropped while its request is held.
            assert!(vault.wait_for(LONG, |requests| requests.len() == 1));
        });
        // Were it waited for, this would take the timeout of the attempt, and the read would fail.
        drop(runtime);
    }
    held.release();
    sk.blocking().get_secret("sk_key").unwrap();
}

async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[test]
fn a_future_that_is_dropped_before_its_call_began_sends_nothing() {
    let vault = vault();
    let held = Hold::new();
    for _ in 0..16 {
        vault.fail_next_matching("/v1/secret/sk_key", Fault::Hold(held.clone()));
    }
    let sk = client(&vault).into_async();
    sk.blocking().get_secret("sk_db").unwrap();
    vault.clear_requests();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        let reads: Vec<_> = (0..16)
            .map(|_| {
                let sk = sk.clone();
                tokio::spawn(async move { sk.get_secret("sk_key").await })
            })
            .collect();
        tokio::task::yield_now().await;
        assert!(vault.wait_for(LONG, |requests| requests.len() == 16));
        {
            let waiting = sk.get_secret("sk_never");
            let mut waiting = std::pin::pin!(waiting);
            assert!(poll_once(waiting.as_mut()).await.is_none());
        }
        held.release();
        for read in reads {
            read.await.unwrap().unwrap();
        }
        sk.get_secret("sk_db").await.unwrap();
    });
    assert!(
        vault
            .requests()
            .iter()
            .all(|request| !request.path.contains("sk_never"))
    );
}

#[tokio::test]
async fn a_client_starts_async_too() {
    let vault = emulator().secret("sk_a", "1").start().unwrap();
    let sk = AsyncSikkerKey::new(vault.identity_path()).unwrap();
    sk.get_secret("sk_a").await.unwrap();
    let machine = |sk: &dyn AsRef<SikkerKey>| sk.as_ref().machine_id();
    assert_eq!(machine(&sk), machine(sk.blocking()));
}
