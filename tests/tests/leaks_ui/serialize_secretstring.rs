use sikkerkey::SecretString;

fn write(value: &SecretString) -> serde_json::Result<String> {
    serde_json::to_string(value)
}

fn main() {
    let _ = write;
}
