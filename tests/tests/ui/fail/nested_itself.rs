use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
struct Config {
    x: u8,
    #[sikkerkey(nested)]
    next: Option<Box<Config>>,
}

fn main() {}
