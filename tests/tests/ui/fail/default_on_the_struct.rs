use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a", default)]
struct Config {
    a: String,
}

fn main() {}
