use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(rename_all = "kebab-case")]
struct Config {
    #[sikkerkey(secret = "sk_host")]
    host: String,
}

fn main() {}
