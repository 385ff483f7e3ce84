//! The thread that writes entries to disk, so that a slow disk delays no read.
//!
//! It writes only the newest value of each id, and ends when nothing is waiting. Values that wait are served
//! from memory.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use secrecy::SecretString;

use crate::clock::Signal;
use crate::contain::contain;
use crate::id::SecretId;
use crate::log::log;
use crate::sync::lock;

/// A value as the service sent it.
#[derive(Clone)]
pub(super) struct Newest {
    pub(super) value: SecretString,
    pub(super) cached_at: i64,
}

/// State of an id that is newer than its file.
enum Unwritten {
    /// The value to write to the file. Kept in memory if the write fails.
    Value(Newest),
    /// The secret was deleted or denied: the file is to be removed, and nothing is served. Kept
    /// until the service sends a value again.
    Revoked { since: u64 },
}

/// One job of the thread, for the file of an id.
pub(super) enum FileJob {
    Write(Newest),
    Remove,
}

/// What is held in memory for an id.
pub(super) enum InMemory {
    /// Nothing: the file is up to date.
    Nothing,
    Value(Newest),
    Revoked,
}

#[derive(Default)]
struct Queue {
    ids: HashMap<SecretId, Unwritten>,
    /// Ids whose files are out of date, without repetition.
    waiting: VecDeque<SecretId>,
    /// Whether a thread is running.
    running: bool,
    /// The number of reads that have started.
    reads: u64,
}

/// Entries that wait to be written to disk.
#[derive(Default)]
pub(super) struct Writer {
    queue: Mutex<Queue>,
    /// Raised when the thread ends.
    ended: Signal,
}

/// Marks the start of a read: a response is not stored if the secret was revoked after that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket(u64);

impl Writer {
    /// Before the request is sent.
    pub(super) fn begin(&self) -> Ticket {
        let mut queue = lock(&self.queue);
        queue.reads += 1;
        Ticket(queue.reads)
    }

    /// Queues a value, unless the secret was revoked after its read began. Returns whether a thread must be
    /// started.
    fn take_value(&self, id: &SecretId, newest: Newest, ticket: Ticket) -> bool {
        let mut queue = lock(&self.queue);
        if let Some(Unwritten::Revoked { since }) = queue.ids.get(id)
            && *since > ticket.0
        {
            return false;
        }
        queue.set(id, Unwritten::Value(newest))
    }

    fn take_revocation(&self, id: &SecretId) -> bool {
        let mut queue = lock(&self.queue);
        queue.reads += 1;
        let since = queue.reads;
        queue.set(id, Unwritten::Revoked { since })
    }

    pub(super) fn look_up(&self, id: &SecretId) -> InMemory {
        match lock(&self.queue).ids.get(id) {
            None => InMemory::Nothing,
            Some(Unwritten::Value(newest)) => InMemory::Value(newest.clone()),
            Some(Unwritten::Revoked { .. }) => InMemory::Revoked,
        }
    }

    /// Drops all waiting entries, revocations included.
    pub(super) fn clear(&self) {
        let mut queue = lock(&self.queue);
        queue.waiting.clear();
        queue.ids.clear();
    }

    /// Waits until all entries are written, for at most this long. Returns whether they are.
    pub(super) fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        loop {
            let seen = self.ended.count();
            if !lock(&self.queue).running {
                return true;
            }
            if deadline <= Instant::now() {
                return false;
            }
            let left = || deadline.saturating_duration_since(Instant::now());
            self.ended.wait_while(seen, left);
        }
    }

    /// The thread's loop: runs `work` for each waiting job. `work` returns whether it succeeded.
    fn run(&self, work: impl Fn(&SecretId, FileJob) -> bool) {
        loop {
            let (id, job) = {
                let mut queue = lock(&self.queue);
                match queue.next() {
                    Some(next) => next,
                    None => {
                        queue.running = false;
                        break;
                    }
                }
            };
            let written = match &job {
                FileJob::Write(newest) => Some(newest.cached_at),
                FileJob::Remove => None,
            };
            // A panic in one job must not stop all later ones.
            let done = contain(|| work(&id, job)) == Ok(true);
            let mut queue = lock(&self.queue);
            // If a newer value has come meanwhile, it stays in the queue.
            if done && written.is_some() && !queue.waiting.contains(&id) {
                queue.ids.remove(&id);
            }
        }
        self.ended.raise();
    }
}

impl Queue {
    /// Sets the state of an id. Returns whether a thread must be started.
    fn set(&mut self, id: &SecretId, unwritten: Unwritten) -> bool {
        self.ids.insert(id.clone(), unwritten);
        if !self.waiting.contains(id) {
            self.waiting.push_back(id.clone());
        }
        !std::mem::replace(&mut self.running, true)
    }

    fn next(&mut self) -> Option<(SecretId, FileJob)> {
        loop {
            let id = self.waiting.pop_front()?;
            let job = match self.ids.get(&id) {
                Some(Unwritten::Value(newest)) => FileJob::Write(newest.clone()),
                Some(Unwritten::Revoked { .. }) => FileJob::Remove,
                None => continue,
            };
            return Some((id, job));
        }
    }
}

/// The files that a writer's thread works on.
pub(super) trait Files: Send + Sync + 'static {
    fn writer(&self) -> &Writer;

    /// Brings the file of an id up to date. Returns whether that succeeded.
    fn work(&self, id: &SecretId, job: FileJob) -> bool;
}

/// Queues a value for writing.
pub(super) fn store(files: &Arc<impl Files>, id: &SecretId, newest: Newest, ticket: Ticket) {
    if files.writer().take_value(id, newest, ticket) {
        start(files);
    }
}

/// Queues the removal of a file, and serves nothing meanwhile.
pub(super) fn forget(files: &Arc<impl Files>, id: &SecretId) {
    if files.writer().take_revocation(id) {
        start(files);
    }
}

fn start(files: &Arc<impl Files>) {
    let own = files.clone();
    let run = move || own.writer().run(|id, job| own.work(id, job));
    let thread = thread::Builder::new().name("sikkerkey-cache".to_owned());
    if let Err(error) = thread.spawn(run) {
        log!(
            warn,
            "no thread writes the fallback cache, so the caller does: {error}"
        );
        files.writer().run(|id, job| files.work(id, job));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use secrecy::ExposeSecret as _;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    /// A disk on which each job blocks until the test releases it.
    struct SlowDisk {
        writer: Writer,
        jobs: Mutex<Sender<String>>,
        gate: Mutex<Receiver<bool>>,
    }

    impl Files for SlowDisk {
        fn writer(&self) -> &Writer {
            &self.writer
        }

        fn work(&self, id: &SecretId, job: FileJob) -> bool {
            let job = match job {
                FileJob::Write(newest) => format!("{id}={}", newest.value.expose_secret()),
                FileJob::Remove => format!("{id} removed"),
            };
            lock(&self.jobs).send(job).unwrap();
            lock(&self.gate).recv().unwrap_or(true)
        }
    }

    fn disk() -> (Arc<SlowDisk>, Receiver<String>, Sender<bool>) {
        let (jobs, done) = channel();
        let (go, gate) = channel();
        let disk = SlowDisk {
            writer: Writer::default(),
            jobs: Mutex::new(jobs),
            gate: Mutex::new(gate),
        };
        (Arc::new(disk), done, go)
    }

    fn id(text: &str) -> SecretId {
        SecretId::new(text).unwrap()
    }

    fn newest(value: &str) -> Newest {
        Newest {
            value: value.into(),
            cached_at: 1,
        }
    }

    fn read(disk: &Arc<SlowDisk>, of: &str, value: &str) {
        store(disk, &id(of), newest(value), disk.writer.begin());
    }

    #[track_caller]
    fn in_memory(disk: &SlowDisk, of: &str) -> Option<String> {
        match disk.writer.look_up(&id(of)) {
            InMemory::Nothing => None,
            InMemory::Value(newest) => Some(newest.value.expose_secret().to_owned()),
            InMemory::Revoked => Some("revoked".to_owned()),
        }
    }

    #[test]
    fn a_slow_disk_delays_no_read_and_the_newest_value_of_each_id_wins() {
        let (disk, jobs, go) = disk();
        read(&disk, "sk_a", "1");
        assert_eq!(jobs.recv_timeout(LONG).unwrap(), "sk_a=1");
        for value in ["2", "3", "4"] {
            read(&disk, "sk_a", value);
            read(&disk, "sk_b", value);
        }
        assert_eq!(in_memory(&disk, "sk_a").as_deref(), Some("4"));
        assert!(
            !disk.writer.flush(Duration::ZERO),
            "the last handle does not wait for ever"
        );
        for _ in 0..3 {
            go.send(true).unwrap();
        }
        assert!(disk.writer.flush(LONG));
        assert_eq!(jobs.try_iter().collect::<Vec<_>>(), ["sk_a=4", "sk_b=4"]);
        assert_eq!(
            (in_memory(&disk, "sk_a"), in_memory(&disk, "sk_b")),
            (None, None)
        );
    }

    #[test]
    fn what_could_not_be_written_stays_in_memory() {
        let (disk, _jobs, go) = disk();
        go.send(false).unwrap();
        read(&disk, "sk_a", "1");
        assert!(disk.writer.flush(LONG));
        assert_eq!(in_memory(&disk, "sk_a").as_deref(), Some("1"));
        go.send(true).unwrap();
        read(&disk, "sk_a", "2");
        assert!(disk.writer.flush(LONG));
        assert_eq!(in_memory(&disk, "sk_a"), None);
    }

    #[test]
    fn a_revocation_outlives_the_responses_to_earlier_reads() {
        let (disk, jobs, go) = disk();
        drop(go);
        let early = disk.writer.begin();
        forget(&disk, &id("sk_a"));
        store(&disk, &id("sk_a"), newest("old"), early);
        assert!(disk.writer.flush(LONG));
        assert_eq!(in_memory(&disk, "sk_a").as_deref(), Some("revoked"));
        read(&disk, "sk_a", "new");
        assert!(disk.writer.flush(LONG));
        assert_eq!(
            jobs.try_iter().collect::<Vec<_>>(),
            ["sk_a removed", "sk_a=new"]
        );
        assert_eq!(in_memory(&disk, "sk_a"), None);
    }

    #[test]
    fn a_thread_comes_with_the_first_value_and_goes_with_the_last() {
        let (disk, _jobs, go) = disk();
        drop(go);
        for n in 0..100 {
            read(&disk, "sk_a", &n.to_string());
            assert!(disk.writer.flush(LONG));
        }
        assert!(!lock(&disk.writer.queue).running);
    }
}
