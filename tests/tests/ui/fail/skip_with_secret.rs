use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(skip, secret = "sk_a", json)]
    key: u16,
}

fn main() {}
