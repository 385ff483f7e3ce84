use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = env!("DB_SECRET"))]
    a: String,
}

fn main() {}
