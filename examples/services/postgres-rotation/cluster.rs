//! A private PostgreSQL in a temporary folder, for one run.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

type AnyError = Box<dyn Error + Send + Sync>;

/// The name of the superuser of the private cluster.
const SUPERUSER: &str = "example_admin";

pub(crate) struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    as_root: bool,
    pub(crate) port: u16,
    pub(crate) admin_password: String,
}

impl Cluster {
    /// Starts a cluster that listens on loopback only and requires passwords.
    pub(crate) fn start() -> Result<Self, AnyError> {
        let programs = programs().ok_or(
            "PostgreSQL's server is not installed: on Debian and Ubuntu, `apt-get install postgresql`; \
             elsewhere, put its `initdb` and `pg_ctl` on the PATH",
        )?;
        let folder = tempfile::Builder::new()
            .prefix("postgres-rotation-")
            .tempdir()?;
        // A port that is free now: PostgreSQL cannot choose one itself.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let cluster = Cluster {
            folder,
            programs,
            as_root: String::from_utf8(Command::new("id").arg("-u").output()?.stdout)?.trim()
                == "0",
            port,
            admin_password: format!("admin-{port}"),
        };
        let password_file = cluster.path("admin-password");
        File::create(&password_file)?.write_all(cluster.admin_password.as_bytes())?;
        if cluster.as_root {
            // The server refuses to run as root. Debian's package creates this user.
            let folder = cluster.folder.path();
            run(Command::new("chown").args(["-R", "postgres"]).arg(folder))?;
        }
        run(cluster
            .command("initdb")
            .args(["--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"])
            .args(["--username", SUPERUSER, "--pwfile"])
            .arg(&password_file)
            .arg("--pgdata")
            .arg(cluster.data()))?;
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories= -c fsync=off -c max_connections=200"
        );
        run(cluster
            .command("pg_ctl")
            .args([
                "start",
                "--wait",
                "--silent",
                "--options",
                &options,
                "--pgdata",
            ])
            .arg(cluster.data())
            .arg("--log")
            .arg(cluster.path("log")))?;
        Ok(cluster)
    }

    /// Returns the login of the superuser.
    pub(crate) fn admin(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config
            .host("127.0.0.1")
            .port(self.port)
            .user(SUPERUSER)
            .password(&self.admin_password)
            .dbname("postgres");
        config
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = if self.as_root {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.folder.path());
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.data();
        let mut stop = self.command("pg_ctl");
        stop.args(["stop", "--mode", "immediate", "--silent", "--pgdata"])
            .arg(data);
        // If the server does not stop, nothing else can be done here.
        let _ = run(&mut stop);
    }
}

/// Runs a program to its end. Its output is shown if it fails.
fn run(command: &mut Command) -> Result<(), AnyError> {
    // The server inherits these, so a pipe would stay open while it runs.
    let output = tempfile::tempfile()?;
    let status = command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .status()?;
    if status.success() {
        return Ok(());
    }
    let mut output = output;
    let mut said = String::new();
    std::io::Seek::rewind(&mut output)?;
    std::io::Read::read_to_string(&mut output, &mut said)?;
    let program = command.get_program().to_string_lossy().into_owned();
    Err(format!("{program} failed: {}", said.trim()).into())
}

/// The folder of PostgreSQL's server programs, which Debian does not put into the PATH.
fn programs() -> Option<PathBuf> {
    let has_both = |folder: &Path| folder.join("initdb").exists() && folder.join("pg_ctl").exists();
    let mut debian: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(|folder| has_both(folder))
        .collect();
    debian.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian
        .pop()
        .or_else(|| std::env::split_paths(&path).find(|folder| has_both(folder)))
}
