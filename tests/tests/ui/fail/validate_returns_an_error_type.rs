use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db", validate = "check")]
struct Config {
    host: String,
}

fn check(_: &Config) -> Result<(), std::fmt::Error> {
    Ok(())
}

fn main() {}
