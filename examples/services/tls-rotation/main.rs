//! A TLS server whose certificate is a secret: it rotates under load, and no handshake fails.
//!
//! `cargo run -p sikkerkey-service-examples --example tls_rotation` starts the emulator, a rustls server and four clients, and
//! rotates the certificate twenty times: ten times a poll finds it, ten times a webhook announces it. With `-- --openssl`
//! the installed openssl connects too, before and after a rotation.
#![allow(clippy::print_stdout)] // It is read in a terminal.

mod authority;
mod clients;
#[path = "../shared/hooks.rs"]
mod hooks;
mod server;

use std::collections::HashMap;
use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use sikkerkey::live::Subscription;
use sikkerkey::rustls::pki_types::CertificateDer;
use sikkerkey::tls::TlsIdentity;
use sikkerkey::webhook::Webhook;
use sikkerkey::{Live, SikkerKey, SikkerKeyConfig};
use sikkerkey_emulator::Emulator;

use authority::Authority;
use clients::{Seen, connect_until_done};

#[derive(SikkerKeyConfig)]
struct Config {
    /// Its fields: `chain` and `key`.
    #[sikkerkey(nested, secret = "sk_tls")]
    tls: TlsIdentity,
}

type AnyError = Box<dyn Error + Send + Sync>;

const ROTATIONS: usize = 20;
const HANDSHAKES: usize = 1_000;
const CLIENTS: usize = 4;
/// The service requires at least 10 s; the emulator accepts any interval.
const POLL: Duration = Duration::from_millis(250);
/// Longer than a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Result<(), AnyError> {
    let with_openssl = std::env::args().any(|argument| argument == "--openssl");
    let authority = Authority::new()?;
    let vault = Emulator::builder()
        .structured("sk_tls", authority.issue()?)
        .start()?;
    let sk = SikkerKey::builder()
        .identity_file(vault.identity_path())
        .poll_interval(POLL)
        .build()?;
    let live = Config::live(&sk)?;

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    server::serve(listener, server::config(&live)?);
    println!("serving on {address}: {ROTATIONS} rotations under {HANDSHAKES} handshakes");
    let mut run = Run {
        changes: live.subscribe(),
        known: HashMap::from([(leaf(&live), 0)]),
        authority,
        vault,
        live,
    };
    run.rotate_under_load(address)?;
    if with_openssl {
        run.ask_openssl(address)?;
    }
    Ok(())
}

/// The vault, the service, and the certificate of each rotation.
struct Run {
    vault: Emulator,
    live: Live<Config>,
    changes: Subscription<Config>,
    authority: Authority,
    known: HashMap<CertificateDer<'static>, usize>,
}

impl Run {
    fn rotate_under_load(&mut self, address: SocketAddr) -> Result<(), AnyError> {
        let config = clients::config(&self.authority.pem()?)?;
        let taken_over = AtomicUsize::new(0);
        let (results, seen) = sync_channel(CLIENTS);
        let (times, connections) = std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                let (results, taken_over) = (results.clone(), &taken_over);
                let config = &config;
                scope.spawn(move || connect_until_done(address, config, taken_over, &results));
            }
            // Owned by this closure: the clients end when it is dropped, even after an error.
            let seen = seen;
            let mut connections = Vec::new();
            let mut times = Vec::new();
            for number in 1..=ROTATIONS {
                connections.extend(seen.iter().take(HANDSHAKES / ROTATIONS));
                if number == ROTATIONS / 2 + 1 {
                    self.start_webhooks()?;
                }
                times.push(self.rotate(number)?);
                taken_over.store(number, Ordering::SeqCst);
            }
            // Also of the last certificate.
            connections.extend(seen.iter().take(HANDSHAKES / ROTATIONS));
            Ok::<_, AnyError>((times, connections))
        })?;
        let (by_polls, by_webhooks) = times.split_at(ROTATIONS / 2);
        report("polls", by_polls);
        report("webhooks", by_webhooks);
        self.judge(&connections)
    }

    /// Rotates the secret, waits for the swap, and returns how long that took.
    fn rotate(&mut self, number: usize) -> Result<Duration, AnyError> {
        let next = self.authority.issue()?;
        let polls = self.polls();
        let start = Instant::now();
        self.vault.put_structured("sk_tls", next);
        self.changes.recv_timeout(PATIENCE)?;
        let time = start.elapsed();
        // The next poll, or the one after it if one was in progress.
        if self.polls() - polls > 2 {
            return Err("a rotation took more than one poll".into());
        }
        self.known.insert(leaf(&self.live), number);
        Ok(time)
    }

    fn polls(&self) -> usize {
        let requests = self.vault.requests();
        let polls = requests.iter().filter(|r| r.path == "/v1/secrets/poll");
        polls.count()
    }

    /// From here on, a webhook announces each rotation.
    fn start_webhooks(&self) -> Result<(), AnyError> {
        let secret = sikkerkey_emulator::Webhook::new_secret();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let url = format!("http://{}/hooks/sikkerkey", listener.local_addr()?);
        let routes = hooks::routes(self.live.clone(), Webhook::new(secret.clone()));
        std::thread::spawn(move || runtime.block_on(async { axum::serve(listener, routes).await }));
        let receiver = sikkerkey_emulator::Webhook::new(url, secret)?;
        Ok(self.vault.add_webhook(receiver)?)
    }

    /// Checks that every handshake succeeded, and that none saw a certificate that was replaced before it began.
    fn judge(&self, connections: &[Seen]) -> Result<(), AnyError> {
        let (mut failed, mut outdated) = (0, 0);
        for seen in connections {
            match &seen.leaf {
                Ok(leaf) if self.known.get(leaf).is_some_and(|n| *n >= seen.rotations) => {}
                Ok(_) => outdated += 1,
                Err(error) => {
                    println!("failed: {error}");
                    failed += 1;
                }
            }
        }
        let count = connections.len();
        println!("{count} handshakes: {failed} failed, {outdated} with an outdated certificate");
        match failed + outdated == 0 && count >= HANDSHAKES {
            true => Ok(()),
            false => Err("not every handshake was as it should be".into()),
        }
    }

    /// Checks the certificate with the installed openssl, before and after a rotation.
    fn ask_openssl(&mut self, address: SocketAddr) -> Result<(), AnyError> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("authority.pem");
        std::fs::write(&file, self.authority.pem()?)?;
        for number in [ROTATIONS, ROTATIONS + 1] {
            if number > ROTATIONS {
                self.rotate(number)?;
            }
            let seen = clients::openssl(address, &file)?;
            if self.known.get(&seen) != Some(&number) {
                return Err("openssl was shown another certificate".into());
            }
        }
        println!("openssl accepts the certificate, before and after a rotation");
        Ok(())
    }
}

fn leaf(live: &Live<Config>) -> CertificateDer<'static> {
    live.load().tls.certified_key().cert[0].clone()
}

fn report(how: &str, times: &[Duration]) {
    let mut times = times.to_vec();
    times.sort();
    let (count, median, worst) = (times.len(), times[times.len() / 2], times[times.len() - 1]);
    println!(
        "{count} rotations by {how}: swapped in after {median:.0?} (median), {worst:.0?} (worst)"
    );
}
