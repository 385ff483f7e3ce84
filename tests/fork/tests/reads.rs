//! Parent and child read at the same time, and each gets its own values.
#![cfg(unix)]

use sikkerkey::{ExposeSecret, SikkerKey};
use sikkerkey_emulator::{Emulator, EmulatorBuilder};
use sikkerkey_fork_tests::fork;

const READS: usize = 200;

fn read(sk: &SikkerKey, id: &str, expected: &str) {
    for _ in 0..READS {
        let value = sk.get_secret(id).unwrap();
        assert!(
            value.expose_secret() == expected,
            "a value of the other process"
        );
    }
}

fn run(builder: EmulatorBuilder) {
    let vault = builder
        .secret("sk_parent", "the parent's")
        .secret("sk_child", "the child's")
        .start()
        .unwrap();
    let mut client = SikkerKey::builder().identity_file(vault.identity_path());
    if let Some(pem) = vault.ca_pem() {
        client = client.root_certificate_pem(pem);
    }
    let sk = client.build().unwrap();
    // A connection that both would use.
    sk.get_secret("sk_parent").unwrap();
    let child = fork(|| {
        read(&sk, "sk_child", "the child's");
        // A child of the child has connections of its own too.
        let grandchild = fork(|| read(&sk, "sk_child", "the child's"));
        read(&sk, "sk_child", "the child's");
        grandchild.join();
    });
    read(&sk, "sk_parent", "the parent's");
    child.join();
    read(&sk, "sk_parent", "the parent's");
}

#[test]
fn no_value_is_that_of_the_other_process() {
    run(Emulator::builder());
    run(Emulator::builder().tls());
}
