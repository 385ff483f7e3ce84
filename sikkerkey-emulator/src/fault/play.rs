//! A fault as steps on the wire. They are data, so that tests can inspect them.

use std::time::Duration;

use super::{Fault, Hold, Reply};
use crate::http::Response;

/// The bytes and pauses of one response.
pub(crate) struct Delivery {
    /// The status that is sent; 0 without a status line.
    pub(crate) status: u16,
    pub(crate) steps: Vec<Step>,
    /// Whether the connection may serve another request.
    pub(crate) keep: bool,
}

/// One step on the wire.
pub(crate) enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    /// These bytes, one at a time.
    Drip(Vec<u8>, Duration),
    /// These bytes this many times, or without end for `None`, with a pause after each.
    Repeat(Vec<u8>, Option<u64>, Duration),
    /// Nothing, until the test releases the hold.
    Hold(Hold),
    Hang,
    Reset,
}

const CHUNK: u64 = 64 * 1024;

/// A correct response.
pub(crate) fn whole(response: &Response, server: &[(String, String)], keep: bool) -> Delivery {
    Delivery {
        status: response.status,
        steps: vec![Step::Send(bytes(response, server, keep))],
        keep,
    }
}

/// A reply that is sent before the body of the request is read.
pub(crate) fn early(reply: Reply, server: &[(String, String)]) -> Delivery {
    whole(&reply.into(), server, false)
}

/// The response as `fault` spoils it, or a stand-in if the service gave no response.
///
/// `server` are the headers that every response has. [`Fault::Pass`], [`Fault::Delay`] and [`Fault::Hold`] need the
/// service's response and do not change it; the same holds for these inside [`Fault::After`].
pub(crate) fn play(
    fault: &Fault,
    response: Option<Response>,
    server: &[(String, String)],
    keep: bool,
) -> Delivery {
    let response = response.unwrap_or_else(stand_in);
    let spoiled = |status, steps| Delivery {
        status,
        steps,
        keep: false,
    };
    let framed = |length| head(&response, server, length, false);
    match fault {
        Fault::Pass => whole(&response, server, keep),
        Fault::After(fault) => play(fault, Some(response), server, keep),
        Fault::Delay(time) => {
            let mut delivery = whole(&response, server, keep);
            delivery.steps.insert(0, Step::Wait(*time));
            delivery
        }
        Fault::Hold(hold) => {
            let mut delivery = whole(&response, server, keep);
            delivery.steps.insert(0, Step::Hold(hold.clone()));
            delivery
        }
        Fault::Reused(fault) => play(fault, Some(response), server, keep),
        Fault::Status(status) => {
            // A server that timed out does not reuse the connection.
            let keep = keep && *status != 408;
            whole(&Response::error(*status, "emulated fault"), server, keep)
        }
        Fault::Proxy(status) => whole(&page(*status), server, keep),
        Fault::Early(reply) => early(reply.clone(), server),
        Fault::Desync(reply) => {
            let mut bytes = bytes(&response, server, keep);
            bytes.extend(self::bytes(&reply.clone().into(), server, true));
            Delivery {
                status: response.status,
                steps: vec![Step::Send(bytes)],
                keep,
            }
        }
        Fault::Informational {
            status,
            count,
            size,
        } => {
            let mut delivery = whole(&response, server, keep);
            let one = informational(*status, *size);
            let flood = Step::Repeat(one, Some(*count), Duration::ZERO);
            delivery.steps.insert(0, flood);
            delivery
        }
        Fault::ChunkExtensions(size) => {
            let mut bytes = head(&response, server, None, keep);
            let extension = format!("1;x={}\r\n", "a".repeat(size.saturating_sub(3)));
            for byte in &response.body {
                bytes.extend_from_slice(extension.as_bytes());
                bytes.push(*byte);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
            Delivery {
                status: response.status,
                steps: vec![Step::Send(bytes)],
                keep,
            }
        }
        Fault::FoldedHeader => whole(&response.with("X-Folded", "one\r\n two"), server, keep),
        Fault::Raw(bytes) => spoiled(0, vec![Step::Send(bytes.clone())]),
        Fault::Reply(reply) => whole(&reply.clone().into(), server, keep),
        Fault::Redirect(url) => whole(
            &Response::error(302, "moved").with("Location", url),
            server,
            keep,
        ),
        Fault::InvalidUtf8 => whole(
            &json(b"{\"value\":\"\xff\xfe\",\"secrets\":[],\"changes\":{}}"),
            server,
            keep,
        ),
        Fault::InvalidJson => whole(
            &json(b"{\"value\":\"stand-in\",\"secrets\":[,\"changes\":"),
            server,
            keep,
        ),
        Fault::EmptyObject => whole(&json(b"{}"), server, keep),
        Fault::Close => spoiled(0, vec![]),
        Fault::Reset => spoiled(0, vec![Step::Reset]),
        Fault::Hang => spoiled(0, vec![Step::Hang]),
        Fault::Garbage => spoiled(
            0,
            vec![Step::Send(
                b"\x16\x03\x01\x00 garbage \xff\xfe\r\n\r\n".to_vec(),
            )],
        ),
        Fault::Truncated => {
            let mut bytes = framed(Some(response.body.len()));
            bytes.extend_from_slice(&response.body[..response.body.len() / 2]);
            spoiled(response.status, vec![Step::Send(bytes)])
        }
        Fault::WrongLength(by) => {
            let length = i64::try_from(response.body.len())
                .unwrap_or(i64::MAX)
                .saturating_add(*by);
            let mut bytes = framed(Some(usize::try_from(length).unwrap_or(0)));
            bytes.extend_from_slice(&response.body);
            spoiled(response.status, vec![Step::Send(bytes)])
        }
        Fault::Drip(pause) => {
            let head = head(&response, server, Some(response.body.len()), keep);
            let steps = vec![Step::Send(head), Step::Drip(response.body, *pause)];
            Delivery {
                status: response.status,
                steps,
                keep,
            }
        }
        Fault::DripAll(pause) => {
            let bytes = bytes(&response, server, keep);
            Delivery {
                status: response.status,
                steps: vec![Step::Drip(bytes, *pause)],
                keep,
            }
        }
        Fault::DripForever(pause) => {
            let head = head(&json(b""), server, None, false);
            spoiled(
                200,
                vec![Step::Send(head), Step::Repeat(chunk(b" "), None, *pause)],
            )
        }
        Fault::Endless => {
            let mut start = head(&json(b""), server, None, false);
            start.extend(chunk(b"{\"value\":\""));
            let more = chunk(&[b'a'; CHUNK as usize]);
            spoiled(
                200,
                vec![Step::Send(start), Step::Repeat(more, None, Duration::ZERO)],
            )
        }
        Fault::EndlessHead => {
            let more = format!("X-Endless: {}\r\n", "a".repeat(1000)).into_bytes();
            let start = json(b"").head(server).into_bytes();
            spoiled(
                200,
                vec![Step::Send(start), Step::Repeat(more, None, Duration::ZERO)],
            )
        }
        Fault::Huge(bytes) => {
            let mut start = head(&json(b""), server, None, false);
            start.extend(chunk(b"{\"value\":\""));
            let mut end = Vec::new();
            if bytes % CHUNK > 0 {
                end = chunk(&vec![b'a'; (bytes % CHUNK) as usize]);
            }
            end.extend(chunk(b"\"}"));
            end.extend(b"0\r\n\r\n");
            let more = chunk(&[b'a'; CHUNK as usize]);
            let steps = vec![
                Step::Send(start),
                Step::Repeat(more, Some(bytes / CHUNK), Duration::ZERO),
                Step::Send(end),
            ];
            spoiled(200, steps)
        }
    }
}

/// A response's head and body.
fn bytes(response: &Response, server: &[(String, String)], keep: bool) -> Vec<u8> {
    let mut bytes = head(response, server, Some(response.body.len()), keep);
    bytes.extend_from_slice(&response.body);
    bytes
}

/// An informational response, padded to its size.
fn informational(status: u16, size: usize) -> Vec<u8> {
    let start = format!("HTTP/1.1 {status} Emulated\r\n");
    let room = size.saturating_sub(start.len() + "\r\n".len());
    let filler = match room.checked_sub("X-Filler: \r\n".len()) {
        Some(room) => format!("X-Filler: {}\r\n", "a".repeat(room)),
        None => String::new(),
    };
    format!("{start}{filler}\r\n").into_bytes()
}

/// The page of a proxy in front of the service.
fn page(status: u16) -> Response {
    let text = format!(
        "<!DOCTYPE html>\n<html><head><title>{status}</title></head><body><h1>{status}</h1>\n\
         <p>The request was stopped by a gateway.</p></body></html>\n"
    );
    Response {
        status,
        headers: vec![
            ("Content-Type".into(), "text/html; charset=utf-8".into()),
            ("Server".into(), "gateway".into()),
        ],
        body: text.into_bytes(),
    }
}

/// The head with its empty line: framed by a length, or by chunks without one.
fn head(
    response: &Response,
    server: &[(String, String)],
    length: Option<usize>,
    keep: bool,
) -> Vec<u8> {
    let mut head = response.head(server);
    let named = response
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    match length {
        Some(_) if named => {}
        Some(length) => head.push_str(&format!("Content-Length: {length}\r\n")),
        None => head.push_str("Transfer-Encoding: chunked\r\n"),
    }
    if !keep {
        head.push_str("Connection: close\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

fn json(body: &[u8]) -> Response {
    Response {
        body: body.to_vec(),
        ..Response::json(200, &())
    }
}

fn stand_in() -> Response {
    json(b"{\"value\":\"stand-in\",\"secrets\":[],\"changes\":{}}")
}
