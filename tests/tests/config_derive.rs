//! What the derive makes of `inherit`, `resync`, `rename_all`, whole structured secrets and
//! optional nested structs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use sikkerkey::{
    ExposeSecret, Fields, ProblemKind, ReadOutcome, Resync, Schema, SecretString, SikkerKeyConfig,
    Snapshot, ValueKind,
};

/// Path, secret and field of each value.
fn places(schema: &Schema) -> Vec<String> {
    let place = |requirement: &sikkerkey::Requirement| {
        let (path, secret) = (requirement.path(), requirement.secret());
        format!("{path} {secret} {}", requirement.field().unwrap_or("-"))
    };
    schema.iter().map(place).collect()
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(inherit)]
struct Pool {
    size: u16,
    #[sikkerkey(nested)]
    login: Login,
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(inherit)]
struct Login {
    user: String,
    #[sikkerkey(secret = "sk_pepper")]
    pepper: String,
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_own")]
struct Inheritance {
    #[sikkerkey(nested)]
    own: Pool,
    #[sikkerkey(nested, secret = "sk_given")]
    given: Pool,
    #[sikkerkey(nested, name = "BY NAME")]
    named: Option<Box<Pool>>,
}

#[test]
fn a_struct_that_inherits_reads_the_secret_of_where_it_is_nested() {
    assert_eq!(
        places(&Inheritance::schema()),
        [
            "own.size sk_own size",
            "own.login.user sk_own user",
            "own.login.pepper sk_pepper -",
            "given.size sk_given size",
            "given.login.user sk_given user",
            "given.login.pepper sk_pepper -",
            "named.size \"BY NAME\" size",
            "named.login.user \"BY NAME\" user",
            "named.login.pepper sk_pepper -",
        ]
    );
    let config = Inheritance::from_snapshot(&Snapshot::from_iter([
        ("sk_own", r#"{"size": 1, "user": "a"}"#),
        ("sk_given", r#"{"size": 2, "user": "b"}"#),
        ("BY NAME", r#"{"size": 3, "user": "c"}"#),
        ("sk_pepper", "p"),
    ]))
    .unwrap();
    let named = config.named.unwrap();
    let pools = [&config.own, &config.given, &named];
    let seen = pools.map(|pool| (pool.size, pool.login.user.as_str()));
    assert_eq!(seen, [(1, "a"), (2, "b"), (3, "c")]);
    assert!(pools.iter().all(|pool| pool.login.pepper == "p"));
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_lease", resync = "40m")]
struct Lease {
    user: String,
    #[sikkerkey(secret = "sk_other")]
    other: String,
    #[sikkerkey(secret = "sk_never", field = "x", resync = "never")]
    never: String,
}

#[derive(SikkerKeyConfig)]
struct Leases {
    #[sikkerkey(nested)]
    first: Lease,
    #[sikkerkey(nested, secret = "sk_second")]
    second: Lease,
    #[sikkerkey(nested, secret = "sk_third", resync = "1h30m")]
    third: Option<Arc<Lease>>,
    #[sikkerkey(name = "PLAIN", resync = "adaptive")]
    plain: String,
}

fn resyncs(schema: &Schema) -> Vec<(&str, Option<Resync>)> {
    schema.iter().map(|of| (of.path(), of.resync())).collect()
}

#[test]
fn resync_is_of_the_struct_s_secret_or_of_the_field_s() {
    let schema = Leases::schema();
    let every = |minutes: u64| Some(Resync::Every(Duration::from_secs(60 * minutes)));
    assert_eq!(
        resyncs(&schema),
        [
            ("first.user", every(40)),
            ("first.other", None),
            ("first.never", Some(Resync::Never)),
            ("second.user", every(40)),
            ("second.other", None),
            ("second.never", Some(Resync::Never)),
            ("third.user", every(90)),
            ("third.other", None),
            ("third.never", Some(Resync::Never)),
            ("plain", Some(Resync::Adaptive)),
        ]
    );
    let json = serde_json::to_value(&schema).unwrap();
    assert_eq!(json[6]["resync"], "1h30m");
    assert_eq!(json[1].get("resync"), None);
    let config = Leases::from_snapshot(&Snapshot::default());
    assert!(config.is_err_and(|error| error.problems().len() == 7));
    let _ = |config: Leases| {
        let third = config.third.unwrap();
        (third.user.clone(), third.other.clone(), third.never.clone())
    };
    let _ = |config: Leases| (config.first.user, config.second.user, config.plain);
}

#[derive(SikkerKeyConfig)]
struct Contradicting {
    #[sikkerkey(nested)]
    lease: Lease,
    #[sikkerkey(secret = "sk_lease", field = "ttl", resync = "never")]
    ttl: Option<String>,
    #[sikkerkey(name = "LEASE", field = "host", resync = "2h")]
    host: Option<String>,
}

#[test]
fn two_intervals_for_one_secret_are_a_problem_that_names_both() {
    let snapshot = Snapshot::from_iter([
        ("sk_lease", r#"{"user": "app"}"#),
        ("sk_other", "x"),
        ("sk_never", r#"{"x": "y"}"#),
    ]);
    let problems = |error: sikkerkey::ConfigError| -> Vec<String> {
        let problems = error.problems().iter();
        let kinds = problems.clone().map(|problem| problem.kind());
        assert!(kinds.into_iter().all(|kind| kind == ProblemKind::Conflict));
        problems.map(ToString::to_string).collect()
    };
    let Err(error) = Contradicting::from_snapshot(&snapshot) else {
        panic!("one secret has two intervals");
    };
    let of_ids = "ttl: sk_lease/ttl: `resync` is never here and 40m at `lease.user`: a secret has \
                  one `resync`";
    assert_eq!(problems(error), [of_ids]);

    // A name that leads to the same id.
    let vault = sikkerkey_tests::emulator()
        .structured("sk_lease", [("user", "app_of_the_lease")])
        .name("sk_lease", "LEASE")
        .secret("sk_other", "x")
        .structured("sk_never", [("x", "y")])
        .start()
        .unwrap();
    let sk = sikkerkey::SikkerKey::new(vault.identity_path()).unwrap();
    let Err(error) = Contradicting::load(&sk) else {
        panic!("one secret has three intervals");
    };
    let of_name = "host: \"LEASE\" -> sk_lease/host: `resync` is 2h here and 40m at `lease.user`: a \
                   secret has one `resync`";
    assert_eq!(problems(error), [of_ids, of_name]);
    let _ = |config: Contradicting| (config.lease, config.ttl, config.host);
}

#[derive(SikkerKeyConfig)]
struct Whole {
    #[sikkerkey(secret = "sk_tenants")]
    fields: Fields,
    #[sikkerkey(secret = "sk_tenants")]
    tree: BTreeMap<String, SecretString>,
    #[sikkerkey(secret = "sk_tenants")]
    hashed: HashMap<String, SecretString>,
    #[sikkerkey(secret = "sk_missing")]
    missing: Option<BTreeMap<String, SecretString>>,
    #[sikkerkey(secret = "sk_missing", default)]
    empty: BTreeMap<String, SecretString>,
    #[sikkerkey(secret = "sk_outer", field = "inner")]
    inner: BTreeMap<String, SecretString>,
}

#[test]
fn a_whole_structured_secret_is_one_value() {
    for requirement in Whole::schema().iter() {
        assert_eq!(requirement.kind(), ValueKind::Json);
        assert_eq!(requirement.expected(), "a structured secret");
    }
    let tenants = r#"{"b": "two", "a": 1, "none": null}"#;
    let config = Whole::from_snapshot(&Snapshot::from_iter([
        ("sk_tenants", tenants),
        ("sk_outer", r#"{"inner": {"x": "y"}}"#),
    ]))
    .unwrap();
    let names: Vec<_> = config.fields.names().collect();
    assert_eq!(names, ["b", "a", "none"]);
    let values: Vec<_> = config
        .tree
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose_secret()))
        .collect();
    assert_eq!(values, [("a", "1"), ("b", "two")]);
    assert_eq!(config.hashed.len(), 2);
    assert!(config.missing.is_none() && config.empty.is_empty());
    assert_eq!(config.inner["x"].expose_secret(), "y");
}

#[test]
fn a_value_without_fields_is_not_structured() {
    let snapshot =
        Snapshot::from_iter([("sk_tenants", "hunter2"), ("sk_outer", r#"{"inner": 5}"#)]);
    let Err(error) = Whole::from_snapshot(&snapshot.with([("sk_missing", ReadOutcome::Denied)]))
    else {
        panic!("none of them can be built");
    };
    let kinds: Vec<_> = error
        .problems()
        .iter()
        .map(|p| (p.path(), p.kind()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("fields", ProblemKind::NotStructured),
            ("tree", ProblemKind::NotStructured),
            ("hashed", ProblemKind::NotStructured),
            ("missing", ProblemKind::Denied),
            ("empty", ProblemKind::Denied),
            ("inner", ProblemKind::NotStructured),
        ]
    );
    assert_eq!(
        error.problems()[0].message(),
        "not structured: the value is not a JSON object, so it has no fields"
    );
    assert!(!error.to_string().contains("hunter2"));
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_opt", validate = "Optional::validate")]
struct Optional {
    #[sikkerkey(default = panic!("no default is made of what is absent"))]
    a: u16,
    b: Option<u16>,
    #[sikkerkey(skip, default = panic!("nor this"))]
    c: u8,
}

impl Optional {
    fn validate(&self) -> Result<(), &'static str> {
        panic!(
            "nothing is there to look at: {:?} {:?} {}",
            self.a, self.b, self.c
        );
    }
}

type Maybe<T> = Option<T>;

#[derive(SikkerKeyConfig)]
struct WithOptional {
    /// By an alias.
    #[sikkerkey(nested)]
    optional: Maybe<Optional>,
    #[sikkerkey(nested)]
    boxed: Box<Option<Optional>>,
    #[sikkerkey(nested)]
    deeper: Option<Deeper>,
    #[sikkerkey(nested, secret = "sk_there")]
    there: Option<Checked>,
}

#[derive(SikkerKeyConfig)]
struct Deeper {
    #[sikkerkey(nested)]
    inner: Optional,
    #[sikkerkey(nested)]
    maybe: Option<Optional>,
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(inherit, validate = "Checked::validate")]
struct Checked {
    #[sikkerkey(default = 7)]
    a: u16,
    b: Option<u16>,
}

impl Checked {
    fn validate(&self) -> Result<(), &'static str> {
        if self.a == 7 { Err("a is 7") } else { Ok(()) }
    }
}

#[test]
fn validate_does_not_run_where_nothing_of_an_optional_struct_is_there() {
    let config = WithOptional::from_snapshot(&Snapshot::default()).unwrap();
    assert!(config.optional.is_none() && config.boxed.is_none() && config.there.is_none());
    assert!(config.deeper.is_none());
    let _ = config
        .deeper
        .map(|deeper| (deeper.inner.a, deeper.maybe.is_some()));

    let some = Snapshot::from_iter([("sk_there", r#"{"b": 1}"#)]);
    let Err(error) = WithOptional::from_snapshot(&some) else {
        panic!("validate refuses it");
    };
    assert_eq!(error.problems()[0].kind(), ProblemKind::Validation);
    assert_eq!(error.problems()[0].path(), "there");
    let good = Snapshot::from_iter([("sk_there", r#"{"a": 1, "b": 1}"#)]);
    let there = WithOptional::from_snapshot(&good).unwrap().there.unwrap();
    assert_eq!((there.a, there.b), (1, Some(1)));
}

/// Generic over the kind of its text, which a plain path to it would not be.
fn length<S: AsRef<str>>(text: S) -> Result<usize, &'static str> {
    Ok(text.as_ref().len())
}

#[derive(SikkerKeyConfig)]
struct Functions {
    #[sikkerkey(secret = "sk_a", with = "length")]
    length: usize,
    #[sikkerkey(secret = "sk_a", with = str::parse::<u8>)]
    parsed: u8,
}

#[test]
fn a_function_that_is_generic_over_its_text_reads_a_value() {
    let config = Functions::from_snapshot(&Snapshot::from_iter([("sk_a", "42")])).unwrap();
    assert_eq!((config.length, config.parsed), (2, 42));
}

#[derive(SikkerKeyConfig)]
struct There {
    #[sikkerkey(nested)]
    back: Option<Box<Back>>,
}

#[derive(SikkerKeyConfig)]
struct Back {
    #[sikkerkey(nested)]
    there: Option<Box<There>>,
}

#[test]
#[should_panic(expected = "the config There nests itself: back.there.back.there.")]
fn a_config_that_nests_itself_is_refused() {
    let _ = |there: There| there.back.is_some_and(|back| back.there.is_some());
    let _ = There::schema();
}

macro_rules! names_of_serde {
    ($($rule:literal)*) => {
        #[test]
        fn rename_all_has_the_names_of_serde() {
            $({
                #[allow(non_snake_case)]
                #[derive(serde::Serialize, SikkerKeyConfig)]
                #[sikkerkey(secret = "sk_a", rename_all = $rule)]
                #[serde(rename_all = $rule)]
                struct Names {
                    host: Option<u8>,
                    api_key: Option<u8>,
                    api_key_2: Option<u8>,
                    URL_path: Option<u8>,
                    aPI_key: Option<u8>,
                    alreadyCamel: Option<u8>,
                    SHOUTING_NAME: Option<u8>,
                    straße: Option<u8>,
                    größe_in_ß: Option<u8>,
                    ends_: Option<u8>,
                    two__lines: Option<u8>,
                    x: Option<u8>,
                    r#type: Option<u8>,
                    _leading: Option<u8>,
                    a1_2b: Option<u8>,
                }
                let schema = Names::schema();
                let ours: Vec<_> = schema.iter().filter_map(|one| one.field()).collect();
                let none = Names::from_snapshot(&Snapshot::from_iter([("sk_a", "{}")])).unwrap();
                let json = serde_json::to_string(&none).unwrap();
                let serdes: Vec<_> = json.split('"').skip(1).step_by(2).collect();
                assert_eq!(ours, serdes, "{}", $rule);
            })*
        }
    };
}

names_of_serde! {
    "lowercase" "UPPERCASE" "PascalCase" "camelCase" "snake_case" "SCREAMING_SNAKE_CASE"
    "kebab-case" "SCREAMING-KEBAB-CASE"
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_counted", resync = "never")]
struct Counting {
    #[sikkerkey(nested)]
    login: Credentials,
    #[sikkerkey(nested, secret = "sk_other")]
    other: Credentials,
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(inherit)]
struct Credentials {
    user: String,
    #[sikkerkey(nested)]
    more: Option<Realm>,
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(inherit)]
struct Realm {
    realm: String,
}

#[test]
fn a_secret_that_is_inherited_keeps_its_resync() {
    let schema = Counting::schema();
    let never = Some(Resync::Never);
    assert_eq!(
        resyncs(&schema),
        [
            ("login.user", never),
            ("login.more.realm", never),
            ("other.user", None),
            ("other.more.realm", None),
        ]
    );
}
