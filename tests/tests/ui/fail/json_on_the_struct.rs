use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db", json)]
struct Config {
    host: String,
}

fn main() {}
