use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Inner {}

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
struct Config {
    inner: Inner,
}

fn main() {}
