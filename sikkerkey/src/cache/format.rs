//! The `.skc` format of a cache entry, as pure functions: sealing makes a file's text from a key, a binding
//! and an entry, and opening reverses it.
//!
//! AES-256-GCM, with a key derived from the machine's own Ed25519 seed. The additional data binds an entry to
//! its vault, machine, secret and time, so no file can replace another one, and no `cachedAt` can be changed.

use std::fmt;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hkdf::Hkdf;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::protocol::unescape::unescape;

/// The domain separator of the key and of the additional data. All official clients use this one.
const DOMAIN: &str = "sikkerkey-cache-v1";
/// The version of the envelope; no other exists so far.
const VERSION: u64 = 1;
pub(crate) const NONCE_LEN: usize = 12;

/// The AES key of one vault's cache on this machine, wiped on drop.
pub(crate) struct CacheKey(Zeroizing<[u8; 32]>);

impl CacheKey {
    pub(crate) fn derive(seed: &[u8; 32], vault_id: &str) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(vault_id.as_bytes()), seed)
            .expand(DOMAIN.as_bytes(), key.as_mut_slice())
            .expect("32 bytes are within what HKDF-SHA256 can give");
        CacheKey(key)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new_from_slice(self.0.as_slice()).expect("the key has 32 bytes")
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheKey(..)")
    }
}

/// The vault, machine and secret of an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding<'a> {
    pub vault_id: &'a str,
    pub machine_id: &'a str,
    pub secret_id: &'a str,
}

impl Binding<'_> {
    fn additional_data(&self, cached_at: i64) -> String {
        [
            DOMAIN,
            self.vault_id,
            self.machine_id,
            self.secret_id,
            &cached_at.to_string(),
        ]
        .join("\0")
    }
}

/// One secret as the cache holds it.
#[derive(Clone, Debug)]
pub(crate) struct CacheEntry {
    pub value: SecretString,
    /// The display name; empty if unknown.
    pub name: String,
    /// Comma-separated, as the service sends it; `None` for a single value, or if unknown.
    pub field_names: Option<String>,
    /// When the service sent the value, in seconds since 1970.
    pub cached_at: i64,
}

/// Why a file cannot be opened as an entry of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsealable {
    #[error("it is not a cache entry, or cut off")]
    Malformed,
    #[error("its seal does not fit: it was changed, or belongs to another identity")]
    Seal,
}

#[derive(Deserialize)]
struct Version {
    v: Value,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    v: u64,
    nonce: String,
    ct: String,
    #[serde(rename = "cachedAt")]
    cached_at: i64,
}

/// The plain text of an entry, with its fields in the order in which the official clients write them.
#[derive(Serialize)]
struct Plain<'a> {
    value: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(rename = "fieldNames", skip_serializing_if = "Option::is_none")]
    field_names: Option<&'a str>,
}

/// The plain text as it is read. Unknown fields are ignored, so entries of newer clients can be read.
#[derive(Deserialize)]
struct SealedFields<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
    #[serde(default)]
    name: Value,
    #[serde(default, rename = "fieldNames")]
    field_names: Value,
}

/// The plain text of an entry, in a buffer that is wiped. It has its full size from the start, because a
/// buffer that grows leaves copies behind.
fn plain(entry: &CacheEntry) -> Result<Zeroizing<Vec<u8>>, Unsealable> {
    let mut plain = Zeroizing::new(Vec::with_capacity(room(entry)));
    serde_json::to_writer(
        &mut *plain,
        &Plain {
            value: entry.value.expose_secret(),
            name: &entry.name,
            field_names: entry.field_names.as_deref(),
        },
    )
    .map_err(|_| Unsealable::Malformed)?;
    Ok(plain)
}

/// The largest size of an entry in JSON, which encodes one byte in at most six.
fn room(entry: &CacheEntry) -> usize {
    let value = entry.value.expose_secret().len();
    let names = entry.name.len() + entry.field_names.as_deref().map_or(0, str::len);
    r#"{"value":"","name":"","fieldNames":""}"#.len() + 6 * (value + names)
}

/// Encrypts an entry. Returns the text of its file. The nonce must be fresh and random.
pub(crate) fn seal(
    key: &CacheKey,
    binding: Binding<'_>,
    entry: &CacheEntry,
    nonce: [u8; NONCE_LEN],
) -> Result<String, Unsealable> {
    let plain = plain(entry)?;
    let bound = binding.additional_data(entry.cached_at);
    let payload = Payload {
        msg: &plain,
        aad: bound.as_bytes(),
    };
    let sealed = key
        .cipher()
        .encrypt(&Nonce::from(nonce), payload)
        .map_err(|_| Unsealable::Seal)?;
    serde_json::to_string(&Envelope {
        v: VERSION,
        nonce: BASE64.encode(nonce),
        ct: BASE64.encode(sealed),
        cached_at: entry.cached_at,
    })
    .map_err(|_| Unsealable::Malformed)
}

/// Decrypts the entry in a file's bytes. Returns `None` for a file of another version.
pub(crate) fn open(
    key: &CacheKey,
    binding: Binding<'_>,
    file: &[u8],
) -> Result<Option<CacheEntry>, Unsealable> {
    let malformed = |_| Unsealable::Malformed;
    let version: Version = serde_json::from_slice(file).map_err(malformed)?;
    if version.v.as_u64() != Some(VERSION) {
        return Ok(None);
    }
    let envelope: Envelope = serde_json::from_slice(file).map_err(malformed)?;
    let decode = |text: &str| BASE64.decode(text).map_err(|_| Unsealable::Malformed);
    let nonce: [u8; NONCE_LEN] = decode(&envelope.nonce)?
        .try_into()
        .map_err(|_| Unsealable::Malformed)?;

    let sealed = decode(&envelope.ct)?;
    let bound = binding.additional_data(envelope.cached_at);
    let payload = Payload {
        msg: &sealed,
        aad: bound.as_bytes(),
    };
    let plain = key
        .cipher()
        .decrypt(&Nonce::from(nonce), payload)
        .map_err(|_| Unsealable::Seal)?;
    let plain = Zeroizing::new(plain);
    let read: SealedFields<'_> = serde_json::from_slice(&plain).map_err(malformed)?;
    Ok(Some(CacheEntry {
        value: unescape(read.value.get()).ok_or(Unsealable::Malformed)?,
        name: read.name.as_str().unwrap_or_default().to_owned(),
        field_names: read.field_names.as_str().map(str::to_owned),
        cached_at: envelope.cached_at,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Vector {
        seed_hex: String,
        vault_id: String,
        machine_id: String,
        secret_id: String,
        key_hex: String,
        name: String,
        value: String,
        field_names: Option<String>,
        cached_at: i64,
        file: String,
    }

    impl Vector {
        fn all() -> Vec<Vector> {
            serde_json::from_str(include_str!("../../tests/vectors/cache.json")).unwrap()
        }

        fn key(&self) -> CacheKey {
            let seed: [u8; 32] = unhex(&self.seed_hex).try_into().unwrap();
            CacheKey::derive(&seed, &self.vault_id)
        }

        fn binding(&self) -> Binding<'_> {
            Binding {
                vault_id: &self.vault_id,
                machine_id: &self.machine_id,
                secret_id: &self.secret_id,
            }
        }

        fn open(&self, file: &[u8]) -> Result<Option<CacheEntry>, Unsealable> {
            open(&self.key(), self.binding(), file)
        }
    }

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn the_key_is_that_of_the_official_clients() {
        for vector in Vector::all() {
            assert_eq!(vector.key().0.to_vec(), unhex(&vector.key_hex));
            assert_eq!(format!("{:?}", vector.key()), "CacheKey(..)");
        }
    }

    #[test]
    fn files_of_the_official_client_open() {
        for vector in Vector::all() {
            let entry = vector.open(vector.file.as_bytes()).unwrap().unwrap();
            assert_eq!(entry.value.expose_secret(), vector.value);
            assert_eq!(entry.name, vector.name);
            assert_eq!(entry.field_names, vector.field_names);
            assert_eq!(entry.cached_at, vector.cached_at);
        }
    }

    #[test]
    fn sealing_with_a_vectors_nonce_gives_the_vectors_file() {
        // Python escapes characters outside ASCII, so only ASCII entries are equal byte by byte.
        for vector in Vector::all().iter().filter(|v| v.value.is_ascii()) {
            let envelope: Envelope = serde_json::from_str(&vector.file).unwrap();
            let nonce = BASE64.decode(envelope.nonce).unwrap().try_into().unwrap();
            let entry = vector.open(vector.file.as_bytes()).unwrap().unwrap();
            let sealed = seal(&vector.key(), vector.binding(), &entry, nonce).unwrap();
            assert_eq!(sealed, vector.file);
        }
    }

    #[test]
    fn an_entry_survives_the_way_there_and_back() {
        let vector = &Vector::all()[1];
        for value in [
            "",
            "x",
            "ünï \u{0}\u{1f} \"\\ \u{1F511}",
            &"v".repeat(1 << 20),
        ] {
            let entry = CacheEntry {
                value: value.into(),
                name: "A name".into(),
                field_names: Some("a,b".into()),
                cached_at: 7,
            };
            let sealed = seal(&vector.key(), vector.binding(), &entry, [9; 12]).unwrap();
            let opened = vector.open(sealed.as_bytes()).unwrap().unwrap();
            assert_eq!(opened.value.expose_secret(), value);
            assert_eq!(opened.field_names.as_deref(), Some("a,b"));
        }
    }

    #[test]
    fn no_entry_outgrows_its_buffer() {
        let worst = "\u{1}".repeat(1000);
        for (value, name, fields) in [
            ("", "", None),
            ("", "", Some("")),
            (&*worst, "", None),
            ("", &worst, None),
            ("", "", Some(&*worst)),
            (&worst, &worst, Some(&worst)),
        ] {
            let entry = CacheEntry {
                value: value.into(),
                name: name.into(),
                field_names: fields.map(Into::into),
                cached_at: 0,
            };
            let length = plain(&entry).unwrap().len();
            assert!(length <= room(&entry), "{length}");
        }
    }

    #[test]
    fn no_flipped_bit_and_no_cut_is_accepted() {
        let vector = &Vector::all()[1];
        let file = vector.file.as_bytes();
        for at in 0..file.len() * 8 {
            let mut flipped = file.to_vec();
            flipped[at / 8] ^= 1 << (at % 8);
            assert!(!matches!(vector.open(&flipped), Ok(Some(_))), "bit {at}");
        }
        for length in 0..file.len() {
            assert!(
                !matches!(vector.open(&file[..length]), Ok(Some(_))),
                "{length} bytes"
            );
        }
    }

    #[test]
    fn an_entry_is_bound_to_everything_it_belongs_to() {
        let vector = &Vector::all()[0];
        let (key, right) = (vector.key(), vector.binding());
        let file = vector.file.as_bytes();
        let wrong = [
            Binding {
                vault_id: "vault_other",
                ..right
            },
            Binding {
                machine_id: "another",
                ..right
            },
            Binding {
                secret_id: "sk_other",
                ..right
            },
        ];
        for binding in wrong {
            assert_eq!(open(&key, binding, file).unwrap_err(), Unsealable::Seal);
        }
        let moved = vector.file.replace("1784893492", "1784893493");
        assert_eq!(vector.open(moved.as_bytes()).unwrap_err(), Unsealable::Seal);
        let stranger = CacheKey::derive(&[7; 32], &vector.vault_id);
        assert_eq!(open(&stranger, right, file).unwrap_err(), Unsealable::Seal);
    }

    #[test]
    fn another_version_is_a_miss_whatever_its_form() {
        let vector = &Vector::all()[0];
        for file in [
            r#"{"v":2}"#,
            r#"{"v":"1","nonce":[]}"#,
            r#"{"v":1.5,"ct":7}"#,
        ] {
            assert!(vector.open(file.as_bytes()).unwrap().is_none(), "{file}");
        }
        for file in ["", "{}", "null", "[]", r#"{"v":1}"#, "\u{feff}{}"] {
            assert_eq!(
                vector.open(file.as_bytes()).unwrap_err(),
                Unsealable::Malformed,
                "{file}"
            );
        }
    }
}
