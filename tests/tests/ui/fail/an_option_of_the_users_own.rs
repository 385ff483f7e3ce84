use sikkerkey::SikkerKeyConfig;

enum Option<T> {
    Some(T),
    None,
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
struct Config {
    host: Option<String>,
}

fn main() {}
