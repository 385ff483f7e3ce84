//! Reading `identity.json` and the key, and refusing files that others can change.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use http::HeaderValue;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{Identity, Origin};
use crate::error::Error;
use crate::protocol::api_url::ApiUrl;
use crate::protocol::signing::Signer;

/// Both files have a few hundred bytes; whatever is larger is another file.
const FILE_LIMIT: u64 = 64 * 1024;

/// Reads an identity. With `refuse_shared_key`, a key that others can read is an error instead of
/// a warning.
pub(crate) fn load(path: &Path, refuse_shared_key: bool) -> Result<Identity, Error> {
    let text = read_text(path, "identity file", |_| Ok(()))?;
    let json: Value = serde_json::from_str(&text).map_err(|cause| {
        // The parser's own text may quote the file.
        Error::configuration(format!(
            "the identity file {} is not JSON (line {}, column {}): enroll this machine again \
             with the sikkerkey command",
            path.display(),
            cause.line(),
            cause.column()
        ))
    })?;
    let Value::Object(json) = json else {
        return Err(broken(path, "is not a JSON object"));
    };

    let vault_id = string(&json, "vaultId", path)?;
    let machine_id = string(&json, "machineId", path)?;
    if HeaderValue::from_str(&machine_id).is_err() || !machine_id.is_ascii() {
        return Err(broken(
            path,
            "has a machineId with characters that no id has",
        ));
    }
    let machine_name = string(&json, "machineName", path)?;
    let api_url = ApiUrl::parse(&string(&json, "apiUrl", path)?)
        .map_err(|problem| broken(path, &format!("has an apiUrl that {problem}")))?;
    let key_path = string(&json, "privateKeyPath", path)?;
    let signer = read_key(path, &key_path, refuse_shared_key)?;

    Ok(Identity {
        vault_id,
        machine_id,
        machine_name,
        api_url,
        signer,
        origin: Origin::Disk(path.to_owned()),
    })
}

fn string(json: &Map<String, Value>, key: &str, path: &Path) -> Result<String, Error> {
    let problem = match json.get(key) {
        Some(Value::String(text)) if text.is_empty() => format!("has an empty {key}"),
        Some(Value::String(text)) => return Ok(text.clone()),
        Some(_) => format!("has a {key} that is not a string"),
        None => format!("lacks {key}"),
    };
    Err(broken(path, &problem))
}

fn broken(path: &Path, problem: &str) -> Error {
    Error::configuration(format!(
        "the identity file {} {problem}: enroll this machine again with the sikkerkey command",
        path.display()
    ))
}

/// The key at `privateKeyPath`, or, where that is gone because the folder was moved or mounted
/// elsewhere, `private.pem` beside the identity file.
fn read_key(identity: &Path, key_path: &str, refuse_shared: bool) -> Result<Signer, Error> {
    let folder = identity.parent().unwrap_or(Path::new(""));
    let stated = folder.join(key_path);
    let beside = folder.join("private.pem");
    let path: PathBuf = if stated.exists() {
        stated
    } else if beside.exists() {
        tracing::debug!(target: "sikkerkey",
            "the key {} is gone; {} is used",
            stated.display(),
            beside.display()
        );
        beside
    } else if stated == beside {
        return Err(Error::configuration(format!(
            "the private key {} does not exist: put it back, or enroll this machine again with the \
             sikkerkey command",
            stated.display()
        )));
    } else {
        return Err(Error::configuration(format!(
            "the private key exists neither at {}, where the identity file {} says it is, nor at \
             {}: put it back, or enroll this machine again with the sikkerkey command",
            stated.display(),
            identity.display(),
            beside.display()
        )));
    };
    let pem = read_text(&path, "private key", |file| {
        refuse_or_warn_of_readers(&path, file, refuse_shared)
    })?;
    Signer::from_pem(&pem).map_err(|problem| {
        Error::configuration(format!(
            "the private key {} {problem}: a PKCS#8 PEM file as `openssl genpkey -algorithm \
             Ed25519` writes it belongs there",
            path.display()
        ))
    })
}

/// Opens, checks and reads one of the two files. What is checked is what was opened, so a symlink
/// counts by its target, and nobody can swap the file in between.
fn read_text(
    path: &Path,
    noun: &str,
    check: impl FnOnce(&Metadata) -> Result<(), Error>,
) -> Result<Zeroizing<String>, Error> {
    let failed = |cause: io::Error| {
        let advice = match cause.kind() {
            io::ErrorKind::NotFound => {
                "does not exist: enroll this machine with the sikkerkey command, or set \
                 SIKKERKEY_IDENTITY to the path of an identity.json"
            }
            io::ErrorKind::PermissionDenied => "cannot be read by this user: let it read the file",
            io::ErrorKind::InvalidData => "is not text",
            _ => "cannot be read",
        };
        Error::configuration(format!("the {noun} {} {advice}", path.display())).with_source(cause)
    };
    // Opening a pipe or a device would wait or have effects, so the kind of file comes first.
    let is_file = path.metadata().map_err(failed)?.is_file();
    if !is_file {
        return Err(Error::configuration(format!(
            "the {noun} {} is not a file",
            path.display()
        )));
    }
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    refuse_writers(path, noun, &metadata)?;
    check(&metadata)?;
    if metadata.len() > FILE_LIMIT {
        return Err(Error::configuration(format!(
            "the {noun} {} is larger than {FILE_LIMIT} bytes, so it is another file",
            path.display()
        )));
    }
    // The whole capacity at once: a buffer that grows leaves copies of the key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_LIMIT as usize + 1));
    file.take(FILE_LIMIT)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| failed(io::Error::from(io::ErrorKind::InvalidData)))?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(unix)]
fn refuse_writers(path: &Path, noun: &str, file: &Metadata) -> Result<(), Error> {
    let mode = permissions(file);
    if mode & 0o022 == 0 {
        return Ok(());
    }
    Err(Error::configuration(format!(
        "the {noun} {path} can be changed by other users (mode {mode:04o}), so it cannot be \
         trusted: chmod 600 {path}",
        path = path.display()
    )))
}

#[cfg(unix)]
fn refuse_or_warn_of_readers(path: &Path, file: &Metadata, refuse: bool) -> Result<(), Error> {
    let mode = permissions(file);
    if mode & 0o044 == 0 {
        return Ok(());
    }
    let problem = format!(
        "the private key {path} can be read by other users (mode {mode:04o}): chmod 600 {path}",
        path = path.display()
    );
    if refuse {
        return Err(Error::configuration(problem));
    }
    tracing::warn!(target: "sikkerkey", "{problem}");
    Ok(())
}

#[cfg(unix)]
fn permissions(file: &Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    file.permissions().mode() & 0o7777
}

// Elsewhere access is not in mode bits: the folder's inherited rights protect the files.
#[cfg(not(unix))]
fn refuse_writers(_: &Path, _: &str, _: &Metadata) -> Result<(), Error> {
    Ok(())
}

#[cfg(not(unix))]
fn refuse_or_warn_of_readers(_: &Path, _: &Metadata, _: bool) -> Result<(), Error> {
    Ok(())
}

#[cfg(test)]
mod tests;
