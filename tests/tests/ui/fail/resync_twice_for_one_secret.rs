use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a", resync = "1h")]
struct Config {
    #[sikkerkey(resync = "never")]
    a: String,
    #[sikkerkey(secret = "sk_a", field = "b", resync = "60m")]
    b: String,
    #[sikkerkey(secret = "sk_b", resync = "never")]
    c: String,
    #[sikkerkey(nested, secret = "sk_b", resync = "1d")]
    d: D,
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(inherit)]
struct D { x: u8 }

fn main() {}
