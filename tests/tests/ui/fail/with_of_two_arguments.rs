use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
struct Config {
    #[sikkerkey(with = "parse")]
    a: u16,
}

fn parse(text: &str, _radix: u32) -> Result<u16, &'static str> {
    text.parse().map_err(|_| "no number")
}

fn main() {}
