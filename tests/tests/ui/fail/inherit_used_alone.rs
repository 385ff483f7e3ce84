use sikkerkey::{SikkerKey, SikkerKeyConfig};

#[derive(SikkerKeyConfig)]
#[sikkerkey(inherit)]
struct Database {
    host: String,
}

fn alone(sk: &SikkerKey) {
    let _ = Database::check(sk);
    let _ = Database::live(sk);
}

fn main() {}
