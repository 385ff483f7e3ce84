//! A file of secrets that the emulator serves. `=$` in it stands for a value that no error may show.
#![no_main]

use std::error::Error as _;
use std::fs;
use std::sync::LazyLock;

use sikkerkey_emulator::SecretsFile;

const VALUE: &str = "Canary~hunter2~4711";

static FILE: LazyLock<std::path::PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("sikkerkey-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for the file");
    folder.join("vault.toml")
});

libfuzzer_sys::fuzz_target!(|text: &str| {
    let planted = text.replace("=$", &format!("=\"{VALUE}\""));
    fs::write(&*FILE, planted).expect("written");
    match SecretsFile::open(&*FILE) {
        Ok(file) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            assert!(file.ids().all(|id| !id.is_empty() && id.chars().all(plain)));
        }
        Err(error) => {
            let line = error.to_string();
            assert!(!line.contains(char::is_control), "{line:?}");
            let all = format!("{line}{error:?}{:?}", error.source());
            assert!(!all.contains(VALUE), "a value shows");
        }
    }
});
