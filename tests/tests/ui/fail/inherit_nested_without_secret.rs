use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(inherit)]
struct D { x: u8 }

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(nested)]
    d: D,
}

fn main() {}
