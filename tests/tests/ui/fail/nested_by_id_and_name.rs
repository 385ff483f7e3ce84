use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_d")]
struct D {
    x: u8,
}

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(nested, secret = "sk_a", name = "A")]
    a: D,
}

fn main() {}
