use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a", validate = "check")]
struct Config {
    a: String,
}

fn check(_: &mut Config) -> Result<(), &'static str> {
    Ok(())
}

fn main() {}
