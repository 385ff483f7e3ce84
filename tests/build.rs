//! Sets the cfg `compiler_of_stderr_files` where this compiler says what the `.stderr` files of the
//! compile-fail tests hold. Another compiler tells the same mistake in other words, so there those
//! tests are shown as ignored. In CI they always run, so that a new compiler is noticed.

use std::process::Command;

/// The compiler that the `.stderr` files are from.
const COMPILER: &str = "rustc 1.95.";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CI");
    println!("cargo::rustc-check-cfg=cfg(compiler_of_stderr_files)");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output();
    let same = version.is_ok_and(|out| out.stdout.starts_with(COMPILER.as_bytes()));
    if same || std::env::var_os("CI").is_some() {
        println!("cargo::rustc-cfg=compiler_of_stderr_files");
    }
}
