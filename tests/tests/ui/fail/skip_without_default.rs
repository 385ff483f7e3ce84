use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(skip)]
    started: std::time::Instant,
}

fn main() {}
