use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
struct Config {
    #[sikkerkey(xyzzy)]
    port: u16,
}

fn main() {}
