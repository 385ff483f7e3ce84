//! Issued certificates come and go, and leave no thread behind. A program of its own: other tests' threads would be counted too.
#![cfg(all(target_os = "linux", feature = "rustls", feature = "live"))] // Where /proc says what a process has.
#![allow(missing_docs, reason = "a test that cannot go on fails")]

mod common;

use common::emulator;
use common::process::{threads, wait_for_at_most};
use common::stage::Stage;
use sikkerkey_emulator::CertificateProfile;

#[test]
fn the_renewals_end_with_the_last_handle() {
    let profile = CertificateProfile::new("api").names(["localhost"]);
    let vault = emulator().certificate("sk_cert", profile).start().unwrap();
    let stage = Stage::new(vault);
    let sk = stage.builder().build().unwrap();
    for _ in 0..20 {
        let certificate = sk.certificate("sk_cert").live().unwrap();
        let resolver = certificate.server_cert_resolver();
        drop(certificate);
        // The resolver alone keeps them going.
        stage.clock.threads_at_rest("sikkerkey-cert", 1);
        drop(resolver);
    }
    wait_for_at_most(0, "threads", threads);
}
