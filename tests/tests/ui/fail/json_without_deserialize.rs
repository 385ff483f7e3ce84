use sikkerkey::SikkerKeyConfig;

struct Flags;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
struct Config {
    #[sikkerkey(json)]
    flags: Flags,
}

fn main() {}
