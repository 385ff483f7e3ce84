//! What the environment decides. A process cannot change its own safely, so each test runs this
//! program again, with the variables that it is about, and only the matching `inside_*` test.

mod common;

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use std::{env, fs};

#[cfg(unix)]
use common::run_inside_with;
use common::{INSIDE, emulator, run_inside};
use sikkerkey::{ErrorKind, ExposeSecret, SikkerKey};
use sikkerkey_emulator::{Certificate, Emulator};

fn vault() -> Emulator {
    emulator()
        .vault("vault_abc123")
        .secret("sk_key", "sk-live-1")
        .start()
        .unwrap()
}

#[test]
fn inside_auto() {
    let Ok(expected) = env::var(INSIDE) else {
        return;
    };
    let sk = SikkerKey::auto().unwrap();
    assert_eq!(sk.machine_id(), expected);
    assert_eq!(
        sk.get_secret("sk_key").unwrap().expose_secret(),
        "sk-live-1"
    );
    if env::var_os("SIKKERKEY_HOME").is_some() {
        assert_eq!(SikkerKey::list_vaults().unwrap(), ["vault_abc123"]);
        assert_eq!(SikkerKey::new("abc123").unwrap().machine_id(), expected);
    }
}

#[test]
fn the_home_folder_and_the_identity_variable() {
    let vault = vault();
    let home = vault.home().to_str().unwrap();
    let identity = vault.identity_path().to_str().unwrap();
    let machine = vault.machine_id();
    run_inside(
        "inside_auto",
        machine,
        &[("SIKKERKEY_HOME", home), ("SIKKERKEY_IDENTITY", "")],
    );
    run_inside(
        "inside_auto",
        machine,
        &[("SIKKERKEY_IDENTITY", identity), ("HOME", "/nowhere")],
    );
    // The folder `.sikkerkey` of the user's own home.
    let user = tempfile::tempdir().unwrap();
    let folder = user.path().join(".sikkerkey/vaults/vault_abc123");
    fs::create_dir_all(&folder).unwrap();
    for name in ["identity.json", "private.pem"] {
        fs::copy(
            vault.identity_path().with_file_name(name),
            folder.join(name),
        )
        .unwrap();
    }
    #[cfg(unix)]
    run_inside(
        "inside_auto",
        machine,
        &[("HOME", user.path().to_str().unwrap())],
    );
}

#[test]
fn inside_without_identity() {
    let Ok(folder) = env::var(INSIDE) else { return };
    let error = SikkerKey::auto().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let text = error.to_string();
    assert!(
        text.contains(&folder) && text.contains("SIKKERKEY_IDENTITY"),
        "{text}"
    );
    assert!(SikkerKey::list_vaults().unwrap().is_empty());
}

#[test]
fn an_empty_home_has_no_identity() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().to_str().unwrap();
    run_inside("inside_without_identity", home, &[("SIKKERKEY_HOME", home)]);
}

#[test]
fn inside_enrollment() {
    let Ok(token) = env::var(INSIDE) else { return };
    let sk = SikkerKey::bootstrap_in_memory("vault_abc123", &token)
        .enroll()
        .unwrap();
    sk.get_secret("sk_key").unwrap();
}

#[test]
fn enrollment_takes_its_address_and_hostname_from_the_environment() {
    let vault = vault();
    let token = vault.enrollment_token(9, Duration::from_secs(600));
    for (hostname, sent) in [("web-1", "web-1"), ("", "serverless")] {
        vault.clear_requests();
        let variables = [("SIKKERKEY_API_URL", vault.url()), ("HOSTNAME", hostname)];
        run_inside("inside_enrollment", &token, &variables);
        let body: serde_json::Value = serde_json::from_slice(&vault.requests()[0].body).unwrap();
        assert_eq!(body["hostname"], sent);
    }
}

#[test]
fn inside_from_env() {
    let Ok(expected) = env::var(INSIDE) else {
        return;
    };
    match SikkerKey::from_env() {
        Ok(sk) => {
            sk.get_secret("sk_key").unwrap();
            let machine = sk.machine_id();
            assert!(expected == "another" || machine == expected, "{machine}");
            #[cfg(feature = "tokio")]
            tokio::runtime::Runtime::new().unwrap().block_on(async {
                let sk = sikkerkey::AsyncSikkerKey::from_env().await.unwrap();
                sk.get_secret("sk_key").await.unwrap();
            });
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.to_string().contains(&expected), "{error}");
        }
    }
}

#[test]
fn a_client_starts_from_what_the_environment_offers() {
    let vault = vault();
    let nowhere = tempfile::tempdir().unwrap();
    let nowhere = ("SIKKERKEY_HOME", nowhere.path().to_str().unwrap());
    let machine = vault.machine_id();
    let identity = vault.identity_path().to_str().unwrap();
    let folder = vault.identity_path().parent().unwrap().to_str().unwrap();
    let pem = fs::read_to_string(vault.identity_path().with_file_name("private.pem")).unwrap();
    let pem = pem.replace('\n', " ");
    let token = vault.enrollment_token(9, Duration::from_secs(600));
    let url = ("SIKKERKEY_API_URL", vault.url());
    let id = ("SIKKERKEY_VAULT_ID", "abc123");
    let values = [
        id,
        ("SIKKERKEY_MACHINE_ID", machine),
        ("SIKKERKEY_PRIVATE_KEY", &pem),
        url,
    ];
    let run = |inside: &str, variables: &[(&str, &str)]| {
        let all: Vec<_> = [nowhere].iter().chain(variables).copied().collect();
        run_inside("inside_from_env", inside, &all);
    };
    run(machine, &[("SIKKERKEY_IDENTITY", identity)]);
    run(machine, &values);
    run(machine, &[("CREDENTIALS_DIRECTORY", folder)]);
    let home = vault.home().to_str().unwrap();
    run(machine, &[("SIKKERKEY_HOME", home)]);
    run(
        "another",
        &[id, ("SIKKERKEY_ENROLLMENT_TOKEN", &token), url],
    );
    // A place without a home, or with one that can hold nothing, has no vault on disk.
    for home in ["", "/dev/null"] {
        run_inside_with("inside_from_env", "another", |command| {
            command
                .env_remove("SIKKERKEY_HOME")
                .env("HOME", home)
                .envs([id, ("SIKKERKEY_ENROLLMENT_TOKEN", &token), url]);
        });
    }
    // The only vault is taken, whatever its folder is called.
    let renamed = tempfile::tempdir().unwrap();
    let vaults = renamed.path().join("vaults");
    fs::create_dir_all(vaults.join("prod")).unwrap();
    for file in ["identity.json", "private.pem"] {
        let from = vault.identity_path().with_file_name(file);
        fs::copy(from, vaults.join("prod").join(file)).unwrap();
    }
    run(
        machine,
        &[("SIKKERKEY_HOME", renamed.path().to_str().unwrap())],
    );
    run("not set: SIKKERKEY_PRIVATE_KEY", &values[..2]);
    run("SIKKERKEY_ENROLLMENT_TOKEN is not set", &[id]);
    run("no identity was found", &[]);
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf_8_is_refused() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    for name in [
        "SIKKERKEY_HOME",
        "SIKKERKEY_IDENTITY",
        "SIKKERKEY_VAULT_ID",
        "SIKKERKEY_MACHINE_ID",
        "SIKKERKEY_PRIVATE_KEY",
        "SIKKERKEY_ENROLLMENT_TOKEN",
    ] {
        run_inside_with("inside_from_env", "is not UTF-8", |command| {
            command.env(name, OsStr::from_bytes(b"\xff"));
        });
    }
    run_inside_with("inside_refused_enrollment", "x", |command| {
        command.env("SIKKERKEY_API_URL", OsStr::from_bytes(b"https://\xff"));
    });
}

#[test]
fn inside_refused_enrollment() {
    if env::var(INSIDE).is_err() {
        return;
    }
    let error = SikkerKey::bootstrap_in_memory("vault_abc123", "t").enroll();
    assert!(error.unwrap_err().to_string().contains("is not UTF-8"));
}

#[test]
fn inside_chdir() {
    let Ok(expected) = env::var(INSIDE) else {
        return;
    };
    let builder = SikkerKey::builder().identity_file("identity.json");
    env::set_current_dir("/").unwrap();
    assert_eq!(builder.build().unwrap().machine_id(), expected);
}

#[cfg(unix)]
#[test]
fn a_relative_path_counts_from_where_the_process_was() {
    let vault = vault();
    let folder = vault.identity_path().parent().unwrap();
    run_inside_with("inside_chdir", vault.machine_id(), |command| {
        command.current_dir(folder);
    });
    run_inside_with("inside_auto", vault.machine_id(), |command| {
        command.current_dir(vault.home()).env("SIKKERKEY_HOME", ".");
    });
}

#[test]
fn inside_proxy() {
    let Ok(identity) = env::var(INSIDE) else {
        return;
    };
    let pem = fs::read(format!("{identity}.ca")).unwrap();
    let sk = SikkerKey::builder()
        .identity_file(identity)
        .root_certificate_pem(pem)
        .build()
        .unwrap();
    assert_eq!(
        sk.get_secret("sk_key").unwrap().expose_secret(),
        "sk-live-1"
    );
    sk.list_secrets().unwrap();
}

/// A proxy that opens one tunnel, to `port` of this machine whatever it is asked for, and tells
/// what it was asked.
fn proxy(port: u16) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tell, asked) = mpsc::channel();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        tell.send(String::from_utf8(head).unwrap()).unwrap();
        let service = TcpStream::connect(("127.0.0.1", port)).unwrap();
        client
            .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
            .unwrap();
        let (mut from_client, mut to_service) =
            (client.try_clone().unwrap(), service.try_clone().unwrap());
        let up = thread::spawn(move || {
            let _ = io::copy(&mut from_client, &mut to_service);
            let _ = to_service.shutdown(Shutdown::Write);
        });
        let (mut from_service, mut to_client) = (service, client);
        let _ = io::copy(&mut from_service, &mut to_client);
        let _ = up.join();
    });
    (address, asked)
}

#[test]
fn a_proxy_opens_the_tunnel_to_a_name_that_only_it_knows() {
    let vault = emulator()
        .secret("sk_key", "sk-live-1")
        .tls_with(Certificate::OtherHost)
        .start()
        .unwrap();
    let path = vault.identity_path();
    let url = format!("https://other.example:{}", vault.port());
    common::redirect(&vault, &url);
    fs::write(format!("{}.ca", path.display()), vault.ca_pem().unwrap()).unwrap();

    let (address, asked) = proxy(vault.port());
    let proxy = format!("http://ann:p%40ss@{address}");
    let inside = path.to_str().unwrap();
    run_inside(
        "inside_proxy",
        inside,
        &[("HTTPS_PROXY", proxy.as_str()), ("NO_PROXY", "example.com")],
    );
    let asked = asked.recv().unwrap();
    let target = format!("CONNECT other.example:{} HTTP/1.1\r\n", vault.port());
    assert!(asked.starts_with(&target), "{asked}");
    assert!(
        asked.contains("Proxy-Authorization: Basic YW5uOnBAc3M=\r\n"),
        "{asked}"
    );
    assert_eq!(vault.connections(), 1);
}

#[test]
fn this_machine_is_reached_without_the_proxy() {
    let vault = vault();
    let home = vault.home().to_str().unwrap();
    let nobody = "http://127.0.0.1:1";
    run_inside(
        "inside_auto",
        vault.machine_id(),
        &[
            ("SIKKERKEY_HOME", home),
            ("HTTPS_PROXY", nobody),
            ("ALL_PROXY", nobody),
        ],
    );
}
