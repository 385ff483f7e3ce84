use sikkerkey::WatchEvent;

fn show(event: &WatchEvent) -> String {
    event.to_string()
}

fn main() {
    let _ = show;
}
