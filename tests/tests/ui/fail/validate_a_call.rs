use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a", validate = "Self::check()")]
struct Config {
    a: String,
}

impl Config {
    fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }
}

fn main() {}
