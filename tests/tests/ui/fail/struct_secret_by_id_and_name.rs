use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db", name = "DB")]
struct Config {
    host: String,
}

fn main() {}
