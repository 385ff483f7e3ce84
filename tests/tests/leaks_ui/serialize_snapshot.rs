use sikkerkey::Snapshot;

fn write(value: &Snapshot) -> serde_json::Result<String> {
    serde_json::to_string(value)
}

fn main() {
    let _ = write;
}
