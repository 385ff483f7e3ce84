use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
struct Config {
    #[sikkerkey(with = "parse")]
    a: Option<u16>,
}

fn parse(text: &str) -> Result<Option<u16>, &'static str> {
    Ok(text.parse().ok())
}

fn main() {}
