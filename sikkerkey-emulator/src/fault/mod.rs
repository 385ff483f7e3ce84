//! Faults: what goes wrong on purpose, and when.

mod hold;
mod plan;
mod play;
mod verbs;

pub use hold::Hold;
pub(crate) use plan::Plan;
pub(crate) use play::{Delivery, Step, early, play, whole};

use std::time::Duration;

use crate::http::Response;

/// One thing that goes wrong with one request.
///
/// A fault comes **before** the service acts unless it says otherwise: the request is recorded, nothing is read, no
/// use of a token is spent, no nonce is taken. [`Fault::after`] turns that round: the service acts on the request, and
/// then the fault spoils the response, as when a reply is lost on its way.
///
/// Where a fault needs a response to spoil and the service did not act, it is a stand-in that a client must never
/// hand to its user: `{"value":"stand-in",…}`.
///
/// ```
/// use std::time::Duration;
/// use sikkerkey_emulator::{Emulator, Fault, Reply};
///
/// let vault = Emulator::builder().secret("sk_a", "1").start()?;
/// vault.fail_next(Fault::Status(503));
/// vault.fail_next(Reply::new(429).header("Retry-After", "7"));
/// vault.fail_next(Fault::after(Fault::Close));
/// vault.fail_next_matching("/v1/secrets/poll", Fault::Delay(Duration::from_secs(1)));
/// # Ok::<(), sikkerkey_emulator::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a fault happens once an emulator has it"]
#[non_exhaustive]
pub enum Fault {
    /// Nothing goes wrong: lets one request pass the queue.
    Pass,
    /// This status, with an error body in the service's form; 408 closes the connection.
    Status(u16),
    /// This status with these headers and this body.
    Reply(Reply),
    /// Closes the connection without a response.
    Close,
    /// Resets the connection (TCP RST) without a response.
    Reset,
    /// No response until the client gives up or the emulator stops.
    Hang,
    /// The service acts after this time and then answers normally. With [`Fault::after`] it acts at once, and the
    /// response comes after this time.
    Delay(Duration),
    /// The service acts when the [`Hold`] is released. With [`Fault::after`] it acts at once, and the response waits for
    /// the release.
    Hold(Hold),
    /// The response stops in the middle of its body, and the connection closes.
    Truncated,
    /// `Content-Length` is wrong by this many bytes: too high promises bytes that never come, too low cuts the body
    /// off. The connection closes after the body.
    WrongLength(i64),
    /// Bytes that are not HTTP.
    Garbage,
    /// A success whose body is JSON except for a value that is not UTF-8.
    InvalidUtf8,
    /// A success whose body is not JSON.
    InvalidJson,
    /// A success without the fields of the call: `{}`.
    EmptyObject,
    /// The service acts. The head of its response comes at once, the body one byte at a time.
    Drip(Duration),
    /// The service acts. Its response, head and body, comes one byte at a time.
    DripAll(Duration),
    /// A success whose body never ends: one space at a time.
    DripForever(Duration),
    /// A success whose body never ends, as fast as the client reads it.
    Endless,
    /// A success whose headers never end.
    EndlessHead,
    /// A complete, well-formed success in chunks, whose value has this many bytes.
    Huge(u64),
    /// 302 to this URL.
    Redirect(String),
    /// This status with an HTML page, as sent by a proxy in front of the service.
    Proxy(u16),
    /// This reply as soon as the head of the request has arrived; its body is never read, and the connection closes on
    /// what the client is still sending. The record has the request without its body. [`Emulator::fail_randomly`](crate::Emulator::fail_randomly)
    /// and [`Fault::after`] wait for the body.
    Early(Reply),
    /// The service acts and answers normally. This reply follows in the same write; over TLS in the same
    /// record, if both fit into one (16 KiB). The connection stays open.
    Desync(Reply),
    /// The service acts, and `count` informational responses of this status (100, 103 and so on), each of at least
    /// `size` bytes, come before its answer.
    Informational {
        /// Their status.
        status: u16,
        /// How many there are.
        count: u64,
        /// The bytes of each one; raised to its shortest form where that is longer.
        size: usize,
    },
    /// The service acts. Each byte of the body is a chunk of its own, with an extension of this many bytes.
    ChunkExtensions(usize),
    /// The service acts. One header of its response is folded over two lines, an obsolete form.
    FoldedHeader,
    /// These bytes instead of a response; then the connection closes.
    Raw(Vec<u8>),
    /// The inner fault, for a request on a reused connection; made by [`Fault::on_reused`].
    Reused(Box<Fault>),
    /// The inner fault, after the service acted; made by [`Fault::after`].
    After(Box<Fault>),
}

impl Fault {
    /// The service acts on the request (a value counts as read, a token's use is spent), then `fault` spoils the response.
    pub fn after(fault: impl Into<Fault>) -> Self {
        Self::After(Box::new(fault.into()))
    }

    /// `fault` meets only a request on a connection that has served another one before; requests on a new connection
    /// pass it by. `Fault::on_reused(Fault::Close)` is a server that closes an idle connection just as it is used again.
    pub fn on_reused(fault: impl Into<Fault>) -> Self {
        Self::Reused(Box::new(fault.into()))
    }

    /// What is left of it for a request, by whether its connection has served another one; none where it is not meant.
    fn meets(&self, reused: bool) -> Option<&Self> {
        match self {
            Self::Reused(fault) if reused => fault.meets(reused),
            Self::Reused(_) => None,
            fault => Some(fault),
        }
    }
}

/// A response written by the test: any status, headers and body.
///
/// It has a `Date` header and a `Content-Length` unless it names them itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a reply is sent once it is a fault of an emulator"]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    /// A response with this status and no body.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// An error in the service's form: `{"error": message}`.
    pub fn error(status: u16, message: impl AsRef<str>) -> Self {
        Self::from(Response::error(status, message.as_ref()))
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The body, as it stands.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Self {
            status: response.status,
            headers: response.headers,
            body: response.body,
        }
    }
}

impl From<Reply> for Response {
    fn from(reply: Reply) -> Self {
        Self {
            status: reply.status,
            headers: reply.headers,
            body: reply.body,
        }
    }
}

impl From<Reply> for Fault {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}
