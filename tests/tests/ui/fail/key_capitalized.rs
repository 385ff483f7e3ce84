use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(Secret = "sk_a")]
    a: String,
}

fn main() {}
