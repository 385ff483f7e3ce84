use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Rest {}

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
struct Config {
    #[sikkerkey(rename = "username")]
    user: String,
    #[sikkerkey(flatten)]
    rest: Rest,
}

fn main() {}
