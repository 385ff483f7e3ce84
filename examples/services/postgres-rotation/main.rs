//! A pool of PostgreSQL connections that follows its password: it rotates under load, and no query
//! fails.
//!
//! `cargo run -p sikkerkey-service-examples --example postgres_rotation [-- ROTATIONS]` starts its own PostgreSQL in a
//! temporary folder, and the emulator. Both are removed afterwards.
#![allow(clippy::print_stdout)] // It is read in a terminal.

mod cluster;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cluster::Cluster;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use sikkerkey::live::RecvError;
use sikkerkey::{
    ExposeSecret, Freshness, Live, LiveResource, SecretString, SikkerKey, SikkerKeyConfig,
};
use sikkerkey_emulator::Emulator;
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(nested)]
    db: Database,
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db_prod")]
struct Database {
    host: String,
    port: u16,
    username: String,
    password: SecretString,
}

impl Database {
    fn connection(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config
            .host(&self.host)
            .port(self.port)
            .user(&self.username)
            .password(self.password.expose_secret())
            .dbname("postgres")
            .connect_timeout(Duration::from_secs(5));
        config
    }

    /// Builds a pool for each config: connections of the old login drain with the old pool.
    fn pool(&self) -> Result<Pool, deadpool_postgres::BuildError> {
        let recycling = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        POOLS.fetch_add(1, Ordering::Relaxed);
        let manager = Manager::from_config(self.connection(), NoTls, recycling);
        Pool::builder(manager).max_size(8).build()
    }

    /// The probe: whether the database accepts these credentials, before a query uses them.
    async fn probe(&self) -> Result<(), &'static str> {
        match self.connection().connect(NoTls).await {
            Ok(_) => Ok(()),
            Err(error) if is_refused(&error) => Err("the database refuses this login"),
            Err(_) => Err("the database does not answer"),
        }
    }
}

type AnyError = Box<dyn Error + Send + Sync>;

/// The number of pools that were built.
static POOLS: AtomicU64 = AtomicU64::new(0);

const WORKERS: usize = 6;
const POLL: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Counts {
    run: AtomicU64,
    failed: AtomicU64,
    /// Connections that were refused between the two halves of a rotation, and retried.
    tried_again: AtomicU64,
}

fn main() -> Result<(), AnyError> {
    let rotations = std::env::args()
        .nth(1)
        .map_or(Ok(10), |n| n.parse::<u32>())?;
    let cluster = Cluster::start()?;
    let vault = Emulator::builder()
        .structured("sk_db_prod", database(&cluster, "first"))
        .start()?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(show(rotations, &cluster, &vault))
}

async fn show(rotations: u32, cluster: &Cluster, vault: &Emulator) -> Result<(), AnyError> {
    let (admin, connection) = cluster.admin().connect(NoTls).await?;
    tokio::spawn(connection);
    admin
        .batch_execute("CREATE ROLE app LOGIN PASSWORD 'first'")
        .await?;

    let sk = SikkerKey::builder()
        .identity_file(vault.identity_path())
        .poll_interval(POLL)
        .build()?;
    let loader = Config::loader(&sk)
        .probe_async(|config: Arc<Config>| async move { config.db.probe().await })
        .refresh_gap(POLL);
    let live = tokio::task::spawn_blocking(move || loader.live()).await??;
    let pool = live.resource(|config| config.db.pool())?;

    let counts = Arc::new(Counts::default());
    let running = Arc::new(AtomicBool::new(true));
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (live, pool) = (live.clone(), pool.clone());
            let (counts, running) = (Arc::clone(&counts), Arc::clone(&running));
            tokio::spawn(async move {
                while running.load(Ordering::Relaxed) {
                    let outcome = query(&live, &pool, &counts).await;
                    counts.run.fetch_add(1, Ordering::Relaxed);
                    if outcome.is_err() {
                        counts.failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();

    println!("rotating the password {rotations} times, every second, under {WORKERS} workers");
    let mut changes = live.subscribe();
    for number in 1..=rotations {
        let password = format!("rotated-{number}");
        alter(&admin, &password).await?;
        // Makes visible what happens in every rotation: new connections are refused now.
        tokio::time::sleep(Duration::from_millis(50)).await;
        put(vault, cluster, &password);
        changes = next_change(changes).await?.0;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    report("rotated", &live, &counts);

    println!("the wrong order: the secret first, the database later");
    put(vault, cluster, "early");
    changes = next_refusal(changes).await?;
    report("refused", &live, &counts);
    alter(&admin, "early").await?;
    changes = next_change(changes).await?.0;
    report("adopted", &live, &counts);

    println!("a wrong password: refused, until it is put right");
    put(vault, cluster, "wrong");
    changes = next_refusal(changes).await?;
    report("refused", &live, &counts);
    alter(&admin, "right").await?;
    put(vault, cluster, "right");
    next_change(changes).await?;
    report("adopted", &live, &counts);

    running.store(false, Ordering::Relaxed);
    for worker in workers {
        worker.await?;
    }
    drained(&admin, &pool).await?;
    println!("connections of the old logins: 0");
    let (pools, configs) = (POOLS.load(Ordering::Relaxed), live.status().generation());
    println!("{pools} pools for {configs} configs");
    if pools != configs {
        return Err("a pool is built once for each config".into());
    }
    let failed = counts.failed.load(Ordering::Relaxed);
    if failed > 0 || live.status().freshness() != Freshness::Fresh {
        return Err(format!("{failed} queries failed; {}", live.status()).into());
    }
    if counts.tried_again.load(Ordering::Relaxed) == 0 {
        return Err(
            "no connection fell between the halves of a rotation: nothing was shown".into(),
        );
    }
    Ok(())
}

/// What a request handler does: it takes a connection and runs a query. If the database refuses the
/// login, it refreshes the credentials and tries again.
async fn query(
    live: &Live<Config>,
    pool: &LiveResource<Pool>,
    counts: &Counts,
) -> Result<(), AnyError> {
    const TRIES: usize = 20;
    for _ in 0..TRIES {
        match pool.get().get().await {
            Ok(client) => {
                let row = client.query_one("SELECT 40 + $1::int4", &[&2]).await?;
                let sum: i32 = row.get(0);
                if sum != 42 {
                    return Err("a wrong sum".into());
                }
                // Connections live briefly, so new logins happen all the time.
                drop(deadpool_postgres::Object::take(client));
                return Ok(());
            }
            Err(deadpool_postgres::PoolError::Backend(error)) if is_refused(&error) => {
                counts.tried_again.fetch_add(1, Ordering::Relaxed);
                // `status()` reports an outage or a refused config; the next try decides.
                let _ = live.refresh_async().await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err("the login stayed refused".into())
}

fn is_refused(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::INVALID_PASSWORD)
}

fn database(cluster: &Cluster, password: &str) -> [(&'static str, String); 4] {
    [
        ("host", "127.0.0.1".to_owned()),
        ("port", cluster.port.to_string()),
        ("username", "app".to_owned()),
        ("password", password.to_owned()),
    ]
}

fn put(vault: &Emulator, cluster: &Cluster, password: &str) {
    vault.put_structured("sk_db_prod", database(cluster, password));
}

async fn alter(admin: &tokio_postgres::Client, password: &str) -> Result<(), AnyError> {
    let statement = format!("ALTER ROLE app PASSWORD '{password}'");
    Ok(admin.batch_execute(&statement).await?)
}

type Changes = sikkerkey::live::Subscription<Config>;

/// Waits for a swap, past refusals such as that of a half-finished rotation.
async fn next_change(mut changes: Changes) -> Result<(Changes, Vec<String>), AnyError> {
    loop {
        match tokio::time::timeout(PATIENCE, changes.recv_async()).await? {
            Ok(change) => {
                let paths = change.paths().to_vec();
                return Ok((changes, paths));
            }
            Err(RecvError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn next_refusal(mut changes: Changes) -> Result<Changes, AnyError> {
    match tokio::time::timeout(PATIENCE, changes.recv_async()).await? {
        Err(RecvError::Refused(error)) => {
            println!("  {}", error.to_string().trim_end().replace('\n', "\n  "));
            Ok(changes)
        }
        Err(error) => Err(error.into()),
        Ok(_) => Err("credentials that the database refuses were adopted".into()),
    }
}

fn report(what: &str, live: &Live<Config>, counts: &Counts) {
    println!(
        "  {what}: {}; {} queries run, {} failed, {} refused connections tried again",
        live.status(),
        counts.run.load(Ordering::Relaxed),
        counts.failed.load(Ordering::Relaxed),
        counts.tried_again.load(Ordering::Relaxed),
    );
}

/// Waits until the only connections of the role are those of the current pool.
async fn drained(
    admin: &tokio_postgres::Client,
    pool: &LiveResource<Pool>,
) -> Result<(), AnyError> {
    const COUNT: &str = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'";
    let own = i64::try_from(pool.load().status().size)?;
    for _ in 0..100 {
        let open: i64 = admin.query_one(COUNT, &[]).await?.get(0);
        if open <= own {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err("connections of an old login are still open".into())
}
