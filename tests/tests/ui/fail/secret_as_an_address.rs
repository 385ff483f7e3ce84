use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = "https://vault.example.com/sk_a")]
    a: String,
}

fn main() {}
