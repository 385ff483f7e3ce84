//! One request out, one response in: HTTP/1.1 over TCP and rustls, through a proxy where the
//! environment names one. It knows nothing of signatures, retries or what a status means.
//!
//! # What it promises
//!
//! - A response belongs to its request. A connection is used again only where the server has sent nothing beyond the last
//!   response, neither into the socket nor into TLS ([`stream`]).
//! - Everything ends with the deadline: the lookup of a name, each address, the proxy, the handshake, each read and write.
//! - Memory has a limit, whatever a server sends: heads, informational responses, chunk overhead and bodies each have
//!   theirs ([`http1`]).
//! - A redirect is not followed, a body is not decoded, and nothing that was sent or received is logged.
//!
//! # What is wiped, and what is not
//!
//! | wiped when dropped | not wiped |
//! | --- | --- |
//! | the request: signature, and an enrollment's token | rustls's buffers, which hold what it decrypted until they are used again |
//! | each buffer that a response was read into, and the memory that a buffer outgrew | the operating system's socket buffers |
//! | the body, which its receiver gets in memory that is wiped | a response's status and the headers that are kept |
//! | the value of `Proxy-Authorization` | the environment, with a proxy's password in it |
//!
//! # Why it is not a library
//!
//! ureq logs the head of every request and the body of every response at trace level, by design and without a switch;
//! it goes out directly where a proxy's variable cannot be read; and it looks a name up in a new thread for each request.
//! hyper is clean, but it would replace 250 of 1,500 lines, and needs a blocking adapter that is as subtle as what it
//! replaces. The time of a signed read on a connection that is open, as a multiple of one signature over a raw socket:
//!
//! | raw socket | this | hyper 1 | ureq 3, names cached | ureq 3 |
//! | --- | --- | --- | --- | --- |
//! | 1.0 | 1.21 | 1.27 | 1.49 | 4.07 |
//!
//! The price is proof: the tests compare this reader with hyper's, stream by stream, and so does a fuzz target.

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

/// One request, ready to be written. `path` is what was signed.
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
    /// The content coding that the body has, though none was asked for.
    pub(crate) coding: Option<String>,
    pub(crate) body: Body,
}

/// A `Retry-After` header, in the form in which it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryAfter {
    In(Duration),
    /// At this time, in seconds since 1970.
    At(i64),
}

impl Response {
    /// The delay that the service asks for; a date counts from the service's own time where that
    /// is known, else from `own`.
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

/// What became of a response's body.
pub(crate) enum Body {
    Whole(Zeroizing<Vec<u8>>),
    /// The server closed the connection to end the body, so nothing says whether it is whole.
    UntilClose(Zeroizing<Vec<u8>>),
    /// It has more bytes than allowed; none were kept.
    TooLarge,
    /// The status came; the body did not, or not all of it.
    CutOff(TransportError),
}

/// What all connections of a client have in common.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionSettings {
    pub(crate) user_agent: String,
    pub(crate) roots: Roots,
}

/// A service's address with its idle connections and looked-up names. A clone shares them.
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
    /// Connects nothing yet. Fails where the environment names a proxy that cannot be used.
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

    /// Returns the transport for a forked process, without the connections of the other
    /// process. It resumes no TLS session: the tickets are the other process's too.
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

    /// Sends the request once, on a new connection, and reads the response, all within `timeout`. For a request that must not be
    /// repeated: a connection that was used before may be ending just as the request goes out.
    pub(crate) fn send(
        &self,
        request: &Request<'_>,
        timeout: Duration,
    ) -> Result<Response, TransportError> {
        let deadline = deadline_after(timeout);
        let connection = self.connect_anew(deadline)?;
        self.exchange(connection, request, deadline)
    }

    /// A connection that waits for a request: an idle one or a new one.
    pub(crate) fn connect(&self, deadline: Instant) -> Result<Connection, TransportError> {
        match self.0.pool.take(Instant::now()) {
            Some(idle) => Ok(idle),
            None => self.connect_anew(deadline),
        }
    }

    /// A new connection.
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

    /// A connection that has waited since then, unless the server has ended it.
    pub(crate) fn after_wait(&self, connection: Connection, since: Instant) -> Option<Connection> {
        connection.after_wait(since, Instant::now())
    }

    /// Takes back a connection on which nothing was sent.
    pub(crate) fn keep(&self, connection: Connection) {
        self.0.pool.put(connection, Instant::now());
    }
}

/// The status with which a server ends a connection on which it waited too long for a request.
const REQUEST_TIMEOUT: u16 = 408;

/// When this time will be over.
pub(crate) fn deadline_after(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(FAR_FUTURE)
}

/// The response that comes as these bytes.
#[cfg(fuzzing)]
pub(crate) fn fuzz_read(mut bytes: &[u8]) -> Option<Response> {
    Some(http1::read(&mut bytes, 64 * 1024).ok()?.response)
}

#[cfg(test)]
mod tests;
