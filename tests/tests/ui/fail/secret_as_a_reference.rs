use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = "sikkerkey://sk_a/password")]
    a: String,
    #[sikkerkey(secret = "sikkerkey://sk_b")]
    b: String,
}

fn main() {}
