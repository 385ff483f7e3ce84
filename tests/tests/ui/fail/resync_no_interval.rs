use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = "sk_a", resync = "0s")]
    a: String,
    #[sikkerkey(secret = "sk_b", resync = "400d")]
    b: String,
    #[sikkerkey(secret = "sk_c", resync = "5min")]
    c: String,
    #[sikkerkey(secret = "sk_d", resync = 40)]
    d: String,
    #[sikkerkey(secret = "sk_e", resync = never)]
    e: String,
    #[sikkerkey(secret = "sk_f", resync)]
    f: String,
}

fn main() {}
