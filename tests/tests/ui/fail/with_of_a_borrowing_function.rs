use sikkerkey::{SikkerKeyConfig, ValueError};

fn p(t: &str) -> Result<&str, ValueError> { Ok(t) }

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = "sk_a", with = "p")]
    a: &'static str,
}

fn main() {}
