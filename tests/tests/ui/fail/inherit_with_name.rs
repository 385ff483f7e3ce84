use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(inherit, name = "DB")]
struct Config {
    a: String,
}

fn main() {}
