//! One POST over plain http to this machine, and the status of its response.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

/// The time limit for each step: a receiver on this machine needs far less.
const LIMIT: Duration = Duration::from_secs(10);
/// The limit for the head of a response.
const MAX_HEAD: usize = 64 * 1024;

/// Connects to `host` or `host:port`.
pub(super) fn connect(authority: &str) -> io::Result<TcpStream> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (authority, Some(80)),
    };
    let port: u16 = port.ok_or(io::ErrorKind::InvalidInput)?;
    let mut last = io::ErrorKind::AddrNotAvailable.into();
    for address in (host.trim_matches(['[', ']']), port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, LIMIT) {
            Ok(socket) => {
                socket.set_read_timeout(Some(LIMIT))?;
                socket.set_write_timeout(Some(LIMIT))?;
                return Ok(socket);
            }
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// Sends a request and reads the status of its response.
pub(super) fn post(
    mut socket: &TcpStream,
    authority: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<u16> {
    let mut request = format!("POST {path} HTTP/1.1\r\nHost: {authority}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    let length = body.len();
    request.push_str(&format!(
        "Content-Length: {length}\r\nConnection: close\r\n\r\n"
    ));
    let mut bytes = request.into_bytes();
    bytes.extend_from_slice(body);
    socket.write_all(&bytes)?;

    let mut head = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let n = socket.read(&mut piece)?;
        head.extend_from_slice(&piece[..n]);
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(&head) {
            Ok(httparse::Status::Complete(length)) => {
                let status = response.code.unwrap_or(0);
                if status / 100 != 1 {
                    return Ok(status);
                }
                head.drain(..length);
            }
            Ok(httparse::Status::Partial) if n > 0 && head.len() < MAX_HEAD => {}
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}
