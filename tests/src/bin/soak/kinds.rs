//! The faults of single requests.

use std::time::Duration;

use sikkerkey_emulator::{Fault, Reply};

/// Of one attempt of the service's calls; what hangs, hangs this long.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(1);

const POLL: &str = "/v1/secrets/poll";
const READ: &str = "/v1/secret/";

/// A fault that one request meets.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// The start of the paths that meet it.
    pub(crate) path: &'static str,
    pub(crate) fault: Fault,
}

/// One after the other, over and over.
pub(crate) fn all() -> Vec<Kind> {
    let kind = |name, fault: Fault| Kind {
        name,
        path: "",
        fault,
    };
    let reply = |status| Reply::error(status, "emulated fault");
    let poll = |name, fault| Kind {
        name,
        path: POLL,
        fault,
    };
    vec![
        kind("closed", Fault::Close),
        kind("reset", Fault::Reset),
        kind("closed on reuse", Fault::on_reused(Fault::Close)),
        kind("reset on reuse", Fault::on_reused(Fault::Reset)),
        kind("408 on reuse", Fault::on_reused(Fault::Status(408))),
        kind("answer lost", Fault::after(Fault::Close)),
        poll("answer of a poll lost", Fault::after(Fault::Close)),
        kind("truncated", Fault::after(Fault::Truncated)),
        kind("length too small", Fault::WrongLength(-3)),
        kind("length too large", Fault::WrongLength(7)),
        kind("garbage", Fault::Garbage),
        kind("not UTF-8", Fault::InvalidUtf8),
        kind("not JSON", Fault::InvalidJson),
        kind("empty object", Fault::EmptyObject),
        kind("slow", Fault::Delay(Duration::from_millis(100))),
        kind("hangs", Fault::Hang),
        kind(
            "one byte at a time",
            Fault::DripAll(Duration::from_millis(1)),
        ),
        kind(
            "never ends, slowly",
            Fault::DripForever(Duration::from_millis(1)),
        ),
        kind("never ends", Fault::Endless),
        kind("headers never end", Fault::EndlessHead),
        kind("8 MiB", Fault::Huge(8 << 20)),
        kind(
            "redirect",
            Fault::Redirect("http://localhost:9/v1/secret/sk_0".into()),
        ),
        kind("429", Fault::Status(429)),
        kind(
            "429, come back in a second",
            reply(429).header("Retry-After", "1").into(),
        ),
        kind("500", Fault::Status(500)),
        kind("503", Fault::Status(503)),
        kind(
            "502 after the service acted",
            Fault::after(Fault::Status(502)),
        ),
        kind("a proxy's 502", Fault::Proxy(502)),
        Kind {
            name: "a proxy's 403",
            path: READ,
            fault: Fault::Proxy(403),
        },
        Kind {
            name: "a proxy's 404",
            path: READ,
            fault: Fault::Proxy(404),
        },
        poll("413 before the body is read", Fault::Early(reply(413))),
        poll("429 before the body is read", Fault::Early(reply(429))),
        kind(
            "a second answer in the same write",
            Fault::Desync(Reply::new(200).body(r#"{"value":"injected"}"#)),
        ),
        kind(
            "flood of informational answers",
            Fault::Informational {
                status: 103,
                count: 2_000,
                size: 4_096,
            },
        ),
        kind("chunk extensions", Fault::ChunkExtensions(4_096)),
        kind("folded header", Fault::FoldedHeader),
        kind("101", Reply::new(101).into()),
        kind(
            "gzip that nobody asked for",
            Reply::new(200)
                .header("Content-Encoding", "gzip")
                .body("\u{1f}")
                .into(),
        ),
        kind(
            "framing that is not UTF-8",
            Fault::Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \xff\r\n\r\n".to_vec()),
        ),
    ]
}

/// A 401 that comes before the poll is read, and one whose date is far off. The client then rests for 10 s, so they
/// strike once a minute.
pub(crate) fn unauthorized() -> [Kind; 2] {
    let reply = || Reply::error(401, "emulated fault");
    [
        Kind {
            name: "401 before the body is read",
            path: POLL,
            fault: Fault::Early(reply()),
        },
        Kind {
            name: "401 from the year 2099",
            path: "",
            fault: reply()
                .header("Date", "Thu, 01 Jan 2099 00:00:00 GMT")
                .into(),
        },
    ]
}
