//! Starting and stopping, over and over, in the middle of anything: no thread and no file stays behind.
//!
//! One test alone in its process: it counts what the process has.
#![cfg(target_os = "linux")]

mod support;

use std::io::Write as _;
use std::net::TcpListener;
use std::time::Duration;

use sikkerkey_emulator::{Emulator, Fault, Hold, Webhook};
use support::{Client, connect};

fn count(folder: &str) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

/// An emulator that stops while its connections are in the middle of this.
fn stopped_during(fault: Option<Fault>, rounds: usize) {
    for _ in 0..rounds {
        let vault = Emulator::builder().secret("sk_a", "a").start().unwrap();
        let client = Client::of(&vault);
        let mut idle = connect(vault.port());
        let mut busy = connect(vault.port());
        idle.write_all(b"GET /half").unwrap();
        if let Some(fault) = &fault {
            vault.fail_next(fault.clone());
        }
        busy.write_all(&client.request("GET", "/v1/secret/sk_a", "").bytes())
            .unwrap();
        assert!(vault.wait_for(Duration::from_secs(60), |r| r.len() == 1));
        let home = vault.home().to_owned();
        drop(vault);
        assert!(!home.exists());
    }
}

#[test]
fn no_thread_file_or_folder_is_left_behind() {
    let day = Duration::from_secs(24 * 60 * 60);
    stopped_during(None, 3);
    let (threads, files) = (count("/proc/self/task"), count("/proc/self/fd"));
    stopped_during(None, 900);
    for fault in [
        Fault::Hang,
        Fault::Hold(Hold::new()),
        Fault::after(Fault::Hold(Hold::new())),
        Fault::Delay(day),
        Fault::after(Fault::Delay(day)),
        Fault::Endless,
        Fault::EndlessHead,
        Fault::Drip(day),
        Fault::DripAll(day),
        Fault::DripForever(day),
        Fault::Huge(1 << 40),
    ] {
        stopped_during(Some(fault), 10);
    }
    stopped_during(
        Some(Fault::Informational {
            status: 103,
            count: u64::MAX,
            size: 64,
        }),
        10,
    );
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for _ in 0..20 {
        let url = format!("http://{}/", silent.local_addr().unwrap());
        let hook = Webhook::new(url, "secret").unwrap();
        let vault = Emulator::builder()
            .secret("sk_a", "a")
            .webhook(hook)
            .start()
            .unwrap();
        vault.put("sk_a", "b");
        // The receiver has the connection, and never answers.
        let _unanswered = silent.accept().unwrap();
        vault.pause_accepting(true);
        let _waiting = connect(vault.port());
        drop(vault);
    }
    drop(silent);
    for _ in 0..20 {
        drop(Emulator::builder().tls().start().unwrap());
    }
    assert_eq!(
        (count("/proc/self/task"), count("/proc/self/fd")),
        (threads, files)
    );
}
