use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(resync = "never")]
struct Config {
    #[sikkerkey(secret = "sk_a")]
    a: String,
}

fn main() {}
