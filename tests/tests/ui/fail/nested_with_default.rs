use sikkerkey::SikkerKeyConfig;

#[derive(Default, SikkerKeyConfig)]
struct Inner {}

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(nested, default)]
    inner: Inner,
}

fn main() {}
