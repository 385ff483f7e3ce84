//! Randomness: nonces, keys, and the spread of delays.

use std::fmt::Debug;

use rand::TryRng as _;
use rand::rngs::SysRng;

use crate::error::{Error, ErrorKind};

/// The client's source of randomness.
pub trait Randomness: Debug + Send + Sync + 'static {
    /// Fills the buffer with bytes that cannot be predicted and never repeat.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if the operating system has none.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error>;

    /// Returns a random number from 0 to 1, without 1; it spreads delays.
    fn fraction(&self) -> f64;
}

/// The randomness of the operating system.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "it has no state to be set")]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        SysRng.try_fill_bytes(bytes).map_err(|cause| {
            Error::new(
                ErrorKind::Configuration,
                "the operating system gives no random bytes, without which no request is signed",
            )
            .with_source(cause)
        })
    }

    fn fraction(&self) -> f64 {
        // A double holds 53 bits exactly. Without randomness, delays are not spread.
        let bits = SysRng.try_next_u64();
        bits.map_or(0.5, |bits| (bits >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_differ_and_fractions_stay_below_one() {
        let mut nonces = [[0; 16]; 2];
        for nonce in &mut nonces {
            SystemRandomness.fill(nonce).unwrap();
        }
        assert_ne!(nonces[0], nonces[1]);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&SystemRandomness.fraction())));
    }
}
