use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
struct Config {
    #[sikkerkey(default = 70000)]
    port: u16,
    #[sikkerkey(default = 5.5)]
    n: u8,
    #[sikkerkey(default = "true")]
    on: bool,
    #[sikkerkey(default = None)]
    o: Option<u8>,
    #[sikkerkey(default = "x".to_string())]
    c: char,
}

fn main() {}
