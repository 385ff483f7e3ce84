//! Nonces never repeat.

use sikkerkey::__private::{Randomness as _, SystemRandomness};

use crate::count;

/// The source from which every signature's nonce comes, drawn from more often than a client ever will be.
#[test]
fn no_nonce_comes_twice() {
    let number = count(100_000, 10_000_000);
    let mut nonces: Vec<u128> = (0..number)
        .map(|_| {
            let mut nonce = [0; 16];
            SystemRandomness.fill(&mut nonce).unwrap();
            u128::from_ne_bytes(nonce)
        })
        .collect();
    nonces.sort_unstable();
    nonces.dedup();
    assert_eq!(nonces.len(), number);
    println!("nonces: {number}, 0 twice");
}
