use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(inherit)]
struct Database {
    host: String,
}

fn start<T: SikkerKeyConfig>() {}

fn main() {
    start::<Database>();
}
