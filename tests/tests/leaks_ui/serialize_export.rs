use sikkerkey::Export;

fn write(value: &Export) -> serde_json::Result<String> {
    serde_json::to_string(value)
}

fn main() {
    let _ = write;
}
