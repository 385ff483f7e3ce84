//! Reading `identity.json` and the key, and refusing files that others can change.
//!
//! Both are read from one folder, after resolving links once. So if Kubernetes replaces both files together,
//! by a link to a new folder, an old file is never combined with a new one.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::locate::exists;
use super::trust::{check_file, check_folders, refuse_or_warn_of_readers};
use super::{Claims, Expected, Identity, IdentityFile, Origin, TrustRules};
use crate::error::Error;
use crate::log::log;
use crate::protocol::signing::Signer;
use crate::text;

/// Both files have a few hundred bytes; a larger file is something else.
const FILE_LIMIT: u64 = 64 * 1024;

impl IdentityFile {
    /// Reads the identity. With a `signer`, the private key is not read.
    pub(crate) fn read(
        &self,
        rules: &TrustRules,
        signer: Option<Signer>,
    ) -> Result<Identity, Error> {
        let path = &self.path;
        // Problems of the file are reported before those of its folders.
        kind_of(path, "identity file")?;
        check_folders(path, &self.top, rules)?;
        let real = fs::canonicalize(path).map_err(|cause| failed(path, "identity file", cause))?;
        let text = read_text(&real, "identity file", |file| {
            check_file(path, "identity file", file, rules)
        })?;
        // Some editors on Windows write a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let json: Value = serde_json::from_str(text).map_err(|cause| {
            // The parser's own text may quote the file.
            Error::configuration(format!(
                "the identity file {} is not JSON (line {}, column {}): enroll this machine again \
                 with the sikkerkey command",
                text::path(path),
                cause.line(),
                cause.column()
            ))
        })?;
        let Value::Object(json) = json else {
            return Err(broken(path, "is not a JSON object"));
        };
        let claims = Claims {
            vault_id: string(&json, "vaultId", path)?,
            machine_id: string(&json, "machineId", path)?,
            machine_name: json.get("machineName").and_then(Value::as_str),
            api_url: string(&json, "apiUrl", path)?,
        };
        let expected = Expected {
            vault: self.vault.as_deref(),
            answered_by: None,
        };
        let checked = claims
            .check(expected)
            .map_err(|problem| broken(path, &problem))?;
        let signer = match signer {
            Some(signer) => signer,
            None => self.read_key(string(&json, "privateKeyPath", path)?, &real, rules)?,
        };
        Ok(Identity::new(checked, signer, Origin::Disk(path.clone())))
    }

    /// Reads the key at `privateKeyPath`. If that file is missing because the folder was moved or mounted
    /// elsewhere, reads `private.pem` beside the identity file.
    fn read_key(&self, key_path: &str, real: &Path, rules: &TrustRules) -> Result<Signer, Error> {
        let path = self.key_file(key_path, real)?;
        check_folders(&path, &self.top, rules)?;
        let pem = read_text(&path, "private key", |file| {
            check_file(&path, "private key", file, rules)?;
            refuse_or_warn_of_readers(&path, file, rules)
        })?;
        Signer::from_pem(&pem).map_err(|problem| {
            Error::configuration(format!(
                "the private key {} {problem}: a PKCS#8 PEM file as `openssl genpkey -algorithm \
                 Ed25519` writes it belongs there",
                text::path(path)
            ))
        })
    }

    fn key_file(&self, key_path: &str, real: &Path) -> Result<PathBuf, Error> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let real_folder = real.parent().unwrap_or(folder);
        let stated = folder.join(key_path);
        // A key beside the identity is read from the same folder as the identity.
        let stated_there = match (stated.parent(), stated.file_name()) {
            (Some(parent), Some(name)) if parent == folder => real_folder.join(name),
            _ => stated.clone(),
        };
        let beside = folder.join("private.pem");
        for path in [&stated_there, &stated] {
            if exists(path)? {
                return Ok(path.clone());
            }
        }
        for path in [&real_folder.join("private.pem"), &beside] {
            if exists(path)? {
                log!(
                    debug,
                    "the key {} is gone; {} is used",
                    text::path(&stated),
                    text::path(path)
                );
                return Ok(path.clone());
            }
        }
        if stated == beside {
            return Err(Error::configuration(format!(
                "the private key {} does not exist: put it back, or enroll this machine again with \
                 the sikkerkey command",
                text::path(stated)
            )));
        }
        Err(Error::configuration(format!(
            "the private key exists neither at {}, where the identity file {} says it is, nor at \
             {}: put it back, or enroll this machine again with the sikkerkey command",
            text::path(stated),
            text::path(&self.path),
            text::path(beside)
        )))
    }
}

fn string<'a>(json: &'a Map<String, Value>, key: &str, path: &Path) -> Result<&'a str, Error> {
    let problem = match json.get(key) {
        Some(Value::String(text)) if text.is_empty() => format!("has an empty {key}"),
        Some(Value::String(text)) => return Ok(text),
        Some(_) => format!("has a {key} that is not a string"),
        None => format!("lacks {key}"),
    };
    Err(broken(path, &problem))
}

fn broken(path: &Path, problem: &str) -> Error {
    Error::configuration(format!(
        "the identity file {} {problem}: enroll this machine again with the sikkerkey command",
        text::path(path)
    ))
}

/// Opens, checks and reads one of the two files. The opened file is the one that is checked, so a symlink
/// counts by its target, and the file cannot be swapped in between.
fn read_text(
    path: &Path,
    noun: &str,
    check: impl FnOnce(&Metadata) -> Result<(), Error>,
) -> Result<Zeroizing<String>, Error> {
    kind_of(path, noun)?;
    let failed = |cause| failed(path, noun, cause);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    check(&metadata)?;
    if metadata.len() > FILE_LIMIT {
        return Err(Error::configuration(format!(
            "the {noun} {} is larger than {FILE_LIMIT} bytes, so it is another file",
            text::path(path)
        )));
    }
    // Allocated at its full size, because a buffer that grows leaves copies of the key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_LIMIT as usize + 1));
    file.take(FILE_LIMIT)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| failed(io::Error::from(io::ErrorKind::InvalidData)))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Refuses a path that is not a regular file: opening a pipe or a device could block or have side effects.
fn kind_of(path: &Path, noun: &str) -> Result<(), Error> {
    let found = path.metadata().map_err(|cause| failed(path, noun, cause))?;
    if found.is_file() {
        return Ok(());
    }
    Err(Error::configuration(format!(
        "the {noun} {} is not a file",
        text::path(path)
    )))
}

fn failed(path: &Path, noun: &str, cause: io::Error) -> Error {
    let advice = match cause.kind() {
        io::ErrorKind::NotFound => {
            "does not exist: enroll this machine with the sikkerkey command, or set \
             SIKKERKEY_IDENTITY to the path of an identity.json"
        }
        io::ErrorKind::PermissionDenied => {
            "cannot be read by this user: let it read the file and the folders above"
        }
        io::ErrorKind::InvalidData => "is not text",
        _ => "cannot be read",
    };
    Error::configuration(format!("the {noun} {} {advice}", text::path(path))).with_source(cause)
}

#[cfg(test)]
mod tests;
