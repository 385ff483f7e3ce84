//! The tables in the file: a secret's policy, lease and certificates, and webhooks.

use toml::de::DeValue;

use super::values::{
    Mistake, Span, boolean, duration, network, number, status, string, strings, table, time,
};
use crate::vault::{CertificateProfile, Lease, Policy, Window, WindowError};
use crate::webhook::Webhook;

/// `policy = { … }`.
pub(super) fn policy(at: Span, value: &DeValue<'_>) -> Result<Policy, Mistake> {
    let mut policy = Policy::new();
    for (key, value) in table(at, "policy", value)? {
        let (at, value) = (value.span(), value.get_ref());
        let name = key.get_ref().as_ref();
        policy = match name {
            "window" => match value {
                DeValue::Array(windows) => {
                    let windows = windows
                        .iter()
                        .map(|value| window(value.span(), value.get_ref()));
                    let windows = windows.collect::<Result<Vec<_>, _>>()?;
                    windows.into_iter().fold(policy, Policy::window)
                }
                _ => policy.window(window(at, value)?),
            },
            "sources" => {
                let networks = strings(at.clone(), name, value)?;
                let networks = networks.iter().map(|text| network(at.clone(), text));
                let networks = networks.collect::<Result<Vec<_>, _>>()?;
                networks
                    .into_iter()
                    .fold(policy, |policy, (address, prefix)| {
                        policy.source(address, prefix)
                    })
            }
            "co_sign" => policy.co_sign(boolean(at, name, value)?),
            "reads_per_minute" => policy.reads_per_minute(number(at, name, value)?),
            "reads_per_day" => policy.reads_per_day(number(at, name, value)?),
            "ttl_max_reads" => policy.ttl_max_reads(number(at, name, value)?),
            "ttl_expires_at" => policy.ttl_expires_at(time(at, value)?),
            "rotate_after_reads" => policy.rotate_after_reads(number(at, name, value)?),
            "count_per_machine" => policy.count_per_machine(boolean(at, name, value)?),
            "cap_status" => policy.cap_status(status(at, name, value)?),
            "spent_status" => policy.spent_status(status(at, name, value)?),
            "in_polls" => policy.in_polls(boolean(at, name, value)?),
            _ => {
                let reason = "unknown key; a policy has window, sources, co_sign, reads_per_minute, \
                              reads_per_day, ttl_max_reads, ttl_expires_at, rotate_after_reads, \
                              count_per_machine, cap_status, spent_status, in_polls";
                return Err(Mistake(key.span(), reason.into()));
            }
        };
    }
    Ok(policy)
}

/// `lease = { … }`.
pub(super) fn lease(at: Span, value: &DeValue<'_>) -> Result<Lease, Mistake> {
    let table = table(at.clone(), "lease", value)?;
    let Some(ttl) = table.get("ttl") else {
        return Err(Mistake(at, "ttl of the lease is missing".into()));
    };
    let mut lease = Lease::new(duration(ttl.span(), "ttl", ttl.get_ref())?);
    for (key, value) in table {
        let (at, value) = (value.span(), value.get_ref());
        let name = key.get_ref().as_ref();
        lease = match name {
            "ttl" => lease,
            "renew_on_read" => lease.renew_on_read(boolean(at, name, value)?),
            "mint_on_every_read" => lease.mint_on_every_read(boolean(at, name, value)?),
            "max_life" => lease.max_life(duration(at, name, value)?),
            "revoke_on_disable" => lease.revoke_on_disable(boolean(at, name, value)?),
            "in_polls" => lease.in_polls(boolean(at, name, value)?),
            _ => {
                let reason = "unknown key; a lease has ttl, renew_on_read, mint_on_every_read, \
                              max_life, revoke_on_disable, in_polls";
                return Err(Mistake(key.span(), reason.into()));
            }
        };
    }
    Ok(lease)
}

/// `certificate = { … }`.
pub(super) fn certificate(at: Span, value: &DeValue<'_>) -> Result<CertificateProfile, Mistake> {
    let table = table(at.clone(), "certificate", value)?;
    let Some(name) = table.get("common_name") else {
        return Err(Mistake(
            at,
            "common_name of the certificate is missing".into(),
        ));
    };
    let name = string(name.span(), "common_name", name.get_ref())?;
    let mut profile = CertificateProfile::new(name);
    for (key, value) in table {
        let (at, value) = (value.span(), value.get_ref());
        let name = key.get_ref().as_ref();
        profile = match name {
            "common_name" => profile,
            "names" => profile.names(strings(at, name, value)?),
            "max_validity" => profile.max_validity(duration(at, name, value)?),
            "chain" => profile.chain(boolean(at, name, value)?),
            "ssh" => profile.ssh(boolean(at, name, value)?),
            "for_other_key" => profile.for_other_key(boolean(at, name, value)?),
            _ => {
                let reason = "unknown key; a certificate has common_name, names, max_validity, \
                              chain, ssh, for_other_key";
                return Err(Mistake(key.span(), reason.into()));
            }
        };
    }
    Ok(profile)
}

/// `[[webhook]]`.
pub(super) fn webhook(at: Span, value: &DeValue<'_>) -> Result<Webhook, Mistake> {
    let table = table(at.clone(), "webhook", value)?;
    let (mut url, mut secret, mut prefix) = (None, None, false);
    for (key, value) in table {
        let (at, value) = (value.span(), value.get_ref());
        match key.get_ref().as_ref() {
            "url" => url = Some((string(at.clone(), "url", value)?, at)),
            "secret" => secret = Some(string(at, "secret", value)?),
            "signature_prefix" => prefix = boolean(at, "signature_prefix", value)?,
            _ => {
                let reason = "unknown key; a webhook has url, secret, signature_prefix";
                return Err(Mistake(key.span(), reason.into()));
            }
        }
    }
    let (Some((url, url_at)), Some(secret)) = (url, secret) else {
        return Err(Mistake(at, "a webhook needs url and secret".into()));
    };
    match Webhook::new(url, secret) {
        Ok(webhook) => Ok(webhook.signature_prefix(prefix)),
        Err(e) => Err(Mistake(url_at, e.to_string())),
    }
}

fn window(at: Span, value: &DeValue<'_>) -> Result<Window, Mistake> {
    let text = string(at.clone(), "window", value)?;
    text.parse()
        .map_err(|e: WindowError| Mistake(at, e.to_string()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use toml::de::DeTable;

    use super::*;

    /// The result of `read` for the text of this key.
    fn read<T>(
        text: &str,
        read: fn(Span, &DeValue<'_>) -> Result<T, Mistake>,
    ) -> Result<T, String> {
        let table = DeTable::parse(text).unwrap();
        let value = table.get_ref().get("x").unwrap();
        read(value.span(), value.get_ref())
            .map_err(|Mistake(at, reason)| format!("{}: {reason}", at.start))
    }

    #[test]
    fn every_setting_is_read() {
        let text = r#"x = { window = "daily 08:00-18:00 UTC", reads_per_minute = 1, reads_per_day = 2,
            sources = ["10.0.0.0/8", "::1"], co_sign = true, ttl_max_reads = 3, ttl_expires_at = 2027-01-01T00:00:00+01:00, rotate_after_reads = 4,
            count_per_machine = true, cap_status = 403, spent_status = 410, in_polls = true }"#;
        let ends = "2026-12-31T23:00:00Z".parse::<Timestamp>().unwrap();
        let expected = Policy::new()
            .window("daily 08:00-18:00 UTC".parse().unwrap())
            .reads_per_minute(1)
            .reads_per_day(2)
            .source([10, 0, 0, 0], 8)
            .source(std::net::Ipv6Addr::LOCALHOST, 128)
            .co_sign(true)
            .ttl_max_reads(3)
            .ttl_expires_at(ends.into())
            .rotate_after_reads(4)
            .count_per_machine(true)
            .cap_status(403)
            .spent_status(410)
            .in_polls(true);
        assert_eq!(read(text, policy), Ok(expected));
        let two = ["mon 08:00-09:00 UTC", "tue 08:00-09:00 UTC"].map(|w| w.parse().unwrap());
        assert_eq!(
            read(
                r#"x = { window = ["mon 08:00-09:00 UTC", "tue 08:00-09:00 UTC"] }"#,
                policy
            ),
            Ok(two.into_iter().fold(Policy::new(), Policy::window))
        );
        assert_eq!(read("x = {}", policy), Ok(Policy::new()));

        let text = r#"x = { ttl = "1h 30m", renew_on_read = true, mint_on_every_read = true,
            max_life = "24h", revoke_on_disable = true, in_polls = true }"#;
        let expected = Lease::new(Duration::from_secs(5400))
            .renew_on_read(true)
            .mint_on_every_read(true)
            .max_life(Duration::from_secs(86_400))
            .revoke_on_disable(true)
            .in_polls(true);
        assert_eq!(read(text, lease), Ok(expected));

        let text = r#"x = { common_name = "api", names = ["localhost", "127.0.0.1"], max_validity = "1h",
            chain = false, ssh = true, for_other_key = true }"#;
        let expected = CertificateProfile::new("api")
            .names(["localhost", "127.0.0.1"])
            .max_validity(Duration::from_secs(3600))
            .chain(false)
            .ssh(true)
            .for_other_key(true);
        assert_eq!(read(text, certificate), Ok(expected));
    }

    #[test]
    fn a_webhook_is_read() {
        let hook = Webhook::new("http://localhost:1/", "s").unwrap();
        let text = "x = { url = 'http://localhost:1/', secret = 's' }";
        assert_eq!(read(text, webhook), Ok(hook.clone()));
        let text = "x = { url = 'http://localhost:1/', secret = 's', signature_prefix = true }";
        assert_eq!(read(text, webhook), Ok(hook.signature_prefix(true)));
        for (text, expected) in [
            (
                "x = { url = 'http://localhost:1/' }",
                "4: a webhook needs url and secret",
            ),
            (
                "x = { url = 'http://a/', secret = 's' }",
                "12: a webhook goes to this machine",
            ),
            ("x = { url = 1 }", "12: url must be a string"),
            ("x = { uri = '' }", "6: unknown key; a webhook has url"),
        ] {
            let found = read(text, webhook).unwrap_err();
            assert!(found.starts_with(expected), "{found}");
        }
    }

    #[test]
    fn each_mistake_has_a_place() {
        for (text, expected) in [
            ("x = 1", "4: policy must be a table: { … }"),
            ("x = { reads = 1 }", "6: unknown key; a policy has window, "),
            (
                "x = { reads_per_day = -1 }",
                "22: reads_per_day must be a whole number, 0 or more",
            ),
            (
                "x = { ttl_max_reads = '1' }",
                "22: ttl_max_reads must be a whole number",
            ),
            (
                "x = { cap_status = 492 }",
                "19: cap_status must be 403, 404, 410 or 429",
            ),
            ("x = { in_polls = 1 }", "17: in_polls must be true or false"),
            ("x = { window = 1 }", "15: window must be a string"),
            (
                "x = { sources = ['10.0.0.0/33'] }",
                "16: sources must be addresses like \"10.1.2.3\" or networks like \"10.0.0.0/8\"",
            ),
            ("x = { sources = ['::/'] }", "16: sources must be addresses"),
            ("x = { sources = ['localhost'] }", "16: sources must be"),
            ("x = { window = ['mon'] }", "16: not a window like "),
            (
                "x = { ttl_expires_at = 2027-01-01 }",
                "23: ttl_expires_at must be a time",
            ),
            (
                "x = { ttl_expires_at = 2027-01-01T00:00:00 }",
                "23: ttl_expires_at must be a time",
            ),
        ] {
            let found = read(text, policy).unwrap_err();
            assert!(found.starts_with(expected), "{found}");
        }
        for (text, expected) in [
            ("x = {}", "4: common_name of the certificate is missing"),
            (
                "x = { common_name = 1 }",
                "20: common_name must be a string",
            ),
            (
                "x = { common_name = 'a', names = 'b' }",
                "33: names must be a list of strings",
            ),
            (
                "x = { common_name = 'a', name = 'b' }",
                "25: unknown key; a certificate has ",
            ),
        ] {
            let found = read(text, certificate).unwrap_err();
            assert!(found.starts_with(expected), "{found}");
        }
        for (text, expected) in [
            ("x = {}", "4: ttl of the lease is missing"),
            ("x = { ttl = 5 }", "12: ttl must be a duration like \"90s\""),
            ("x = { ttl = '0s' }", "12: ttl must be a duration"),
            ("x = { ttl = '-5s' }", "12: ttl must be a duration"),
            (
                "x = { ttl = '1h', renew = true }",
                "18: unknown key; a lease has ttl, ",
            ),
        ] {
            let found = read(text, lease).unwrap_err();
            assert!(found.starts_with(expected), "{found}");
        }
    }
}
