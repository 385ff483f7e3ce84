//! Streams of responses: what a server sends on one connection, good and bad.

use std::fmt;

use crate::choices::Choices;

/// What a server does on one connection.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) tls: bool,
    /// How many session tickets the server sends after the handshake.
    pub(crate) tickets: usize,
    /// What it sends for each request.
    pub(crate) batches: Vec<Batch>,
    /// The most bytes of a body that the client takes.
    pub(crate) limit: usize,
}

/// What a server sends for one request.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) parts: Vec<Part>,
    /// Whether there is certainly more than the response to the request.
    pub(crate) surplus: bool,
}

#[derive(Clone)]
pub(crate) enum Part {
    /// Written at once: with TLS, one record or more of its own.
    Bytes(Vec<u8>),
    /// New keys for the server's side of TLS.
    KeyUpdate,
    /// The end of the stream, with TLS after a close_notify.
    Close,
    /// The end of the stream, without a close_notify.
    Cut,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Bytes(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Part::KeyUpdate => f.write_str("KeyUpdate"),
            Part::Close => f.write_str("Close"),
            Part::Cut => f.write_str("Cut"),
        }
    }
}

/// The longest body of most responses.
const SHORT: usize = 200;
/// More than one read and one TLS record, and as much as took the old client's connection out of step.
const LONG: usize = 24_000;

pub(crate) fn stream(choices: &mut impl Choices) -> Stream {
    let tls = choices.once_in(5);
    let number = 1 + choices.below(3);
    let batches = (0..number).map(|_| batch(choices, tls)).collect();
    Stream {
        tls,
        tickets: choices.below(4),
        batches,
        limit: match choices.once_in(8) {
            true => 100,
            false => 1_000_000,
        },
    }
}

fn batch(choices: &mut impl Choices, tls: bool) -> Batch {
    let (mut bytes, exact) = response(choices);
    let mut surplus = false;
    let mutated = choices.once_in(6);
    if mutated {
        mutate(choices, &mut bytes);
    }
    if choices.once_in(6) {
        match choices.below(4) {
            0 => bytes.extend(b"\r\n"),
            1 => bytes.extend(b"x"),
            _ => bytes.extend(response(choices).0),
        }
        surplus = exact && !mutated;
    }
    let mut parts: Vec<Part> = pieces(choices, bytes)
        .into_iter()
        .map(Part::Bytes)
        .collect();
    if tls && choices.once_in(3) {
        for _ in 0..=choices.below(3) {
            parts.insert(choices.below(parts.len() + 1), Part::KeyUpdate);
        }
    }
    if choices.once_in(10) {
        let place = match choices.once_in(2) {
            true => parts.len(),
            false => choices.below(parts.len() + 1),
        };
        parts.truncate(place);
        parts.push(choices.one_of(&[Part::Close, Part::Cut].each_ref()).clone());
        surplus = false;
    }
    Batch { parts, surplus }
}

/// Bytes cut at random places; often not at all.
fn pieces(choices: &mut impl Choices, mut bytes: Vec<u8>) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    if choices.once_in(2) {
        for _ in 0..choices.below(5) {
            let rest = bytes.split_off(choices.below(bytes.len() + 1));
            pieces.push(bytes);
            bytes = rest;
        }
    }
    pieces.push(bytes);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// One response, with informational ones before it. Well-formed, or in one of the ways in which a header is not. Also says
/// whether it certainly ends where its bytes end.
fn response(choices: &mut impl Choices) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    if choices.once_in(8) {
        for _ in 0..=choices.below(10) {
            let line = choices.one_of(&["100 Continue", "102 Processing", "103 Early Hints"]);
            bytes.extend(format!("HTTP/1.1 {line}\r\nLink: </a>\r\n\r\n").into_bytes());
        }
    }
    let status = match choices.once_in(5) {
        true => choices.one_of(&[101, 204, 304, 401, 403, 404, 408, 413, 429, 500, 503, 299]),
        false => 200,
    };
    let version = match choices.below(40) {
        0 | 1 => "1.0",
        2 => choices.one_of(&["1.2", "2.0", "0.9"]),
        _ => "1.1",
    };
    let length = match choices.once_in(4) {
        true => choices.below(LONG),
        false => choices.below(SHORT),
    };
    let body: Vec<u8> = (0..length).map(|at| b'a' + (at % 26) as u8).collect();

    let mut headers = other_headers(choices);
    let mut chunked = false;
    let mut exact = true;
    match choices.below(16) {
        0 => exact = false,
        1 => {
            chunked = true;
            headers.push("Transfer-Encoding: chunked".to_owned());
            headers.push(format!("Content-Length: {}", choices.below(SHORT)));
        }
        2 => {
            exact = false;
            headers.push(odd_framing(choices, length));
        }
        3..=6 => {
            chunked = true;
            let name = choices.one_of(&["Transfer-Encoding: chunked", "transfer-encoding:Chunked"]);
            headers.push(name.to_owned());
        }
        _ => headers.push(format!("Content-Length: {length}")),
    }
    if choices.once_in(2) {
        headers.reverse();
    }
    bytes.extend(format!("HTTP/{version} {status} Words\r\n").into_bytes());
    for header in headers {
        bytes.extend(header.into_bytes());
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"\r\n");
    if matches!(status, 101 | 204 | 304) {
        return (bytes, true);
    }
    match chunked {
        true => bytes.extend(chunks(choices, &body)),
        false => bytes.extend(body),
    }
    (bytes, exact)
}

fn other_headers(choices: &mut impl Choices) -> Vec<String> {
    let all = [
        "Connection: close",
        "Connection: keep-alive",
        "Connection: keep-alive, Close",
        "Date: Tue, 26 Mar 2024 16:00:00 GMT",
        "Server: a server",
        "Server:",
        "X-Folded: one\r\n two",
        "Content-Encoding: gzip",
        "Retry-After: 1",
        "Age: 7",
        "X-Space : y",
        "X: \u{e9}",
    ];
    (0..choices.below(5).saturating_sub(2))
        .map(|_| choices.one_of(&all).to_owned())
        .collect()
}

fn odd_framing(choices: &mut impl Choices, length: usize) -> String {
    match choices.below(12) {
        0 => format!("Content-Length: {}", length + 1),
        1 => format!("Content-Length: {}", length.saturating_sub(1)),
        2 => format!("Content-Length: +{length}"),
        3 => format!("Content-Length: {length}\r\nContent-Length: {length}"),
        4 => format!("Content-Length: {length}\r\nContent-Length: {}", length + 1),
        5 => format!("Content-Length: {length}, {length}"),
        6 => format!("Content-Length:\r\n {length}"),
        7 => "Content-Length: 99999999999999999999".to_owned(),
        8 => "Transfer-Encoding: gzip, chunked".to_owned(),
        9 => "Transfer-Encoding: identity".to_owned(),
        10 => "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked".to_owned(),
        _ => "Content-Length: \u{661}".to_owned(),
    }
}

fn chunks(choices: &mut impl Choices, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in body.chunks(1 + choices.below(body.len() + 1)) {
        let size = match choices.below(8) {
            0 => format!("{:X}", chunk.len()),
            1 => format!("000{:x}", chunk.len()),
            2 => format!("{:x};extension=\"y\"", chunk.len()),
            3 => format!("{:x} ", chunk.len()),
            _ => format!("{:x}", chunk.len()),
        };
        bytes.extend(format!("{size}\r\n").into_bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    let last = choices.one_of(&["0", "0", "00", "0;x"]);
    bytes.extend(format!("{last}\r\n").into_bytes());
    if choices.once_in(8) {
        bytes.extend(
            choices
                .one_of(&["X: y\r\n", "X: y\r\n Z\r\n", "broken\r\n", ": \r\n"])
                .bytes(),
        );
    }
    bytes.extend(b"\r\n");
    bytes
}

/// Changes a few bytes, mostly into those that mean something to HTTP.
fn mutate(choices: &mut impl Choices, bytes: &mut Vec<u8>) {
    for _ in 0..=choices.below(3) {
        let at = match choices.once_in(2) {
            // In a head, where it matters most.
            true => choices.below(bytes.len().min(200) + 1),
            false => choices.below(bytes.len() + 1),
        };
        let new = match choices.once_in(3) {
            true => choices.below(256) as u8,
            false => choices.one_of(b"\r\n :;,\t0123\0HTP/.1a-"),
        };
        match choices.below(4) {
            0 => bytes.insert(at.min(bytes.len()), new),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 if at < bytes.len() => {
                let copied: Vec<u8> = bytes[at..]
                    .iter()
                    .take(1 + choices.below(20))
                    .copied()
                    .collect();
                bytes.splice(at..at, copied);
            }
            _ if at < bytes.len() => bytes[at] = new,
            _ => {}
        }
    }
}
