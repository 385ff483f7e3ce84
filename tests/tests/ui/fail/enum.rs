use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
enum Config {
    A,
    B,
}

fn use_it(config: Config) {
    let _ = (Config::schema(), config);
}

fn main() {}
