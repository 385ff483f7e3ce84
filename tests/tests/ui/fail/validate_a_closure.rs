use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a", validate = |_| Ok(()))]
struct Config {
    a: String,
}

fn main() {}
