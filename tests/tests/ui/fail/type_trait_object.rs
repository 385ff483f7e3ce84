use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
struct Config {
    a: Box<dyn std::fmt::Debug>,
}

fn main() {}
