use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db", rename_all = "dromedaryCase")]
struct Config {
    host: String,
}

fn main() {}
