use super::reader::{HEAD_LIMIT, HEADERS};
use super::*;

/// Gives one byte at a time, as the slowest network would.
struct Drip<'a>(&'a [u8]);

impl Read for Drip<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let most = bytes.len().min(1);
        self.0.read(&mut bytes[..most])
    }
}

/// What came of an answer, whether it arrives at once or byte by byte.
#[track_caller]
fn answer(raw: &str, limit: usize) -> Result<(Response, bool), TransportError> {
    let dripped = read(&mut Drip(raw.as_bytes()), limit);
    let whole = read(&mut raw.as_bytes(), limit);
    match (&dripped, &whole) {
        (Ok((a, _)), Ok((b, _))) => {
            assert_eq!(a.status, b.status);
            assert_eq!(text(&a.body), text(&b.body));
        }
        (a, b) => assert_eq!(a.is_err(), b.is_err()),
    }
    whole
}

fn text(body: &Body) -> String {
    match body {
        Body::Whole(bytes) => format!("whole {}", String::from_utf8_lossy(bytes)),
        Body::UntilClose(bytes) => format!("until close {}", String::from_utf8_lossy(bytes)),
        Body::TooLarge => "too large".to_owned(),
        Body::CutOff(failure) => format!("cut off: {failure}"),
    }
}

#[track_caller]
fn body(raw: &str, expected: &str, reusable: bool) {
    let (reply, kept) = answer(raw, 20).unwrap();
    assert_eq!(
        (text(&reply.body).as_str(), kept),
        (expected, reusable),
        "{raw:?}"
    );
}

#[test]
fn bodies_in_every_form() {
    body(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
        "whole ab",
        true,
    );
    body(
        "HTTP/1.1 200 \r\ncontent-length:2\r\nconnection: Close\r\n\r\nab",
        "whole ab",
        false,
    );
    body(
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab",
        "whole ab",
        false,
    );
    body(
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "whole ",
        true,
    );
    body("HTTP/1.1 204 No\r\n\r\n", "whole ", true);
    body("HTTP/1.1 200 OK\r\n\r\nab", "until close ab", false);
    body(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
        "whole a",
        true,
    );
    body(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
        "whole abcde",
        true,
    );
    body(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n",
        "whole a",
        true,
    );
    body(
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "whole a",
        true,
    );
    body(
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        "whole a",
        false,
    );
}

#[test]
fn what_is_too_large_or_cut_off_or_broken() {
    const CLOSED: &str = "cut off: the connection was closed before the answer was whole";
    const BROKEN: &str = "cut off: what came back is not HTTP";
    body(
        "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n",
        "too large",
        false,
    );
    body(
        "HTTP/1.1 200 OK\r\n\r\n123456789012345678901",
        "too large",
        false,
    );
    body(
        "HTTP/1.1 200 OK\r\n\r\n12345678901234567890",
        "until close 12345678901234567890",
        false,
    );
    let chunked =
        |rest: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{rest}");
    body(&chunked("15\r\n"), "too large", false);
    body(&chunked("ffffffffffffffff\r\n"), "too large", false);
    body(&chunked("a\r\n0123456789\r\nb\r\n"), "too large", false);
    body(&chunked("fffffffffffffffff\r\n"), BROKEN, false);
    body(&chunked("+1\r\na\r\n0\r\n\r\n"), BROKEN, false);
    body(&chunked("\r\n"), BROKEN, false);
    body(&chunked("1\r\nab\r\n"), BROKEN, false);
    body(&chunked("1\r\na"), CLOSED, false);
    body(&chunked("1\r\na\r\n0\r\n"), CLOSED, false);
    body(
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        CLOSED,
        false,
    );
}

#[test]
fn heads_that_are_none() {
    for raw in [
        "",
        "HTTP/1.1 2",
        "hunter2",
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
    ] {
        assert!(answer(raw, 20).is_err(), "{raw:?}");
    }
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(HEAD_LIMIT));
    assert!(answer(&endless, 20).is_err());
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(HEADERS + 1));
    assert!(answer(&many, 20).is_err());
}

#[test]
fn the_bodies_of_errors_have_their_own_limit() {
    let raw = format!(
        "HTTP/1.1 500 No\r\nContent-Length: 30\r\n\r\n{}",
        "x".repeat(30)
    );
    let (reply, _) = answer(&raw, 20).unwrap();
    assert!(matches!(reply.body, Body::Whole(_)));
}

#[test]
fn dates_and_delays() {
    let head = |headers: &str| {
        let raw = format!("HTTP/1.1 503 No\r\nContent-Length: 0\r\n{headers}\r\n");
        answer(&raw, 20).unwrap().0
    };
    let date = "Date: Tue, 26 Mar 2024 16:00:00 GMT\r\n";
    assert_eq!(head(date).date, Some(1_711_468_800));
    assert_eq!(head(&format!("{date}Age: 0\r\n")).date, None);
    assert_eq!(head("Date: yesterday\r\n").date, None);
    assert_eq!(head("").retry_after, None);
    let seconds = |n| Some(RetryAfter::In(Duration::from_secs(n)));
    assert_eq!(head("Retry-After: 7\r\n").retry_after, seconds(7));
    assert_eq!(head("retry-after:  0 \r\n").retry_after, seconds(0));
    assert_eq!(
        head("Retry-After: 99999999999999999999\r\n").retry_after,
        seconds(4_294_967_295)
    );
    assert_eq!(
        head("Retry-After: Tue, 26 Mar 2024 16:00:00 GMT\r\n").retry_after,
        Some(RetryAfter::At(1_711_468_800))
    );
    for nonsense in ["-1", "1.5", "soon", ""] {
        assert_eq!(
            head(&format!("Retry-After: {nonsense}\r\n")).retry_after,
            None
        );
    }
}

/// What was written, and what is to be read.
struct Connection {
    written: Vec<u8>,
    answer: &'static [u8],
}

impl Read for Connection {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.answer.read(bytes)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_proxy_is_asked_for_a_tunnel() {
    let ask = |answer, target, authorization| {
        let mut line = Connection {
            written: Vec::new(),
            answer,
        };
        let opened = tunnel(&mut line, target, authorization);
        (String::from_utf8(line.written).unwrap(), opened)
    };
    let (written, opened) = ask(
        b"HTTP/1.1 200 OK\r\n\r\n",
        ("host", 443),
        Some("Basic eA=="),
    );
    assert_eq!(
        written,
        "CONNECT host:443 HTTP/1.1\r\nHost: host:443\r\nProxy-Authorization: Basic eA==\r\n\r\n"
    );
    opened.unwrap();
    let (written, opened) = ask(b"HTTP/1.1 407 No\r\n\r\n", ("::1", 443), None);
    assert!(written.starts_with("CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n"));
    assert_eq!(opened.unwrap_err().to_string(), "the proxy answered 407");
    let (_, opened) = ask(b"", ("host", 443), None);
    assert_eq!(opened.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}
