use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
struct Config {
    #[sikkerkey(resync = "30m1h")]
    a: String,
}

fn main() {}
