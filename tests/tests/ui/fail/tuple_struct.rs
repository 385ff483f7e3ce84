use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Config(String, u16);

fn main() {}
