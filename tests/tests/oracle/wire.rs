//! A server in memory: it sends its next batch when a request is complete, and nothing else ever happens on its
//! connections. No thread, no socket and no clock takes part, so that each stream plays the same way again.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use rustls::{ServerConfig, ServerConnection};
use sikkerkey::__private::Socket;

use crate::choices::{Choices, Seed};
use crate::stream::{Batch, Part, Stream};

/// How a stream of bytes ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Close,
    Cut,
}

/// What a server sends in plain text, as it becomes available.
pub(crate) struct Script {
    batches: VecDeque<Batch>,
    request: Vec<u8>,
}

impl Script {
    pub(crate) fn new(stream: &Stream) -> Self {
        Script {
            batches: stream.batches.clone().into(),
            request: Vec::new(),
        }
    }

    /// Takes bytes of requests; the parts that the server sends then.
    pub(crate) fn received(&mut self, bytes: &[u8]) -> Vec<Part> {
        self.request.extend(bytes);
        if !self.request.ends_with(b"\r\n\r\n") {
            return Vec::new();
        }
        self.request.clear();
        // After its last batch the server closes.
        let closed = Batch {
            parts: vec![Part::Close],
            surplus: false,
        };
        self.batches.pop_front().unwrap_or(closed).parts
    }
}

/// The client's end of a connection with the server.
pub(crate) struct Wire {
    script: Script,
    tls: Option<ServerConnection>,
    incoming: VecDeque<u8>,
    end: Option<End>,
    /// How the network cuts what is sent.
    cuts: Seed,
}

impl Wire {
    pub(crate) fn new(stream: &Stream, tls: Option<&Arc<ServerConfig>>, cuts: Seed) -> Self {
        let tls = tls.map(|config| {
            let mut config = ServerConfig::clone(config);
            config.send_tls13_tickets = stream.tickets;
            let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
            tls.set_buffer_limit(None);
            tls
        });
        Wire {
            script: Script::new(stream),
            tls,
            incoming: VecDeque::new(),
            end: None,
            cuts,
        }
    }

    /// Whether the socket has neither bytes nor an end to report.
    pub(crate) fn is_quiet(&self) -> bool {
        self.incoming.is_empty() && self.end.is_none()
    }

    fn take(&mut self, bytes: &mut [u8], waits: io::ErrorKind) -> io::Result<usize> {
        if self.incoming.is_empty() {
            return match self.end {
                Some(_) => Ok(0),
                None => Err(waits.into()),
            };
        }
        let most = match self.cuts.once_in(2) {
            true => bytes.len(),
            false => bytes.len().min(1 + self.cuts.below(2000)),
        };
        self.incoming.read(&mut bytes[..most])
    }

    fn send(&mut self, parts: Vec<Part>) {
        for part in parts {
            let end = match (part, &mut self.tls) {
                (Part::Bytes(bytes), None) => {
                    self.incoming.extend(bytes);
                    None
                }
                (Part::Bytes(bytes), Some(tls)) => {
                    tls.writer().write_all(&bytes).unwrap();
                    None
                }
                (Part::KeyUpdate, None) => None,
                (Part::KeyUpdate, Some(tls)) => {
                    tls.refresh_traffic_keys().unwrap();
                    None
                }
                (Part::Close, None) => Some(End::Close),
                (Part::Close, Some(tls)) => {
                    tls.send_close_notify();
                    Some(End::Close)
                }
                (Part::Cut, _) => Some(End::Cut),
            };
            self.flush();
            if end.is_some() {
                self.end = end;
                return;
            }
        }
    }

    /// Moves what the server's TLS has to send onto the wire.
    fn flush(&mut self) {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut self.incoming).unwrap();
            }
        }
    }
}

impl Read for Wire {
    /// Whoever would wait for ever gets the error of a deadline.
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.take(bytes, io::ErrorKind::TimedOut)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.end.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut plain = Vec::new();
        match &mut self.tls {
            None => plain.extend(bytes),
            Some(tls) => {
                let mut rest = bytes;
                while !rest.is_empty() {
                    tls.read_tls(&mut rest).unwrap();
                    tls.process_new_packets().map_err(io::Error::other)?;
                }
                let _ = tls.reader().read_to_end(&mut plain);
            }
        }
        self.flush();
        if !plain.is_empty() {
            let parts = self.script.received(&plain);
            self.send(parts);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for Wire {
    fn set_deadline(&mut self, _: Instant) {}

    fn read_now(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.take(bytes, io::ErrorKind::WouldBlock)
    }
}
