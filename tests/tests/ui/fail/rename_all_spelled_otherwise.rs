use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a", rename_all = "kebab_case")]
struct Config {
    a: String,
}

fn main() {}
