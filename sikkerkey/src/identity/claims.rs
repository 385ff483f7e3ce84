//! The data of an identity, checked in one place for every source: a file, an enrollment, or the program.

use crate::id::is_id;
use crate::protocol::api_url::ApiUrl;
use crate::text;

/// The longest id of a machine. The service's are UUIDs.
const MACHINE_ID_LIMIT: usize = 200;

/// The unchecked data of an identity, without its key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claims<'a> {
    pub(crate) vault_id: &'a str,
    pub(crate) machine_id: &'a str,
    pub(crate) machine_name: Option<&'a str>,
    pub(crate) api_url: &'a str,
}

/// The values that the claims must agree with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Expected<'a> {
    /// The vault that was asked for.
    pub(crate) vault: Option<&'a str>,
    /// The address that sent the claims: an https address never leads to one that is not https.
    pub(crate) answered_by: Option<&'a ApiUrl>,
}

/// Claims that passed the check.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) vault_id: String,
    pub(crate) machine_id: String,
    pub(crate) machine_name: String,
    pub(crate) api_url: ApiUrl,
}

impl Claims<'_> {
    /// Checks the claims, strictly those that become part of a path, a header or an address; the name is only
    /// shown. The error is the end of a sentence about the source.
    pub(crate) fn check(&self, expected: Expected<'_>) -> Result<Checked, String> {
        if !is_id(self.vault_id) {
            return Err("has a vaultId with characters that no id has".to_owned());
        }
        if let Some(vault) = expected.vault
            && vault != self.vault_id
        {
            return Err(format!(
                "is for {}, and {vault} was asked for",
                text::name(self.vault_id)
            ));
        }
        let machine_id = self.machine_id;
        if machine_id.is_empty() {
            return Err("has an empty machineId".to_owned());
        }
        let visible = machine_id.bytes().all(|byte| byte.is_ascii_graphic());
        if !visible || machine_id.len() > MACHINE_ID_LIMIT {
            return Err("has a machineId with characters that no id has".to_owned());
        }
        let api_url = ApiUrl::parse(self.api_url)
            .map_err(|problem| format!("has an apiUrl that {problem}"))?;
        if let Some(from) = expected.answered_by
            && from.is_tls()
            && !api_url.is_tls()
        {
            return Err("has an apiUrl of plain http, although it came over https".to_owned());
        }
        Ok(Checked {
            vault_id: self.vault_id.to_owned(),
            machine_id: machine_id.to_owned(),
            machine_name: text::name(self.machine_name.unwrap_or_default()),
            api_url,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Claims<'_> = Claims {
        vault_id: "vault_a",
        machine_id: "m-1",
        machine_name: Some("web-1"),
        api_url: "https://api.sikkerkey.com",
    };

    #[test]
    fn ids_and_urls_are_strict() {
        let https = ApiUrl::parse("https://localhost").unwrap();
        let expected = Expected {
            vault: Some("vault_a"),
            answered_by: Some(&https),
        };
        GOOD.check(expected).unwrap();
        let long = "m".repeat(201);
        for (claims, says) in [
            (
                Claims {
                    vault_id: "../../x",
                    ..GOOD
                },
                "characters that no id has",
            ),
            (
                Claims {
                    vault_id: "",
                    ..GOOD
                },
                "characters that no id has",
            ),
            (
                Claims {
                    vault_id: "vault_b",
                    ..GOOD
                },
                "is for vault_b, and vault_a was asked for",
            ),
            (
                Claims {
                    machine_id: "",
                    ..GOOD
                },
                "an empty machineId",
            ),
            (
                Claims {
                    machine_id: "m\r\nX: 1",
                    ..GOOD
                },
                "characters that no id has",
            ),
            (
                Claims {
                    machine_id: &long,
                    ..GOOD
                },
                "characters that no id has",
            ),
            (
                Claims {
                    api_url: "http://127.0.0.1:9",
                    ..GOOD
                },
                "plain http, although it came over https",
            ),
            (
                Claims {
                    api_url: "http://10.0.0.1",
                    ..GOOD
                },
                "plain http to another machine",
            ),
        ] {
            let problem = claims.check(expected).unwrap_err();
            assert!(problem.contains(says), "{problem}");
        }
    }

    #[test]
    fn a_name_is_made_fit_to_be_shown() {
        let name = |machine_name| {
            let claims = Claims {
                machine_name,
                ..GOOD
            };
            claims.check(Expected::default()).unwrap().machine_name
        };
        assert_eq!(name(None), "");
        assert_eq!(name(Some("web\r\n\u{1b}[2J")), r"web\u{d}\u{a}\u{1b}[2J");
    }
}
