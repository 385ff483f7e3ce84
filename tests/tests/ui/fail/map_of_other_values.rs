use sikkerkey::{SecretString, SikkerKeyConfig};

use std::collections::{BTreeMap, HashMap};

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
struct Config {
    a: BTreeMap<String, String>,
    b: HashMap<String, u16>,
    c: Vec<SecretString>,
}

fn main() {}
