use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
struct Config {
    #[sikkerkey(resync = "")]
    a: String,
}

fn main() {}
