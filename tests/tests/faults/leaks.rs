//! Errors of hostile configurations, rendered in every way, hold no value.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use sikkerkey::{SecretString, SikkerKeyConfig, Snapshot};

use crate::{canary, count};

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_all", validate = "Everything::refuse")]
#[allow(dead_code, reason = "it is never filled")]
struct Everything {
    flag: bool,
    letter: char,
    port: u16,
    signed: i64,
    huge: u128,
    ratio: f64,
    wait: Duration,
    address: IpAddr,
    socket: SocketAddr,
    path: PathBuf,
    text: String,
    secret: SecretString,
    #[sikkerkey(json)]
    map: BTreeMap<String, u8>,
    #[sikkerkey(json)]
    shape: (u8, Vec<bool>),
    #[sikkerkey(from_str)]
    parsed: Telltale,
    #[sikkerkey(with = "tell")]
    told: u8,
    #[sikkerkey(delimiter = ",")]
    list: Vec<u32>,
    maybe: Option<u32>,
    #[sikkerkey(default = 7)]
    fallback: u8,
    #[sikkerkey(nested, secret = "sk_inner")]
    inner: Inner,
    #[sikkerkey(secret = "sk_whole")]
    whole: u64,
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_other")]
#[allow(dead_code, reason = "it is never filled")]
struct Inner {
    #[sikkerkey(field = "n")]
    number: i8,
}

impl Everything {
    fn refuse(&self) -> Result<(), Cow<'static, str>> {
        Err("refused".into())
    }
}

/// A type whose parser quotes what it was given, as many do.
struct Telltale;

impl FromStr for Telltale {
    type Err = Quoting;

    fn from_str(text: &str) -> Result<Self, Quoting> {
        Err(Quoting(text.to_owned()))
    }
}

#[derive(Debug)]
struct Quoting(String);

impl fmt::Display for Quoting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot parse {}", self.0)
    }
}

impl std::error::Error for Quoting {}

fn tell(value: &str) -> Result<u8, Quoting> {
    Err(Quoting(value.to_owned()))
}

const FIELDS: [&str; 19] = [
    "flag", "letter", "port", "signed", "huge", "ratio", "wait", "address", "socket", "path",
    "text", "secret", "map", "shape", "parsed", "told", "list", "maybe", "fallback",
];

#[test]
fn no_error_of_a_config_holds_a_value() {
    let secret = canary::value("config", 0);
    canary::guard(&secret);
    let quoted = serde_json::to_string(&secret).unwrap();
    // Each is a value that some type refuses, and that a careless message would repeat.
    let forms = [
        secret.clone(),
        quoted.clone(),
        format!(" {secret}"),
        format!("1{secret}"),
        format!("true{secret}"),
        format!("127.0.0.1{secret}"),
        format!("{{\"a\":{quoted}}}"),
        format!("[{quoted},300]"),
        format!("{{\"a\":{quoted}"),
        format!("1,{secret},2"),
        format!("{secret}\u{0}\u{202e}\n"),
    ];
    let errors = count(300, 100_000);
    let mut problems = 0;
    for n in 0..errors {
        let form = |at: usize| &forms[(n + at * (1 + n / forms.len())) % forms.len()];
        let all: serde_json::Map<_, _> = FIELDS
            .iter()
            .enumerate()
            .filter(|(at, _)| n % 7 != 6 || at % 5 != n % 5)
            .map(|(at, field)| ((*field).to_owned(), form(at).as_str().into()))
            .collect();
        let all = match n % 50 {
            // No object at all, or one that is cut off.
            0 => form(1).clone(),
            // Names of fields are not secret; what looks like one and never became one is.
            1 => format!("{{\"a\":{quoted},\"port\":{quoted},{quoted}"),
            _ => serde_json::Value::Object(all).to_string(),
        };
        let inner = format!(
            "{{\"n\":{},\"{}\":1}}",
            serde_json::to_string(form(3)).unwrap(),
            n % 3
        );
        let secrets = [
            ("sk_all", all),
            ("sk_inner", inner),
            ("sk_whole", form(5).clone()),
        ];
        let snapshot = Snapshot::from_iter(secrets);
        let Err(error) = Everything::from_snapshot(&snapshot) else {
            panic!("a hostile config was taken");
        };
        problems += error.problems().len();
        for problem in error.problems() {
            canary::search(
                "a problem",
                &format!("{problem:?} {} {}", problem.message(), problem.path()),
            );
        }
        canary::search_error(&error);
        if n % 100 == 0 {
            canary::search("a snapshot", &format!("{snapshot:?} {snapshot:#?}"));
        }
    }
    let searched = canary::assert_none();
    println!(
        "leaks: {errors} errors with {problems} problems rendered, {searched} texts searched: 0 values"
    );
}
