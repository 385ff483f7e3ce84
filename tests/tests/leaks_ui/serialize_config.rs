use sikkerkey::{SecretString, SikkerKeyConfig};

#[derive(SikkerKeyConfig, serde::Serialize)]
#[sikkerkey(secret = "sk_db_prod")]
struct Database {
    password: SecretString,
}

fn main() {}
