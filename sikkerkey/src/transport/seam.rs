//! Access for tests that compare this transport with another one: they send responses over a socket of their
//! own.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;

use super::Body;
use super::http1;
use super::stream::{Socket, Stream};

/// The request of the tests; their servers do not read it.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A connection of the client over a socket of a test.
#[derive(Debug)]
pub struct TestConnection<S>(Stream<S>);

/// The client's result for one response.
#[derive(Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "not part of the public interface"
)]
pub struct TestExchange {
    /// The status, and the body if it is complete as far as the client can know.
    pub response: Option<(u16, Option<Vec<u8>>)>,
    /// Whether the response allows the connection to be used again.
    pub reusable: bool,
}

impl<S: Socket> TestConnection<S> {
    /// Makes a connection without TLS.
    pub fn plain(socket: S) -> Self {
        TestConnection(Stream::Plain(socket))
    }

    /// Makes a connection with TLS, including the handshake.
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

    /// Whether the connection is silent: the pool's check before it keeps a connection, and before it returns
    /// one.
    pub fn is_silent(&mut self) -> bool {
        self.0.is_silent()
    }

    /// Returns the connection's socket.
    pub fn socket(&mut self) -> &mut S {
        self.0.socket()
    }
}
