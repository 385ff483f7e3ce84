use sikkerkey::SikkerKeyConfig;

struct Host;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
struct Config {
    #[sikkerkey(delimiter = ",")]
    hosts: Vec<Host>,
}

fn main() {}
