use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a", skip)]
struct Config {
    a: String,
}

fn main() {}
