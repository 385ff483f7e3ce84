use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = "sk_a", field = ["a", "b"])]
    a: String,
}

fn main() {}
