//! The JSON of requests and responses.
//!
//! Error texts of serde_json never leave this module, because they can quote the input. A value is decoded
//! from the raw JSON into memory of its exact size, which is wiped. Lists are bounded. An entry that cannot
//! be parsed is left out and named in the log, so that it does not hide the others.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::unescape::unescape;
use crate::id::is_id;
use crate::log::log;
use crate::text;

/// The longest value of a secret, in bytes.
pub(crate) const VALUE_LIMIT: usize = 1024 * 1024;

/// The most entries of a list, an export or a poll.
const ENTRIES_LIMIT: usize = 100_000;

/// A response that is not what the protocol says, as the end of a sentence about it.
#[derive(Debug)]
pub(crate) enum Malformed {
    /// It is incomplete JSON.
    Short,
    /// It is not JSON at all.
    NotJson,
    /// It is JSON of an unexpected shape.
    Shape,
    /// It has a value that is longer than any secret.
    LongValue,
    /// Parsing it took longer than the call may take.
    OutOfTime,
}

#[derive(Deserialize)]
struct ReadResponse<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
}

/// The unparsed entries of a list or an export.
#[derive(Deserialize)]
struct Entries<'a> {
    #[serde(borrow)]
    secrets: BoundedList<'a>,
}

/// The unparsed projects of a list.
#[derive(Deserialize)]
struct Projects<'a> {
    #[serde(borrow)]
    projects: BoundedList<'a>,
}

/// A list that is refused before it uses more memory than its limit.
struct BoundedList<'a>(Vec<&'a RawValue>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListEntry {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) field_names: Option<String>,
    #[serde(default)]
    pub(crate) project_id: Option<String>,
}

/// An entry of the detailed list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DetailsEntry {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) field_names: Option<String>,
    #[serde(default)]
    pub(crate) project_id: Option<String>,
    #[serde(default)]
    pub(crate) project_name: Option<String>,
    #[serde(default)]
    pub(crate) application_id: Option<String>,
    #[serde(default)]
    pub(crate) application_name: Option<String>,
    /// Any JSON: an unexpected kind does not hide the secret.
    #[serde(default, rename = "type")]
    pub(crate) kind: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProjectEntry {
    pub(crate) project_id: String,
    #[serde(default)]
    pub(crate) project_name: Option<String>,
    #[serde(default)]
    pub(crate) application_id: Option<String>,
    #[serde(default)]
    pub(crate) application_name: Option<String>,
}

pub(crate) struct ExportEntry {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) value: SecretString,
    pub(crate) field_names: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawExportEntry<'a> {
    id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(borrow)]
    value: &'a RawValue,
    #[serde(default)]
    field_names: Option<String>,
}

/// An entry of which only the id is parsed.
#[derive(Deserialize)]
struct Named {
    #[serde(alias = "projectId")]
    id: String,
}

#[derive(Deserialize)]
struct PollResponse<'a> {
    #[serde(borrow)]
    changes: BoundedMap<'a>,
}

struct BoundedMap<'a>(BTreeMap<String, &'a RawValue>);

#[derive(Deserialize)]
struct PollChange {
    status: PollStatus,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PollStatus {
    Changed,
    Deleted,
    AccessDenied,
    /// A status that this version does not know, or not a string.
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EnrollResponse {
    pub(crate) machine_id: String,
    pub(crate) vault_id: String,
    #[serde(default)]
    pub(crate) api_url: Option<String>,
    /// Any JSON, because it is only shown: an unexpected name must not waste a spent token.
    #[serde(default)]
    pub(crate) machine_name: Value,
    /// Any JSON, for the same reason.
    #[serde(default)]
    pub(crate) expires_at: Value,
}

#[derive(Deserialize)]
struct ErrorResponse {
    error: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProjectRequest<'a> {
    pub(crate) project_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApplicationRequest<'a> {
    pub(crate) application_id: &'a str,
}

#[derive(Serialize)]
pub(crate) struct PollRequest<'a> {
    pub(crate) watch: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EnrollRequest<'a> {
    pub(crate) token: &'a str,
    pub(crate) public_key: &'a str,
    pub(crate) hostname: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<&'a str>,
}

/// Parses the value of a secret.
pub(crate) fn value(body: &[u8]) -> Result<SecretString, Malformed> {
    let ReadResponse { value } = decode(body)?;
    secret(value)
}

/// Parses the secrets of a list.
pub(crate) fn list(body: &[u8]) -> Result<Vec<ListEntry>, Malformed> {
    let Entries { secrets } = decode(body)?;
    listed(secrets, "list", |entry: &ListEntry| &entry.id)
}

/// Parses the secrets of the detailed list.
pub(crate) fn details(body: &[u8]) -> Result<Vec<DetailsEntry>, Malformed> {
    let Entries { secrets } = decode(body)?;
    listed(secrets, "list", |entry: &DetailsEntry| &entry.id)
}

/// Parses the projects of a list.
pub(crate) fn projects(body: &[u8]) -> Result<Vec<ProjectEntry>, Malformed> {
    let Projects { projects } = decode(body)?;
    listed(projects, "list of projects", |entry: &ProjectEntry| {
        &entry.project_id
    })
}

/// Parses the secrets of an export, with their values. Gives up when `in_time` returns `false`.
pub(crate) fn export(
    body: &[u8],
    in_time: &dyn Fn() -> bool,
) -> Result<Vec<ExportEntry>, Malformed> {
    let Entries { secrets } = decode(body)?;
    entries(secrets, "export", in_time, |raw| {
        let entry: RawExportEntry<'_> = decode(raw.get().as_bytes())?;
        if !is_id(&entry.id) {
            return Err(Malformed::Shape);
        }
        Ok(ExportEntry {
            value: secret(entry.value)?,
            id: entry.id,
            name: entry.name,
            field_names: entry.field_names,
        })
    })
}

/// Parses the response to a poll: what changed since this machine last read it. An id that is left out did
/// not change.
pub(crate) fn changes(body: &[u8]) -> Result<BTreeMap<String, PollStatus>, Malformed> {
    let PollResponse { changes } = decode(body)?;
    let changes = changes.0.into_iter().map(|(id, raw)| {
        let change: Result<PollChange, _> = decode(raw.get().as_bytes());
        (
            id,
            change.map_or(PollStatus::Unknown, |change| change.status),
        )
    });
    Ok(changes.collect())
}

/// Parses the machine of an enrollment.
pub(crate) fn enrollment(body: &[u8]) -> Result<EnrollResponse, Malformed> {
    decode(body)
}

/// Parses the entries of a list whose ids are valid.
fn listed<T: DeserializeOwned>(
    list: BoundedList<'_>,
    noun: &str,
    id: impl Fn(&T) -> &str,
) -> Result<Vec<T>, Malformed> {
    entries(list, noun, &|| true, |raw| {
        let entry = decode(raw.get().as_bytes())?;
        match is_id(id(&entry)) {
            true => Ok(entry),
            false => Err(Malformed::Shape),
        }
    })
}

/// Returns each entry that `read` can parse; the others are named in the log. A list without any such entry
/// is an error.
fn entries<T>(
    list: BoundedList<'_>,
    noun: &str,
    in_time: &dyn Fn() -> bool,
    read: impl Fn(&RawValue) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let mut understood = Vec::with_capacity(list.0.len());
    let mut odd = Vec::new();
    for (place, raw) in list.0.into_iter().enumerate() {
        if !in_time() {
            return Err(Malformed::OutOfTime);
        }
        match read(raw) {
            Ok(entry) => understood.push(entry),
            Err(_) => odd.push((place, raw)),
        }
    }
    if odd.is_empty() {
        return Ok(understood);
    }
    if understood.is_empty() {
        return Err(Malformed::Shape);
    }
    let count = odd.len();
    let names = text::list(odd, |(place, raw)| {
        match serde_json::from_str::<Named>(raw.get()) {
            Ok(Named { id }) => text::quoted(&id),
            Err(_) => format!("number {}", place + 1),
        }
    });
    log!(
        warn,
        "{count} entries of the {noun} are not what this version understands and are left out: {names}"
    );
    Ok(understood)
}

fn secret(raw: &RawValue) -> Result<SecretString, Malformed> {
    if !raw.get().starts_with('"') {
        return Err(Malformed::Shape);
    }
    let value = unescape(raw.get()).ok_or(Malformed::NotJson)?;
    match value.expose_secret().len() > VALUE_LIMIT {
        true => Err(Malformed::LongValue),
        false => Ok(value),
    }
}

pub(super) fn decode<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Malformed> {
    serde_json::from_slice(body).map_err(|cause| match cause.classify() {
        serde_json::error::Category::Eof => Malformed::Short,
        serde_json::error::Category::Data => Malformed::Shape,
        _ => Malformed::NotJson,
    })
}

impl<'de: 'a, 'a> Deserialize<'de> for BoundedList<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(ListVisitor(PhantomData))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for BoundedMap<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(MapVisitor(PhantomData))
    }
}

struct ListVisitor<'a>(PhantomData<&'a ()>);

struct MapVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for ListVisitor<'a> {
    type Value = BoundedList<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = from.next_element()? {
            if list.len() == ENTRIES_LIMIT {
                return Err(A::Error::custom("too many entries"));
            }
            list.push(entry);
        }
        Ok(BoundedList(list))
    }
}

impl<'de: 'a, 'a> Visitor<'de> for MapVisitor<'a> {
    type Value = BoundedMap<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, entry)) = from.next_entry()? {
            if map.len() == ENTRIES_LIMIT {
                return Err(A::Error::custom("too many entries"));
            }
            map.insert(key, entry);
        }
        Ok(BoundedMap(map))
    }
}

/// Encodes a request. The bytes are wiped, because an enrollment contains the token.
pub(crate) fn encode(request: &impl Serialize) -> Zeroizing<Vec<u8>> {
    // Large enough for any enrollment, because a buffer that grows could leave a copy of the token behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(8 * 1024));
    // Serializing structs of strings to a `Vec` cannot fail.
    let written = serde_json::to_writer(&mut *bytes, request);
    debug_assert!(written.is_ok());
    bytes
}

/// Returns the message of the service's error, which may be empty; `None` for a body that is not the
/// service's.
pub(crate) fn error_message(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<ErrorResponse>(body)
        .ok()
        .map(|answer| answer.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_written_as_the_protocol_says() {
        let text = |bytes: Zeroizing<Vec<u8>>| String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(
            text(encode(&ProjectRequest {
                project_id: "proj_x"
            })),
            r#"{"projectId":"proj_x"}"#
        );
        assert_eq!(
            text(encode(&ApplicationRequest {
                application_id: "app_x"
            })),
            r#"{"applicationId":"app_x"}"#
        );
        let watch = vec!["sk_a", "sk_b"];
        assert_eq!(
            text(encode(&PollRequest { watch })),
            r#"{"watch":["sk_a","sk_b"]}"#
        );
        let mut enroll = EnrollRequest {
            token: "t",
            public_key: "k",
            hostname: "h",
            name: None,
        };
        assert_eq!(
            text(encode(&enroll)),
            r#"{"token":"t","publicKey":"k","hostname":"h"}"#
        );
        enroll.name = Some("n\"");
        assert!(text(encode(&enroll)).ends_with(r#","name":"n\""}"#));
    }

    #[test]
    fn reads_that_bring_no_value_are_told_apart() {
        let read = |body: &str| value(body.as_bytes());
        let good = read(r#" {"value": "x\n\u00fc", "more": 1} "#).unwrap();
        assert_eq!(good.expose_secret(), "x\nü");
        for short in ["", "{", r#"{"value":"#, r#"{"value":"x"#] {
            assert!(matches!(read(short), Err(Malformed::Short)), "{short}");
        }
        for garbage in [
            "<html>",
            "hunter2",
            r#"{"value":"x"}}"#,
            r#"{"value":"\ud800"}"#,
            "{\"value\":\"a\nb\"}",
        ] {
            assert!(
                matches!(read(garbage), Err(Malformed::NotJson)),
                "{garbage}"
            );
        }
        for shape in [
            "{}",
            r#"{"value":null}"#,
            r#"{"value":1}"#,
            r#"{"value":["x"]}"#,
            r#"{"Value":"x"}"#,
            r#"{"value":"x","value":"y"}"#,
            "1",
        ] {
            assert!(matches!(read(shape), Err(Malformed::Shape)), "{shape}");
        }
        assert!(value(b"{\"value\":\"\xff\"}").is_err());
        let long = format!(r#"{{"value":"{}"}}"#, "x".repeat(VALUE_LIMIT));
        read(&long).unwrap();
        let longer = long.replacen('x', "xx", 1);
        assert!(matches!(read(&longer), Err(Malformed::LongValue)));
    }

    #[test]
    fn changes_of_a_poll() {
        let changes = changes(
            br#"{"changes":{"sk_a":{"status":"changed"},"sk_b":{"status":"deleted"},
                "sk_c":{"status":"access_denied"},"sk_d":{"status":"rotated"},"sk_e":7,
                "sk_f":{"status":{}}}}"#,
        );
        let statuses: Vec<_> = changes.unwrap().into_values().collect();
        assert_eq!(
            statuses,
            [
                PollStatus::Changed,
                PollStatus::Deleted,
                PollStatus::AccessDenied,
                PollStatus::Unknown,
                PollStatus::Unknown,
                PollStatus::Unknown
            ]
        );
    }

    #[test]
    fn odd_entries_are_left_out_and_do_not_hide_the_others() {
        let body = br#"{"secrets":[{"id":"sk_a","name":"a","value":"1"},{"id":"../x","value":"2"},
            {"id":"sk_b","value":7},{"name":"c"},5,{"id":"sk_d","value":"\ud800"},
            {"id":"sk_e","name":[],"value":"3"},{"id":"sk_f","value":"4","more":{}}]}"#;
        let ids = |entries: Vec<ExportEntry>| -> Vec<String> {
            entries.into_iter().map(|entry| entry.id).collect()
        };
        assert_eq!(ids(export(body, &|| true).unwrap()), ["sk_a", "sk_f"]);
        let listed = list(body).unwrap();
        let listed: Vec<&str> = listed.iter().map(|entry| entry.id.as_str()).collect();
        assert_eq!(listed, ["sk_a", "sk_b", "sk_d", "sk_f"]);
        let all_odd = br#"{"secrets":[{"id":"sk_1","name":"x"}]}"#;
        assert!(matches!(export(all_odd, &|| true), Err(Malformed::Shape)));
        assert!(list(br#"{"secrets":[]}"#).unwrap().is_empty());
    }

    #[test]
    fn lists_have_bounds_and_exports_a_deadline() {
        let entries = "7,".repeat(ENTRIES_LIMIT);
        let body = |more: &str| format!(r#"{{"secrets":[{entries}{more}]}}"#);
        let one = r#"{"id":"sk_a","value":"1"}"#;
        assert!(matches!(list(body(one).as_bytes()), Err(Malformed::Shape)));
        let within = body(one).replacen("7,", "", 1);
        assert_eq!(list(within.as_bytes()).unwrap().len(), 1);
        let late = export(within.as_bytes(), &|| false);
        assert!(matches!(late, Err(Malformed::OutOfTime)));
        let changes: String = (0..=ENTRIES_LIMIT)
            .map(|n| format!(r#""{n}":1,"#))
            .collect();
        let changes = format!(r#"{{"changes":{{{}}}}}"#, changes.trim_end_matches(','));
        assert!(matches!(
            super::changes(changes.as_bytes()),
            Err(Malformed::Shape)
        ));
    }

    #[test]
    fn error_messages() {
        assert_eq!(
            error_message(br#"{"error":"no grant","x":1}"#).unwrap(),
            "no grant"
        );
        for none in ["", "<html>", "{}", r#"{"error":1}"#] {
            assert!(error_message(none.as_bytes()).is_none());
        }
    }
}
