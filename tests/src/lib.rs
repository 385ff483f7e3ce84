//! What crosses the crates of this workspace is tested in `tests/` beside this file.

pub mod canary;

use std::process::Command;

use sikkerkey_emulator::{Emulator, EmulatorBuilder};

/// The compiler whose own words the `.stderr` files of the compile-fail tests hold.
const COMPILER: &str = "rustc 1.95.";

/// Whether compile-fail tests can be compared here: with another compiler the same mistake is told
/// in other words. In CI (`CI` is set) they always are, so that a new compiler is noticed.
pub fn compiler_speaks_our_words() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output();
    let ours = version.is_ok_and(|out| out.stdout.starts_with(COMPILER.as_bytes()));
    ours || std::env::var_os("CI").is_some()
}

/// An emulator to be set up; what is logged meanwhile is as `RUST_LOG` says.
pub fn emulator() -> EmulatorBuilder {
    let _ = env_logger::builder().is_test(true).try_init();
    Emulator::builder()
}
