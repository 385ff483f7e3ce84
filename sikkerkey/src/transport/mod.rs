//! One request out, one answer in: HTTP/1.1 over TCP and rustls, through a proxy where the
//! environment says so.
//!
//! It is written here, and small, because of what it must not do: never follow a redirect, never
//! read past a limit or a deadline, never write a body to the log (ureq's protocol layer dumps
//! every body at trace level), and wipe what it read. It knows nothing of signatures, retries or
//! what a status means.

mod connect;
mod dns;
mod error;
mod http1;
mod pool;
mod proxy;
mod tls;
mod wiped_buffer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

pub(crate) use error::TransportError;
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
    /// The most bytes that the body of a 2xx answer may have.
    pub(crate) limit: usize,
}

/// An answer, whatever its status.
pub(crate) struct Response {
    pub(crate) status: u16,
    /// The `Date` header in seconds since 1970, unless an `Age` says that the answer is old.
    pub(crate) date: Option<i64>,
    pub(crate) retry_after: Option<RetryAfter>,
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

/// What became of an answer's body.
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
            proxy: Proxy::for_url(url, &proxy::Variables::of_process())?,
            names: dns::Names::default(),
            pool: Pool::default(),
        })))
    }

    pub(crate) fn url(&self) -> &ApiUrl {
        &self.0.url
    }

    /// Sends the request once and reads the answer, all within `timeout`.
    pub(crate) fn send(
        &self,
        request: &Request<'_>,
        timeout: Duration,
    ) -> Result<Response, TransportError> {
        let deadline = deadline_after(timeout);
        let connection = self.connect(deadline)?;
        self.exchange(connection, request, deadline)
    }

    /// A connection that waits for a request: an idle one or a new one.
    pub(crate) fn connect(&self, deadline: Instant) -> Result<Connection, TransportError> {
        match self.0.pool.take() {
            Some(idle) => Ok(Connection(idle)),
            None => connect::open(&self.0, deadline).map(Connection),
        }
    }

    /// Sends the request and reads the answer.
    pub(crate) fn exchange(
        &self,
        connection: Connection,
        request: &Request<'_>,
        deadline: Instant,
    ) -> Result<Response, TransportError> {
        let mut stream = connection.0;
        stream.set_deadline(deadline);
        http1::write(&mut stream, &self.0, request).map_err(TransportError::after_sending)?;
        let (reply, reusable) = http1::read(&mut stream, request.limit)?;
        if reusable {
            self.0.pool.put(stream);
        }
        Ok(reply)
    }

    /// Takes back a connection on which nothing was sent.
    pub(crate) fn keep(&self, connection: Connection) {
        self.0.pool.put(connection.0);
    }
}

/// A connection that waits for a request.
pub(crate) struct Connection(connect::Stream);

/// When this time will be over.
pub(crate) fn deadline_after(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(FAR_FUTURE)
}

/// The answer that comes as these bytes.
#[cfg(fuzzing)]
pub(crate) fn fuzz_read(mut bytes: &[u8]) -> Option<Response> {
    let (reply, _) = http1::read(&mut bytes, 64 * 1024).ok()?;
    Some(reply)
}
