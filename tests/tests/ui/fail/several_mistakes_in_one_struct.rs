use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk db", valdate = "Config::validate")]
struct Config {
    #[sikkerkey(defualt = 5432)]
    port: u16,
    #[sikkerkey(field = "user", field = "username")]
    user: String,
    #[sikkerkey(nested, json)]
    inner: Inner,
    #[sikkerkey(secret = "sk_a" json)]
    flags: Vec<String>,
    #[sikkerkey(default = 1)]
    retries: Option<u8>,
}

#[derive(SikkerKeyConfig)]
struct Inner {}

fn main() {
    // None of these is a mistake: the struct has the trait, whatever is wrong with it.
    let _ = Config::schema();
    let _ = Config::from_snapshot(&sikkerkey::Snapshot::default());
}
