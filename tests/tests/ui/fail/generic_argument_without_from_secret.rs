use sikkerkey::SikkerKeyConfig;

struct Level;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
struct Config<T> {
    a: T,
}

fn check<T: SikkerKeyConfig>() {}

fn main() {
    check::<Config<Level>>();
}
