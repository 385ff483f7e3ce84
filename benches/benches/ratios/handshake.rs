//! A TLS handshake whose certificate a live config has, against one whose certificate is fixed; in memory, both sides.

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, SamplingMode};
use pem_rfc7468::LineEnding;
use rcgen::{CertificateParams, KeyPair};
use sikkerkey::rustls::client::Resumption;
use sikkerkey::rustls::crypto::ring::default_provider;
use sikkerkey::rustls::pki_types::ServerName;
use sikkerkey::rustls::server::ResolvesServerCert;
use sikkerkey::rustls::sign::{CertifiedKey, SingleCertAndKey};
use sikkerkey::rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use sikkerkey::tls::{TlsIdentity, TrustRoots};
use sikkerkey::{SikkerKey, SikkerKeyConfig};
use sikkerkey_emulator::Emulator;

use crate::OURS;

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(nested, secret = "sk_tls")]
    tls: TlsIdentity,
}

pub(crate) fn bench(criterion: &mut Criterion) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let pem = |label, der: &[u8]| pem_rfc7468::encode_string(label, LineEnding::LF, der).unwrap();
    let chain = pem("CERTIFICATE", certificate.der());
    let key = pem("PRIVATE KEY", key.serialized_der());
    let vault = Emulator::builder()
        .structured("sk_tls", [("chain", chain.clone()), ("key", key)])
        .start()
        .unwrap();
    let sk = SikkerKey::new(vault.identity_path()).unwrap();
    let live = Config::live(&sk).unwrap();
    let pair = CertifiedKey::clone(&live.load().tls.certified_key());

    let client = client(&chain);
    let of_live = server(live.select(|config| &config.tls).server_cert_resolver());
    let fixed = server(Arc::new(SingleCertAndKey::from(pair)));
    let mut group = criterion.benchmark_group("TLS handshake");
    group
        .sampling_mode(SamplingMode::Flat)
        .sample_size(400)
        .measurement_time(Duration::from_secs(4));
    group.bench_function(OURS, |b| b.iter(|| handshake(&of_live, &client)));
    group.bench_function("rustls's fixed resolver", |b| {
        b.iter(|| handshake(&fixed, &client));
    });
    group.finish();
}

fn client(root: &str) -> Arc<ClientConfig> {
    let roots = TrustRoots::from_pem(root).unwrap().store();
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Each handshake is a whole one.
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

fn server(resolver: Arc<dyn ResolvesServerCert>) -> Arc<ServerConfig> {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    Arc::new(config)
}

fn handshake(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) {
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(client.clone(), name).unwrap();
    let mut server = ServerConnection::new(server.clone()).unwrap();
    let mut wire = Vec::new();
    while client.is_handshaking() || server.is_handshaking() {
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        server.read_tls(&mut &*wire).unwrap();
        server.process_new_packets().unwrap();
        wire.clear();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        client.read_tls(&mut &*wire).unwrap();
        client.process_new_packets().unwrap();
        wire.clear();
    }
}
