use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Database {
    host: String,
    port: u16,
    user: String,
}

fn main() {}
