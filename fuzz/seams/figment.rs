//! Where the fuzz targets reach into `sikkerkey-figment`, of which this is a module while they are
//! built.

use std::sync::LazyLock;

use figment::value::{Dict, Map, Num, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use sikkerkey::ValueKind;

use crate::origin::{self, Place};
use crate::reference::Written;
use crate::{FigmentExt, Reference, nest, typed};

const KINDS: [ValueKind; 4] = [
    ValueKind::String,
    ValueKind::Number,
    ValueKind::Bool,
    ValueKind::Json,
];

/// A string of a config file, and whatever else a reference is made of.
pub fn reference(text: &str) {
    match Written::of(text) {
        Ok(Written::Plain) => assert!(text.parse::<Reference>().is_err()),
        Ok(Written::Literal(literal)) => assert!(text.ends_with(literal)),
        Ok(Written::Reference(reference)) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            assert!(reference.by_name() || reference.secret().chars().all(plain));
            assert!(!reference.secret().is_empty() && reference.field() != Some(""));
            is_read_again(&reference);
        }
        Err(malformed) => {
            let said = malformed.to_string();
            assert!(!said.contains(char::is_control), "{said:?}");
            // What it says is the same whatever the text is, so a short text may stand in it.
            assert!(text.len() < 40 || !said.contains(text), "{said:?}");
        }
    }
    for kind in KINDS {
        if !text.is_empty() {
            is_read_again(&Reference::named(text, text, kind));
        }
    }
}

fn is_read_again(reference: &Reference) {
    let spelled = reference.to_string();
    assert!(!spelled.contains(char::is_control), "{spelled:?}");
    assert_eq!(spelled.parse().as_ref(), Ok(reference), "{spelled:?}");
}

/// A secret's text as a value of each kind, which then does not fit: `choice` is into what.
pub fn redact(choice: u8, secret: &str) {
    for kind in KINDS {
        let Ok(value) = typed::value(kind, secret) else {
            continue;
        };
        let said = said(choice, value.clone());
        each_text(&value, &mut |text| {
            for text in [text, &text.escape_debug().to_string()] {
                let hidden = !said.iter().any(|said| said.contains(text));
                assert!(hidden || VOCABULARY.contains(text), "{text:?} in {said:?}");
            }
        });
    }
}

/// What is said of values that nobody has to hide.
static VOCABULARY: LazyLock<String> = LazyLock::new(|| {
    let list = Value::from(vec![0]);
    let table = Value::from(Dict::from([("k".to_owned(), list.clone())]));
    let leaves = [
        "".into(),
        "x".into(),
        true.into(),
        300.into(),
        (-1).into(),
        1.5.into(),
    ];
    let mut texts = Vec::new();
    for value in leaves.into_iter().chain([list, table]) {
        (0..MISFITS.len() as u8).for_each(|choice| texts.extend(said(choice, value.clone())));
    }
    texts.join("\n")
});

/// The errors of one extraction, in every way in which this crate cleans and somebody prints them.
fn said(choice: u8, value: Value) -> Vec<String> {
    let figment = Figment::from(Vault(value));
    let errors = MISFITS[usize::from(choice) % MISFITS.len()](&figment);
    let print = |error: Error| {
        // Numbers that count figment's providers are in it, and may be those of a secret.
        let debug = format!("{error:?}").replace(|c: char| c.is_ascii_digit(), "#");
        let display = error.to_string();
        assert!(!display.contains(char::is_control), "{display:?}");
        [display, debug]
    };
    errors.into_iter().flat_map(print).collect()
}

/// The keys and leaves that are long enough to mean anything where they are found again.
fn each_text(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::String(_, text) => long(text, each),
        Value::Num(_, Num::F64(n)) => long(&n.to_string(), each),
        Value::Num(_, n) => {
            let unsigned = n.to_u128().map(|n| n.to_string());
            let signed = n.to_i128().map(|n| n.to_string());
            if let Some(digits) = unsigned.or(signed) {
                long(&digits, each);
            }
        }
        Value::Dict(_, dict) => {
            for (key, value) in dict {
                long(key, each);
                each_text(value, each);
            }
        }
        Value::Array(_, array) => array.iter().for_each(|value| each_text(value, each)),
        _ => {}
    }
}

fn long(text: &str, each: &mut impl FnMut(&str)) {
    if text.len() > 4 {
        each(text);
    }
}

const MISFITS: &[fn(&Figment) -> Vec<Error>] = &[
    misfit::<u8>,
    misfit::<bool>,
    misfit::<char>,
    misfit::<f32>,
    misfit::<()>,
    misfit::<(u8, u8)>,
    misfit::<Vec<u8>>,
    misfit::<Option<std::net::IpAddr>>,
    misfit::<Word>,
    misfit::<Table>,
    misfit::<Map<u8, u8>>,
    misfit::<Map<String, Map<String, Vec<u8>>>>,
    misfit::<Telltale>,
];

fn misfit<T: DeserializeOwned>(figment: &Figment) -> Vec<Error> {
    let errors = [
        figment.extract_inner::<T>("a.b").map_err(crate::redact),
        figment.extract_secret_inner::<T>("a.b"),
        figment.extract_secret::<Outer<T>>().map(|outer| outer.a.b),
    ];
    errors.into_iter().filter_map(Result::err).collect()
}

#[derive(Deserialize)]
struct Outer<T> {
    a: Inner<T>,
}

#[derive(Deserialize)]
struct Inner<T> {
    b: T,
}

#[derive(Deserialize)]
enum Word {
    Alpha,
    Beta(()),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // It is there to be missing, or of another type.
struct Table {
    x: u8,
}

/// A program's own type that says what it refused.
struct Telltale;

impl<'de> Deserialize<'de> for Telltale {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = <Value as Deserialize>::deserialize(deserializer)?;
        Err(D::Error::custom(format!("{found:?} is weak")))
    }
}

/// A layer of this crate, without a client.
struct Vault(Value);

impl Provider for Vault {
    fn metadata(&self) -> Metadata {
        origin::metadata("vault", "vault_x", || {
            vec![Place {
                path: vec!["a".to_owned(), "b".to_owned()],
                from: "sikkerkey://sk_a".to_owned(),
            }]
        })
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        let mut dict = Dict::new();
        nest::insert(&mut dict, &["a", "b"], self.0.clone());
        Ok(Profile::Default.collect(dict))
    }
}
