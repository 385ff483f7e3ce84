use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
struct Config {
    #[sikkerkey(field = "a", default = 1)]
    #[sikkerkey(field = "b")]
    port: u16,
}

fn main() {}
