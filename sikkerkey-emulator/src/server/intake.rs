//! One listening socket: accepting, pausing, and filling its queue until no more connections are made.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::fault::Hold;

/// The length of the accept queue: at least what std asks for.
const BACKLOG: i32 = 4096;
/// The time limit for one connection: the loopback interface connects at once or not at all.
const TRY: Duration = Duration::from_millis(100);
/// The limit for connections that fill the queue: a system that accepts more has no full queue.
const FILLERS: usize = 64;

/// A listening socket.
pub(super) struct Intake {
    listener: TcpListener,
    /// The hold for accepted connections; `None` while they are served.
    pause: Mutex<Option<Hold>>,
    /// Whether the acceptor holds a connection that waits.
    holds: AtomicBool,
    /// Connections of this process's own that fill the queue, by their local address.
    fillers: Mutex<HashMap<SocketAddr, Option<TcpStream>>>,
}

impl Intake {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self {
            listener,
            pause: Mutex::default(),
            holds: AtomicBool::new(false),
            fillers: Mutex::default(),
        }
    }

    /// The next connection to serve; `None` for one that only filled the queue.
    pub(super) fn accept(
        &self,
        stopped: impl Fn() -> bool,
    ) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        let (socket, from) = self.listener.accept()?;
        loop {
            let Some(pause) = lock(&self.pause).clone() else {
                break;
            };
            self.holds.store(true, Ordering::Release);
            if !pause.wait(&stopped) {
                break;
            }
        }
        self.holds.store(false, Ordering::Release);
        let filler = lock(&self.fillers).remove(&from).is_some();
        Ok((!filler).then_some((socket, from)))
    }

    /// Pauses or resumes serving new connections.
    pub(super) fn pause(&self, on: bool) {
        let mut pause = lock(&self.pause);
        if on {
            pause.get_or_insert_default();
        } else if let Some(pause) = pause.take() {
            pause.release();
        }
    }

    /// Pauses, and opens connections until the operating system accepts no more.
    pub(super) fn fill(&self, address: SocketAddr) -> io::Result<()> {
        self.pause(true);
        socket2::SockRef::from(&self.listener).listen(0)?;
        for _ in 0..FILLERS {
            // Once the acceptor holds a connection, it takes no other from the queue.
            let last = self.holds.load(Ordering::Acquire);
            // Locked, so that the acceptor cannot mistake one for a client's before it is recorded.
            let mut fillers = lock(&self.fillers);
            match TcpStream::connect_timeout(&address, TRY) {
                Ok(filler) => {
                    fillers.insert(filler.local_addr()?, Some(filler));
                }
                Err(_) if last => return Ok(()),
                Err(_) => {}
            }
        }
        Err(io::Error::other(
            "the queue of connections takes all there are",
        ))
    }

    /// Undoes [`Intake::fill`].
    pub(super) fn empty(&self) -> io::Result<()> {
        socket2::SockRef::from(&self.listener).listen(BACKLOG)?;
        // Their addresses stay in the map until they are accepted.
        lock(&self.fillers)
            .values_mut()
            .for_each(|filler| *filler = None);
        self.pause(false);
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
