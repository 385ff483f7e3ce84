use super::reader::{HEAD_LIMIT, HEADERS};
use super::*;

/// A stream that returns at most so many bytes at a time: with one, as a very slow network does.
struct Parts<'a>(&'a [u8], usize);

impl Read for Parts<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let most = bytes.len().min(self.1);
        self.0.read(&mut bytes[..most])
    }
}

/// Reads a response, at once and byte by byte, and checks that both give the same result.
#[track_caller]
fn answer(raw: &str, limit: usize) -> Result<(Response, bool), TransportError> {
    let read = |from: &mut dyn Read| match read(&mut { from }, limit) {
        Ok(exchange) => Ok((exchange.response, exchange.reusable)),
        Err(lost) => Err(lost.error),
    };
    let dripped = read(&mut Parts(raw.as_bytes(), 1));
    let whole = read(&mut raw.as_bytes());
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
fn bodies_that_are_too_large_or_cut_off_or_broken() {
    const CLOSED: &str = "cut off: the connection was closed before the response was complete";
    const BROKEN: &str = "cut off: the response is not HTTP";
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
    body(
        &chunked("a\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"),
        "whole 01234567890123456789",
        true,
    );
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
        "HTTP/1.1 000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
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
fn nothing_beyond_the_body_is_read() {
    for framing in [
        "Content-Length: 4\r\n\r\nabcd",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
    ] {
        let raw = format!("HTTP/1.1 200 OK\r\n{framing}HTTP/1.1 200 OK\r\n\r\nsecond");
        for size in 1..raw.len() {
            let mut from = Parts(raw.as_bytes(), size);
            let exchange = read(&mut from, 20).ok().unwrap();
            assert_eq!(text(&exchange.response.body), "whole abcd", "{size}");
        }
    }
}

#[test]
fn a_head_has_at_most_32_kib_and_100_headers() {
    const REST: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: \r\n\r\n";
    let of_length =
        |length: usize| REST.replace("X: ", &format!("X: {}", "a".repeat(length - REST.len())));
    body(&of_length(32 * 1024), "whole ", true);
    assert!(answer(&of_length(32 * 1024 + 1), 20).is_err());
    for size in [1_000, 5_000, 20_000, 30_000] {
        for (length, fits) in [(32 * 1024, true), (32 * 1024 + 1, false), (39_000, false)] {
            let raw = of_length(length);
            let result = read(&mut Parts(raw.as_bytes(), size), 20);
            assert_eq!(result.is_ok(), fits, "{length} bytes, {size} at a time");
        }
    }
    // A head without an end is given up at the limit.
    let raw = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(2 * HEAD_LIMIT));
    let mut from = Parts(raw.as_bytes(), 1);
    assert!(read(&mut from, 20).is_err());
    assert_eq!(raw.len() - from.0.len(), HEAD_LIMIT);
    let of_headers = |number: usize| REST.replace("X: \r\n", &"X: y\r\n".repeat(number - 1));
    body(&of_headers(100), "whole ", true);
    assert!(answer(&of_headers(101), 20).is_err());
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

/// A connection in memory: what was written, and what can be read.
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
    let refusal = opened.unwrap_err();
    assert!(refusal.is_refusal());
    let text = refusal.to_string();
    assert!(text.contains("refused the connection with 407"), "{text}");
    let of_early_hints =
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    ask(of_early_hints, ("host", 443), None).1.unwrap();
    for (answer, status) in [
        (&b""[..], None),
        (b"HTTP/1.1 200 OK\r\n\r\nx", None),
        (b"HTTP/1.1 101 Switch\r\n\r\n", None),
        (b"hunter2\r\n\r\n", None),
        (
            b"HTTP/1.1 502 No\r\n\r\n",
            Some("the proxy's status was 502"),
        ),
    ] {
        let error = ask(answer, ("host", 443), None).1.unwrap_err();
        assert!(!error.is_refusal());
        assert!(error.to_string().contains("made no connection"), "{error}");
        let cause = error.into_cause().unwrap().to_string();
        assert!(status.is_none_or(|status| cause == status), "{cause}");
    }
}

/// An endless stream: `first`, then `repeated` again and again. Counts the bytes that were read.
struct Endless {
    first: &'static [u8],
    repeated: Vec<u8>,
    read: usize,
}

impl Read for Endless {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        for byte in bytes.iter_mut() {
            *byte = match self.first.get(self.read) {
                Some(byte) => *byte,
                None => self.repeated[(self.read - self.first.len()) % self.repeated.len()],
            };
            self.read += 1;
        }
        Ok(bytes.len())
    }
}

/// Returns how many bytes of an endless response are read before it is given up.
#[track_caller]
fn read_of_endless(first: &'static str, repeated: &[u8]) -> usize {
    let mut endless = Endless {
        first: first.as_bytes(),
        repeated: repeated.to_vec(),
        read: 0,
    };
    match read(&mut endless, 1024 * 1024) {
        Ok(exchange) => {
            assert!(matches!(exchange.response.body, Body::CutOff(_)) && !exchange.reusable)
        }
        Err(lost) => assert_eq!(lost.error.to_string(), "the response is not HTTP"),
    }
    endless.read
}

#[test]
fn informational_responses_without_end_are_given_up() {
    let mut hint = b"HTTP/1.1 103 Early Hints\r\nLink: ".to_vec();
    hint.resize(4096 - 4, b'x');
    hint.extend(b"\r\n\r\n");
    assert_eq!(hint.len(), 4096);
    assert!(read_of_endless("", &hint) <= 10 * 4096);
    assert!(read_of_endless("", b"HTTP/1.1 100 Continue\r\n\r\n") <= 4096);

    let hints = |number| {
        let hints = "HTTP/1.1 100 Continue\r\n\r\n".repeat(number);
        format!("{hints}HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")
    };
    body(&hints(INFORMATIONAL), "whole a", true);
    assert!(answer(&hints(INFORMATIONAL + 1), 20).is_err());
}

#[test]
fn bytes_beside_the_body_have_a_limit() {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let extension = format!("1;{}\r\na\r\n", "x".repeat(1000));
    assert!(read_of_endless(CHUNKED, extension.as_bytes()) < 64 * 1024);
    // Short extensions add up, too.
    let short = read_of_endless(CHUNKED, b"1;x=y\r\na\r\n");
    assert!(short < 64 * 1024, "{short}");
    assert!(read_of_endless(CHUNKED, b"0") < 64 * 1024);
    let zeros = format!("{}1\r\na\r\n", "0".repeat(1000));
    assert!(read_of_endless(CHUNKED, zeros.as_bytes()) < 64 * 1024);
    const REFUSED: &str = "cut off: the response is not HTTP";
    // A line between chunks has at most 4 KiB, with its CR.
    let one_of = |length: usize| format!("{CHUNKED}1;{}\r\na\r\n0\r\n\r\n", "x".repeat(length));
    body(&one_of(4096 - 3), "whole a", true);
    body(&one_of(4096 - 2), REFUSED, false);
    // All extensions and trailers together have at most 16 KiB.
    let chunk = format!("1;{}\r\na\r\n", "x".repeat(1023)).repeat(16);
    body(
        &format!("{CHUNKED}{chunk}0\r\n\r\n"),
        &format!("whole {}", "a".repeat(16)),
        true,
    );
    body(&format!("{CHUNKED}{chunk}0;x\r\n\r\n"), REFUSED, false);
    const TRAILERS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    let trailers = format!("X: {}\r\n", "y".repeat(1021)).repeat(16);
    body(&format!("{TRAILERS}{trailers}\r\n"), "whole ", false);
    body(&format!("{TRAILERS}{trailers}X:\r\n\r\n"), REFUSED, false);
    assert!(read_of_endless(TRAILERS, b"X: y\r\n") < 64 * 1024);
    assert!(read_of_endless(TRAILERS, b"x") < 64 * 1024);
    assert!(read_of_endless("HTTP/1.1 200 OK\r\n", b"X: y\r\n") < 64 * 1024);
}

#[test]
fn the_memory_of_used_bytes_is_used_again() {
    let chunks = b"1;extension\r\na\r\n".repeat(1_000);
    let mut raw = Vec::new();
    raw.extend(&chunks);
    raw.extend(b"0\r\n\r\n");
    let mut from = raw.as_slice();
    let mut reader = ResponseReader::new(&mut from);
    let body = reader.body(Framing::Chunked, 1024 * 1024).unwrap();
    assert!(matches!(body, Body::Whole(bytes) if bytes.len() == 1_000));
    assert!(reader.memory() <= 16 * 1024, "{}", reader.memory());
}

#[test]
fn chunks_and_lines_as_every_reader_sees_them() {
    let chunked =
        |rest: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{rest}");
    for rest in [
        "1\na\r\n0\r\n\r\n",
        "1\r\na\n0\r\n\r\n",
        "1;x\ry\r\na\r\n0\r\n\r\n",
        " 1\r\na\r\n0\r\n\r\n",
        "1 x\r\na\r\n0\r\n\r\n",
        "1\r\na\r\n0\n\n",
        "1\r\na\r\n0\r\n\n",
    ] {
        body(&chunked(rest), "cut off: the response is not HTTP", false);
    }
    body(&chunked("1 \t;x\r\na\r\n00\r\n\r\n"), "whole a", true);
    // Trailers are read and dropped; other software may use them.
    body(&chunked("1\r\na\r\n0\r\nX: y\r\n\r\n"), "whole a", false);
}

#[test]
fn folded_headers_are_one_line_and_the_connection_is_not_kept() {
    body(
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 1\r\n\r\na",
        "whole a",
        false,
    );
    body(
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n 1\r\n\r\na",
        "whole a",
        false,
    );
    assert!(answer("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 1\r\n\r\na", 20).is_err());
    let raw =
        "HTTP/1.1 503 No\r\nDate: Tue, 26 Mar 2024\r\n\t16:00:00 GMT\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(answer(raw, 20).unwrap().0.date, Some(1_711_468_800));
}

#[test]
fn another_protocol_is_an_error_at_once() {
    let error = answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 20);
    let Err(error) = error else { panic!() };
    assert!(
        error.to_string().contains("switched to another protocol"),
        "{error}"
    );
}

#[test]
fn framing_headers_that_cannot_be_read_are_not_http() {
    for name in [
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Content-Encoding",
    ] {
        let mut raw = format!("HTTP/1.1 200 OK\r\n{name}: ").into_bytes();
        raw.extend(b"\xff\r\n\r\n");
        let Err(lost) = read(&mut raw.as_slice(), 20) else {
            panic!("{name} was skipped");
        };
        assert_eq!(lost.error.to_string(), "the response is not HTTP");
    }
    let mut raw = b"HTTP/1.1 200 OK\r\nServer: \xff\r\nContent-Length: 1\r\n\r\na".as_slice();
    assert!(read(&mut raw, 20).is_ok_and(|exchange| exchange.reusable));
    assert!(
        answer(
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            20
        )
        .is_err()
    );
}

#[test]
fn a_content_coding_is_named() {
    for (value, coding) in [
        ("gzip", Some("gzip")),
        ("identity", None),
        ("", None),
        ("g\u{202e}zip", Some("g\\u{202e}zip")),
    ] {
        let raw =
            format!("HTTP/1.1 200 OK\r\nContent-Encoding: {value}\r\nContent-Length: 1\r\n\r\na");
        assert_eq!(answer(&raw, 20).unwrap().0.coding.as_deref(), coding);
    }
}

/// A connection that accepts a part of the request, then fails. The server's bytes before it closed can be
/// read.
struct ClosedEarly {
    failure: io::ErrorKind,
    response: &'static [u8],
}

impl Read for ClosedEarly {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.response.read(bytes)
    }
}

impl Write for ClosedEarly {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.failure.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_response_before_the_end_of_the_request_is_read() {
    let early = |failure, response| exchange(&mut ClosedEarly { failure, response }, b"x", 20);
    for failure in [
        io::ErrorKind::BrokenPipe,
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::ConnectionAborted,
    ] {
        for (raw, status) in [
            (&b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"[..], 401),
            (b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\na", 413),
            (b"HTTP/1.1 429 No\r\n\r\n", 429),
        ] {
            let exchange = early(failure, raw).ok().unwrap();
            assert_eq!(exchange.response.status, status);
            assert!(!exchange.reusable);
        }
        // Before the request is complete, a value cannot be its response.
        let lost = early(failure, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
        let lost = lost.err().unwrap();
        assert!(lost.received && lost.error.sent);
        assert!(!early(failure, b"").err().unwrap().received);
    }
    let raw = b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n";
    let lost = early(io::ErrorKind::TimedOut, raw).err().unwrap();
    assert!(lost.error.to_string().contains("in time"));
}
