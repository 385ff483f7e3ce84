use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
struct Config {
    #[sikkerkey(delimiter = ",", with = "parse", json)]
    ports: Vec<u16>,
}

fn main() {}
