use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(name = SENTRY_DSN)]
    a: String,
}

fn main() {}
