use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
struct Config<'a> {
    a: &'a str,
    b: &'static [u8],
}

fn main() {}
