//! A canary in every kind of error that figment has: it must show nowhere.

use std::fmt::Debug;

use figment::error::{Actual, Kind};
use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};
use serde::de::{DeserializeOwned, Deserializer, Error as _, Unexpected};
use serde::{Deserialize, de};

use crate::origin::Place;
use crate::{FigmentExt, redact};

const CANARY: &str = "hunter2";

/// A layer as this crate makes them, without a vault.
struct Ours(Vec<(&'static str, Value)>);

impl Provider for Ours {
    fn metadata(&self) -> Metadata {
        let paths: Vec<_> = self.0.iter().map(|(path, _)| *path).collect();
        crate::origin::metadata("vault", "vault_x", move || {
            let place = |path: &&str| Place {
                path: path.split('.').map(str::to_owned).collect(),
                from: format!("sikkerkey://sk_{}", path.replace('.', "_")),
            };
            paths.iter().map(place).collect()
        })
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let mut dict = Dict::new();
        for (path, value) in &self.0 {
            let path: Vec<_> = path.split('.').collect();
            crate::nest::insert(&mut dict, &path, value.clone());
        }
        Ok(Profile::Default.collect(dict))
    }
}

fn ours(path: &'static str, value: impl Into<Value>) -> Figment {
    Figment::from(Ours(vec![(path, value.into())]))
}

/// Extracting fails, and no form of the redacted errors holds the canary. Returns the text.
#[track_caller]
fn refused<T: DeserializeOwned + Debug>(figment: &Figment) -> String {
    let plain = figment.extract::<T>().unwrap_err();
    let within = figment.extract_secret::<T>().unwrap_err();
    let alone = redact(plain.clone());
    assert_eq!(plain.count(), within.count());
    let vetted = figment.clone().vetted::<T>().extract::<T>().unwrap_err();
    for error in [&within, &alone, &vetted] {
        let texts = [
            format!("{error}"),
            format!("{error:?}"),
            format!("{error:#?}"),
        ];
        for text in texts {
            assert!(!text.contains(CANARY), "{text}");
        }
    }
    let vetted = vetted.to_string();
    assert_eq!(
        vetted.trim_end_matches(" in extraction"),
        within.to_string()
    );
    within.to_string()
}

/// Extracting fails at a value whose own type raises the error `make` makes.
#[derive(Debug)]
struct Raises<const KIND: usize>;

impl<'de, const KIND: usize> Deserialize<'de> for Raises<KIND> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = String::deserialize(deserializer)?;
        let leaked: &'static str = found.leak();
        let list: &'static [&'static str] = &["a", "b"];
        Err(match KIND {
            0 => D::Error::custom(format!("{leaked} is weak")),
            1 => D::Error::invalid_type(Unexpected::Str(leaked), &"a number"),
            2 => D::Error::invalid_type(Unexpected::Other(leaked), &"a number"),
            3 => D::Error::invalid_type(Unexpected::Bytes(leaked.as_bytes()), &"a number"),
            4 => {
                D::Error::invalid_value(Unexpected::Str(leaked), &format!("not {leaked}").as_str())
            }
            5 => D::Error::invalid_length(7, &format!("not {leaked}").as_str()),
            6 => D::Error::unknown_variant(leaked, list),
            _ => D::Error::unknown_field(leaked, list),
        })
    }
}

macro_rules! raises_each {
    ($($kind:literal)*) => {
        $(
            #[derive(Debug, Deserialize)]
            struct Holder { #[allow(dead_code)] a: Inner }
            #[derive(Debug, Deserialize)]
            struct Inner { #[allow(dead_code)] b: Raises<$kind> }
            let text = refused_within::<Holder>(&ours("a.b", CANARY));
            assert!(text.contains("sikkerkey://sk_a_b"), "{text}");
            assert!(text.contains("vault_x SikkerKey vault"), "{text}");
        )*
    };
}

/// [`refused`] without [`redact`] alone, which has no figment to find what a program says it
/// expected.
#[track_caller]
fn refused_within<T: DeserializeOwned + Debug>(figment: &Figment) -> String {
    let error = figment.extract_secret::<T>().unwrap_err();
    for text in [format!("{error}"), format!("{error:?}")] {
        assert!(!text.contains(CANARY), "{text}");
    }
    error.to_string()
}

#[test]
fn no_kind_that_a_type_raises_shows_the_value() {
    {
        raises_each!(0);
    }
    {
        raises_each!(1);
    }
    {
        raises_each!(2);
    }
    {
        raises_each!(3);
    }
    {
        raises_each!(4);
    }
    {
        raises_each!(5);
    }
    {
        raises_each!(6);
    }
    {
        raises_each!(7);
    }
}

#[test]
fn no_kind_of_all_shows_what_it_was_made_with() {
    let text = || CANARY.to_owned();
    let actuals = [
        Actual::Str(text()),
        Actual::Other(text()),
        Actual::Bytes(CANARY.into()),
        Actual::Char('\u{1F6A9}'),
        Actual::Unsigned(982_451_653),
        Actual::Signed(-982_451_653),
        Actual::Float(982_451_653.5),
    ];
    let mut kinds = vec![
        Kind::Message(text()),
        Kind::InvalidLength(982_451_653, "u8".into()),
        Kind::UnknownVariant(text(), &["a"]),
        Kind::UnknownField(text(), &["a"]),
        Kind::ISizeOutOfRange(-982_451_653),
        Kind::USizeOutOfRange(982_451_653),
    ];
    for actual in actuals {
        kinds.push(Kind::InvalidType(actual.clone(), "u8".into()));
        kinds.push(Kind::InvalidValue(actual.clone(), "u8".into()));
        kinds.push(Kind::Unsupported(actual.clone()));
        kinds.push(Kind::UnsupportedKey(actual, "string".into()));
    }
    // One chain of all of them: what came before is redacted too, and nothing is lost.
    let count = kinds.len();
    let chain = kinds
        .into_iter()
        .map(Error::from)
        .reduce(Error::chain)
        .unwrap();
    let redacted = redact(chain);
    assert_eq!(redacted.clone().count(), count);
    let text = format!("{redacted} {redacted:?}");
    for canary in [CANARY, "982451653", "104, 117", "\u{1F6A9}", "1f6a9"] {
        assert!(!text.contains(canary), "{canary}: {text}");
    }
}

#[test]
fn a_type_error_keeps_type_key_reference_and_vault() {
    #[derive(Debug, Deserialize)]
    struct Config {
        #[allow(dead_code)]
        db: Db,
    }
    #[derive(Debug, Deserialize)]
    struct Db {
        #[allow(dead_code)]
        port: u16,
    }
    assert_eq!(
        refused::<Config>(&ours("db.port", CANARY)),
        "invalid type: found string, expected u16 for key \
         \"default.db.port (sikkerkey://sk_db_port)\" in vault_x SikkerKey vault"
    );
    let inner = ours("db.port", CANARY)
        .extract_secret_inner::<Db>("db")
        .unwrap_err();
    assert_eq!(inner.path, ["db", "port"]);
}

#[test]
fn an_error_about_a_table_of_two_layers_counts_as_ours() {
    #[derive(Debug, Deserialize)]
    struct Flattened {
        #[serde(flatten)]
        #[allow(dead_code)]
        rest: Rest,
    }
    #[derive(Debug, Deserialize)]
    struct Rest {
        #[allow(dead_code)]
        port: u16,
    }
    #[derive(Debug, Deserialize)]
    #[serde(try_from = "Map<String, String>")]
    struct Checked;
    impl TryFrom<Map<String, String>> for Checked {
        type Error = String;
        fn try_from(map: Map<String, String>) -> Result<Self, String> {
            Err(format!("cannot use {map:?}"))
        }
    }
    // The table is the file's, for the file has it first; the port in it is ours.
    let figment =
        Figment::from(Toml::string("host = 'db'")).join(Ours(vec![("port", CANARY.into())]));
    refused::<Flattened>(&figment);
    refused::<Checked>(&figment);
    let nested =
        Figment::from(Toml::string("[a]\nhost = 'db'")).join(Ours(vec![("a.port", CANARY.into())]));
    refused::<Map<String, Flattened>>(&nested);
    refused::<Map<String, Checked>>(&nested);
}

#[test]
fn keys_inside_a_json_value_are_hidden_and_those_of_the_config_are_not() {
    let tokens = Value::from(figment::util::map![CANARY => "x"]);
    #[derive(Debug, Deserialize)]
    struct Config {
        #[allow(dead_code)]
        tokens: Map<String, u16>,
    }
    let text = refused::<Config>(&ours("tokens", tokens.clone()));
    assert!(text.contains("found string, expected u16"), "{text}");
    assert!(
        text.contains("default.tokens.[hidden] (sikkerkey://sk_tokens)"),
        "{text}"
    );

    #[derive(Debug, Deserialize)]
    struct Strict {
        #[allow(dead_code)]
        tokens: Named,
    }
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Named {
        #[allow(dead_code)]
        known: Option<u16>,
    }
    refused::<Strict>(&ours("tokens", tokens));
}

#[test]
fn an_error_of_another_layer_stays_whole() {
    #[derive(Debug, Deserialize)]
    struct Config {
        #[allow(dead_code)]
        port: u16,
        #[allow(dead_code)]
        password: String,
    }
    let figment = Figment::from(Toml::string("port = 'eighty'"))
        .merge(Ours(vec![("password", CANARY.into())]));
    let plain = figment.extract::<Config>().unwrap_err();
    let within = figment.extract_secret::<Config>().unwrap_err();
    assert_eq!(plain.to_string(), within.to_string());
    assert!(within.to_string().contains("\"eighty\""));

    let broken = Figment::from(Toml::string("port = ")).merge(Ours(vec![("a", CANARY.into())]));
    let plain = broken.extract::<Config>().unwrap_err();
    let within = broken.extract_secret::<Config>().unwrap_err();
    assert_eq!(plain.to_string(), within.to_string());
}

#[test]
fn our_own_problems_are_not_hidden() {
    let mut problem = Error::from("SikkerKey: sk_db is missing");
    problem.metadata = Some(crate::origin::metadata("vault", "vault_x", Vec::new));
    assert!(redact(problem).to_string().contains("sk_db is missing"));
}

#[test]
fn numbers_bools_and_chars_are_hidden_too() {
    #[derive(Debug, Deserialize)]
    struct Config {
        #[allow(dead_code)]
        a: Vec<de::IgnoredAny>,
    }
    for value in [
        Value::from(982_451_653u32),
        Value::from(true),
        Value::from('x'),
        Value::from(2.5),
    ] {
        let text = refused::<Config>(&ours("a", value));
        for canary in ["982451653", "true", "'x'", "2.5"] {
            assert!(!text.contains(canary), "{text}");
        }
    }
}
