use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = "sk_a", "sk_b")]
    a: String,
}

fn main() {}
