use sikkerkey::SikkerKeyConfig;

struct Host;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
struct Config {
    host: Host,
}

fn main() {}
