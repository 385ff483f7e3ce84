use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(skip, secret = "sk_a", field = "x", name = "N", json, with = "p", default = 5)]
    a: u8,
}

fn main() {}
