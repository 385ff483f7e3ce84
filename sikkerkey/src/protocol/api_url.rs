//! The service's address, and the rule that nothing is sent in clear text to another machine.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use http::Uri;
use rustls::pki_types::ServerName;

/// The service's address, checked: https, or http to this machine only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiUrl {
    text: String,
    host: String,
    port: Option<u16>,
    tls: bool,
    prefix: String,
}

impl ApiUrl {
    /// Parses an address. The error is the end of a sentence about the address, and never repeats it, because
    /// a refused one may contain a password.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("is empty");
        }
        // The parser silently drops a fragment, and a query would absorb the path.
        if text.contains(['#', '?']) {
            return Err("has a query or a fragment; only a host, a port and a path belong there");
        }
        let uri: Uri = text.parse().map_err(|_| "is not a URL")?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) => return Err("has a scheme other than https"),
            None => return Err("has no scheme; it starts with https://"),
        };
        let authority = uri.authority().ok_or("names no host")?;
        if authority.as_str().contains('@') {
            return Err("has a user name before the host, which is how a URL deceives its reader");
        }
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        if host.is_empty() {
            return Err("names no host");
        }
        let port = match &authority.as_str()[host.len()..] {
            "" => None,
            port => {
                Some(port_number(port).ok_or("has a port that is not a number from 1 to 65535")?)
            }
        };
        if !tls && !is_this_machine(&host) {
            return Err(
                "is plain http to another machine; use https (plain http is only for \
                 localhost, 127.0.0.0/8 and [::1])",
            );
        }
        // A host that no certificate can name would only fail later, in TLS.
        let is_possible = match host.starts_with('[') {
            true => without_brackets(&host).parse::<Ipv6Addr>().is_ok(),
            false => ServerName::try_from(host.as_str()).is_ok(),
        };
        if !is_possible {
            return Err("has a host that is neither a name nor an address");
        }
        // Other characters would also reach errors and logs.
        if !uri.path().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("has a path with characters that must be percent-encoded");
        }
        let prefix = uri.path().trim_end_matches('/').to_owned();
        let scheme = if tls { "https" } else { "http" };
        let text = match port {
            Some(port) => format!("{scheme}://{host}:{port}{prefix}"),
            None => format!("{scheme}://{host}{prefix}"),
        };
        Ok(ApiUrl {
            text,
            host,
            port,
            tls,
            prefix,
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the host, without the brackets of an IPv6 address.
    pub(crate) fn host(&self) -> &str {
        without_brackets(&self.host)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.unwrap_or(if self.tls { 443 } else { 80 })
    }

    /// Returns host and port in the form of the `Host` header and of a proxy.
    pub(crate) fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// Returns the path in front of the service's own paths, without a final slash. It is not part of the
    /// signed text.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whether the service is on this machine: an emulator, for which the lower bound of the poll interval is
    /// not enforced.
    pub(crate) fn is_loopback(&self) -> bool {
        is_this_machine(&self.host)
    }
}

impl fmt::Display for ApiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Parses the port after a colon.
fn port_number(port: &str) -> Option<u16> {
    let digits = port.strip_prefix(':')?;
    // `parse` accepts a sign, too.
    let number = digits.parse().ok().filter(|_| !digits.starts_with('+'))?;
    (number != 0).then_some(number)
}

fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

/// Whether the host is this machine. Compares whole names and parsed addresses, never prefixes:
/// `127.0.0.1.evil.example` is another machine.
fn is_this_machine(host: &str) -> bool {
    host == "localhost"
        || host.parse().is_ok_and(|ip: Ipv4Addr| ip.is_loopback())
        || host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .is_some_and(|host| host.parse() == Ok(Ipv6Addr::LOCALHOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_urls() {
        for (text, normal, host, port, loopback) in [
            (
                "https://api.sikkerkey.com",
                "https://api.sikkerkey.com",
                "api.sikkerkey.com",
                443,
                false,
            ),
            (
                "https://API.SikkerKey.com/",
                "https://api.sikkerkey.com",
                "api.sikkerkey.com",
                443,
                false,
            ),
            (
                "https://h:8443/base/",
                "https://h:8443/base",
                "h",
                8443,
                false,
            ),
            (
                "http://localhost:4711",
                "http://localhost:4711",
                "localhost",
                4711,
                true,
            ),
            (
                "HTTP://LOCALHOST",
                "http://localhost",
                "localhost",
                80,
                true,
            ),
            (
                "http://127.0.0.1:1",
                "http://127.0.0.1:1",
                "127.0.0.1",
                1,
                true,
            ),
            (
                "http://127.9.8.7",
                "http://127.9.8.7",
                "127.9.8.7",
                80,
                true,
            ),
            ("http://[::1]:9", "http://[::1]:9", "::1", 9, true),
            (
                "https://localhost",
                "https://localhost",
                "localhost",
                443,
                true,
            ),
        ] {
            let url = ApiUrl::parse(text).unwrap();
            assert_eq!(url.as_str(), normal);
            assert_eq!((url.host(), url.port()), (host, port));
            assert_eq!(url.is_loopback(), loopback);
        }
        assert_eq!(ApiUrl::parse("https://h/a/b").unwrap().prefix(), "/a/b");
        assert_eq!(ApiUrl::parse("https://h").unwrap().prefix(), "");
    }

    #[test]
    fn hostile_and_mistaken_urls_are_refused() {
        for text in [
            "http://localhost.evil.example",
            "http://localhost@evil.example",
            "http://localhost:80@evil.example",
            "http://127.0.0.1@evil.example/",
            "https://user:password@api.sikkerkey.com",
            "https://@api.sikkerkey.com",
            "http://127.0.0.1.evil.example",
            "http://127.0.0.1.",
            "http://localhost.",
            "http://127.1",
            "http://2130706433",
            "http://0x7f.0.0.1",
            "http://0.0.0.0",
            "http://[::ffff:127.0.0.1]",
            "http://[::]",
            "http://10.0.0.1",
            "http://api.sikkerkey.com",
            "http://localhosts",
            "http://LOCALHOST.EVIL.EXAMPLE",
            "http://evil.example#localhost",
            "http://evil.example?localhost",
            "http://evil.example\\@localhost",
            "https://api.sikkerkey.com?x=1",
            "https://api.sikkerkey.com#x",
            "ftp://localhost",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "localhost",
            "localhost:80",
            "//localhost",
            "/v1",
            "https://",
            "https:///v1",
            "http:localhost",
            "https://host:99999",
            "https://host:x",
            "https://host:",
            "https://host:0",
            "https://host:+80",
            "https://a..b",
            "https://.a",
            "https://a.-b",
            "https://[fe80::1%eth0]",
            "https://[fe80::1%25eth0]",
            "https://[1.2.3.4]",
            "https://[::1",
            "https://*.example.com",
            "https://a!b",
            "https://a b",
            "https://ex\nample",
            "https://a/\u{9b}2J",
            "https://a/\u{202e}",
            "https://a/\u{e4}",
            "https://a/\u{7f}",
            " https://api.sikkerkey.com",
            "",
        ] {
            let refused = ApiUrl::parse(text);
            assert!(refused.is_err(), "{text:?} became {refused:?}");
        }
    }
}
