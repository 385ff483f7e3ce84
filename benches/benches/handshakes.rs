//! A TLS handshake whose certificate a live config has, against one whose certificate is fixed; in memory, both sides.
//!
//! The two take turns, so that both see the same machine, however busy it is.
#![allow(
    clippy::print_stdout,
    reason = "a benchmark that fails should end, and its figures are its output"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

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

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(nested, secret = "sk_tls")]
    tls: TlsIdentity,
}

/// Of each.
const HANDSHAKES: usize = 4_000;

fn main() {
    // `cargo test --benches` only wants to see that it works.
    let handshakes = match std::env::args().any(|argument| argument == "--bench") {
        true => HANDSHAKES,
        false => 2,
    };
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
    let timed = |server| {
        let start = Instant::now();
        handshake(server, &client);
        start.elapsed()
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 0..handshakes {
        // Neither is always the one that the other has warmed up for.
        if number % 2 == 0 {
            ours.push(timed(&of_live));
            theirs.push(timed(&fixed));
        } else {
            theirs.push(timed(&fixed));
            ours.push(timed(&of_live));
        }
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    println!("| what | ours | against | theirs | ratio | aim |");
    println!("| --- | --- | --- | --- | --- | --- |");
    println!(
        "| TLS handshake | {ours:.0?} | rustls's fixed resolver | {theirs:.0?} | {ratio:.2} times | ≤ 1.05 |"
    );
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
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
