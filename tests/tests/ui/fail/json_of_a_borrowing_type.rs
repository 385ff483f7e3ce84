use sikkerkey::SikkerKeyConfig;

#[derive(serde::Deserialize)]
struct Flags<'a> {
    region: &'a str,
}

#[derive(SikkerKeyConfig)]
struct Config<'a> {
    #[sikkerkey(secret = "sk_flags", json)]
    flags: Flags<'a>,
}

fn main() {}
