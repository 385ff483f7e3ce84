use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = "sk_lease", field = "user", resync = "40m")]
    user: String,
    #[sikkerkey(secret = "sk_lease", field = "password", resync = "never")]
    password: String,
}

fn main() {}
