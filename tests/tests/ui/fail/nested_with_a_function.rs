use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_d")]
struct D {
    x: u8,
}

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(nested, with = "make")]
    a: D,
}

fn make(_: &str) -> Result<D, &'static str> {
    Ok(D { x: 1 })
}

fn main() {}
