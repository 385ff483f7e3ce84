//! What hyper makes of a stream. TLS is not its business: it gets the plain text of each record, and at the end what an
//! adapter for rustls gives it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use hyper::body::Body as _;
use hyper::client::conn::http1::{Connection, SendRequest};
use hyper::rt::{Read, ReadBufCursor, Write};

use crate::stream::{Part, Stream};
use crate::wire::{End, Script};

/// How often a connection is polled on which nothing seems to happen any more. Each poll does all that can be done; a
/// second one sees what the first one set off.
const POLLS: usize = 3;

struct Io {
    script: Script,
    tls: bool,
    incoming: VecDeque<Vec<u8>>,
    end: Option<End>,
    progress: Progress,
}

/// Counts what happens, to tell when nothing does any more.
#[derive(Clone, Default)]
struct Progress(Rc<Cell<u64>>);

impl Progress {
    fn made(&self) {
        self.0.set(self.0.get() + 1);
    }
}

impl Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut bytes) = self.incoming.pop_front() {
            self.progress.made();
            let rest = bytes.split_off(bytes.len().min(buffer.remaining()));
            buffer.put_slice(&bytes);
            if !rest.is_empty() {
                self.incoming.push_front(rest);
            }
            return Poll::Ready(Ok(()));
        }
        match self.end {
            Some(End::Cut) if self.tls => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Some(_) => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    }
}

impl Write for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.end.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.progress.made();
        for part in self.script.received(bytes) {
            match part {
                Part::Bytes(bytes) => self.incoming.push_back(bytes),
                Part::KeyUpdate => {}
                Part::Close => self.end = Some(End::Close),
                Part::Cut => self.end = Some(End::Cut),
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

pub(crate) struct Reference {
    sender: SendRequest<String>,
    connection: Connection<Io, String>,
    ended: bool,
    progress: Progress,
}

/// What hyper made of one response.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) response: Option<(u16, Option<Vec<u8>>)>,
    pub(crate) reused: bool,
}

impl Reference {
    pub(crate) fn new(stream: &Stream) -> Self {
        let progress = Progress::default();
        let io = Io {
            script: Script::new(stream),
            tls: stream.tls,
            incoming: VecDeque::new(),
            end: None,
            progress: progress.clone(),
        };
        let handshake = hyper::client::conn::http1::handshake(io);
        let Poll::Ready(made) = poll(std::pin::pin!(handshake)) else {
            panic!("hyper's handshake does nothing");
        };
        let (sender, connection) = made.unwrap();
        Reference {
            sender,
            connection,
            ended: false,
            progress,
        }
    }

    pub(crate) fn exchange(&mut self) -> Exchange {
        let request = hyper::Request::get("/")
            .header("Host", "localhost")
            .body(String::new())
            .unwrap();
        let mut response = Box::pin(self.sender.send_request(request));
        let none = Exchange {
            response: None,
            reused: false,
        };
        let Some(Ok(response)) = self.until(|| poll(response.as_mut())) else {
            return none;
        };
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut bytes = Vec::new();
        let progress = self.progress.clone();
        let complete = self.until(|| {
            loop {
                match poll_frame(&mut body) {
                    Poll::Ready(None) => return Poll::Ready(true),
                    Poll::Ready(Some(Ok(frame))) => {
                        progress.made();
                        if let Ok(data) = frame.into_data() {
                            bytes.extend(data);
                        }
                    }
                    Poll::Ready(Some(Err(_))) => return Poll::Ready(false),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        drop(body);
        let body = (complete == Some(true)).then_some(bytes);
        // Lets it see what came without being asked for.
        self.until(|| Poll::<()>::Pending);
        let reused = body.is_some() && !self.ended && self.sender.is_ready();
        Exchange {
            response: Some((status, body)),
            reused,
        }
    }

    /// Lets the connection work until `done`, or until nothing happens any more.
    fn until<T>(&mut self, mut done: impl FnMut() -> Poll<T>) -> Option<T> {
        let mut idle = 0;
        let mut seen = self.progress.0.get();
        while idle < POLLS {
            idle += 1;
            if !self.ended && poll(Pin::new(&mut self.connection)).is_ready() {
                self.ended = true;
            }
            if let Poll::Ready(done) = done() {
                return Some(done);
            }
            let progress = self.progress.0.get();
            if progress != seen {
                (idle, seen) = (0, progress);
            }
        }
        None
    }
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn poll_frame(
    body: &mut hyper::body::Incoming,
) -> Poll<Option<hyper::Result<hyper::body::Frame<hyper::body::Bytes>>>> {
    Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()))
}
