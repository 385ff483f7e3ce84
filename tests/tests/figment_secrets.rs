//! A config struct's secrets as a layer of figment.
// A test fails by panicking; the error is figment's own.
#![allow(clippy::result_large_err)]

use std::collections::BTreeMap;

use figment::providers::{Format, Toml};
use figment::value::Dict;
use figment::{Figment, Jail, Profile};
use serde::Deserialize;
use sikkerkey::{ExposeSecret, SecretString, SikkerKey, SikkerKeyConfig};
use sikkerkey_emulator::{Emulator, Fault};
use sikkerkey_figment::{FigmentExt, Secrets};
use sikkerkey_tests::emulator;

#[derive(Debug, Deserialize, SikkerKeyConfig)]
struct AppConfig {
    #[sikkerkey(secret = "sk_stripe_key")]
    stripe: SecretString,
    #[sikkerkey(nested)]
    db: Database,
    #[sikkerkey(secret = "sk_flags", json)]
    flags: Flags,
    #[sikkerkey(name = "SENTRY DSN")]
    sentry: Option<String>,
    #[sikkerkey(secret = "sk_hosts", delimiter = ",")]
    hosts: Vec<String>,
    #[sikkerkey(secret = "sk_ports", delimiter = ";")]
    #[serde(default)]
    ports: Option<Vec<u16>>,
}

#[derive(Debug, Deserialize, SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db_prod", rename_all = "SCREAMING_SNAKE_CASE")]
struct Database {
    host: String,
    #[sikkerkey(default = 5432)]
    #[serde(default)]
    port: u16,
    #[sikkerkey(field = "username")]
    user: String,
    pass_word: SecretString,
    #[sikkerkey(default = false)]
    #[serde(default)]
    tls: bool,
}

#[derive(Debug, Deserialize)]
struct Flags {
    beta: bool,
    weights: Vec<f64>,
}

fn vault() -> Emulator {
    emulator()
        .secret("sk_stripe_key", "982451653")
        .structured(
            "sk_db_prod",
            [
                ("HOST", "db.example.com"),
                ("PORT", "5433"),
                ("username", "app"),
                ("PASS_WORD", "12345"),
                ("TLS", "true"),
            ],
        )
        .json("sk_flags", r#"{"beta": true, "weights": [1, 0.5]}"#)
        .secret("sk_hosts", "a, b")
        .secret("sk_ports", "1;2")
        .start()
        .unwrap()
}

fn client(vault: &Emulator) -> SikkerKey {
    SikkerKey::new(vault.identity_path().display().to_string()).unwrap()
}

fn reads(vault: &Emulator) -> usize {
    let requests = vault.requests();
    let reads = requests
        .iter()
        .filter(|r| r.path.starts_with("/v1/secret/"));
    reads.count()
}

#[test]
fn every_key_is_filled_by_the_kind_of_its_field() {
    let vault = vault();
    let figment = Figment::from(Secrets::of::<AppConfig>(&client(&vault)));
    let config: AppConfig = figment.extract_secret().unwrap();
    assert_eq!(config.stripe.expose_secret(), "982451653");
    assert_eq!(
        (
            config.db.host.as_str(),
            config.db.port,
            config.db.user.as_str()
        ),
        ("db.example.com", 5433, "app")
    );
    assert_eq!(config.db.pass_word.expose_secret(), "12345");
    assert!(config.db.tls && config.flags.beta);
    assert_eq!(config.flags.weights, [1.0, 0.5]);
    assert_eq!(config.hosts, ["a", "b"]);
    assert_eq!(config.ports.as_deref(), Some([1, 2].as_slice()));
    assert_eq!(config.sentry, None);
    assert_eq!(reads(&vault), 5, "five secrets, five reads");
}

#[test]
fn the_keys_are_the_schemas_and_no_others() {
    let vault = vault();
    vault.put_structured(
        "sk_db_prod",
        [
            ("HOST", "h"),
            ("username", "u"),
            ("PASS_WORD", "p"),
            ("more", "x"),
        ],
    );
    let figment = Figment::from(Secrets::of::<AppConfig>(&client(&vault)));
    let keys: Vec<String> = figment
        .extract_inner::<Dict>("db")
        .unwrap()
        .into_keys()
        .collect();
    assert_eq!(
        keys,
        ["host", "pass_word", "user"],
        "rename_all is of the secret's side"
    );
    let keys: Vec<String> = figment.extract::<Dict>().unwrap().into_keys().collect();
    assert_eq!(keys, ["db", "flags", "hosts", "ports", "stripe"]);
}

#[test]
fn what_is_missing_and_not_required_is_left_to_other_layers() {
    let vault = vault();
    vault.put_structured(
        "sk_db_prod",
        [("HOST", "h"), ("username", "u"), ("PASS_WORD", "p")],
    );
    let config: AppConfig = Figment::from(Toml::string(
        "sentry = 'https://x'\n[db]\nport = 1\nhost = 'old'",
    ))
    .merge(Secrets::of::<AppConfig>(&client(&vault)))
    .extract()
    .unwrap();
    assert_eq!((config.db.port, config.db.host.as_str()), (1, "h"));
    assert_eq!(config.sentry.as_deref(), Some("https://x"));
}

#[test]
fn of_two_providers_that_set_a_key_merge_takes_the_later_and_join_the_earlier() {
    let vault = vault();
    let secrets = Secrets::of::<Database>(&client(&vault));
    let file = || Toml::string("host = 'file'");
    let host = |figment: Figment| figment.extract_inner::<String>("host").unwrap();
    assert_eq!(
        host(Figment::from(file()).merge(secrets.clone())),
        "db.example.com"
    );
    assert_eq!(host(Figment::from(file()).join(secrets.clone())), "file");
    assert_eq!(host(Figment::from(secrets).merge(file())), "file");
    assert_eq!(reads(&vault), 1, "clones share what was read");
}

#[test]
fn nothing_is_read_before_it_is_merged() {
    let vault = vault();
    let secrets = Secrets::of::<AppConfig>(&client(&vault));
    assert!(
        format!("{secrets:?}").contains(r#""db.pass_word": "sikkerkey://sk_db_prod/PASS_WORD""#)
    );
    assert_eq!(vault.request_count(), 0);
}

#[test]
fn keys_stand_in_the_profile_that_was_asked_for() {
    let vault = vault();
    let secrets = Secrets::of::<Database>(&client(&vault));
    let figment =
        Figment::from(Toml::string("host = 'file'")).merge(secrets.clone().profile("staging"));
    let host = |figment: &Figment| figment.extract_inner::<String>("host").unwrap();
    assert_eq!(host(&figment), "file");
    assert_eq!(host(&figment.clone().select("staging")), "db.example.com");
    assert_eq!(host(&figment.clone().select("no such profile")), "file");
    let global = figment.merge(secrets.global());
    assert_eq!(host(&global), "db.example.com");
    assert_eq!(
        global.profile(),
        &Profile::Default,
        "no profile is selected"
    );
}

#[test]
fn a_type_error_points_at_vault_secret_and_field_and_shows_no_value() {
    #[derive(Debug, Deserialize)]
    struct Wrong {
        #[allow(dead_code)]
        db: WrongDatabase,
    }
    #[derive(Debug, Deserialize)]
    struct WrongDatabase {
        #[allow(dead_code)]
        user: u16,
    }
    let vault = vault();
    let sk = client(&vault);
    let figment = Figment::from(Secrets::of::<AppConfig>(&sk));
    let error = figment.extract_secret::<Wrong>().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "invalid type: found string, expected u16 for key \
             \"default.db.user (sikkerkey://sk_db_prod/username)\" in {} SikkerKey vault",
            sk.vault_id()
        )
    );
    let metadata = figment.find_metadata("db.user").unwrap();
    assert_eq!(metadata.name, "SikkerKey vault");
    assert_eq!(
        metadata.source.as_ref().unwrap().custom(),
        Some(sk.vault_id())
    );
}

#[test]
fn all_problems_are_one_chain_that_names_each() {
    let vault = vault();
    vault.deny("sk_stripe_key");
    vault.put("sk_db_prod", "hunter2");
    vault.put("sk_flags", "hunter2");
    vault.delete("sk_hosts");
    let figment = Figment::from(Secrets::of::<AppConfig>(&client(&vault)));
    let error = figment.extract_secret::<AppConfig>().unwrap_err();
    let text = error.to_string();
    for said in [
        "SikkerKey: stripe: sk_stripe_key: denied",
        "SikkerKey: db.host: sk_db_prod/HOST: not structured",
        "SikkerKey: db.pass_word: sk_db_prod/PASS_WORD: not structured",
        "SikkerKey: flags: sikkerkey://sk_flags: the value is not JSON",
        "SikkerKey: hosts: sk_hosts: missing",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    assert!(text.contains("SikkerKey vault"), "{text}");
    assert!(!format!("{text}{error:?}").contains("hunter2"), "{text}");
    // What cannot be structured cannot have a default field either.
    assert_eq!(error.count(), 8, "{text}");
    let first = error.into_iter().next().unwrap().to_string();
    assert!(
        first.contains("stripe"),
        "in the order of the fields: {first}"
    );
}

#[test]
fn a_part_of_an_optional_struct_names_what_it_lacks() {
    #[derive(Debug, Deserialize, SikkerKeyConfig)]
    struct Outer {
        #[sikkerkey(nested)]
        #[serde(default)]
        replica: Option<Replica>,
    }
    #[derive(Debug, Deserialize, SikkerKeyConfig)]
    #[sikkerkey(secret = "sk_replica")]
    struct Replica {
        host: String,
        #[sikkerkey(default = 5432)]
        #[serde(default)]
        port: u16,
        user: Option<String>,
        #[sikkerkey(secret = "sk_replica_password")]
        password: SecretString,
    }
    let vault = emulator().start().unwrap();
    let sk = client(&vault);
    let extracted = || Figment::from(Secrets::of::<Outer>(&sk)).extract_secret::<Outer>();
    assert!(extracted().unwrap().replica.is_none());

    vault.put_structured("sk_replica", [("port", "6000")]);
    let error = extracted().unwrap_err();
    let text = error.to_string();
    for said in [
        "SikkerKey: replica.host: sk_replica/host: no field \"host\"",
        "SikkerKey: replica.password: sk_replica_password: missing",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    assert_eq!(error.count(), 2, "{text}");

    vault.put_structured("sk_replica", [("host", "replica.internal")]);
    vault.put("sk_replica_password", "of-the-replica");
    let replica = extracted().unwrap().replica.unwrap();
    assert_eq!(
        (replica.host.as_str(), replica.port),
        ("replica.internal", 0)
    );
    assert_eq!(replica.user, None);
    assert_eq!(replica.password.expose_secret(), "of-the-replica");
}

#[test]
fn integers_of_128_bits_are_read_by_a_function_and_refused_in_words() {
    #[derive(Debug, PartialEq, Deserialize, SikkerKeyConfig)]
    #[sikkerkey(secret = "sk_wide")]
    struct Wide {
        #[serde(deserialize_with = "sikkerkey_figment::wide_integer")]
        unsigned: u128,
        #[serde(deserialize_with = "sikkerkey_figment::wide_integer")]
        signed: i128,
        #[serde(default, deserialize_with = "sikkerkey_figment::wide_integer")]
        maybe: Option<i128>,
    }
    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Plain {
        unsigned: u128,
    }
    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Maybe {
        signed: Option<i128>,
    }
    let vault = emulator().start().unwrap();
    let sk = client(&vault);
    for (unsigned, signed, maybe) in [
        (u128::MAX.to_string(), i128::MIN.to_string(), None),
        ("0".to_owned(), "-1".to_owned(), Some("7".to_owned())),
        (
            u64::MAX.to_string(),
            i128::MAX.to_string(),
            Some(i64::MIN.to_string()),
        ),
    ] {
        let fields = [
            ("unsigned", Some(unsigned)),
            ("signed", Some(signed)),
            ("maybe", maybe),
        ];
        let fields = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        vault.put_structured("sk_wide", fields);
        let figment = Figment::from(Secrets::of::<Wide>(&sk));
        let extracted: Wide = figment.extract_secret().unwrap();
        assert_eq!(extracted, Wide::load(&sk).unwrap());
        for (text, integer) in [
            (
                figment.extract_secret::<Plain>().unwrap_err().to_string(),
                "u128",
            ),
            (
                figment.extract_secret::<Maybe>().unwrap_err().to_string(),
                "i128",
            ),
        ] {
            let said = format!(
                "figment deserializes no {integer}: add `#[serde(deserialize_with = \
                 \"sikkerkey_figment::wide_integer\")]`"
            );
            assert!(text.contains(&said), "{text}");
        }
    }
    // Its errors hold no number.
    let figment = |toml: &str| Figment::from(Toml::string(toml));
    for (toml, said) in [
        ("unsigned = -98765\nsigned = 1", "expected u128"),
        ("unsigned = \"98765\"\nsigned = 1", "expected u128"),
        ("unsigned = 1\nsigned = 9.8765", "expected i128"),
    ] {
        let error = figment(toml).extract::<Wide>().unwrap_err();
        let text = sikkerkey_figment::redact(error).to_string();
        assert!(text.contains(said) && !text.contains("8765"), "{text}");
    }
}

#[test]
fn stray_white_space_is_named_for_every_type() {
    #[derive(Debug, Deserialize, SikkerKeyConfig)]
    #[sikkerkey(secret = "sk_white")]
    #[allow(dead_code)]
    struct White {
        address: Option<std::net::IpAddr>,
        number: Option<u16>,
        switch: Option<bool>,
        #[sikkerkey(json)]
        json: Option<Vec<u8>>,
        #[sikkerkey(delimiter = ",")]
        list: Option<Vec<u16>>,
        #[sikkerkey(from_str)]
        parsed: Option<std::net::SocketAddr>,
    }
    let vault = emulator().start().unwrap();
    let sk = client(&vault);
    let (line_end, mark) = (
        "it has a space or a line end",
        "it begins with a byte order mark",
    );
    for (field, value, named) in [
        ("address", "10.0.0.1\n", line_end),
        ("address", "\u{feff}10.0.0.1", mark),
        ("number", "5432\n", line_end),
        ("number", "\u{feff}5432", mark),
        ("switch", "true\n", line_end),
        ("json", "\u{feff}[1]", mark),
        ("list", "\u{feff}1,2", mark),
        ("list", "1,2 3", line_end),
        ("parsed", "10.0.0.1:80\n", line_end),
    ] {
        vault.put_structured("sk_white", [(field, value)]);
        let by_figment = Figment::from(Secrets::of::<White>(&sk)).extract_secret::<White>();
        let texts = [
            by_figment.unwrap_err().to_string(),
            White::load(&sk).unwrap_err().to_string(),
        ];
        for text in texts {
            assert!(
                text.contains(named) && text.contains(field),
                "{value:?}: {text}"
            );
        }
    }
}

#[test]
fn an_outage_is_an_error_that_says_so() {
    let vault = vault();
    vault.fail_always(Fault::Status(500));
    let figment = Figment::from(Secrets::of::<AppConfig>(&client(&vault)));
    let text = figment.extract::<AppConfig>().unwrap_err().to_string();
    assert!(text.contains("stripe: sk_stripe_key: not read: "), "{text}");
    assert!(text.contains("500"), "{text}");
}

#[test]
fn names_are_looked_up_in_the_project_and_aliases_lead_elsewhere() {
    let vault = emulator()
        .secret("sk_a", "of-sk_a")
        .name("sk_a", "SENTRY DSN")
        .project("sk_a", "proj_a")
        .secret("sk_b", "of-sk_b")
        .name("sk_b", "SENTRY DSN")
        .project("sk_b", "proj_b")
        .secret("sk_c", "of-sk_c")
        .start()
        .unwrap();
    #[derive(SikkerKeyConfig)]
    #[allow(dead_code)]
    struct Named {
        #[sikkerkey(name = "SENTRY DSN")]
        sentry: String,
        #[sikkerkey(secret = "sk_named")]
        aliased: String,
    }
    let secrets = Secrets::of::<Named>(&client(&vault)).alias("sk_named", "sk_c");
    let both = |secrets: Secrets| {
        let figment = Figment::from(secrets);
        let both: figment::error::Result<(String, String)> = (|| {
            Ok((
                figment.extract_inner("sentry")?,
                figment.extract_inner("aliased")?,
            ))
        })();
        both
    };
    let expected = ("of-sk_b".to_owned(), "of-sk_c".to_owned());
    assert_eq!(both(secrets.clone().project("proj_b")).unwrap(), expected);
    let text = both(secrets).unwrap_err().to_string();
    assert!(
        text.contains("ambiguous") && text.contains("sk_a"),
        "{text}"
    );
}

#[test]
fn an_empty_schema_reads_nothing_and_fills_nothing() {
    #[derive(SikkerKeyConfig)]
    struct Empty {}
    let vault = vault();
    let figment = Figment::from(Secrets::of::<Empty>(&client(&vault)));
    assert!(figment.extract::<Dict>().unwrap().is_empty());
    assert_eq!(vault.request_count(), 0);
}

#[test]
fn a_file_and_the_environment_are_layers_beside_it() {
    let vault = vault();
    let sk = client(&vault);
    Jail::expect_with(|jail| {
        jail.create_file("App.toml", "[db]\nport = 1\nuser = 'file'")?;
        jail.set_env("APP_DB_USER", "environment");
        let config: AppConfig = Figment::new()
            .merge(Toml::file("App.toml"))
            .merge(Secrets::of::<AppConfig>(&sk))
            .merge(figment::providers::Env::prefixed("APP_").split("_"))
            .extract()?;
        assert_eq!(
            (config.db.port, config.db.user.as_str()),
            (5433, "environment")
        );
        Ok(())
    });
}

#[test]
fn a_whole_structured_secret_is_a_table_of_texts() {
    #[derive(Deserialize, SikkerKeyConfig)]
    struct Tenants {
        #[sikkerkey(secret = "sk_tenants")]
        tenants: BTreeMap<String, SecretString>,
        #[sikkerkey(secret = "sk_none", default)]
        #[serde(default)]
        none: BTreeMap<String, SecretString>,
    }
    let vault = emulator()
        .json("sk_tenants", r#"{"b": "two", "a": 12345, "gone": null}"#)
        .start()
        .unwrap();
    let sk = client(&vault);
    let shown = |config: &Tenants| {
        assert!(config.none.is_empty());
        let pairs = config.tenants.iter();
        pairs
            .map(|(name, value)| format!("{name}={}", value.expose_secret()))
            .collect()
    };
    let by_figment: Tenants = Figment::from(Secrets::of::<Tenants>(&sk))
        .extract()
        .unwrap();
    let loaded = Tenants::load(&sk).unwrap();
    let texts: Vec<String> = shown(&by_figment);
    assert_eq!(texts, ["a=12345", "b=two"]);
    assert_eq!(shown(&loaded), texts);

    let vault = emulator().secret("sk_tenants", "hunter2").start().unwrap();
    let refused = Figment::from(Secrets::of::<Tenants>(&client(&vault))).extract::<Tenants>();
    let Err(error) = refused else {
        panic!("a text without fields is not a table");
    };
    let said = error.to_string();
    assert!(
        said.contains("not a JSON object") && !said.contains("hunter2"),
        "{said}"
    );
}

/// What fills a config through `load` fills the same through figment, and what fails fails.
#[test]
fn load_and_figment_take_the_same_texts() {
    #[derive(Debug, PartialEq, Deserialize, SikkerKeyConfig)]
    #[sikkerkey(secret = "sk_texts")]
    struct Texts {
        #[sikkerkey(delimiter = "\n")]
        lines: Option<Vec<u16>>,
        #[sikkerkey(delimiter = " ")]
        words: Option<Vec<i8>>,
        #[sikkerkey(delimiter = "; ")]
        pairs: Option<Vec<String>>,
        unsigned: Option<u16>,
        signed: Option<i64>,
        float: Option<f64>,
        small: Option<f32>,
        path: Option<std::path::PathBuf>,
        flag: Option<bool>,
        letter: Option<char>,
        text: Option<String>,
    }

    let numbers = [
        "0",
        "-0",
        "+0",
        "00",
        "007",
        "-7",
        "+7",
        " 7",
        "7\n",
        "7 ",
        "",
        " ",
        "1_000",
        "0x7",
        "65535",
        "65536",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "1e3",
        "1.",
        ".5",
        "-0.0",
        "NaN",
        "inf",
        "-inf",
        "infinity",
        "1e999",
        "1e39",
        "-1e39",
        "3.4028235e38",
        "/x\n",
        "\u{feff}/x",
        "/a b",
        "٣",
    ];
    let lists = [
        "1\n2\n",
        "1\r\n2\r\n",
        "\n1",
        "1\n\n2",
        "1 2",
        " 1 2",
        "1  2",
        "1 2 ",
        "\n",
        "a; b",
        "a;b",
        "a; ",
        "; ",
        ";",
    ];
    let flags = [
        "true", "True", "TRUE", "false", "yes", "1", "0", "on", "true ",
    ];
    let letters = ["x", "xy", "é", "\n", "\u{0}", "\u{feff}x"];
    let fields = [
        "LINES", "WORDS", "PAIRS", "UNSIGNED", "SIGNED", "FLOAT", "SMALL", "PATH", "FLAG",
        "LETTER", "TEXT",
    ];
    let vault = emulator().start().unwrap();
    let sk = client(&vault);
    let mut filled = 0;
    let mut differences = Vec::new();
    for field in fields {
        for text in [&numbers[..], &lists, &flags, &letters].concat() {
            vault.put_structured("sk_texts", [(field.to_lowercase(), text.to_owned())]);
            let loaded = Texts::load(&sk);
            let figment = Figment::from(Secrets::of::<Texts>(&sk));
            let extracted = figment.extract_secret::<Texts>();
            match (loaded, extracted) {
                (Ok(loaded), Ok(extracted)) => {
                    // NaN equals nothing, itself included.
                    let same = loaded == extracted || text == "NaN";
                    assert!(same, "{field} {text:?}: {loaded:?}, {extracted:?}");
                    filled += 1;
                }
                (Err(_), Err(_)) => {}
                (loaded, extracted) => {
                    differences.push(format!("{field} {text:?}: {loaded:?}, {extracted:?}"))
                }
            }
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(filled > 50, "{filled} were filled");
}
