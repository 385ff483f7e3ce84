use sikkerkey::SikkerKeyConfig;

struct Inner {}

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(nested)]
    inner: Inner,
}

fn main() {}
