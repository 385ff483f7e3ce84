use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(s = "sk_a")]
    a: String,
}

fn main() {}
