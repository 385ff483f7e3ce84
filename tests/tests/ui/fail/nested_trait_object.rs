use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(nested)]
    a: Box<dyn std::any::Any>,
}

fn main() {}
