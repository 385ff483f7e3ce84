//! One listening socket: accepting from it, leaving connections unserved, and a queue so full that none is made.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::fault::Hold;

/// As many connections in waiting as std itself asks for, or more.
const BACKLOG: i32 = 4096;
/// The loopback interface makes a connection at once or not at all.
const TRY: Duration = Duration::from_millis(100);
/// An operating system that goes on for longer does not know a full queue.
const FILLERS: usize = 64;

/// A listening socket.
pub(super) struct Intake {
    listener: TcpListener,
    /// What accepted connections wait for; none while they are served.
    pause: Mutex<Option<Hold>>,
    /// Whether the acceptor has a connection in hand that waits.
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

    /// The next connection to serve; none where it is one that only fills the queue.
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

    /// Leaves connections unserved from now on, or goes on.
    pub(super) fn pause(&self, on: bool) {
        let mut pause = lock(&self.pause);
        if on {
            pause.get_or_insert_default();
        } else if let Some(pause) = pause.take() {
            pause.release();
        }
    }

    /// Pauses, and connects until the operating system makes no more connections.
    pub(super) fn fill(&self, address: SocketAddr) -> io::Result<()> {
        self.pause(true);
        socket2::SockRef::from(&self.listener).listen(0)?;
        for _ in 0..FILLERS {
            // Once the acceptor holds a connection, it takes no other out of the queue.
            let last = self.holds.load(Ordering::Acquire);
            // Held, so that the acceptor cannot take one for a client's before it is entered.
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
        // Their addresses stay until they are accepted.
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
