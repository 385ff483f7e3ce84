use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
union Config {
    a: u8,
    b: i8,
}

fn main() {}
