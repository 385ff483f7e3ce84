//! The proxy that the environment variables name, if any.

use std::env;
use std::fmt;
use std::net::Ipv6Addr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::no_proxy;
use crate::error::Error;
use crate::protocol::api_url::ApiUrl;

/// The port of a proxy that names none, as in every URL with `http:`.
const DEFAULT_PORT: u16 = 80;

/// The proxy variables for https, as common tools read them.
#[derive(Default)]
pub(super) struct Variables {
    /// The first of `HTTPS_PROXY`, `https_proxy`, `ALL_PROXY` and `all_proxy` that is set, with its name.
    proxy: Option<(&'static str, String)>,
    /// `NO_PROXY` or `no_proxy`.
    no_proxy: String,
}

impl Variables {
    pub(super) fn of_process() -> Result<Self, Error> {
        let proxy = first_set(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])?;
        let no_proxy = first_set(&["NO_PROXY", "no_proxy"])?;
        Ok(Variables {
            proxy,
            no_proxy: no_proxy.map(|(_, list)| list).unwrap_or_default(),
        })
    }
}

/// Returns the first of these variables that is set and not empty. A variable that cannot be read is an
/// error, because without it requests would not take the route that the environment sets.
fn first_set(names: &[&'static str]) -> Result<Option<(&'static str, String)>, Error> {
    for name in names {
        match env::var(name) {
            Ok(value) if !value.is_empty() => return Ok(Some((name, value))),
            Ok(_) | Err(env::VarError::NotPresent) => {}
            Err(env::VarError::NotUnicode(_)) => {
                return Err(Error::configuration(format!("{name} is not UTF-8")));
            }
        }
    }
    Ok(None)
}

/// A proxy for `CONNECT`. It sees the service's name and nothing else.
#[derive(Clone)]
pub(super) struct Proxy {
    host: String,
    port: u16,
    authorization: Option<Zeroizing<String>>,
}

impl Proxy {
    /// Returns the proxy for this address. Loopback never uses a proxy.
    pub(super) fn for_url(
        url: &ApiUrl,
        variables: Result<Variables, Error>,
    ) -> Result<Option<Self>, Error> {
        if url.is_loopback() {
            return Ok(None);
        }
        let variables = variables?;
        if no_proxy::excepts(&variables.no_proxy, url.host(), url.port()) {
            return Ok(None);
        }
        let Some((name, value)) = &variables.proxy else {
            return Ok(None);
        };
        // The value may hold a password, so the error does not repeat it.
        Self::parse(value).map(Some).map_err(|problem| {
            Error::configuration(format!(
                "{name} {problem}: use http://user:password@host:port, where user and password are optional \
                 and special characters in them are percent-encoded, or name {} in NO_PROXY",
                url.host()
            ))
        })
    }

    /// Parses a proxy's URL; its scheme may be left out. The error is the end of a sentence about the URL.
    fn parse(value: &str) -> Result<Self, &'static str> {
        let rest = match value.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => return Err("names a proxy with a scheme other than http"),
            None => value,
        };
        // A `/`, `#` or `?` in a password must be percent-encoded: otherwise it would end the host too early.
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let is_plain = |c: char| c.is_ascii_graphic() && !r#"#?/\"<>^`{|}"#.contains(c);
        if !authority.chars().all(is_plain) {
            return Err("has a character that must be percent-encoded or does not belong there");
        }
        let (user, address) = match authority.rsplit_once('@') {
            Some((user, _)) if user.contains('@') => {
                return Err("has two @, one of which must be percent-encoded");
            }
            Some((user, address)) => (Some(user), address),
            None => (None, authority),
        };
        let (host, port) = split_port(address)?;
        Ok(Proxy {
            host: host_of(host)?.to_owned(),
            port,
            authorization: user.map(authorization).transpose()?,
        })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The value of `Proxy-Authorization`.
    pub(super) fn authorization(&self) -> Option<&str> {
        self.authorization.as_ref().map(|value| value.as_str())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({}:{})", self.host, self.port)
    }
}

fn split_port(address: &str) -> Result<(&str, u16), &'static str> {
    match address.rsplit_once(':') {
        // The last colon inside brackets is part of an IPv6 address.
        Some((_, rest)) if rest.ends_with(']') => Ok((address, DEFAULT_PORT)),
        // `parse` accepts a sign, too.
        Some((host, port)) => match port.parse() {
            Ok(number) if number != 0 && !port.starts_with('+') => Ok((host, number)),
            _ => Err("has a port that is not a number from 1 to 65535"),
        },
        None => Ok((address, DEFAULT_PORT)),
    }
}

/// Returns the host, without the brackets of an IPv6 address.
fn host_of(host: &str) -> Result<&str, &'static str> {
    if let Some(inner) = host.strip_prefix('[') {
        return inner
            .strip_suffix(']')
            .filter(|inner| inner.parse::<Ipv6Addr>().is_ok())
            .ok_or("has brackets around what is not an IPv6 address");
    }
    let is_of_names = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    match host.is_empty() || host.starts_with('.') || host.contains("..") {
        false if host.chars().all(is_of_names) => Ok(host),
        _ => Err("names no host"),
    }
}

/// Makes the value of `Proxy-Authorization` for `user:password`.
fn authorization(user: &str) -> Result<Zeroizing<String>, &'static str> {
    let mut credentials =
        percent_decoded(user).ok_or("has a % that is not followed by two hexadecimal digits")?;
    if !user.contains(':') {
        credentials.push(b':');
    }
    let encoded = Zeroizing::new(STANDARD.encode(&*credentials));
    Ok(Zeroizing::new(["Basic ", &encoded].concat()))
}

fn percent_decoded(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    // One byte more than needed, so that the buffer never grows: only its last memory would be wiped.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() + 1));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            byte => byte,
        });
    }
    Some(bytes)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(url: &str, proxy: &str, no_proxy: &str) -> Result<Option<Proxy>, Error> {
        let variables = Variables {
            proxy: (!proxy.is_empty()).then(|| ("HTTPS_PROXY", proxy.to_owned())),
            no_proxy: no_proxy.to_owned(),
        };
        Proxy::for_url(&ApiUrl::parse(url).unwrap(), Ok(variables))
    }

    #[test]
    fn a_proxy_is_read_in_its_usual_forms() {
        for (value, host, port, authorization) in [
            ("http://proxy:3128", "proxy", 3128, None),
            ("http://proxy/", "proxy", 80, None),
            ("proxy:3128", "proxy", 3128, None),
            ("http://[::1]:3128", "::1", 3128, None),
            (
                "http://ann:p%40ss@proxy:1",
                "proxy",
                1,
                Some("Basic YW5uOnBAc3M="),
            ),
            ("http://ann@proxy:1", "proxy", 1, Some("Basic YW5uOg==")),
            ("HTTP://Proxy_1.example.:1", "Proxy_1.example.", 1, None),
            ("[::1]", "::1", 80, None),
        ] {
            let proxy = proxy("https://api.sikkerkey.com", value, "")
                .unwrap()
                .unwrap();
            assert_eq!((proxy.host(), proxy.port()), (host, port));
            assert_eq!(proxy.authorization(), authorization);
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_an_error_without_its_password() {
        for value in [
            "socks5://ann:hunter2@proxy:1",
            "https://ann:hunter2@proxy",
            "http://",
            "a b",
            "proxy:99999",
            "proxy:0",
            "proxy:abc",
            "proxy:",
            "proxy:+80",
            ":3128",
            "http://ann:hunter2@proxy:1#",
            "http://ann:hunter2#w@proxy:1",
            "http://ann:hunter2?w@proxy:1",
            "http://ann:hunter2/w@proxy:1",
            "http://ann:hunter2@w@proxy:1",
            "http://ann:hunter2%@proxy:1",
            "http://ann:hunter2%zz@proxy:1",
            "http://ann:hunter2 w@proxy:1",
            "http://ann:hunter2\u{e9}@proxy:1",
            "http://ann:hunter2\r\nX: y@proxy:1",
            "http://ann:hunter2@proxy:1/path",
            "http://ann:hunter2@proxy..example:1",
            "http://ann:hunter2@.:1",
            "http://ann:hunter2@[fe80::1%25eth0]:1",
            "http://ann:hunter2@[::1:1",
            "http://ann:hunter2@::1",
            "http://ann:hunter2@pro*xy:1",
        ] {
            let error = proxy("https://api.sikkerkey.com", value, "").unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains("HTTPS_PROXY") && !text.contains("hunter2"),
                "{text}"
            );
        }
    }

    #[test]
    fn this_machine_and_exceptions_are_reached_directly() {
        for url in [
            "http://localhost:1",
            "http://127.0.0.1:1",
            "https://[::1]:1",
        ] {
            assert!(proxy(url, "http://proxy:3128", "").unwrap().is_none());
        }
        for (no_proxy, excepted) in [
            ("api.sikkerkey.com", true),
            ("a, SikkerKey.com ,b", true),
            (".sikkerkey.com", true),
            ("*.sikkerkey.com", true),
            ("*", true),
            ("com", true),
            ("kerkey.com", false),
            ("api.sikkerkey.com.evil.example", false),
            (" , ,", false),
        ] {
            let proxy = proxy("https://api.sikkerkey.com", "http://proxy:1", no_proxy).unwrap();
            assert_eq!(proxy.is_none(), excepted, "{no_proxy}");
        }
    }

    #[test]
    fn debug_hides_the_password() {
        let proxy = Proxy::parse("http://ann:hunter2@proxy:1").unwrap();
        assert_eq!(format!("{proxy:?}"), "Proxy(proxy:1)");
    }
}
