use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(crate = "sikker key")]
struct Config {
    #[sikkerkey(secret = "sk_a")]
    host: String,
}

fn main() {}
