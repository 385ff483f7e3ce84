use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db", validate = "1 + 1")]
struct Config {
    host: String,
}

fn main() {}
