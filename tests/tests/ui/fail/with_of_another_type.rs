use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
struct Config {
    #[sikkerkey(with = "parse_key")]
    key: [u8; 4],
}

fn parse_key(_: &str) -> Result<u16, &'static str> {
    Ok(1)
}

fn main() {}
