//! The load: twenty rotations of the login under constant queries.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use sikkerkey::SikkerKey;
use sikkerkey_emulator::Emulator;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::{Client, NoTls};

use crate::cluster::Cluster;
use crate::{AnyError, LIFETIME, probed, start};

const ROTATIONS: u64 = 20;
const CLIENTS: usize = 4;
const POLL: Duration = Duration::from_millis(50);

#[derive(Default)]
struct Counts {
    answered: AtomicU64,
    failed: AtomicU64,
}

pub(crate) async fn run(metrics: PrometheusHandle) -> Result<(), AnyError> {
    let cluster = Cluster::start()?;
    let (admin, connection) = cluster.admin().connect(NoTls).await?;
    tokio::spawn(connection);
    let vault = Emulator::builder().start()?;
    rotate(&admin, &vault, &cluster, 0).await?;
    let sk = SikkerKey::builder()
        .identity_file(vault.identity_path())
        .poll_interval(POLL)
        .build()?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = start(probed(&sk), listener, metrics).await?;
    println!("serving on http://{address}, rotating {ROTATIONS} times under {CLIENTS} clients");
    let running = Arc::new(AtomicBool::new(true));
    let counts = Arc::new(Counts::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (running, counts) = (Arc::clone(&running), Arc::clone(&counts));
            tokio::spawn(async move {
                while running.load(Ordering::Relaxed) {
                    let counter = match ask(address, "/").await {
                        Ok(answer) if answer.starts_with("hello app_") => &counts.answered,
                        _ => &counts.failed,
                    };
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    // Listeners are called in order: when this one is called, the pool has the new login.
    let (tell, mut followed) = tokio::sync::mpsc::unbounded_channel();
    app.live.on_change(move |_| {
        let _ = tell.send(());
    });
    for number in 1..=ROTATIONS {
        rotate(&admin, &vault, &cluster, number).await?;
        followed.recv().await.ok_or("the live config has ended")?;
        // Some connections reach the end of their life, so new ones log in.
        tokio::time::sleep(LIFETIME / 4).await;
    }
    running.store(false, Ordering::Relaxed);
    for client in clients {
        client.await?;
    }

    println!("/healthz: {}", ask(address, "/healthz").await?);
    for line in ask(address, "/metrics").await?.lines() {
        if line.starts_with("sikkerkey_live") || line.starts_with("sikkerkey_reads") {
            println!("/metrics: {line}");
        }
    }
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (answered, failed) = (load(&counts.answered), load(&counts.failed));
    println!(
        "{answered} queries answered, {failed} failed; 1 pool, {} connections",
        app.pool.size()
    );
    let generation = app.live.status().generation();
    if failed > 0 || answered == 0 || generation != ROTATIONS + 1 {
        return Err(format!("{failed} queries failed; generation {generation}").into());
    }
    Ok(())
}

/// Makes a new role for each rotation, as leases do: a login in progress still works.
async fn rotate(
    admin: &Client,
    vault: &Emulator,
    cluster: &Cluster,
    number: u64,
) -> Result<(), AnyError> {
    let (role, password) = (format!("app_{number}"), format!("login-password-{number}"));
    let statement = format!("CREATE ROLE {role} LOGIN PASSWORD '{password}'");
    admin.batch_execute(&statement).await?;
    let port = cluster.port.to_string();
    let fields = [
        ("host", "127.0.0.1"),
        ("port", &port),
        ("username", &role),
        ("password", &password),
    ];
    vault.put_structured("sk_db_prod", fields);
    Ok(())
}

/// Sends one request on a new connection, and returns the body of a 200.
async fn ask(address: std::net::SocketAddr, path: &str) -> Result<String, AnyError> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: service\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    let (head, body) = response.split_once("\r\n\r\n").ok_or("no response")?;
    match head.starts_with("HTTP/1.1 200") {
        true => Ok(body.to_owned()),
        false => Err(head.lines().next().unwrap_or_default().to_owned().into()),
    }
}
