use sikkerkey::{SikkerKeyConfig, ValueError};

fn p(t: String) -> Result<u8, ValueError> { t.parse().map_err(|_| ValueError::new("")) }

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = "sk_a", with = "p")]
    a: u8,
}

fn main() {}
