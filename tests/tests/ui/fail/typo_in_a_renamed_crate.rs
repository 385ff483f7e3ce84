mod vendor {
    pub use ::sikkerkey as sk;
}

// The plain name leads nowhere.
mod sikkerkey {}

use vendor::sk::SikkerKeyConfig;

struct NoConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(crate = "crate::vendor::sk", secert = "sk_a")]
struct Config {
    value: NoConfig,
}

fn main() {
    let _ = Config::schema();
}
