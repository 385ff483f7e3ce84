//! Aliases and applications in the layers of a figment.
#![allow(clippy::result_large_err, reason = "the error is figment's own")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Format, Toml};
use serde::Deserialize;
use sikkerkey::{ErrorKind, Live, LoadOptions, SikkerKey, SikkerKeyConfig};
use sikkerkey_emulator::{Emulator, Kind};
use sikkerkey_figment::{Exported, FigmentExt, LiveFigment, References, Secrets};
use sikkerkey_tests::emulator;

#[derive(Debug, Deserialize, SikkerKeyConfig)]
struct Flagged {
    #[sikkerkey(secret = "sk_flags")]
    flags: u16,
}

fn vault() -> Emulator {
    emulator()
        .secret("sk_flags", "17")
        .secret("sk_flags_stg", "18")
        .structured("sk_db", [("host", "of-sk_db")])
        .structured("sk_db_stg", [("host", "of-sk_db_stg")])
        .secret("sk_app", "of-sk_app")
        .application("sk_app", "app_1")
        .secret("sk_trap", "of-sk_trap")
        .kind("sk_trap", Kind::Canary)
        .start()
        .unwrap()
}

fn client(vault: &Emulator) -> SikkerKey {
    SikkerKey::new(vault.identity_path()).unwrap()
}

fn staging() -> LoadOptions {
    LoadOptions::new().alias("sk_flags", "sk_flags_stg")
}

fn file() -> Figment {
    Figment::from(Toml::string("host = 'sikkerkey://sk_db/host'"))
}

#[test]
fn every_text_shows_both_ids() {
    let vault = vault();
    let secrets = || Secrets::of::<Flagged>(&client(&vault)).options(staging());
    let flagged: Flagged = Figment::from(secrets()).extract().unwrap();
    assert_eq!(flagged.flags, 18);
    vault.assert_reads_only(["sk_flags_stg"]);
    assert_eq!(
        format!("{:?}", secrets()),
        r#"{"flags": "sikkerkey://sk_flags -> sk_flags_stg"}"#
    );

    // The value does not fit, in the words of this crate.
    vault.put("sk_flags_stg", "many");
    let text = Figment::from(secrets())
        .extract::<Flagged>()
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("flags: sikkerkey://sk_flags -> sk_flags_stg: "),
        "{text}"
    );
    // And in those of figment.
    vault.put("sk_flags_stg", "18");
    #[derive(Debug, Deserialize)]
    struct Other {
        #[allow(dead_code, reason = "it does not fit")]
        flags: bool,
    }
    let text = Figment::from(secrets())
        .extract_secret::<Other>()
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("default.flags (sikkerkey://sk_flags -> sk_flags_stg)"),
        "{text}"
    );
    // The secret cannot be read.
    vault.deny("sk_flags_stg");
    let text = Figment::from(secrets())
        .extract::<Flagged>()
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("flags: sk_flags -> sk_flags_stg: denied"),
        "{text}"
    );

    vault.deny("sk_db_stg");
    let references = References::new(&client(&vault)).alias("sk_db", "sk_db_stg");
    let text = references.resolve(file()).unwrap_err().to_string();
    assert!(
        text.contains("sikkerkey://sk_db -> sk_db_stg/host: denied"),
        "{text}"
    );
}

#[test]
fn an_alias_that_fits_nothing_is_an_error_of_each_provider() {
    let vault = vault();
    let sk = client(&vault);
    let wrong = || LoadOptions::new().alias("sk_flag", "sk_flags_stg");
    let said = "the alias sk_flag -> sk_flags_stg fits no secret of the config";
    let secrets = Secrets::of::<Flagged>(&sk).options(wrong());
    let text = Figment::from(secrets.clone())
        .extract::<Flagged>()
        .unwrap_err()
        .to_string();
    assert!(
        text.contains(said) && text.contains("did you mean sk_flags?"),
        "{text}"
    );
    let references = References::new(&sk).options(wrong());
    let text = references.resolve(file()).unwrap_err().to_string();
    assert!(text.contains(said), "{text}");
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.unwrap();
    for figment in [file(), Figment::new()] {
        let resolved = runtime.block_on(references.resolve_async(figment));
        assert_eq!(resolved.unwrap_err().to_string(), text);
    }
    let in_a_layer = LiveFigment::new(&sk, move || Figment::from(secrets.clone()));
    let text = in_a_layer.live::<Flagged>().unwrap_err().to_string();
    assert!(text.contains(said), "{text}");
    assert_eq!(vault.request_count(), 0);
}

#[derive(Debug, Deserialize)]
struct Both {
    flags: u16,
    host: String,
}

#[test]
fn a_live_figment_has_the_aliases_of_all_its_layers() {
    let vault = vault();
    let sk = client(&vault);
    let aliases = [("sk_flags", "sk_flags_stg"), ("sk_db", "sk_db_stg")];
    let layers = {
        let sk = sk.clone();
        move || file().merge(Secrets::of::<Flagged>(&sk))
    };
    let live_figment = || LiveFigment::new(&sk, layers.clone());
    let options = LoadOptions::new().aliases(aliases);
    let once: Both = live_figment()
        .options(options.clone())
        .figment()
        .unwrap()
        .extract()
        .unwrap();
    assert_eq!((once.flags, &*once.host), (18, "of-sk_db_stg"));
    let live: Live<Both> = live_figment().options(options.clone()).live().unwrap();
    assert_eq!(
        (live.load().flags, &*live.load().host),
        (18, "of-sk_db_stg")
    );
    vault.assert_reads_only(["sk_flags_stg", "sk_db_stg"]);
    vault.put("sk_flags_stg", "19");
    live.refresh().unwrap();
    assert_eq!(live.load().flags, 19);
    vault.put("sk_flags_stg", "many");
    let text = live.refresh().unwrap_err().to_string();
    assert!(
        text.contains("sikkerkey://sk_flags -> sk_flags_stg"),
        "{text}"
    );

    for wrong in [
        options.alias("sk_other", "sk_db_stg"),
        LoadOptions::new().alias("sk_flags", "sk_flags"),
    ] {
        vault.clear_requests();
        let text = live_figment()
            .options(wrong.clone())
            .live::<Both>()
            .unwrap_err()
            .to_string();
        assert!(text.contains("the alias sk_"), "{text}");
        let text = live_figment()
            .options(wrong)
            .figment()
            .unwrap_err()
            .to_string();
        assert!(text.contains("the alias sk_"), "{text}");
    }
}

#[test]
fn the_aliases_of_a_layer_come_before_those_of_the_live_figment() {
    let vault = vault();
    let sk = client(&vault);
    let layers = {
        let sk = sk.clone();
        move || Figment::from(Secrets::of::<Flagged>(&sk).alias("sk_flags", "sk_inner"))
    };
    let live = LiveFigment::new(&sk, layers).alias("sk_inner", "sk_flags_stg");
    let live: Live<Flagged> = live.live().unwrap();
    assert_eq!(live.load().flags, 18);
    vault.assert_reads_only(["sk_flags_stg"]);
}

#[test]
fn a_secret_that_a_file_names_later_needs_an_alias_too_where_they_are_strict() {
    let vault = vault();
    let sk = client(&vault);
    let key = Arc::new(Mutex::new("sk_db"));
    let layers = {
        let key = Arc::clone(&key);
        move || {
            let reference = format!("host = 'sikkerkey://{}/host'", key.lock().unwrap());
            Figment::from(Toml::string(&reference))
        }
    };
    #[derive(Deserialize)]
    struct Host {
        host: String,
    }
    let options = LoadOptions::new()
        .alias("sk_db", "sk_db_stg")
        .strict_aliases();
    let live: Live<Host> = LiveFigment::new(&sk, layers)
        .options(options)
        .live_with(|loader| loader.refresh_gap(Duration::ZERO))
        .unwrap();
    *key.lock().unwrap() = "sk_other";
    let text = live.refresh().unwrap_err().to_string();
    assert!(text.contains("strict aliases: it has no alias"), "{text}");
    assert_eq!(live.load().host, "of-sk_db_stg");
    vault.assert_reads_only(["sk_db_stg"]);
    *key.lock().unwrap() = "sk_db";
    assert!(live.refresh().is_ok());
}

#[test]
fn a_layer_may_refuse_canaries_and_so_may_a_live_figment() {
    #[derive(Debug, Deserialize, SikkerKeyConfig)]
    struct Trapped {
        #[sikkerkey(secret = "sk_trap")]
        #[allow(dead_code, reason = "it is not read")]
        trap: Option<String>,
    }
    let vault = vault();
    let sk = client(&vault);
    let refusing = || LoadOptions::new().refuse_canaries();
    let said = "trap: sk_trap: a canary: reading it raises an alarm";
    let secrets = Secrets::of::<Trapped>(&sk).options(refusing());
    let text = Figment::from(secrets.clone())
        .extract::<Trapped>()
        .unwrap_err()
        .to_string();
    assert!(text.contains(said), "{text}");
    let inner = LiveFigment::new(&sk, move || Figment::from(secrets.clone()));
    let text = inner.live::<Trapped>().unwrap_err().to_string();
    assert!(text.contains(said), "{text}");
    let plain = {
        let sk = sk.clone();
        move || Figment::from(Secrets::of::<Trapped>(&sk))
    };
    let outer = LiveFigment::new(&sk, plain).options(refusing());
    let text = outer.live::<Trapped>().unwrap_err().to_string();
    assert!(text.contains(said), "{text}");
    assert!(vault.alarms().is_empty());
}

#[test]
fn an_application_is_exported_as_a_layer() {
    let vault = vault();
    let sk = client(&vault);
    let figment = Figment::from(Exported::application(&sk, "app_1"));
    assert_eq!(
        figment.extract_inner::<String>("sk_app").unwrap(),
        "of-sk_app"
    );
    vault.assert_reads_only(["sk_app"]);
    let text = Figment::from(Exported::application(&sk, "no/id"))
        .extract_inner::<String>("sk_app")
        .unwrap_err()
        .to_string();
    assert!(text.contains("is not an id"), "{text}");
    let _: ErrorKind = sk.export_application("no/id").unwrap_err().kind();
}
