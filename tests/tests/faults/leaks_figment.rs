//! Errors of hostile values in figment's layers, rendered in every way, hold no value.
#![allow(clippy::result_large_err, reason = "the error is figment's own")]

use std::collections::BTreeMap;
use std::str::FromStr;

use figment::providers::{Format, Toml};
use figment::{Error, Figment};
use serde::{Deserialize, Deserializer};
use sikkerkey::SikkerKeyConfig;
use sikkerkey_emulator::Emulator;
use sikkerkey_figment::{FigmentExt, References, Secrets, redact};

use crate::{canary, count, hasty};

#[derive(Debug, Deserialize, SikkerKeyConfig)]
#[sikkerkey(secret = "sk_typed")]
#[allow(dead_code, reason = "it is never filled")]
struct Typed {
    flag: bool,
    letter: char,
    port: u16,
    ratio: f64,
    #[sikkerkey(json)]
    map: BTreeMap<String, u8>,
    #[sikkerkey(json)]
    choice: Choice,
    #[sikkerkey(from_str)]
    own: Quoting,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "it is never chosen")]
enum Choice {
    One,
    Other { n: u8 },
}

/// A type whose errors quote what it was given, as many do.
#[derive(Debug)]
struct Quoting;

impl FromStr for Quoting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Err(format!("cannot parse {text}"))
    }
}

impl<'de> Deserialize<'de> for Quoting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let said: Result<_, String> = text.parse();
        said.map_err(serde::de::Error::custom)
    }
}

const FIELDS: [&str; 7] = ["flag", "letter", "port", "ratio", "map", "choice", "own"];

#[test]
fn no_error_of_figment_holds_a_value() {
    let secret = canary::value("figment", 0);
    canary::guard(&secret);
    let quoted = serde_json::to_string(&secret).unwrap();
    let forms = [
        secret.clone(),
        quoted.clone(),
        format!("1{secret}"),
        format!("{{\"a\":{quoted}}}"),
        format!("{{\"Other\":{{\"n\":{quoted}}}}}"),
        format!("[{quoted},300]"),
        format!("{{\"a\":{quoted}"),
    ];
    let vault = Emulator::builder().record(false).start().unwrap();
    let sk = hasty(&vault).build().unwrap();
    let layers = ["", "?as=json", "?as=number"].map(|kind| {
        let lines = FIELDS.map(|field| format!("{field} = 'sikkerkey://sk_typed/{field}{kind}'\n"));
        Figment::from(Toml::string(&lines.concat()))
    });

    let rounds = count(20, 4_000);
    let mut errors = 0;
    let mut look = |error: Error| {
        errors += 1;
        error
            .into_iter()
            .for_each(|error| canary::search_error(&error));
    };
    for n in 0..rounds {
        let form = |at: usize| forms[(n + at * (1 + n / forms.len())) % forms.len()].as_str();
        let fields = FIELDS.iter().enumerate().filter(|(at, _)| n % 21 != *at);
        vault.put_structured("sk_typed", fields.map(|(at, field)| (*field, form(at))));

        let secrets = Figment::from(Secrets::of::<Typed>(&sk));
        look(secrets.extract_secret::<Typed>().unwrap_err());
        look(redact(secrets.extract::<Typed>().unwrap_err()));
        for layer in &layers {
            match References::new(&sk).resolve(layer.clone()) {
                Ok(figment) => {
                    look(figment.extract_secret::<Typed>().unwrap_err());
                    // One by one, so that no other error comes first.
                    for field in FIELDS {
                        look(redact(figment.extract_inner::<u16>(field).unwrap_err()));
                    }
                }
                Err(error) => look(error),
            }
        }
    }
    assert!(errors > 8 * rounds, "{errors} errors in {rounds} rounds");
    let searched = canary::assert_none();
    println!("leaks: {errors} errors of figment rendered, {searched} texts searched: 0 values");
}
