use sikkerkey::Snapshot;

fn show(value: &Snapshot) -> String {
    format!("{value}")
}

fn main() {
    let _ = show;
}
