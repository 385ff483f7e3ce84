//! Clients that connect repeatedly, and record which certificate they saw.

use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;

use sikkerkey::rustls::client::Resumption;
use sikkerkey::rustls::crypto::ring::default_provider;
use sikkerkey::rustls::pki_types::pem::PemObject as _;
use sikkerkey::rustls::pki_types::{CertificateDer, ServerName};
use sikkerkey::rustls::{ClientConfig, ClientConnection, StreamOwned};
use sikkerkey::tls::TrustRoots;

use crate::{AnyError, PATIENCE};

/// One connection: the rotation that the service had swapped in when it began, and the certificate it saw.
pub(crate) struct Seen {
    pub(crate) rotations: usize,
    pub(crate) leaf: Result<CertificateDer<'static>, String>,
}

/// A client that trusts this authority, without session resumption.
pub(crate) fn config(authority: &str) -> Result<Arc<ClientConfig>, AnyError> {
    let roots = TrustRoots::from_pem(authority)?.store();
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Connects until the receiver is dropped.
pub(crate) fn connect_until_done(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    taken_over: &AtomicUsize,
    results: &SyncSender<Seen>,
) {
    loop {
        let rotations = taken_over.load(Ordering::SeqCst);
        let leaf = connect(address, config).map_err(|error| error.to_string());
        if results.send(Seen { rotations, leaf }).is_err() {
            return;
        }
    }
}

fn connect(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
) -> Result<CertificateDer<'static>, AnyError> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let connection = ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost")?)?;
    let mut tls = StreamOwned::new(connection, stream);
    let mut greeting = String::new();
    tls.read_to_string(&mut greeting)?;
    if greeting != "hello\n" {
        return Err("no greeting came".into());
    }
    let chain = tls.conn.peer_certificates().unwrap_or_default();
    let leaf = chain.first().ok_or("no certificate came")?;
    Ok(leaf.clone().into_owned())
}

/// Makes a handshake with the installed openssl, which checks chain, dates and name.
pub(crate) fn openssl(
    address: SocketAddr,
    authority: &std::path::Path,
) -> Result<CertificateDer<'static>, AnyError> {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &address.to_string()])
        .args(["-servername", "localhost", "-verify_hostname", "localhost"])
        .arg("-CAfile")
        .arg(authority)
        .args(["-verify_return_error", "-showcerts"])
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("openssl refuses the connection: {reason}").into());
    }
    Ok(CertificateDer::from_pem_slice(&output.stdout)?)
}
