//! A call that a server refuses is made once more, with newer secrets.

use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};

use sikkerkey::{Live, SikkerKeyConfig};
use sikkerkey_emulator::{Fault, Hold};

use crate::{Config, block_on, client, stage, start};

#[derive(Debug, PartialEq)]
enum Failure {
    Refused(String),
    Other,
}

fn is_refused(error: &Failure) -> bool {
    matches!(error, Failure::Refused(_))
}

/// A server that accepts this name and counts its calls.
struct Server {
    accepts: RefCell<String>,
    calls: Cell<usize>,
}

impl Server {
    fn accepting(name: &str) -> Server {
        Server {
            accepts: RefCell::new(name.to_owned()),
            calls: Cell::new(0),
        }
    }

    fn call(&self, name: &str) -> Result<String, Failure> {
        self.calls.set(self.calls.get() + 1);
        match *self.accepts.borrow() == name {
            true => Ok(format!("hello {name}")),
            false => Err(Failure::Refused(name.to_owned())),
        }
    }
}

#[test]
fn what_is_refused_is_tried_once_more_with_what_one_refresh_finds() {
    let (stage, live) = start();
    let server = Server::accepting("one");
    let call = || live.retry_on_refused(|config| server.call(&config.name), is_refused);
    assert_eq!(call(), Ok("hello one".to_owned()));
    assert_eq!(server.calls.get(), 1);

    *server.accepts.borrow_mut() = "two".to_owned();
    stage.vault.put("sk_name", "two");
    let reads = stage.reads("sk_name");
    assert_eq!(call(), Ok("hello two".to_owned()));
    assert_eq!(server.calls.get(), 3);
    assert_eq!(stage.reads("sk_name"), reads + 1);
}

#[test]
fn what_stays_refused_is_returned_after_one_more_call_at_most() {
    let (stage, live) = start();
    let server = Server::accepting("nobody");
    // Nothing newer is there: no second call.
    let result = live.retry_on_refused(|config| server.call(&config.name), is_refused);
    assert_eq!(result, Err(Failure::Refused("one".to_owned())));
    assert_eq!(server.calls.get(), 1);
    drop(live);

    let live = Config::live(&client(&stage)).unwrap();
    stage.vault.put("sk_name", "two");
    let result = live.retry_on_refused(|config| server.call(&config.name), is_refused);
    assert_eq!(result, Err(Failure::Refused("two".to_owned())));
    assert_eq!(server.calls.get(), 3);
}

#[test]
fn other_errors_and_outages_make_no_second_call() {
    let (stage, live) = start();
    let reads = stage.reads("sk_name");
    let other = live.retry_on_refused(|_| Err::<(), _>(Failure::Other), is_refused);
    assert_eq!(other, Err(Failure::Other));
    assert_eq!(stage.reads("sk_name"), reads);

    stage
        .vault
        .fail_always(sikkerkey_emulator::Fault::Status(500));
    let server = Server::accepting("two");
    let result = live.retry_on_refused(|config| server.call(&config.name), is_refused);
    assert_eq!(result, Err(Failure::Refused("one".to_owned())));
    assert_eq!(server.calls.get(), 1);
    assert!(live.status().last_error().is_some());
}

#[test]
fn a_newer_config_that_another_thread_brought_is_used_without_a_refresh() {
    let (live, control) = Live::manual(1);
    let mut calls = Vec::new();
    let result = live.retry_on_refused(
        |config| {
            calls.push(*config);
            if *config == 1 {
                control.swap(2);
                return Err("refused");
            }
            Ok(*config)
        },
        |_| true,
    );
    assert_eq!((result, calls), (Ok(2), vec![1, 2]));
}

#[test]
fn the_async_twin_does_the_same() {
    let stage = stage();
    let live = Config::live(&client(&stage)).unwrap();
    let server = Server::accepting("two");
    stage.vault.put("sk_name", "two");
    let call = live.retry_on_refused_async(
        |config| {
            let result = server.call(&config.name);
            async move { result }
        },
        is_refused,
    );
    // No runtime at all: the worker's thread wakes the future.
    let answer = block_on(call, || ());
    assert_eq!(answer, Ok("hello two".to_owned()));
    assert_eq!(server.calls.get(), 2);
}

#[test]
fn calls_that_are_refused_while_a_refresh_runs_take_its_config_at_once() {
    let (stage, live) = start();
    stage.vault.put("sk_name", "two");
    let before = stage.reads("sk_name");
    let held = Hold::new();
    let fault = Fault::Hold(held.clone());
    stage.vault.fail_next_matching("/v1/secret/sk_name", fault);
    let call = || {
        live.retry_on_refused(
            |config| match config.name.as_str() {
                "two" => Ok(()),
                _ => Err(Failure::Refused(config.name.clone())),
            },
            is_refused,
        )
    };
    std::thread::scope(|scope| {
        let first = scope.spawn(call);
        stage.wait_for("the refresh", |requests| {
            let read = requests.iter().filter(|r| r.path == "/v1/secret/sk_name");
            read.count() > before
        });
        let call = || {
            let mut retried = Box::pin(live.retry_on_refused_async(
                |config| async move {
                    match config.name.as_str() {
                        "two" => Ok(()),
                        _ => Err(Failure::Refused(config.name.clone())),
                    }
                },
                is_refused,
            ));
            // It asks when it is first polled.
            let mut context = Context::from_waker(Waker::noop());
            assert!(retried.as_mut().poll(&mut context).is_pending());
            retried
        };
        let others: Vec<_> = (0..15).map(|_| call()).collect();
        held.release();
        first.join().unwrap().unwrap();
        // No time passes, so no second refresh begins.
        for other in others {
            block_on(other, || ()).unwrap();
        }
    });
    assert_eq!(stage.reads("sk_name"), before + 1);
}
