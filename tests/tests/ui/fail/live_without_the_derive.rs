use sikkerkey::{SikkerKey, SikkerKeyConfig};

struct Config {
    a: String,
}

fn live(sk: &SikkerKey) {
    let _ = Config::live(sk);
}

fn main() {}
