//! How many connections there may be: the one that has been idle for longest gives way.

mod support;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use sikkerkey_emulator::{Emulator, Fault, Hold};
use support::{Client, connect, receive};

/// A connection that has served one request.
fn used(vault: &Emulator, client: &Client) -> TcpStream {
    let mut wire = connect(vault.port());
    ask(client, &mut wire);
    receive(&mut wire).expect(200);
    wire
}

fn ask(client: &Client, wire: &mut TcpStream) {
    wire.write_all(&client.request("GET", "/v1/secret/sk_a", "").bytes())
        .unwrap();
}

/// Waits for the end of a connection.
fn ends(wire: &mut TcpStream) {
    match wire.read(&mut [0; 16]) {
        Ok(read) => assert_eq!(read, 0),
        Err(e) => assert_eq!(e.kind(), ErrorKind::ConnectionReset),
    }
}

#[test]
fn the_longest_idle_connection_is_closed() {
    let vault = Emulator::builder()
        .secret("sk_a", "a")
        .idle_limit(2)
        .start()
        .unwrap();
    let client = Client::of(&vault);
    let [mut first, mut second, mut third] = [0, 1, 2].map(|_| used(&vault, &client));
    ends(&mut first);
    // It served the newest request, so the third one is the next to go.
    ask(&client, &mut second);
    receive(&mut second).expect(200);
    let mut silent = connect(vault.port());
    ends(&mut third);
    for wire in [&mut second, &mut silent] {
        ask(&client, wire);
        receive(wire).expect(200);
    }
}

#[test]
fn half_a_request_does_not_keep_a_connection() {
    let vault = Emulator::builder()
        .secret("sk_a", "a")
        .idle_limit(1)
        .start()
        .unwrap();
    let client = Client::of(&vault);
    let mut half = connect(vault.port());
    half.write_all(b"GET /v1/secret/sk_a HTTP/1.1\r\n").unwrap();
    let mut whole = used(&vault, &client);
    ends(&mut half);
    ask(&client, &mut whole);
    receive(&mut whole).expect(200);
}

#[test]
fn all_connections_together_have_a_limit() {
    let vault = Emulator::builder()
        .secret("sk_a", "a")
        .connection_limit(2)
        .start()
        .unwrap();
    let client = Client::of(&vault);
    let hold = Hold::new();
    vault.fail_matching("/v1/secret/", Fault::Hold(hold.clone()));
    let [mut one, mut two] = [0, 1].map(|_| connect(vault.port()));
    ask(&client, &mut one);
    ask(&client, &mut two);
    assert!(vault.wait_for(Duration::from_secs(60), |r| r.len() == 2));
    // Both are busy: there is no room for a third.
    ends(&mut connect(vault.port()));
    hold.release();
    receive(&mut one).expect(200);
    receive(&mut two).expect(200);
    // Once one of the two counts as idle, which is soon after its response, it gives way to another.
    loop {
        let mut three = connect(vault.port());
        // It may be closed already.
        let _ = three.write_all(&client.request("GET", "/v1/secret/sk_a", "").bytes());
        let mut byte = [0; 1];
        if three.read(&mut byte).is_ok_and(|read| read == 1) {
            assert_eq!(&byte, b"H");
            break;
        }
    }
}
