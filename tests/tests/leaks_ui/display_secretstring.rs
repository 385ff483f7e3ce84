use sikkerkey::SecretString;

fn show(value: &SecretString) -> String {
    format!("{value}")
}

fn main() {
    let _ = show;
}
