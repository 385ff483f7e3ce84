use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a", rename_all = "")]
struct Config {
    a: String,
}

fn main() {}
