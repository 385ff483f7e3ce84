use sikkerkey::SikkerKeyConfig;

struct Config {
    a: String,
}

impl SikkerKeyConfig for Config {}

fn main() {}
