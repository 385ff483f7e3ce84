use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
struct Config {
    #[sikkerkey(default = 5432)]
    host: String,
}

fn main() {}
