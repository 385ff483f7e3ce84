use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(skip, resync = "never")]
    a: String,
}

fn main() {}
