use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db", validate = "no_such_function")]
struct Config {
    host: String,
}

fn main() {}
