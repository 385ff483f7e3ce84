use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "")]
struct Config {
    host: String,
}

fn main() {}
