use sikkerkey::Export;

fn show(value: &Export) -> String {
    format!("{value}")
}

fn main() {
    let _ = show;
}
