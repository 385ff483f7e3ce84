//! One stream, read by this client and by hyper.

use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sikkerkey::__private::{TestConnection, TestExchange};

use crate::choices::Seed;
use crate::reference::Reference;
use crate::stream::Stream;
use crate::wire::Wire;

/// The two sides of TLS.
pub(crate) struct Tls {
    pub(crate) client: Arc<ClientConfig>,
    pub(crate) server: Arc<ServerConfig>,
}

impl Tls {
    /// With a certificate made for it.
    pub(crate) fn new() -> Self {
        let CertifiedKey { cert, signing_key }: CertifiedKey<KeyPair> =
            rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Tls {
            client: Arc::new(client),
            server: Arc::new(server),
        }
    }
}

/// When a connection is used again.
pub(crate) type Rule = fn(&TestExchange, &mut TestConnection<Wire>) -> bool;

/// The client's own rule.
pub(crate) fn silent(exchange: &TestExchange, connection: &mut TestConnection<Wire>) -> bool {
    exchange.reusable && connection.is_silent()
}

/// The first rule that this client had: it looked at the socket and not into TLS.
pub(crate) fn socket_is_quiet(
    exchange: &TestExchange,
    connection: &mut TestConnection<Wire>,
) -> bool {
    exchange.reusable && connection.socket().is_quiet()
}

/// What was seen in streams that agreed.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) responses: u64,
    pub(crate) bodies: u64,
    pub(crate) reused: u64,
    /// Where hyper gave a response that this client refused.
    pub(crate) stricter: u64,
}

/// Reads a stream twice; the difference in words, if there is one that matters.
pub(crate) fn check(
    stream: &Stream,
    cuts: Seed,
    tls: &Tls,
    rule: Rule,
    seen: &mut Seen,
) -> Result<(), String> {
    let server = stream.tls.then_some(&tls.server);
    let wire = Wire::new(stream, server, cuts);
    let mut ours = match stream.tls {
        true => TestConnection::tls(wire, &tls.client, "localhost")
            .map_err(|error| format!("no TLS: {error}"))?,
        false => TestConnection::plain(wire),
    };
    // Session tickets that are still on their way are no reason to drop a connection.
    if !ours.is_silent() {
        return Err("a new connection is not silent".to_owned());
    }
    let mut reference = Reference::new(stream);
    for batch in &stream.batches {
        let our = ours.exchange(stream.limit);
        let their = reference.exchange();
        let reused = rule(&our, &mut ours);
        if let (Some((our, our_body)), Some((their, their_body))) = (&our.response, &their.response)
        {
            if our != their {
                return Err(format!("status {our} here, {their} with hyper"));
            }
            if let (Some(our), Some(their)) = (our_body, their_body)
                && our != their
            {
                let (our, their) = (our.len(), their.len());
                return Err(format!(
                    "another body: {our} bytes here, {their} with hyper"
                ));
            }
        }
        if reused && !their.reused {
            return Err("used again here, refused by hyper".to_owned());
        }
        if reused && batch.surplus {
            return Err("used again though more than a response came".to_owned());
        }
        seen.responses += u64::from(our.response.is_some());
        seen.stricter += u64::from(our.response.is_none() && their.response.is_some());
        seen.bodies += u64::from(matches!(our.response, Some((_, Some(_)))));
        seen.reused += u64::from(reused);
        if !reused {
            break;
        }
    }
    Ok(())
}
