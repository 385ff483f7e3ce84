//! The proxy that the environment names, if any.

use std::env;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::protocol::api_url::ApiUrl;

/// The variables that count for https, as every common tool reads them.
#[derive(Default)]
pub(super) struct Variables {
    /// `HTTPS_PROXY`, `https_proxy`, `ALL_PROXY`, `all_proxy`: the first that is set, and its name.
    proxy: Option<(&'static str, String)>,
    /// `NO_PROXY` or `no_proxy`.
    no_proxy: String,
}

impl Variables {
    pub(super) fn of_process() -> Self {
        let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
        Variables {
            proxy: ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
                .into_iter()
                .find_map(|name| Some((name, set(name)?))),
            no_proxy: set("NO_PROXY")
                .or_else(|| set("no_proxy"))
                .unwrap_or_default(),
        }
    }
}

/// A proxy that is asked to `CONNECT`; it sees the service's name and nothing else.
pub(super) struct Proxy {
    host: String,
    port: u16,
    authorization: Option<Zeroizing<String>>,
}

impl Proxy {
    /// The proxy for this address. This machine is never reached through one.
    pub(super) fn for_url(url: &ApiUrl, variables: &Variables) -> Result<Option<Self>, Error> {
        if url.is_loopback() || is_excepted(url.host(), &variables.no_proxy) {
            return Ok(None);
        }
        let Some((name, value)) = &variables.proxy else {
            return Ok(None);
        };
        // The value may hold a password, so the error does not repeat it.
        Self::parse(value).map(Some).ok_or_else(|| {
            Error::configuration(format!(
                "{name} names a proxy that cannot be used: http://host:port is what works; or \
                 name {} in NO_PROXY",
                url.host()
            ))
        })
    }

    fn parse(value: &str) -> Option<Self> {
        let value = match value.contains("://") {
            true => value.to_owned(),
            false => format!("http://{value}"),
        };
        let uri: Uri = value.parse().ok()?;
        if uri.scheme_str() != Some("http") {
            return None;
        }
        let authority = uri.authority()?.as_str();
        let authorization = match authority.rsplit_once('@') {
            Some((user, _)) => {
                let user = match user.contains(':') {
                    true => user.to_owned(),
                    false => format!("{user}:"),
                };
                Some(Zeroizing::new(format!(
                    "Basic {}",
                    STANDARD.encode(percent_decode(&user))
                )))
            }
            None => None,
        };
        let host = uri.host().filter(|host| !host.is_empty())?;
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        Some(Proxy {
            host,
            port: uri.port_u16().unwrap_or(80),
            authorization,
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

/// A comma-separated list of hosts; each also stands for the hosts under it, and `*` for all.
fn is_excepted(host: &str, no_proxy: &str) -> bool {
    no_proxy
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .any(|entry| {
            let entry = entry.to_ascii_lowercase();
            let entry = entry.trim_start_matches('*').trim_start_matches('.');
            entry.is_empty()
                || host
                    .strip_suffix(entry)
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
}

fn percent_decode(text: &str) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match tail {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
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
        Proxy::for_url(&ApiUrl::parse(url).unwrap(), &variables)
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
