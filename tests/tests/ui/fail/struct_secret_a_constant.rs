use sikkerkey::SikkerKeyConfig;

const ID: &str = "sk_db";

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = ID)]
struct Config {
    host: String,
}

fn main() {}
