//! What requests and answers look like as JSON.
//!
//! Nothing of serde_json's own error texts leaves this module: they can quote what they read.
//! Values go straight into memory that is wiped, with one exception that cannot be helped: a
//! string with escapes passes through a scratch buffer inside serde_json.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

/// An answer that is not what the protocol says, as the end of a sentence about it.
pub(crate) enum Malformed {
    /// It ends too early to be JSON.
    Short,
    /// It is no JSON at all.
    NotJson,
    /// It is JSON of another shape.
    Shape,
}

#[derive(Deserialize)]
pub(crate) struct ReadResponse {
    pub(crate) value: SecretString,
}

#[derive(Deserialize)]
pub(crate) struct ListResponse {
    pub(crate) secrets: Vec<ListEntry>,
}

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

#[derive(Deserialize)]
pub(crate) struct ExportResponse {
    pub(crate) secrets: Vec<ExportEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExportEntry {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    pub(crate) value: SecretString,
    #[serde(default)]
    pub(crate) field_names: Option<String>,
}

/// What changed since this machine last read it. An id that is left out did not change.
#[derive(Deserialize)]
pub(crate) struct PollResponse {
    pub(crate) changes: BTreeMap<String, PollChange>,
}

#[derive(Deserialize)]
pub(crate) struct PollChange {
    pub(crate) status: PollStatus,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PollStatus {
    Changed,
    Deleted,
    AccessDenied,
    /// A word that a later version of the service may use.
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
    /// Only shown: whatever it is, a spent token is not thrown away for it.
    #[serde(default)]
    pub(crate) machine_name: Value,
    /// The same.
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

pub(crate) fn decode<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Malformed> {
    serde_json::from_slice(body).map_err(|cause| match cause.classify() {
        serde_json::error::Category::Eof => Malformed::Short,
        serde_json::error::Category::Data => Malformed::Shape,
        _ => Malformed::NotJson,
    })
}

/// The bytes of a request. They are wiped, for an enrollment's hold the token.
pub(crate) fn encode(request: &impl Serialize) -> Zeroizing<Vec<u8>> {
    // As large as any enrollment, so that the token is not left behind by a growing buffer.
    let mut bytes = Zeroizing::new(Vec::with_capacity(8 * 1024));
    // Structs of strings always serialise, and a Vec takes every byte.
    let written = serde_json::to_writer(&mut *bytes, request);
    debug_assert!(written.is_ok());
    bytes
}

/// The message of the service's error, which may be empty; `None` for a body that is not the
/// service's own.
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
    fn answers_that_are_none_are_told_apart() {
        use secrecy::ExposeSecret as _;
        let read = |body: &str| decode::<ReadResponse>(body.as_bytes());
        assert_eq!(
            read(r#"{"value":"x","more":1}"#)
                .ok()
                .unwrap()
                .value
                .expose_secret(),
            "x"
        );
        for short in ["", "{", r#"{"value":"#, r#"{"value":"x"#] {
            assert!(matches!(read(short), Err(Malformed::Short)), "{short}");
        }
        for garbage in [
            "<html>",
            "hunter2",
            r#"{"value":"x"}}"#,
            r#"{"value":"\ud800"}"#,
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
            r#"{"Value":"x"}"#,
            "1",
        ] {
            assert!(matches!(read(shape), Err(Malformed::Shape)), "{shape}");
        }
        assert!(decode::<ReadResponse>(b"{\"value\":\"\xff\"}").is_err());
    }

    #[test]
    fn poll_answers() {
        let answer: PollResponse = decode(
            br#"{"changes":{"sk_a":{"status":"changed"},"sk_b":{"status":"deleted"},
                "sk_c":{"status":"access_denied"},"sk_d":{"status":"rotated"}}}"#,
        )
        .ok()
        .unwrap();
        let statuses: Vec<_> = answer
            .changes
            .values()
            .map(|change| change.status)
            .collect();
        assert_eq!(
            statuses,
            [
                PollStatus::Changed,
                PollStatus::Deleted,
                PollStatus::AccessDenied,
                PollStatus::Unknown
            ]
        );
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
