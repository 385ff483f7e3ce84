use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig, SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
struct Config {
    a: String,
}

fn main() {}
