//! The Rocket example, asked through Rocket's local client, through a rotation.
// A test fails by panicking; the error is figment's own.
#![allow(clippy::result_large_err)]

#[path = "../../examples/services/rocket-service/service.rs"]
mod service;

use std::time::Duration;

use figment::Profile;
use rocket::http::Status;
use rocket::local::blocking::Client;
use sikkerkey::{Freshness, Live, SikkerKey};
use sikkerkey_emulator::Emulator;
use sikkerkey_tests::emulator;

use service::AppConfig;

/// Long enough for a machine under load; what is awaited comes within a poll of 50 ms.
const PATIENCE: Duration = Duration::from_secs(20);

const KEY: &str = "qclaEXAAe81NrWcAIMcrkkLl/wHyOy3yfJn4ovwsNbw=";

fn vault() -> (Emulator, SikkerKey) {
    let vault = emulator()
        .structured("sk_db_prod", [("url", "postgres://app_1:hunter2@db/app")])
        .secret("sk_rocket_key", KEY)
        .start()
        .unwrap();
    let sk = SikkerKey::builder()
        .identity_file(vault.identity_path())
        .poll_interval(Duration::from_millis(50))
        .build()
        .unwrap();
    (vault, sk)
}

fn client(sk: &SikkerKey, profile: &str) -> Client {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../examples/services/rocket-service/Rocket.toml"
    );
    let layers = service::layers(file, Profile::new(profile));
    let quiet = move || layers().merge(("log_level", "off"));
    let rocket = service::rocket(sk, quiet).unwrap();
    Client::tracked(rocket).unwrap()
}

#[track_caller]
fn body(client: &Client, path: &str) -> String {
    let response = client.get(path).dispatch();
    assert_eq!(response.status(), Status::Ok);
    response.into_string().unwrap()
}

#[test]
fn requests_see_the_config_before_and_after_a_rotation() {
    let (vault, sk) = vault();
    let client = client(&sk, "release");
    assert_eq!(body(&client, "/"), "hello");
    assert_eq!(body(&client, "/database"), "app_1 with 16 connections");
    let live = client.rocket().state::<Live<AppConfig>>().unwrap();
    let mut changes = live.subscribe();
    vault.put_structured("sk_db_prod", [("url", "postgres://app_2:x@db/app")]);
    assert_eq!(
        changes.recv_timeout(PATIENCE).unwrap().paths(),
        ["database.url"]
    );
    assert_eq!(body(&client, "/database"), "app_2 with 16 connections");
    assert!(body(&client, "/healthz").starts_with("fresh, generation 2"));

    vault.put("sk_db_prod", "no object");
    let refused = changes.recv_timeout(PATIENCE);
    assert!(matches!(
        refused,
        Err(sikkerkey::live::RecvError::Refused(_))
    ));
    assert_eq!(live.status().freshness(), Freshness::Degraded);
    assert_eq!(body(&client, "/database"), "app_2 with 16 connections");
}

#[test]
fn each_profile_reads_what_it_names() {
    let (vault, sk) = vault();
    let client = client(&sk, "debug");
    assert_eq!(body(&client, "/"), "hello, developer");
    assert_eq!(body(&client, "/database"), "app_1 with 4 connections");
    let asked = |path: &str| vault.requests().iter().any(|r| r.path == path);
    assert!(asked("/v1/secret/sk_db_prod"));
    assert!(
        !asked("/v1/secret/sk_rocket_key"),
        "only release has a key in SikkerKey"
    );
}

#[test]
fn the_key_of_private_cookies_comes_from_sikkerkey() {
    let (_vault, sk) = vault();
    let one = client(&sk, "release");
    let signed = one.post("/sign-in/ada").dispatch();
    let cookie = signed.cookies().get("name").unwrap().clone();
    assert!(!cookie.value().contains("ada"), "sealed");
    assert_eq!(body(&one, "/who"), "ada");
    // Another replica with the same key opens it.
    let other = client(&sk, "release");
    let response = other.get("/who").cookie(cookie).dispatch();
    assert_eq!(response.into_string().as_deref(), Some("ada"));
}
