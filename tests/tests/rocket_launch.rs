//! What Rocket prints when a secret does not fit its own configuration. Apart from the other tests
//! of Rocket, for the log is one for a process.
// A test fails by panicking; the error is figment's own.
#![allow(clippy::result_large_err)]

use std::sync::{Mutex, OnceLock};

use figment::Figment;
use figment::providers::{Format, Toml};
use rocket::local::blocking::Client;
use sikkerkey::SikkerKey;
use sikkerkey_emulator::Emulator;
use sikkerkey_figment::{FigmentExt, References};

fn vault() -> (Emulator, SikkerKey) {
    let vault = Emulator::builder().start().unwrap();
    let sk = SikkerKey::new(vault.identity_path().display().to_string()).unwrap();
    (vault, sk)
}

/// What Rocket logs in this process. Its own logger steps back where there is one already.
struct Log(Mutex<String>);

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.0
            .lock()
            .unwrap()
            .push_str(&format!("{}\n", record.args()));
    }

    fn flush(&self) {}
}

fn log_of(what: impl FnOnce()) -> String {
    static LOG: OnceLock<&'static Log> = OnceLock::new();
    let log = LOG.get_or_init(|| {
        let log: &'static Log = Box::leak(Box::new(Log(Mutex::default())));
        log::set_logger(log).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
        log
    });
    what();
    log.0.lock().unwrap().clone()
}

/// Everything that a failed launch of Rocket gives away.
fn launch_output(figment: Figment) -> String {
    let mut texts = String::new();
    let log = log_of(|| {
        let result = Client::untracked(rocket::custom(figment));
        // Rocket panics with all of it when nobody looks at the error before it is dropped.
        let error = result.map(|_| ()).unwrap_err();
        let kind = format!("{error} {error:?}");
        texts.push_str(&kind);
        texts.push_str(error.pretty_print());
    });
    texts + &log
}

#[test]
fn the_output_of_a_failed_launch_shows_no_value_once_the_figment_is_vetted() {
    let (vault, sk) = vault();
    for (key, canary) in [
        ("secret_key", "canary-hunter2"),
        ("port", "canary-hunter2"),
        ("address", "canary-hunter2"),
        ("log_level", "canary-hunter2"),
        ("ident", "canary\u{7}-hunter2"),
    ] {
        vault.put("sk_canary", canary);
        let file = format!("{key} = 'sikkerkey://sk_canary'");
        let figment = Figment::from(rocket::Config::default())
            .merge(Toml::string(&file))
            .select("release");
        let figment = References::new(&sk).resolve(figment).unwrap();
        let output = launch_output(figment.vetted::<rocket::Config>());
        assert!(!output.contains("hunter2"), "{key}: {output}");
        assert!(output.contains("sikkerkey://sk_canary"), "{key}: {output}");
    }
}

/// The reason for `vetted`: without it, this is what Rocket does. Where it does so no more, the
/// documentation can say so.
#[test]
fn without_it_rocket_prints_the_value() {
    let (vault, sk) = vault();
    vault.put("sk_canary", "canary-of-rocket");
    let figment = Figment::from(rocket::Config::default())
        .merge(Toml::string("port = 'sikkerkey://sk_canary'"));
    let figment = References::new(&sk).resolve(figment).unwrap();
    assert!(launch_output(figment).contains("canary-of-rocket"));
}
