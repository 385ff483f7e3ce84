use sikkerkey::SikkerKeyConfig;

struct T;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secert = "sk_a", validate = "Config::nothing")]
struct Config {
    a: T,
    #[sikkerkey(secret = "sk a", json)]
    b: T,
    #[sikkerkey(secret = "sk_c", default = "x")]
    c: u16,
    #[sikkerkey(secret = "sk_d", default = 5)]
    d: String,
    #[sikkerkey(skip)]
    e: T,
}

fn main() {}
