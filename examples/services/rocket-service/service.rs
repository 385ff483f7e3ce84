//! The service itself: its configuration, the request guard, and the routes.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

use rocket::http::{Cookie, CookieJar, Status};
use rocket::request::{FromRequest, Outcome, Request};
use rocket::{Build, Rocket, State, get, post, routes};
use serde::Deserialize;
use sikkerkey::{ExposeSecret, Freshness, Live, SecretString, SikkerKey};
use sikkerkey_figment::figment::providers::{Env, Format, Toml};
use sikkerkey_figment::figment::{Figment, Profile};
use sikkerkey_figment::{FigmentExt, LiveFigment};

/// The service's own part of `Rocket.toml`.
#[derive(Debug, Deserialize)]
pub(crate) struct AppConfig {
    /// The text of the greeting.
    pub(crate) greeting: String,
    /// The database.
    pub(crate) database: Database,
}

/// One table of the file: a secret and a plain value side by side.
#[derive(Debug, Deserialize)]
pub(crate) struct Database {
    /// It contains the password, so the whole URL is a secret.
    pub(crate) url: SecretString,
    /// The number of connections.
    pub(crate) pool: u32,
}

/// The layers: Rocket's defaults, the file by profile, the environment. They are merged again for
/// each rotation.
pub(crate) fn layers(
    file: &'static str,
    profile: Profile,
) -> impl Fn() -> Figment + Send + 'static {
    move || {
        Figment::from(rocket::Config::default())
            .merge(Toml::file(file).nested())
            .merge(Env::prefixed("ROCKET_").ignore(&["PROFILE"]).global())
            .select(profile.clone())
    }
}

/// The service, configured.
///
/// # Errors
///
/// If the configuration is wrong, or a secret that it names.
pub(crate) fn rocket(
    sk: &SikkerKey,
    layers: impl Fn() -> Figment + Send + 'static,
) -> Result<Rocket<Build>, Box<dyn Error>> {
    let figment = LiveFigment::new(sk, layers);
    // Rocket reads its own part once, at the start, and prints its mistakes: `vetted` keeps secrets
    // out of that output.
    let own = figment.figment()?.vetted::<rocket::Config>();
    let live: Live<AppConfig> = figment.live()?;
    Ok(rocket::custom(own)
        .manage(live)
        .mount("/", routes![index, database, sign_in, who, health]))
}

/// The request guard: the configuration at the time of the request. It stays the same during the
/// request, even if a secret rotates.
pub(crate) struct Current(Arc<AppConfig>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Current {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        match request.rocket().state::<Live<AppConfig>>() {
            Some(live) => Outcome::Success(Current(live.get())),
            None => Outcome::Forward(Status::InternalServerError),
        }
    }
}

#[get("/")]
fn index(config: Current) -> String {
    config.0.greeting.clone()
}

/// Stands for a connection. It shows the user in the URL, never the password.
#[get("/database")]
fn database(config: Current) -> String {
    let Database { url, pool } = &config.0.database;
    let user = url.expose_secret().split("://").nth(1);
    let user = user.and_then(|rest| rest.split(':').next());
    format!("{} with {pool} connections", user.unwrap_or("nobody"))
}

/// A private cookie is sealed with `secret_key`.
#[post("/sign-in/<name>")]
fn sign_in(name: &str, cookies: &CookieJar<'_>) {
    cookies.add_private(Cookie::new("name", name.to_owned()));
}

#[get("/who")]
fn who(cookies: &CookieJar<'_>) -> Option<String> {
    let cookie = cookies.get_private("name")?;
    Some(cookie.value().to_owned())
}

/// 200 while a config serves, even a stale one: with a 503, an outage of SikkerKey would take out all
/// replicas at the same moment.
#[get("/healthz")]
fn health(live: &State<Live<AppConfig>>) -> String {
    let status = live.status();
    let degraded = status.freshness() != Freshness::Fresh;
    format!("{status}; degraded: {degraded}")
}
