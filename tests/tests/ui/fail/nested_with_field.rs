use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Inner {}

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(nested, secret = "sk_a", field = "b")]
    inner: Inner,
}

fn main() {}
