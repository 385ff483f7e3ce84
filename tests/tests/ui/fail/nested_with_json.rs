use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Inner {}

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(nested, json)]
    inner: Inner,
}

fn main() {}
