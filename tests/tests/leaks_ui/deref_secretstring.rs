use sikkerkey::SecretString;

fn text(value: &SecretString) -> &str {
    value
}

fn main() {
    let _ = text;
}
