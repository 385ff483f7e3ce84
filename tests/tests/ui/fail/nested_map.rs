use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_d")]
struct D {
    x: u8,
}

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(nested)]
    a: std::collections::HashMap<String, D>,
}

fn main() {}
