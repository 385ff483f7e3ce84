//! An identity on disk, in the layout of the service's own setup program.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use serde_json::json;

use crate::error::Error;
use crate::{canaries, origin, random};

/// The start of a PKCS#8 v1 structure around an Ed25519 seed (RFC 8410): what `openssl genpkey` writes.
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A machine's key and id, and the folder of their files.
pub(crate) struct Identity {
    pub(crate) machine_id: String,
    pub(crate) key: SigningKey,
    folder: PathBuf,
}

impl Identity {
    /// The identity of this vault in this home, or a new one. So a service that restarts with the same home still knows
    /// its machine.
    pub(crate) fn at(home: &Path, vault: &str) -> Result<Self, Error> {
        let folder = home.join("vaults").join(vault);
        let found = folder.join("identity.json");
        if found.exists() {
            return Self::found(folder, found);
        }
        let key = SigningKey::from_bytes(&random::bytes::<32>());
        Ok(Self {
            machine_id: random::uuid(),
            key,
            folder,
        })
    }

    fn found(folder: PathBuf, file: PathBuf) -> Result<Self, Error> {
        let unusable = |reason| Error::Unusable {
            path: file.clone(),
            reason,
        };
        let text = fs::read_to_string(&file).map_err(|_| unusable("it cannot be read"))?;
        let json: serde_json::Value =
            serde_json::from_str(&text).map_err(|_| unusable("it is not JSON"))?;
        // What an emulator wrote, and no identity of the real service, which this would overwrite.
        let is_ours = json["apiUrl"].as_str().is_some_and(origin::is_loopback_url);
        if !is_ours {
            return Err(unusable(
                "its apiUrl is not on this machine, so it is not an emulator's: choose another home or vault",
            ));
        }
        let machine_id = json["machineId"]
            .as_str()
            .ok_or_else(|| unusable("machineId is missing"))?
            .to_owned();
        let pem = fs::read_to_string(folder.join("private.pem"))
            .map_err(|_| unusable("private.pem cannot be read"))?;
        let key = SigningKey::from_pkcs8_pem(&pem)
            .map_err(|_| unusable("private.pem is not an Ed25519 key"))?;
        Ok(Self {
            machine_id,
            key,
            folder,
        })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join("identity.json")
    }

    /// Writes both files, and the folders above them that are missing.
    pub(crate) fn write(&self, vault: &str, machine_name: &str, url: &str) -> Result<(), Error> {
        private_folder(&self.folder).map_err(|source| Error::Identity {
            path: self.folder.clone(),
            source,
        })?;
        let key_path = self.folder.join("private.pem");
        let pem = pem(&self.key);
        let seed = self.key.to_bytes();
        canaries::note(pem.lines().nth(1).unwrap_or_default());
        canaries::note(&STANDARD.encode(seed));
        canaries::note(&random::hex_of(&seed));
        let identity = json!({
            "machineId": self.machine_id,
            "machineName": machine_name,
            "vaultId": vault,
            "apiUrl": url,
            "privateKeyPath": key_path,
        });
        let text = format!("{identity:#}\n");
        for (path, text) in [(key_path, pem), (self.path(), text)] {
            private_file(&path, &text).map_err(|source| Error::Identity { path, source })?;
        }
        Ok(())
    }
}

fn pem(key: &SigningKey) -> String {
    let mut der = PKCS8.to_vec();
    der.extend_from_slice(&key.to_bytes());
    // 48 bytes are 64 characters: one line.
    format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(der)
    )
}

/// A new temporary folder that only its owner can open, removed when this value is dropped.
pub(crate) fn temporary_home() -> io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("sikkerkey-emulator-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir()
}

fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Replaces the file atomically; its mode is 0600 from its creation on.
fn private_file(path: &Path, text: &str) -> io::Result<()> {
    let temporary = path.with_extension(random::hex::<8>());
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(&temporary)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written
        .and_then(|()| fs::rename(&temporary, path))
        .inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_as_openssl_writes_it() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let written = pem(&key);
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../tests/vectors/signing.json")).unwrap();
        assert!(vectors[0]["private_key_pem"] == written);
        assert!(SigningKey::from_pkcs8_pem(&written).unwrap() == key);
    }

    #[test]
    fn an_identity_is_reused_and_a_broken_one_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let first = Identity::at(home.path(), "vault_a").unwrap();
        first.write("vault_a", "m", "http://localhost:1").unwrap();
        let second = Identity::at(home.path(), "vault_a").unwrap();
        assert!(first.machine_id == second.machine_id && first.key == second.key);
        second.write("vault_a", "m", "http://localhost:2").unwrap();
        assert!(
            fs::read_to_string(second.path())
                .unwrap()
                .contains("localhost:2")
        );
        assert_eq!(
            fs::read_dir(second.path().parent().unwrap())
                .unwrap()
                .count(),
            2
        );

        // One of the real service, which an emulator would overwrite.
        for url in [
            "https://api.sikkerkey.com",
            "https://localhost.example",
            "ftp://localhost",
        ] {
            second.write("vault_a", "m", url).unwrap();
            let before = fs::read_to_string(second.path()).unwrap();
            let refused = Identity::at(home.path(), "vault_a").err().unwrap();
            assert!(refused.to_string().contains("apiUrl"), "{refused}");
            assert_eq!(fs::read_to_string(second.path()).unwrap(), before);
        }
        second.write("vault_a", "m", "http://localhost:2").unwrap();

        fs::write(home.path().join("vaults/vault_a/private.pem"), "x").unwrap();
        assert!(matches!(
            Identity::at(home.path(), "vault_a"),
            Err(Error::Unusable { .. })
        ));
    }

    #[cfg(unix)]
    #[test]
    fn files_and_folders_are_private_to_the_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let identity = Identity::at(&home.path().join("new"), "vault_a").unwrap();
        identity
            .write("vault_a", "m", "http://localhost:1")
            .unwrap();
        let mode = |path: &str| {
            fs::metadata(home.path().join(path))
                .unwrap()
                .permissions()
                .mode()
                & 0o777
        };
        for folder in ["new", "new/vaults", "new/vaults/vault_a"] {
            assert_eq!(mode(folder), 0o700, "{folder}");
        }
        for file in [
            "new/vaults/vault_a/identity.json",
            "new/vaults/vault_a/private.pem",
        ] {
            assert_eq!(mode(file), 0o600, "{file}");
        }
    }
}
