//! A process that enrolls and loads a typed config of five secrets.

use std::env;
use std::error::Error;

use sikkerkey::{SikkerKey, SikkerKeyConfig as _};
use sikkerkey_benches::Config;

fn main() -> Result<(), Box<dyn Error>> {
    let token = env::var("TOKEN")?;
    let sk = SikkerKey::bootstrap_in_memory("vault_emulator", &token).enroll()?;
    let config = Config::load(&sk)?;
    assert_eq!(config.port, 5432);
    Ok(())
}
