use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(inherit = true)]
struct Config {
    a: String,
}

fn main() {}
