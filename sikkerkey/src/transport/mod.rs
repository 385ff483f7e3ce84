//! Sends one request and reads one response: HTTP/1.1 over TCP and rustls, through a proxy if the environment
//! names one. Signatures, retries and the meaning of a status are handled elsewhere.
//!
//! # Guarantees
//!
//! - A response belongs to its request. A connection is used again only if the server has sent nothing after
//!   the last response, neither into the socket nor into TLS ([`stream`]).
//! - Everything ends with the deadline: the lookup of a name, each address, the proxy, the handshake, each
//!   read and write.
//! - Memory is bounded: heads, informational responses, chunk overhead and bodies each have a limit
//!   ([`http1`]).
//! - A redirect is not followed, content codings are not decoded, and nothing that was sent or received is
//!   logged.
//!
//! # What is wiped, and what is not
//!
//! | wiped when dropped | not wiped |
//! | --- | --- |
//! | the request: signature, and an enrollment's token | rustls's buffers, which hold decrypted data until they are used again |
//! | each buffer that a response was read into, and the memory that a buffer outgrew | the operating system's socket buffers |
//! | the body, which is returned in memory that is wiped | a response's status and the headers that are kept |
//! | the value of `Proxy-Authorization` | the environment, with a proxy's password in it |
//!
//! # Why it is not a library
//!
//! ureq logs the head of every request and the body of every response at trace level, by design and without a
//! switch; it connects directly if a proxy's variable cannot be parsed; and it resolves the name on a new
//! thread for each request. hyper is clean, but it would replace 250 of 1,500 lines, and needs a blocking
//! adapter that is as subtle as what it replaces. The time of a signed read on an open connection, as a
//! multiple of one signature over a raw socket:
//!
//! | raw socket | this | hyper 1 | ureq 3, names cached | ureq 3 |
//! | --- | --- | --- | --- | --- |
//! | 1.0 | 1.21 | 1.27 | 1.49 | 4.07 |
//!
//! In return this code must be tested well: the tests and a fuzz target compare this reader with hyper's,
//! stream by stream.

mod connect;
mod dns;
mod error;
mod http1;
mod no_proxy;
mod pool;
mod proxy;
pub(crate) mod seam;
pub(crate) mod stream;
mod tls;
mod wiped_buffer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

pub(crate) use error::TransportError;
pub(crate) use pool::Connection;
use pool::Pool;
use proxy::Proxy;
pub(crate) use tls::{Roots, TrustSettings};

use crate::clock::FAR_FUTURE;
use crate::error::Error;
use crate::protocol::api_url::ApiUrl;

/// One request, ready to be written. `path` is the signed path.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: Option<&'a [u8]>,
    /// The most bytes that the body of a 2xx response may have.
    pub(crate) limit: usize,
}

/// A response, whatever its status.
pub(crate) struct Response {
    pub(crate) status: u16,
    /// The `Date` header in seconds since 1970, unless an `Age` says that the response is old.
    pub(crate) date: Option<i64>,
    pub(crate) retry_after: Option<RetryAfter>,
    /// The content coding of the body, although none was requested.
    pub(crate) coding: Option<String>,
    pub(crate) body: Body,
}

/// A `Retry-After` header, as it was sent: seconds or a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryAfter {
    In(Duration),
    /// At this time, in seconds since 1970.
    At(i64),
}

impl Response {
    /// Returns the delay that the service asks for. A date counts from the service's own time if it is known,
    /// otherwise from `own`.
    pub(crate) fn retry_after_from(&self, own: i64) -> Option<Duration> {
        self.retry_after.map(|when| match when {
            RetryAfter::In(delay) => delay,
            RetryAfter::At(time) => {
                let left = time.saturating_sub(self.date.unwrap_or(own));
                Duration::from_secs(u64::try_from(left).unwrap_or(0))
            }
        })
    }
}

/// The body of a response, or why it is incomplete.
pub(crate) enum Body {
    Whole(Zeroizing<Vec<u8>>),
    /// The server closed the connection to end the body, so it is unknown whether the body is complete.
    UntilClose(Zeroizing<Vec<u8>>),
    /// It has more bytes than allowed; none were kept.
    TooLarge,
    /// The status arrived, but the body did not, or not completely.
    CutOff(TransportError),
}

/// The settings that all connections of a client share.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionSettings {
    pub(crate) user_agent: String,
    pub(crate) roots: Roots,
}

/// A service's address with its idle connections and resolved names. A clone shares them.
#[derive(Clone, Debug)]
pub(crate) struct Transport(Arc<Endpoint>);

#[derive(Debug)]
struct Endpoint {
    url: ApiUrl,
    user_agent: String,
    tls: Option<Arc<rustls::ClientConfig>>,
    proxy: Option<Proxy>,
    names: dns::Names,
    pool: Pool,
}

impl Transport {
    /// Makes a transport without connecting. Fails if the environment names a proxy that cannot be used.
    pub(crate) fn new(url: &ApiUrl, settings: &ConnectionSettings) -> Result<Self, Error> {
        Ok(Transport(Arc::new(Endpoint {
            url: url.clone(),
            user_agent: settings.user_agent.clone(),
            tls: url.is_tls().then(|| settings.roots.client_config()),
            proxy: Proxy::for_url(url, proxy::Variables::of_process())?,
            names: dns::Names::default(),
            pool: Pool::default(),
        })))
    }

    /// Returns a transport for a forked process, without the parent's connections. It resumes no TLS session,
    /// because the tickets belong to the parent, too.
    pub(crate) fn forked(&self) -> Self {
        let Endpoint {
            url,
            user_agent,
            tls,
            proxy,
            ..
        } = &*self.0;
        let tls = tls.as_ref().map(|config| {
            let mut config = rustls::ClientConfig::clone(config);
            config.resumption = rustls::client::Resumption::disabled();
            Arc::new(config)
        });
        Transport(Arc::new(Endpoint {
            url: url.clone(),
            user_agent: user_agent.clone(),
            tls,
            proxy: proxy.clone(),
            names: dns::Names::default(),
            pool: Pool::default(),
        }))
    }

    pub(crate) fn url(&self) -> &ApiUrl {
        &self.0.url
    }

    /// Sends the request once, on a new connection, and reads the response, all within `timeout`. For a
    /// request that must not be repeated: a reused connection may be closed just while the request is sent.
    pub(crate) fn send(
        &self,
        request: &Request<'_>,
        timeout: Duration,
    ) -> Result<Response, TransportError> {
        let deadline = deadline_after(timeout);
        let connection = self.connect_anew(deadline)?;
        self.exchange(connection, request, deadline)
    }

    /// Returns a connection for a request: an idle one or a new one.
    pub(crate) fn connect(&self, deadline: Instant) -> Result<Connection, TransportError> {
        match self.0.pool.take(Instant::now()) {
            Some(idle) => Ok(idle),
            None => self.connect_anew(deadline),
        }
    }

    /// Opens a new connection.
    pub(crate) fn connect_anew(&self, deadline: Instant) -> Result<Connection, TransportError> {
        connect::open(&self.0, deadline).map(Connection::new)
    }

    /// Sends the request and reads the response.
    pub(crate) fn exchange(
        &self,
        mut connection: Connection,
        request: &Request<'_>,
        deadline: Instant,
    ) -> Result<Response, TransportError> {
        connection.stream.set_deadline(deadline);
        let bytes = http1::encode(&self.0, request);
        let exchanged = http1::exchange(&mut connection.stream, &bytes, request.limit);
        let error = match (exchanged, connection.taken()) {
            (Ok(exchange), Some(taken)) if exchange.response.status == REQUEST_TIMEOUT => {
                self.0.pool.drop_idle_at(taken);
                TransportError::idle_for_too_long()
            }
            (Ok(exchange), _) => {
                if exchange.reusable {
                    self.0.pool.put(connection, Instant::now());
                }
                return Ok(exchange.response);
            }
            (Err(lost), Some(taken)) if !lost.received => {
                self.0.pool.drop_idle_at(taken);
                lost.error.on_stale_connection()
            }
            (Err(lost), _) => lost.error,
        };
        Err(error)
    }

    /// Returns a connection that has waited since then, unless the server has closed it.
    pub(crate) fn after_wait(&self, connection: Connection, since: Instant) -> Option<Connection> {
        connection.after_wait(since, Instant::now())
    }

    /// Takes back a connection on which nothing was sent.
    pub(crate) fn keep(&self, connection: Connection) {
        self.0.pool.put(connection, Instant::now());
    }
}

/// The status of a server that closes a connection because it waited too long for a request.
const REQUEST_TIMEOUT: u16 = 408;

/// Returns the moment at which this timeout ends.
pub(crate) fn deadline_after(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(FAR_FUTURE)
}

/// Reads these bytes as a response, for fuzzing.
#[cfg(fuzzing)]
pub(crate) fn fuzz_read(mut bytes: &[u8]) -> Option<Response> {
    Some(http1::read(&mut bytes, 64 * 1024).ok()?.response)
}

#[cfg(test)]
mod tests;
