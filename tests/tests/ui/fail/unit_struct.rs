use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Config;

fn main() {}
