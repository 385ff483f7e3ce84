use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sikkerkey://sk_db/host")]
struct Config {
    a: String,
}

fn main() {}
