use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerky(secret = "sk_a")]
struct Config {
    a: String,
}

fn main() {}
