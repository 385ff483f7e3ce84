use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
struct Config {
    #[sikkerkey(with = parse_key)]
    key: u16,
}

fn parse_key(_: &str) -> u16 {
    1
}

fn main() {}
