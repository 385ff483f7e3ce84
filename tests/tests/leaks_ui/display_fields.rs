use sikkerkey::Fields;

fn show(value: &Fields) -> String {
    format!("{value}")
}

fn main() {
    let _ = show;
}
