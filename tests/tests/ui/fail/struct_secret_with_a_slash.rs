use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db/host")]
struct Config {
    host: String,
}

fn main() {}
