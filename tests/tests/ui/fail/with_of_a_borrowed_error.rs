use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
struct Config {
    #[sikkerkey(with = "parse")]
    a: u16,
}

fn parse(text: &str) -> Result<u16, &str> {
    text.parse().map_err(|_| text)
}

fn main() {}
