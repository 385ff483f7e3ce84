use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
#[sikkerkey(secret = "sk_dc")]
struct Config {
    host: String,
}

fn main() {}
