use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a", validate = "check")]
struct Config {
    a: String,
}

fn check(_: &Config) -> Option<String> {
    None
}

fn main() {}
