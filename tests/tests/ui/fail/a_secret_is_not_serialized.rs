use sikkerkey::SecretString;

#[derive(serde::Serialize)]
struct Answer {
    secret: SecretString,
}

fn main() {}
