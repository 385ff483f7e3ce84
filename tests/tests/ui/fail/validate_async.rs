use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a", validate = "check")]
struct Config {
    a: String,
}

async fn check(_: &Config) -> Result<(), &'static str> {
    Ok(())
}

fn main() {}
