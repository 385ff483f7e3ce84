use sikkerkey::SikkerKeyConfig;

struct Flags;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
struct Config {
    #[sikkerkey(from_str)]
    flags: Flags,
}

fn main() {}
