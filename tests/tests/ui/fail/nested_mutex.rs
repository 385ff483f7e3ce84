use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
struct D { x: u8 }

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(nested)]
    d: std::sync::Arc<std::sync::Mutex<D>>,
}

fn main() {}
