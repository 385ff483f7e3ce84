//! A handshake in memory, at the time that a test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sikkerkey::rustls::client::{ResolvesClientCert, Resumption, WantsClientCert};
use sikkerkey::rustls::crypto::ring::default_provider;
use sikkerkey::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use sikkerkey::rustls::server::ResolvesServerCert;
use sikkerkey::rustls::server::danger::ClientCertVerifier;
use sikkerkey::rustls::time_provider::TimeProvider;
use sikkerkey::rustls::{
    ClientConfig, ClientConnection, ConfigBuilder, Error, RootCertStore, ServerConfig,
    ServerConnection, WantsVerifier,
};
use sikkerkey::tls::TrustRoots;

use crate::authority::NOW;

/// What the time is for both sides.
#[derive(Debug)]
pub(crate) struct TestTime(AtomicI64);

impl TestTime {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(TestTime(AtomicI64::new(NOW)))
    }

    pub(crate) fn pass(&self, time: Duration) {
        let seconds = i64::try_from(time.as_secs()).unwrap();
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl TimeProvider for TestTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = self.0.load(Ordering::SeqCst).unsigned_abs();
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

fn roots(pem: &str) -> Arc<RootCertStore> {
    TrustRoots::from_pem(pem).unwrap().store()
}

fn client_builder(
    time: &Arc<TestTime>,
    trusted: &str,
) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    ClientConfig::builder_with_details(Arc::new(default_provider()), time.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(trusted))
}

/// A client without a certificate that trusts this authority.
pub(crate) fn client(time: &Arc<TestTime>, trusted: &str) -> Arc<ClientConfig> {
    let mut config = client_builder(time, trusted).with_no_client_auth();
    // Each handshake is a whole one.
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// A client that presents a certificate.
pub(crate) fn client_with(
    time: &Arc<TestTime>,
    trusted: &str,
    resolver: Arc<dyn ResolvesClientCert>,
) -> Arc<ClientConfig> {
    let mut config = client_builder(time, trusted).with_client_cert_resolver(resolver);
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

fn server_builder(time: &Arc<TestTime>) -> ConfigBuilder<ServerConfig, WantsVerifier> {
    ServerConfig::builder_with_details(Arc::new(default_provider()), time.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
}

/// A server that asks for no certificate.
pub(crate) fn server(
    time: &Arc<TestTime>,
    resolver: Arc<dyn ResolvesServerCert>,
) -> Arc<ServerConfig> {
    let config = server_builder(time)
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    Arc::new(config)
}

/// A server that asks for one.
pub(crate) fn server_for(
    time: &Arc<TestTime>,
    resolver: Arc<dyn ResolvesServerCert>,
    clients: Arc<dyn ClientCertVerifier>,
) -> Arc<ServerConfig> {
    let config = server_builder(time)
        .with_client_cert_verifier(clients)
        .with_cert_resolver(resolver);
    Arc::new(config)
}

/// The leaf that the client saw.
pub(crate) fn handshake(
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
) -> Result<CertificateDer<'static>, Error> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(client.clone(), name)?;
    let mut server = ServerConnection::new(server.clone())?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        server.read_tls(&mut &*wire).unwrap();
        server.process_new_packets()?;
        wire.clear();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        client.read_tls(&mut &*wire).unwrap();
        client.process_new_packets()?;
    }
    Ok(client.peer_certificates().unwrap()[0].clone().into_owned())
}
