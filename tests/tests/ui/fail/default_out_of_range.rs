use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
struct Config {
    #[sikkerkey(default = 70000)]
    a: u16,
}

fn main() {}
