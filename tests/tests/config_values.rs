//! What a text becomes, and what is said of one that becomes nothing.
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZero, NonZeroU16};
use std::path::PathBuf;
use std::time::Duration;

use sikkerkey::{
    ExposeSecret, FromSecret, ProblemKind, SecretBox, SecretString, SikkerKeyConfig, Snapshot,
};

#[derive(SikkerKeyConfig)]
struct One<T> {
    #[sikkerkey(secret = "sk_a")]
    value: T,
}

/// The value of a whole secret.
#[track_caller]
fn good<T: FromSecret + PartialEq + Debug>(text: &str, expected: T) {
    let one = One::<T>::from_snapshot(&Snapshot::from_iter([("sk_a", text)]));
    assert_eq!(one.unwrap().value, expected);
}

/// What is said instead, after `not a …`.
#[track_caller]
fn bad<T: FromSecret>(text: &str, expected: &str) {
    let one = One::<T>::from_snapshot(&Snapshot::from_iter([("sk_a", text)]));
    let error = one.map(drop).unwrap_err();
    assert_eq!(error.problems()[0].message(), expected);
    assert_eq!(error.problems()[0].kind(), ProblemKind::Invalid);
}

#[test]
fn numbers() {
    good("0", 0_u8);
    good("65535", u16::MAX);
    good("-0", 0_u16);
    good("-128", i8::MIN);
    good("340282366920938463463374607431768211455", u128::MAX);
    good("1", NonZeroU16::MIN);
    good("-1.5e3", -1500.0_f64);
    for (text, expected) in [
        ("", "not a u16: it is empty"),
        ("65536", "not a u16: above 65535"),
        (
            "99999999999999999999999999999999999999999999",
            "not a u16: above 65535",
        ),
        ("-1", "not a u16: below 0"),
        (" 1", "not a u16: it has a space or a line end"),
        ("1\n", "not a u16: it has a space or a line end"),
        ("1_000", "not a u16: it has a `_`"),
        (
            "\u{feff}5432",
            "not a u16: it begins with a byte order mark",
        ),
        ("54\u{200b}32", "not a u16: it has an invisible character"),
        ("1.0", "not a u16: it is not a whole number"),
        ("0x10", "not a u16: it is not a number"),
        ("١", "not a u16: it is not a number"),
    ] {
        bad::<u16>(text, expected);
    }
    bad::<i8>("-129", "not an i8: below -128");
    bad::<i8>("128", "not an i8: above 127");
    bad::<NonZero<i32>>("0", "not an i32 other than 0: it is zero");
    bad::<f64>("NaN", "not an f64: it is not finite");
    bad::<f64>("1e400", "not an f64: it is not finite");
    bad::<f32>("1_0.0", "not an f32: it has a `_`");
}

#[test]
fn text_and_flags() {
    good("", String::new());
    good(" kept as it is\n", " kept as it is\n".to_owned());
    good("/etc", PathBuf::from("/etc"));
    good("é", 'é');
    good("true", true);
    good("false", false);
    bad::<bool>("yes", "not a bool: it must be `true` or `false`");
    bad::<bool>("True", "not a bool: it must be `true` or `false`");
    bad::<bool>("1", "not a bool: it must be `true` or `false`");
    bad::<bool>("true\n", "not a bool: it has a space or a line end");
    bad::<PathBuf>("/x\n", "not a path: it has a space or a line end");
    good("/a b", PathBuf::from("/a b"));
    bad::<char>("ab", "not a char: it is more than one character");
    bad::<char>("", "not a char: it is empty");
    bad::<PathBuf>("", "not a path: it is empty");
}

#[test]
fn addresses() {
    good("::1", IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]));
    good("10.0.0.1:80", SocketAddr::from(([10, 0, 0, 1], 80)));
    bad::<IpAddr>(
        "localhost",
        "not an IP address: one looks like 10.0.0.1 or ::1",
    );
    bad::<IpAddr>(
        "10.0.0.1\n",
        "not an IP address: it has a space or a line end",
    );
    bad::<SocketAddr>(
        "10.0.0.1",
        "not a socket address: one looks like 10.0.0.1:8080 or [::1]:8080",
    );
}

#[test]
fn durations() {
    for (text, expected) in [
        ("0s", Duration::ZERO),
        ("250ms", Duration::from_millis(250)),
        ("1h30m", Duration::from_secs(5400)),
        ("7d", Duration::from_secs(7 * 86_400)),
        ("1d2h3m4s5ms6us7ns", Duration::new(93_784, 5_006_007)),
        ("3µs", Duration::from_micros(3)),
    ] {
        good(text, expected);
    }
    for (text, reason) in [
        ("", "it is empty"),
        ("30", "a number needs a unit, as in 30s or 1h30m"),
        ("1h30", "a number needs a unit, as in 30s or 1h30m"),
        ("30 s", "it has a space or a line end"),
        ("30s\n", "it has a space or a line end"),
        ("\u{feff}30s", "it begins with a byte order mark"),
        ("-1s", "one looks like 30s or 1h30m"),
        ("1.5h", "a number needs a unit, as in 30s or 1h30m"),
        ("3w", "the units are d, h, m, s, ms, us and ns"),
        ("30m1h", "a larger unit comes first, and each comes once"),
        ("1s1s", "a larger unit comes first, and each comes once"),
        ("99999999999999999999d", "it is too long"),
        (
            "999999999999999999999999999999999999999999d",
            "it is too long",
        ),
    ] {
        bad::<Duration>(text, &format!("not a duration: {reason}"));
    }
}

#[test]
fn secrets_of_values() {
    let snapshot = Snapshot::from_iter([("sk_a", "4711")]);
    let number = One::<SecretBox<u32>>::from_snapshot(&snapshot).unwrap();
    assert_eq!(*number.value.expose_secret(), 4711);
    let bytes = One::<SecretBox<[u8]>>::from_snapshot(&snapshot).unwrap();
    assert_eq!(bytes.value.expose_secret(), b"4711");
    let option = One::<Option<SecretString>>::from_snapshot(&Snapshot::default()).unwrap();
    assert!(option.value.is_none());
    bad::<SecretBox<u32>>("x", "not a u32: it is not a number");
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_lists")]
struct Lists {
    #[sikkerkey(delimiter = ",")]
    hosts: Vec<String>,
    #[sikkerkey(delimiter = "; ")]
    ports: BTreeSet<u16>,
    #[sikkerkey(delimiter = "\n")]
    lines: Option<HashSet<char>>,
    #[sikkerkey(delimiter = ",", default = Box::new([7]))]
    numbers: Box<[u8]>,
    #[sikkerkey(json, default)]
    keys: BTreeMap<String, SecretString>,
}

#[test]
fn lists_and_maps() {
    let json = r#"{"hosts": " a , b", "ports": "2; 1; 2", "keys": {"x": "k1", "y": "k2"}}"#;
    let lists = Lists::from_snapshot(&Snapshot::from_iter([("sk_lists", json)])).unwrap();
    assert_eq!(lists.hosts, ["a", "b"]);
    assert_eq!(lists.ports, BTreeSet::from([1, 2]));
    assert_eq!((lists.lines, lists.numbers), (None, Box::from([7])));
    assert_eq!(lists.keys["y"].expose_secret(), "k2");

    let json = r#"{"hosts": "", "ports": "1; x", "lines": "a\n\nb", "keys": {"x": 5}}"#;
    let error = Lists::from_snapshot(&Snapshot::from_iter([("sk_lists", json)]));
    assert_eq!(
        error.map(drop).unwrap_err().to_string(),
        r#"cannot build Lists: 3 problems
  ports  sk_lists/ports  not "; "-separated values, each a u16: item 2: it is not a number
  lines  sk_lists/lines  not "\n"-separated values, each a char: item 2 is empty
  keys   sk_lists/keys   not JSON of a BTreeMap<String, SecretBox<str>>: it is JSON of another shape, at line 1 column 7"#
    );
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
struct Fields {
    #[sikkerkey(field = "db.host:naïve/ключ")]
    dotted: String,
    number: String,
    object: String,
    twice: String,
    nothing: Option<String>,
}

#[test]
fn fields_of_every_shape() {
    let json = r#"{"db.host:naïve/ключ": "x", "number": 1.50, "object": {"a": [1]},
                   "twice": "first", "nothing": null, "twice": "last"}"#;
    let fields = Fields::from_snapshot(&Snapshot::from_iter([("sk_a", json)])).unwrap();
    assert_eq!(
        (fields.dotted.as_str(), fields.number.as_str()),
        ("x", "1.50")
    );
    assert_eq!(
        (fields.object.as_str(), fields.twice.as_str()),
        (r#"{"a": [1]}"#, "last")
    );
    assert_eq!(fields.nothing, None);
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
struct Field {
    port: u16,
}

#[test]
fn a_secret_without_the_field() {
    let large = format!(r#"{{"port": 1, "pad": "{}"}}"#, "x".repeat(1 << 20));
    let many: Vec<String> = (0..40).map(|i| format!(r#""field_{i:02}": 0"#)).collect();
    let many = format!("{{{}}}", many.join(","));
    let not_structured = "not structured: the value is not a JSON object, so it has no fields";
    for (value, expected) in [
        (
            "",
            "not structured: the value is empty, so it has no fields",
        ),
        ("[1, 2]", not_structured),
        ("5432", not_structured),
        ("null", not_structured),
        (r#""{}""#, not_structured),
        (r#"{"port": 1"#, not_structured),
        (r#"{"port": "\ud800"}"#, not_structured),
        ("{\"port\": \"\\xff\"}", not_structured),
        ("{}", r#"no field "port"; the secret has no fields at all"#),
        (r#"{"port": null}"#, r#"field "port" is null"#),
        (
            r#"{"Port": 1, "host": 2}"#,
            r#"no field "port" (did you mean "Port"?); the secret has "Port", "host""#,
        ),
        (
            "{\"a\\nb\\u001b[31m\": 1}",
            r#"no field "port"; the secret has 1 field whose name is not shown"#,
        ),
        (
            many.as_str(),
            r#"no field "port"; the secret has "field_00", "field_01", "field_02", "field_03", "field_04", "field_05", "field_06", "field_07", "field_08", "field_09", "field_10", "field_11" and 28 more"#,
        ),
        (
            r#"{"port": {"nested": 1}}"#,
            "not a u16: it has a space or a line end",
        ),
        (
            r#"{"port": "5432", "port": []}"#,
            "not a u16: it is not a number",
        ),
    ] {
        let error = Field::from_snapshot(&Snapshot::from_iter([("sk_a", value)]));
        let error = error.map(|field| field.port).unwrap_err();
        assert_eq!(error.problems()[0].message(), expected, "{value}");
    }
    let field = Field::from_snapshot(&Snapshot::from_iter([("sk_a", large)])).unwrap();
    assert_eq!(field.port, 1);
}

#[test]
fn what_crosses_threads_does() {
    fn crosses<T: Send + Sync + Clone + 'static>() {}
    crosses::<sikkerkey::Schema>();
    crosses::<Snapshot>();
    crosses::<sikkerkey::ConfigError>();
    crosses::<sikkerkey::CheckReport>();
    crosses::<sikkerkey::Fetch>();
    crosses::<sikkerkey::Loader<One<u8>>>();
}
