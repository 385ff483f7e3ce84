//! What crosses the crates of this workspace is tested in `tests/` beside this file.

pub mod canary;
pub mod fleet;
#[cfg(doctest)]
mod guide;
pub mod pictures;

use sikkerkey_emulator::{Emulator, EmulatorBuilder};

/// An emulator to be set up; what is logged meanwhile is as `RUST_LOG` says.
pub fn emulator() -> EmulatorBuilder {
    let _ = env_logger::builder().is_test(true).try_init();
    Emulator::builder()
}
