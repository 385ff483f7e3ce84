//! An `identity.json` and a `private.pem`, split at the first 0xFF, which no UTF-8 has.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use sikkerkey::{ErrorKind, SikkerKey};

static FOLDER: LazyLock<std::path::PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("sikkerkey-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for the files");
    folder
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |&byte| byte == 0xff);
    let path = FOLDER.join("identity.json");
    fs::write(&path, parts.next().unwrap_or_default()).expect("written");
    fs::write(FOLDER.join("private.pem"), parts.next().unwrap_or_default()).expect("written");
    if let Err(error) = SikkerKey::builder().identity_file(&path).build() {
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(
            error.to_string().chars().all(|c| !c.is_control()),
            "{error:?}"
        );
    }
});
