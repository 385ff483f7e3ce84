use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk a")]
struct Database {
    #[sikkerkey(defalt = 5432)]
    port: u16,
}

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(nested)]
    db: Database,
    key: String,
}

fn main() {}
