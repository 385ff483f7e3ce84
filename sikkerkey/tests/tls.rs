//! Which servers are believed.

mod common;

use common::{Fake as _, FakeClock, builder, emulator};
use sikkerkey::{Error, ErrorKind, ExposeSecret};
use sikkerkey_emulator::{Certificate, Emulator};

fn vault(certificate: Certificate) -> Emulator {
    emulator()
        .secret("sk_key", "sk-live-1")
        .tls_with(certificate)
        .start()
        .unwrap()
}

#[test]
fn a_service_with_ones_own_authority() {
    let vault = vault(Certificate::Valid);
    let sk = builder(&vault)
        .root_certificate_pem(vault.ca_pem().unwrap())
        .build()
        .unwrap();
    for _ in 0..3 {
        assert_eq!(
            sk.get_secret("sk_key").unwrap().expose_secret(),
            "sk-live-1"
        );
    }
    assert!(sk.api_url().starts_with("https://"));
    assert_eq!(vault.connections(), 1);
    sk.list_secrets().unwrap();
}

/// The error of a read, and that nothing was tried again and nobody may fall back because of it.
fn refused(certificate: Certificate, trusted: bool) -> Error {
    let vault = vault(certificate);
    let clock = FakeClock::new();
    let mut builder = builder(&vault).fake(&clock);
    if trusted {
        builder = builder.root_certificate_pem(vault.ca_pem().unwrap());
    }
    let error = builder.build().unwrap().get_secret("sk_key").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert_eq!(error.http_status(), None);
    assert!(!error.is_retryable() && !error.is_unavailable());
    assert!(clock.slept_ms().is_empty());
    assert_eq!(vault.request_count(), 0);
    error
}

#[test]
fn each_bad_certificate_is_told_apart() {
    for (certificate, trusted, says) in [
        (Certificate::Expired, true, "its certificate has expired"),
        (
            Certificate::NotYetValid,
            true,
            "its certificate is not valid yet",
        ),
        (
            Certificate::OtherHost,
            true,
            "its certificate is for another host",
        ),
        (
            Certificate::SelfSigned,
            true,
            "its certificate is self-signed or from an authority",
        ),
        (
            Certificate::SelfSigned,
            false,
            "its certificate is self-signed or from an authority",
        ),
        (
            Certificate::Valid,
            false,
            "its certificate is self-signed or from an authority",
        ),
    ] {
        let text = refused(certificate, trusted).to_string();
        assert!(text.contains(says), "{certificate:?}: {text}");
        assert!(text.contains("reading secret sk_key"), "{text}");
    }
}

#[test]
fn a_server_without_tls_is_no_service() {
    let plain = emulator().secret("sk_key", "x").start().unwrap();
    let tls = vault(Certificate::Valid);
    // The identity of one with the port of the other.
    let identity = std::fs::read_to_string(tls.identity_path()).unwrap();
    let identity = identity.replace(&tls.port().to_string(), &plain.port().to_string());
    std::fs::write(tls.identity_path(), identity).unwrap();
    let sk = builder(&tls)
        .fake(&FakeClock::new())
        .root_certificate_pem(tls.ca_pem().unwrap())
        .build()
        .unwrap();
    let error = sk.get_secret("sk_key").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.is_unavailable(), "{error}");
}

#[test]
fn a_root_that_is_none_is_refused_at_once() {
    let vault = vault(Certificate::Valid);
    for pem in [
        "",
        "hunter2",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let error = builder(&vault)
            .root_certificate_pem(pem)
            .build()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
    }
}

#[test]
fn an_authority_beside_the_bundled_ones() {
    let vault = vault(Certificate::Valid);
    let sk = builder(&vault)
        .add_root_certificate_pem(vault.ca_pem().unwrap())
        .build()
        .unwrap();
    sk.get_secret("sk_key").unwrap();
    // Beside one of the user's own, too.
    let other = self::vault(Certificate::Valid);
    let sk = builder(&vault)
        .root_certificate_pem(other.ca_pem().unwrap())
        .add_root_certificate_pem(vault.ca_pem().unwrap())
        .build()
        .unwrap();
    sk.get_secret("sk_key").unwrap();
}

#[test]
fn an_unknown_authority_names_the_ways_out() {
    let text = refused(Certificate::Valid, false).to_string();
    for way in ["add_root_certificate_pem", "platform_roots"] {
        assert!(text.contains(way), "{text}");
    }
}

#[cfg(feature = "platform-roots")]
mod platform {
    use super::*;

    #[test]
    #[cfg_attr(
        windows,
        ignore = "wine's certificate store takes no roots beside its own"
    )]
    fn the_systems_roots_and_one_beside_them() {
        let vault = vault(Certificate::Valid);
        let with = builder(&vault)
            .platform_roots()
            .add_root_certificate_pem(vault.ca_pem().unwrap())
            .build();
        with.unwrap().get_secret("sk_key").unwrap();
        match builder(&vault)
            .fake(&FakeClock::new())
            .platform_roots()
            .build()
        {
            Ok(sk) => {
                let error = sk.get_secret("sk_key").unwrap_err();
                assert!(error.to_string().contains("an authority"), "{error}");
            }
            // An image without any certificates.
            Err(error) => assert!(error.to_string().contains("trust store"), "{error}"),
        }
    }

    #[test]
    fn the_systems_roots_and_roots_in_place_of_all_others_contradict() {
        let vault = vault(Certificate::Valid);
        let error = builder(&vault)
            .platform_roots()
            .root_certificate_pem(vault.ca_pem().unwrap())
            .build()
            .unwrap_err();
        assert!(error.to_string().contains("keep one of them"), "{error}");
    }
}

#[cfg(feature = "rustls")]
mod own_config {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::thread::{self, JoinHandle};

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use sikkerkey::SikkerKey;
    use sikkerkey::rustls::crypto::ring::default_provider;
    use sikkerkey::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
    use sikkerkey::rustls::server::WebPkiClientVerifier;
    use sikkerkey::rustls::version::{TLS12, TLS13};
    use sikkerkey::rustls::{
        ClientConfig, ProtocolVersion, RootCertStore, ServerConfig, ServerConnection, Stream,
        SupportedProtocolVersion,
    };

    use super::*;

    /// An authority, with a certificate for a server and one for a client.
    struct Authority {
        issuer: CertifiedIssuer<'static, KeyPair>,
    }

    type Certified = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

    impl Authority {
        fn new() -> Self {
            let mut params = CertificateParams::new([]).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap());
            Authority {
                issuer: issuer.unwrap(),
            }
        }

        fn issue(&self, name: &str) -> Certified {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new([name.to_owned()]).unwrap();
            let leaf = params.signed_by(&key, &self.issuer).unwrap();
            let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
            (vec![leaf.der().clone()], key)
        }

        fn roots(&self) -> RootCertStore {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).unwrap();
            roots
        }
    }

    /// The version of TLS, and whether the client showed a certificate.
    type Spoken = Option<(ProtocolVersion, bool)>;

    /// A client on a server that answers one read and says what TLS it spoke: the version, and
    /// whether the client showed a certificate.
    fn exchange(
        authority: &Authority,
        versions: &[&'static SupportedProtocolVersion],
        client_certificate: bool,
        config: ClientConfig,
    ) -> (Result<String, Error>, JoinHandle<Spoken>) {
        let server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .unwrap();
        let server = match client_certificate {
            true => {
                let roots = Arc::new(authority.roots());
                let provider = Arc::new(default_provider());
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                server.with_client_cert_verifier(verifier.build().unwrap())
            }
            false => server.with_no_client_auth(),
        };
        let (chain, key) = authority.issue("localhost");
        let mut server = server.with_single_cert(chain, key).unwrap();
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = thread::spawn(move || {
            let (mut tcp, _) = listener.accept().unwrap();
            let mut tls = ServerConnection::new(Arc::new(server)).unwrap();
            let mut stream = Stream::new(&mut tls, &mut tcp);
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).ok()?;
                head.push(byte[0]);
            }
            let body = r#"{"value":"sk-live-1"}"#;
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
            )
            .ok()?;
            let shown = tls.peer_certificates().is_some();
            Some((tls.protocol_version()?, shown))
        });

        let vault = emulator().start().unwrap();
        common::redirect(&vault, &format!("https://localhost:{port}"));
        let sk: SikkerKey = builder(&vault)
            .fake(&FakeClock::new())
            .retry(sikkerkey::RetryPolicy::none())
            .tls_config(Arc::new(config))
            .build()
            .unwrap();
        let read = sk.get_secret("sk_key");
        (read.map(|value| value.expose_secret().to_owned()), serving)
    }

    #[test]
    fn tls_1_3_alone() {
        let authority = Authority::new();
        let config = || {
            ClientConfig::builder_with_provider(Arc::new(default_provider()))
                .with_protocol_versions(&[&TLS13])
                .unwrap()
                .with_root_certificates(authority.roots())
                .with_no_client_auth()
        };
        let (read, server) = exchange(&authority, &[&TLS12, &TLS13], false, config());
        assert_eq!(read.unwrap(), "sk-live-1");
        let spoken = server.join().unwrap();
        assert_eq!(spoken, Some((ProtocolVersion::TLSv1_3, false)));

        let (read, server) = exchange(&authority, &[&TLS12], false, config());
        assert_eq!(read.unwrap_err().kind(), ErrorKind::Network);
        assert_eq!(server.join().unwrap(), None);
    }

    #[test]
    fn a_client_certificate() {
        let authority = Authority::new();
        let start = || {
            ClientConfig::builder_with_provider(Arc::new(default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(authority.roots())
        };
        let (chain, key) = authority.issue("web-1");
        let config = start().with_client_auth_cert(chain, key).unwrap();
        let (read, server) = exchange(&authority, &[&TLS13], true, config);
        assert_eq!(read.unwrap(), "sk-live-1");
        let spoken = server.join().unwrap();
        assert_eq!(spoken, Some((ProtocolVersion::TLSv1_3, true)));

        let without = start().with_no_client_auth();
        let (read, server) = exchange(&authority, &[&TLS13], true, without);
        assert_eq!(read.unwrap_err().kind(), ErrorKind::Network);
        assert_eq!(server.join().unwrap(), None);
    }

    #[test]
    fn a_config_and_roots_contradict() {
        let vault = vault(Certificate::Valid);
        let authority = Authority::new();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(authority.roots())
            .with_no_client_auth();
        let config = Arc::new(config);
        let pem = vault.ca_pem().unwrap();
        let start = || builder(&vault).tls_config(config.clone());
        let mut builders = vec![
            start().root_certificate_pem(pem),
            start().add_root_certificate_pem(pem),
        ];
        #[cfg(feature = "platform-roots")]
        builders.push(start().platform_roots());
        for builder in builders {
            let error = builder.build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.to_string().starts_with("tls_config"), "{error}");
        }
        builders = vec![start()];
        assert!(builders.pop().unwrap().build().is_ok());
    }
}
