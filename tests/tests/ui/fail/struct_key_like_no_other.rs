use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(xyzzy = "sk_db")]
struct Config {
    host: String,
}

fn main() {}
