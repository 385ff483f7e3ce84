//! A live config through everything that happens to secrets, on the emulator.
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a test that cannot go on fails; figures are printed"
)]

#[cfg(feature = "tokio")]
mod asynchronous;
mod changes;
#[path = "../common/mod.rs"]
mod common;
mod consistency;
mod contained;
mod failures;
mod manual;
mod reads;
mod resources;
mod retry;
mod select;
mod swaps;
mod truth;
#[cfg(feature = "webhook")]
mod webhooks;

use std::sync::mpsc::{Receiver, Sender, channel};

use common::emulator;
use common::stage::{PATIENCE, Stage};
use sikkerkey::live::{RecvError, Subscription};
use sikkerkey::{Live, SikkerKey, SikkerKeyConfig};
use sikkerkey_emulator::Emulator;

/// The thread of a live config.
const WORKER: &str = "sikkerkey-live";

#[derive(Debug, SikkerKeyConfig)]
#[sikkerkey(validate = "Config::validate")]
struct Config {
    #[sikkerkey(secret = "sk_name")]
    name: String,
    #[sikkerkey(nested)]
    db: Db,
}

#[derive(Debug, SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
struct Db {
    host: String,
    port: u16,
}

impl Config {
    fn validate(&self) -> Result<(), &'static str> {
        if self.name == "invalid" {
            return Err("the name is not one of ours");
        }
        if self.name == "panic" {
            panic!("a validation that panics");
        }
        Ok(())
    }
}

fn db(host: &str, port: &str) -> String {
    format!(r#"{{"host":"{host}","port":"{port}"}}"#)
}

fn vault() -> Emulator {
    emulator()
        .secret("sk_name", "one")
        .structured("sk_db", [("host", "alpha"), ("port", "1")])
        .start()
        .unwrap()
}

fn stage() -> Stage {
    Stage::new(vault())
}

fn client(stage: &Stage) -> SikkerKey {
    let sk = stage.builder().retry(sikkerkey::RetryPolicy::none());
    sk.build().unwrap()
}

/// A live config that has seen its first poll.
#[track_caller]
fn start() -> (Stage, Live<Config>) {
    let stage = stage();
    let live = Config::live(&client(&stage)).unwrap();
    settle(&stage);
    (stage, live)
}

/// Waits until the poller and the live config have nothing to do before the next poll. Listeners may
/// still be called.
#[track_caller]
fn settle(stage: &Stage) {
    stage.rest();
    stage.clock.threads_at_rest(WORKER, 1);
}

/// Has so many polls come, and the live config take each.
#[track_caller]
fn cycles(stage: &Stage, count: usize) {
    for _ in 0..count {
        stage.poll();
        settle(stage);
    }
}

/// Tells of each change after all listeners that were registered before were called: callbacks are
/// called one after the other.
fn after_listeners<T: Send + Sync + 'static>(live: &Live<T>) -> Receiver<()> {
    let (tell, told) = channel();
    live.on_change(move |_| {
        let _ = tell.send(());
    });
    told
}

/// A resource that says when it is dropped.
struct TellsItsEnd {
    name: String,
    gone: Sender<String>,
}

impl TellsItsEnd {
    fn new(name: &str, gone: &Sender<String>) -> Self {
        TellsItsEnd {
            name: name.to_owned(),
            gone: gone.clone(),
        }
    }
}

impl Drop for TellsItsEnd {
    fn drop(&mut self) {
        let _ = self.gone.send(std::mem::take(&mut self.name));
    }
}

/// Waits for something that comes from another thread.
#[track_caller]
fn receive<T>(from: &Receiver<T>) -> T {
    from.recv_timeout(PATIENCE).unwrap()
}

/// Waits for a change and returns its key paths.
#[track_caller]
fn changed<T>(changes: &mut Subscription<T>) -> Vec<String> {
    match changes.recv_timeout(PATIENCE) {
        Ok(change) => change.paths().to_vec(),
        Err(error) => panic!("no change came: {error}"),
    }
}

/// Waits for a refusal and returns its text.
#[track_caller]
fn refused<T>(changes: &mut Subscription<T>) -> String {
    match changes.recv_timeout(PATIENCE) {
        Err(RecvError::Refused(error)) => error.to_string(),
        Err(error) => panic!("no refusal came: {error}"),
        Ok(change) => panic!("swapped instead: {:?}", change.paths()),
    }
}

/// Polls a future on this thread until it is ready; runs `once_pending` when it is found not to be.
fn block_on<F: Future>(future: F, once_pending: impl FnOnce()) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    let mut once_pending = Some(once_pending);
    let start = std::time::Instant::now();
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        match once_pending.take() {
            Some(run) => run(),
            None => std::thread::park_timeout(PATIENCE),
        }
        assert!(start.elapsed() < PATIENCE, "the future was not woken");
    }
}
