use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = "sk_a\n")]
    a: String,
}

fn main() {}
