use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(inherit, secret = "sk_a")]
struct D { x: u8 }

fn main() {}
