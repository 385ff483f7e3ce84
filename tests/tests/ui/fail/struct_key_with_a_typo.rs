use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secert = "sk_db")]
struct Config {
    host: String,
    port: u16,
}

fn main() {}
