//! The thread that delivers webhooks, one after another.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::post::{connect, post};
use super::{Webhook, WebhookDelivery};
use crate::service::Service;

/// The number of deliveries that are kept, as many as requests.
const REMEMBERED: usize = 10_000;

/// A message to the thread.
pub(crate) enum News {
    /// An event, and the secret that it is about.
    Event(String, String),
    /// A repetition of the newest delivery.
    Repeat,
    End,
}

/// The receivers and the thread that delivers to them; dropping it ends the thread.
pub(crate) struct Dispatcher {
    news: mpsc::Sender<News>,
    deliveries: Arc<Deliveries>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Deliveries {
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Default)]
struct Progress {
    receivers: Vec<Webhook>,
    sent: Vec<WebhookDelivery>,
    /// How many were sent; `sent` has the last of them.
    delivered: u64,
    /// The socket on which the thread may be waiting; closing it ends the wait.
    socket: Option<Arc<TcpStream>>,
    stopped: bool,
}

impl Dispatcher {
    pub(crate) fn start(service: Arc<Service>) -> io::Result<Self> {
        let (news, incoming) = mpsc::channel();
        let deliveries = Arc::new(Deliveries::default());
        let run = Arc::clone(&deliveries);
        let thread = thread::Builder::new()
            .name("emulator-webhooks".into())
            .spawn(move || run.deliver_all(&service, &incoming))?;
        Ok(Self {
            news,
            deliveries,
            thread: Some(thread),
        })
    }

    /// A sender for the vault's events.
    pub(crate) fn news(&self) -> mpsc::Sender<News> {
        self.news.clone()
    }

    pub(crate) fn tell(&self, news: News) {
        let _ = self.news.send(news);
    }

    /// Removes these receivers and adds others.
    pub(crate) fn replace(&self, old: &[Webhook], new: &[Webhook]) {
        let receivers = &mut self.deliveries.lock().receivers;
        receivers.retain(|receiver| !old.contains(receiver));
        new.iter().for_each(Webhook::note);
        receivers.extend_from_slice(new);
    }

    pub(crate) fn sent(&self) -> Vec<WebhookDelivery> {
        self.deliveries.lock().sent.clone()
    }

    /// Waits until `holds` returns true for the deliveries; false after `timeout`.
    pub(crate) fn wait_for(
        &self,
        timeout: Duration,
        mut holds: impl FnMut(&[WebhookDelivery]) -> bool,
    ) -> bool {
        let until = Instant::now() + timeout;
        let mut progress = self.deliveries.lock();
        loop {
            if holds(&progress.sent) {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.deliveries.changed.wait_timeout(progress, left);
            progress = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        let socket = {
            let mut progress = self.deliveries.lock();
            progress.stopped = true;
            progress.socket.take()
        };
        if let Some(socket) = socket {
            let _ = socket.shutdown(Shutdown::Both);
        }
        self.tell(News::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Deliveries {
    fn deliver_all(&self, service: &Service, incoming: &mpsc::Receiver<News>) {
        let mut last = None;
        for news in incoming {
            let delivery = match news {
                News::End => return,
                News::Event(event, secret) => {
                    WebhookDelivery::of(&event, &secret, service.clock.now())
                }
                News::Repeat => match last.clone() {
                    Some(delivery) => delivery,
                    None => continue,
                },
            };
            let receivers = self.lock().receivers.clone();
            for receiver in &receivers {
                let mut delivery = delivery.clone();
                delivery.url.clone_from(&receiver.url);
                delivery.status = self.deliver(receiver, &delivery).unwrap_or(0);
                let mut progress = self.lock();
                if progress.stopped {
                    return;
                }
                progress.socket = None;
                progress.delivered += 1;
                delivery.number = progress.delivered;
                if progress.sent.len() == REMEMBERED {
                    progress.sent.remove(0);
                }
                progress.sent.push(delivery);
                drop(progress);
                self.changed.notify_all();
            }
            last = Some(delivery);
        }
    }

    fn deliver(&self, receiver: &Webhook, delivery: &WebhookDelivery) -> io::Result<u16> {
        let socket = Arc::new(connect(&receiver.authority)?);
        {
            let mut progress = self.lock();
            if progress.stopped {
                return Err(io::ErrorKind::Interrupted.into());
            }
            progress.socket = Some(Arc::clone(&socket));
        }
        let signature = receiver.signature(delivery.body.as_bytes());
        let headers = [
            ("Content-Type", "application/json"),
            ("X-SikkerKey-Event", &delivery.event),
            ("X-SikkerKey-Delivery-Id", &delivery.id),
            ("X-SikkerKey-Signature", &signature),
        ];
        post(
            &socket,
            &receiver.authority,
            &receiver.path,
            &headers,
            delivery.body.as_bytes(),
        )
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
