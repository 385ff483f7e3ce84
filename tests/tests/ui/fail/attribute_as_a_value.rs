use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
struct Config {
    #[sikkerkey = "host"]
    host: String,
}

fn main() {}
