//! The service: a TLS server whose certificate is a secret.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use sikkerkey::Live;
use sikkerkey::rustls::crypto::ring::default_provider;
use sikkerkey::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::{AnyError, Config, PATIENCE};

/// Made once: each handshake asks the resolver for the current certificate.
pub(crate) fn config(live: &Live<Config>) -> Result<Arc<ServerConfig>, AnyError> {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(live.select(|config| &config.tls).server_cert_resolver());
    Ok(Arc::new(config))
}

/// Serves each connection on its own thread, until the process ends.
pub(crate) fn serve(listener: TcpListener, config: Arc<ServerConfig>) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            // A client that disconnects needs no report.
            thread::spawn(move || greet(stream, config).ok());
        }
    });
}

fn greet(stream: TcpStream, config: Arc<ServerConfig>) -> Result<(), AnyError> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut tls = StreamOwned::new(ServerConnection::new(config)?, stream);
    tls.write_all(b"hello\n")?;
    tls.conn.send_close_notify();
    tls.flush()?;
    Ok(())
}
