//! The origin of a request: a web page must not reach an emulator.
//!
//! A page of any site can make its visitor's browser send requests to localhost, under its own name (DNS rebinding)
//! or under `localhost` itself. Such a request is refused first, so that it uses up no fault and does not count as a
//! failed authentication.

use std::net::Ipv4Addr;

use crate::http::{Request, Response};

/// The refusal of a request that a web page made or may have made; `None` if it may pass.
///
/// `also` is a further accepted host: the name in the emulator's certificate, if it is not a loopback name.
pub(crate) fn refuse(request: &Request, also: Option<&str>) -> Option<Response> {
    let named = |name: &'static str| request.all(name).collect::<Vec<_>>();
    let accepted = |authority: &str| {
        let host = host(authority);
        host.is_some_and(|host| is_loopback(host) || also == Some(host))
    };
    match named("Host")[..] {
        [authority] if accepted(authority) => {}
        [_] => return Some(Response::error(403, "Host is not this machine")),
        _ => return Some(Response::error(400, "Host is missing or repeated")),
    }
    let own = |origin: &&str| {
        origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"))
            .is_some_and(accepted)
    };
    if !named("Origin").iter().all(own) {
        return Some(Response::error(403, "Origin is not this machine"));
    }
    // Images and links carry no Origin, but a browser still says whether another site asked for them.
    let site = |site: &&str| matches!(*site, "none" | "same-origin");
    if !named("Sec-Fetch-Site").iter().all(site) {
        return Some(Response::error(403, "Another site asked for this"));
    }
    None
}

/// Whether `host` or `host:port` is this machine's.
pub(crate) fn is_loopback_authority(authority: &str) -> bool {
    host(authority).is_some_and(is_loopback)
}

/// Whether a URL leads to this machine.
pub(crate) fn is_loopback_url(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or(url.strip_prefix("https://"));
    let authority = rest.and_then(|rest| rest.split('/').next());
    authority.is_some_and(is_loopback_authority)
}

/// The host of `host` or `host:port`; `None` if that is malformed.
fn host(authority: &str) -> Option<&str> {
    let (host, rest) = match authority.find(']') {
        Some(end) => authority.split_at(end + 1),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
    (rest.is_empty() || rest.strip_prefix(':').is_some_and(port)).then_some(host)
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host == "[::1]"
        || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(headers: &[(&str, &str)]) -> u16 {
        let headers = headers.iter().map(|(n, v)| ((*n).into(), (*v).into()));
        let request = Request {
            method: "GET".into(),
            target: "/".into(),
            headers: headers.collect(),
            body: Vec::new(),
            keep_alive: true,
        };
        refuse(&request, Some("other.example")).map_or(0, |refusal| refusal.status)
    }

    #[test]
    fn hosts_of_this_machine_pass() {
        for host in [
            "localhost",
            "LocalHost:8080",
            "127.0.0.1",
            "127.9.8.7:1",
            "[::1]",
            "[::1]:443",
            "other.example:5",
        ] {
            assert_eq!(status(&[("host", host)]), 0, "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "localhost@evil.example",
            "evil.example:localhost",
            "localhost:80:80",
            "127.0.0.1.evil.example",
            "128.0.0.1",
            "127.1",
            "[::2]",
            "[::1]x",
            "::1",
            "",
        ] {
            assert_eq!(status(&[("Host", host)]), 403, "{host}");
        }
        assert_eq!(status(&[]), 400);
        assert_eq!(status(&[("Host", "localhost"), ("Host", "localhost")]), 400);
    }

    #[test]
    fn other_sites_are_refused() {
        let with = |name, value| status(&[("Host", "localhost"), (name, value)]);
        for origin in [
            "http://localhost:3000",
            "https://127.0.0.1",
            "http://[::1]:5",
        ] {
            assert_eq!(with("Origin", origin), 0, "{origin}");
        }
        for origin in [
            "null",
            "",
            "localhost",
            "https://evil.example",
            "http://localhost.evil.example",
            "file://localhost",
        ] {
            assert_eq!(with("Origin", origin), 403, "{origin}");
        }
        for (site, expected) in [
            ("none", 0),
            ("same-origin", 0),
            ("same-site", 403),
            ("cross-site", 403),
        ] {
            assert_eq!(with("Sec-Fetch-Site", site), expected, "{site}");
        }
    }
}
