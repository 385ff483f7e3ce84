use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = 5)]
struct Config {
    host: String,
}

fn main() {}
