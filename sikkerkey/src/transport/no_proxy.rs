//! `NO_PROXY`: the hosts that are reached without a proxy.
//!
//! A list with commas or spaces between its entries, parsed as curl and Go do:
//!
//! | entry | what it excepts |
//! | --- | --- |
//! | `*` | every host |
//! | `example.com`, `.example.com`, `example.com.` | this name and those below it |
//! | `*.example.com` | the names below it |
//! | `10.1.2.3`, `::1`, `[::1]` | this address, in any notation |
//! | `10.0.0.0/8`, `fd00::/8` | the addresses of this network |
//! | a name or an address followed by `:443` | the same host, on this port only |
//!
//! Names are compared with names, and addresses with addresses; no name is resolved for this.

use std::net::IpAddr;

/// Whether the list excepts a host, given without the brackets of an IPv6 address.
pub(super) fn excepts(list: &str, host: &str, port: u16) -> bool {
    let host = Host::of(host);
    list.split(|c: char| c == ',' || c.is_ascii_whitespace())
        .filter(|entry| !entry.is_empty())
        .any(|entry| host.is_excepted_by(entry, port))
}

enum Host<'a> {
    Address(IpAddr),
    Name(&'a str),
}

impl<'a> Host<'a> {
    fn of(host: &'a str) -> Self {
        match host.parse() {
            Ok(address) => Host::Address(address),
            Err(_) => Host::Name(without_last_dot(host)),
        }
    }

    fn is_excepted_by(&self, entry: &str, port: u16) -> bool {
        if entry == "*" {
            return true;
        }
        // An IPv6 address without brackets contains colons, but no port.
        let (entry, port_matches) = match entry.rsplit_once(':') {
            Some((host, stated)) if !host.contains(':') || host.ends_with(']') => {
                (host, stated.parse() == Ok(port))
            }
            _ => (entry, true),
        };
        port_matches
            && match self {
                Host::Address(address) => is_of_network(*address, entry),
                Host::Name(name) => is_below(name, entry),
            }
    }
}

/// Whether the address equals the entry, or is in its network.
fn is_of_network(address: IpAddr, entry: &str) -> bool {
    let (network, bits) = match entry.split_once('/') {
        Some((network, bits)) => match bits.parse::<u32>() {
            Ok(bits) => (network, Some(bits)),
            Err(_) => return false,
        },
        None => (entry, None),
    };
    let network = network
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(network);
    match (address, network.parse()) {
        (IpAddr::V4(address), Ok(IpAddr::V4(network))) => {
            let differing = (address.to_bits() ^ network.to_bits()).leading_zeros();
            let bits = bits.unwrap_or(u32::BITS);
            bits <= u32::BITS && differing >= bits
        }
        (IpAddr::V6(address), Ok(IpAddr::V6(network))) => {
            let differing = (address.to_bits() ^ network.to_bits()).leading_zeros();
            let bits = bits.unwrap_or(u128::BITS);
            bits <= u128::BITS && differing >= bits
        }
        _ => false,
    }
}

/// Whether the name equals the entry or is below it.
fn is_below(name: &str, entry: &str) -> bool {
    let (parent, only_below) = match entry.strip_prefix("*.") {
        Some(parent) => (parent, true),
        None => (entry.strip_prefix('.').unwrap_or(entry), false),
    };
    let parent = without_last_dot(parent);
    let Some(place) = name.len().checked_sub(parent.len()) else {
        return false;
    };
    let (front, end) = match name.split_at_checked(place) {
        Some(parts) if !parent.is_empty() => parts,
        _ => return false,
    };
    end.eq_ignore_ascii_case(parent) && (front.ends_with('.') || front.is_empty() && !only_below)
}

fn without_last_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;
    use std::process::{Command, Stdio};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    /// Entries that curl does not support or treats differently: ports and wildcards as in Go, and IPv6.
    #[test]
    fn entries_beyond_those_of_curl() {
        for (list, host, excepted) in [
            ("*", "h", true),
            ("a, *", "::1", true),
            ("*.example.com", "api.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "notexample.com", false),
            ("*example.com", "api.example.com", false),
            ("example.com:443", "api.example.com", true),
            ("example.com:444", "api.example.com", false),
            ("example.com:", "example.com", false),
            ("10.1.2.3:443", "10.1.2.3", true),
            ("10.1.2.3:80", "10.1.2.3", false),
            ("[::1]:443", "::1", true),
            ("[::1]:80", "::1", false),
            ("[::1]", "::1", true),
            // The curl of Debian 12 compares IPv6 addresses as text, and does not support IPv6 networks.
            ("2001:db8:0::1", "2001:db8::1", true),
            ("2001:0DB8:0:0:0:0:0:1", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8::1", true),
            ("2001:db8::/127", "2001:db8::1", true),
            ("2001:db8::/128", "2001:db8::1", false),
            ("10.0.0.0/8,[2001:db8::]/32", "2001:db8::1", true),
            ("2001:db8::1%eth0", "2001:db8::1", false),
            ("0.0.0.0/0", "10.1.2.3", true),
            ("::/0", "::1", true),
            ("::/0", "10.1.2.3", false),
            ("10.0.0.0/33", "10.0.0.0", false),
            ("10.0.0.0/-1", "10.0.0.0", false),
            ("10.0.0.0/x", "10.0.0.0", false),
            ("2.3", "10.1.2.3", false),
            ("10.1.2.3", "10.1.2.3.example.com", false),
            ("", "h", false),
            (" , ,", "h", false),
            (".", "h", false),
        ] {
            assert_eq!(excepts(list, host, 443), excepted, "{list:?} {host}");
        }
    }

    /// Lists and hosts. The installed curl decides whether a list excepts a host.
    const CURL: &[(&str, &str)] = &[
        ("example.com", "example.com"),
        ("example.com", "api.example.com"),
        ("example.com", "notexample.com"),
        ("example.com", "example.com.evil.example"),
        ("EXAMPLE.com", "api.example.COM"),
        (".example.com", "api.example.com"),
        (".example.com", "example.com"),
        ("example.com.", "api.example.com"),
        ("example.com", "api.example.com."),
        ("com", "example.com"),
        ("xample.com", "example.com"),
        ("a,example.com", "example.com"),
        ("a , example.com ,b", "example.com"),
        ("  example.com  ", "example.com"),
        (",,example.com,,", "example.com"),
        ("a,b,c", "example.com"),
        ("*", "example.com"),
        ("*", "10.1.2.3"),
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3", "10.1.2.30"),
        ("2.3", "10.1.2.3"),
        (".2.3", "10.1.2.3"),
        ("1.2.3", "10.1.2.3"),
        ("10.0.0.0/8", "10.1.2.3"),
        ("10.0.0.0/8", "11.1.2.3"),
        ("10.1.2.0/24", "10.1.2.3"),
        ("10.1.2.0/24", "10.1.3.3"),
        ("10.1.2.2/31", "10.1.2.3"),
        ("10.1.2.2/32", "10.1.2.3"),
        ("192.168.0.0/16,10.0.0.0/8", "10.1.2.3"),
        ("10.0.0.0/8", "example.com"),
        ("10.0.0.0/8", "10.example.com"),
        ("10.1.2.3", "10.1.2.3.example.com"),
        ("a example.com b", "example.com"),
        ("10.1.2.3/32", "10.1.2.30"),
        ("2001:db8::1", "[2001:db8::1]"),
        ("2001:DB8::1", "[2001:db8::1]"),
        ("2001:db8::2", "[2001:db8::1]"),
        ("2001:db9::/32", "[2001:db8::1]"),
        ("::1", "10.1.2.3"),
        ("10.1.2.3", "[2001:db8::1]"),
    ];

    /// Runs curl with a proxy of this test, which refuses every tunnel, and checks whether curl asked for
    /// one. Without the proxy, curl reaches a closed port of this machine.
    #[test]
    #[ignore = "needs curl, which .ci/run installs"]
    fn curl_agrees() {
        let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap();
        let nowhere = closed.local_addr().unwrap();
        drop(closed);
        let address = proxy.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        thread::spawn(move || {
            for stream in proxy.incoming() {
                let mut stream = stream.unwrap();
                let mut line = String::new();
                BufReader::new(&stream).read_line(&mut line).unwrap();
                assert!(line.starts_with("CONNECT "), "{line}");
                counted.fetch_add(1, Ordering::SeqCst);
                let refusal = b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(refusal).unwrap();
            }
        });
        for (list, host) in CURL {
            let before = asked.load(Ordering::SeqCst);
            let status = Command::new("curl")
                .env_clear()
                .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
                .env("https_proxy", format!("http://{address}"))
                .env("no_proxy", list)
                .args(["--silent", "--max-time", "20", "--connect-to"])
                .args([format!("::{nowhere}"), format!("https://{host}")])
                .stdin(Stdio::null())
                .status()
                .expect("curl");
            // 7: the closed port; 56: the proxy's refusal.
            let proxied = asked.load(Ordering::SeqCst) > before;
            assert_eq!(status.code(), Some(if proxied { 56 } else { 7 }));
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            assert_eq!(
                excepts(list, bare, 443),
                !proxied,
                "NO_PROXY={list:?} for {host}"
            );
        }
    }
}
