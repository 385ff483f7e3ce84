use sikkerkey::{SikkerKeyConfig, ValueError};

async fn p(t: &str) -> Result<u8, ValueError> { let _ = t; Ok(1) }

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = "sk_a", with = "p")]
    a: u8,
}

fn main() {}
