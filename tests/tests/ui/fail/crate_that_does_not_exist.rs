use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(crate = "no_such_crate", secret = "sk_a")]
struct Config {
    a: String,
    b: u16,
}

fn main() {}
