use sikkerkey::Fields;

fn write(value: &Fields) -> serde_json::Result<String> {
    serde_json::to_string(value)
}

fn main() {
    let _ = write;
}
