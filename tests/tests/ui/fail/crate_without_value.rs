use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a", crate)]
struct Config {
    a: String,
}

fn main() {}
