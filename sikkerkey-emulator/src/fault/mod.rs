//! Faults: failures on purpose, and when they happen.

mod hold;
mod plan;
mod play;
mod verbs;

pub use hold::Hold;
pub(crate) use plan::Plan;
pub(crate) use play::{Delivery, Step, early, play, whole};

use std::time::Duration;

use crate::http::Response;

/// A failure on purpose, for one request; schedule it with [`Emulator::fail_next`](crate::Emulator::fail_next) and its
/// relatives.
///
/// A fault comes **before** the service acts unless it says otherwise: the request is recorded, but no value is read,
/// no use of a token is spent, no nonce is taken. [`Fault::after`] reverses that: the service acts on the request, and
/// then the fault spoils the response, as when a response is lost on its way.
///
/// If a fault needs a response to spoil and the service did not act, it spoils a stand-in, `{"value":"stand-in",…}`. A
/// client must never return that value to its caller.
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
    /// No failure: one request passes, which delays the faults that are queued after it.
    Pass,
    /// This status, with an error body in the service's form; 408 closes the connection.
    Status(u16),
    /// This status with these headers and this body.
    Reply(Reply),
    /// Closes the connection without a response.
    Close,
    /// Resets the connection (TCP RST) without a response.
    Reset,
    /// No response: the connection stays open until the client gives up or the emulator stops.
    Hang,
    /// The service acts after this time and then responds normally. With [`Fault::after`] it acts at once, and the
    /// response comes after this time.
    Delay(Duration),
    /// The service acts when the [`Hold`] is released. With [`Fault::after`] it acts at once, and the response waits
    /// for the release.
    Hold(Hold),
    /// The response stops in the middle of its body, and the connection closes.
    Truncated,
    /// `Content-Length` is wrong by this many bytes: a positive number promises bytes that never come, a negative one
    /// cuts the body off. The connection closes after the body.
    WrongLength(i64),
    /// Bytes that are not HTTP, instead of a response.
    Garbage,
    /// A success whose body is JSON, except that a value is not UTF-8.
    InvalidUtf8,
    /// A success whose body is not JSON.
    InvalidJson,
    /// A success whose body is `{}`, without the fields that the call promises.
    EmptyObject,
    /// The service acts. The head of its response comes at once, the body one byte at a time with this pause after
    /// each.
    Drip(Duration),
    /// The service acts. Its response, head and body, comes one byte at a time with this pause after each.
    DripAll(Duration),
    /// A success whose body never ends: one space at a time, with this pause after each.
    DripForever(Duration),
    /// A success whose body never ends, as fast as the client reads it.
    Endless,
    /// A success whose headers never end.
    EndlessHead,
    /// A complete, well-formed success in chunks, whose value has this many bytes.
    Huge(u64),
    /// A redirect (302) to this URL.
    Redirect(String),
    /// This status with an HTML page, as sent by a proxy in front of the service.
    Proxy(u16),
    /// This reply, sent as soon as the head of the request has arrived. The body is never read: the connection closes
    /// while the client may still be sending, and the request is recorded without its body. Under
    /// [`Emulator::fail_randomly`](crate::Emulator::fail_randomly) and [`Fault::after`], the reply comes after the
    /// body.
    Early(Reply),
    /// The service acts and responds normally. This second, unasked reply follows in the same write; over TLS in the
    /// same record, if both fit into one (16 KiB). The connection stays open.
    Desync(Reply),
    /// The service acts, and `count` informational responses of this status (100, 103 and so on) come before its own
    /// response.
    Informational {
        /// The status of the informational responses.
        status: u16,
        /// The number of informational responses.
        count: u64,
        /// The size of each one in bytes, at least; its shortest form may be longer.
        size: usize,
    },
    /// The service acts. Each byte of the body comes as a chunk of its own, with an extension of this many bytes.
    ChunkExtensions(usize),
    /// The service acts. One header of its response is folded over two lines, an obsolete form of HTTP.
    FoldedHeader,
    /// These bytes instead of a response; then the connection closes.
    Raw(Vec<u8>),
    /// The inner fault, for a request on a reused connection; made by [`Fault::on_reused`].
    Reused(Box<Fault>),
    /// The inner fault, after the service acted; made by [`Fault::after`].
    After(Box<Fault>),
}

impl Fault {
    /// Returns a fault that comes after the service acted (a value counts as read, a token's use is spent): `fault`
    /// then spoils the response.
    ///
    /// ```
    /// # use sikkerkey_emulator::{Emulator, Fault};
    /// # let vault = Emulator::builder().secret("sk_a", "1").start()?;
    /// vault.fail_next(Fault::after(Fault::Close)); // the read counts, and its response is lost
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
    pub fn after(fault: impl Into<Fault>) -> Self {
        Self::After(Box::new(fault.into()))
    }

    /// Returns a fault for the next request on a reused connection, one that has served a request before. Requests on
    /// new connections pass, and the fault waits. `on_reused(Fault::Close)` behaves as a server that closes an idle
    /// connection at the moment in which it is used again.
    ///
    /// ```
    /// # use sikkerkey_emulator::{Emulator, Fault};
    /// # let vault = Emulator::builder().start()?;
    /// vault.fail_next(Fault::on_reused(Fault::Close));
    /// assert_eq!(vault.queued_faults(), 1);
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
    pub fn on_reused(fault: impl Into<Fault>) -> Self {
        Self::Reused(Box::new(fault.into()))
    }

    /// The fault without its [`Fault::Reused`], if it applies to a request on such a connection; `None` if it does not.
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
/// `Date` and `Content-Length` are added unless it sets them itself. Every method that takes a [`Fault`] also takes a
/// reply.
///
/// ```
/// use sikkerkey_emulator::{Emulator, Reply};
///
/// let vault = Emulator::builder().start()?;
/// vault.fail_next(Reply::new(429).header("Retry-After", "7").body("slow down"));
/// # let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
/// let response = agent.get(vault.url()).call()?; // any HTTP client
/// assert_eq!(response.status(), 429);
/// assert_eq!(response.headers()["Retry-After"], "7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a reply is sent once it is a fault of an emulator"]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    /// Returns a response with this status and an empty body.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Returns an error in the service's form: a JSON body `{"error": message}`.
    pub fn error(status: u16, message: impl AsRef<str>) -> Self {
        Self::from(Response::error(status, message.as_ref()))
    }

    /// Adds a header; the same name twice gives two headers.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body, byte for byte. Defaults to an empty body.
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
