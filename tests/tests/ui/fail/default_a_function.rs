use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
struct Config {
    #[sikkerkey(default = five)]
    a: u16,
}

fn five() -> u16 {
    5
}

fn main() {}
