use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use super::form::stray;
use super::{FromSecret, ValueError};

macro_rules! addresses {
    ($($address:ident $expected:literal, $example:literal;)*) => {$(
        impl FromSecret for $address {
            fn from_secret(text: &str) -> Result<Self, ValueError> {
                text.parse().map_err(|_| {
                    let example = concat!("one looks like ", $example);
                    ValueError::new(stray(text).unwrap_or(example))
                })
            }

            fn expected() -> Cow<'static, str> {
                Cow::Borrowed($expected)
            }
        }
    )*};
}

addresses! {
    IpAddr "an IP address", "10.0.0.1 or ::1";
    Ipv4Addr "an IPv4 address", "10.0.0.1";
    Ipv6Addr "an IPv6 address", "2001:db8::1";
    SocketAddr "a socket address", "10.0.0.1:8080 or [::1]:8080";
    SocketAddrV4 "an IPv4 socket address", "10.0.0.1:8080";
    SocketAddrV6 "an IPv6 socket address", "[2001:db8::1]:8080";
}

#[cfg(feature = "url")]
impl FromSecret for url::Url {
    fn from_secret(text: &str) -> Result<Self, ValueError> {
        // The URL parser silently removes stray white space, so look for it first.
        if let Some(stray) = stray(text) {
            return Err(ValueError::new(stray));
        }
        url::Url::parse(text).map_err(|_| ValueError::new("one looks like https://example.com/"))
    }

    fn expected() -> Cow<'static, str> {
        Cow::Borrowed("a URL")
    }
}
