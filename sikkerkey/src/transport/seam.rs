//! Where the tests come in that compare this transport with another one: responses over a socket of their own.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;

use super::Body;
use super::http1;
use super::stream::{Socket, Stream};

/// What the tests write for each request; their servers do not read it.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A connection of the client over a socket of a test.
#[derive(Debug)]
pub struct TestConnection<S>(Stream<S>);

/// What the client made of one response.
#[derive(Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "not part of the public interface"
)]
pub struct TestExchange {
    /// The status, and the body where it is complete as far as the client can know.
    pub response: Option<(u16, Option<Vec<u8>>)>,
    /// Whether the connection can be used again as far as the response itself goes.
    pub reusable: bool,
}

impl<S: Socket> TestConnection<S> {
    /// Without TLS.
    pub fn plain(socket: S) -> Self {
        TestConnection(Stream::Plain(socket))
    }

    /// With TLS; makes the handshake.
    pub fn tls(socket: S, config: &Arc<ClientConfig>, host: &str) -> io::Result<Self> {
        Stream::handshake(socket, config, host).map(TestConnection)
    }

    /// Sends a request and reads its response, whose body has at most `limit` bytes.
    pub fn exchange(&mut self, limit: usize) -> TestExchange {
        match http1::exchange(&mut self.0, REQUEST, limit) {
            Ok(exchange) => {
                let body = match exchange.response.body {
                    Body::Whole(bytes) | Body::UntilClose(bytes) => Some(bytes.to_vec()),
                    Body::TooLarge | Body::CutOff(_) => None,
                };
                TestExchange {
                    response: Some((exchange.response.status, body)),
                    reusable: exchange.reusable,
                }
            }
            Err(_) => TestExchange {
                response: None,
                reusable: false,
            },
        }
    }

    /// What the pool asks before it keeps a connection and before it hands it out.
    pub fn is_silent(&mut self) -> bool {
        self.0.is_silent()
    }

    /// The socket.
    pub fn socket(&mut self) -> &mut S {
        self.0.socket()
    }
}
