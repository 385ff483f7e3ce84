use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db", validate = "check")]
struct Config {
    host: String,
}

fn check(_: &u16) -> Result<(), &'static str> {
    Ok(())
}

fn main() {}
