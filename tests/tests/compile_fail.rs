//! What the derive says of each mistake, one file a mistake, and what it must live with.
//!
//! After a change of the texts: `TRYBUILD=overwrite cargo test -p sikkerkey-tests --test compile_fail`,
//! then read the difference.

#[test]
#[cfg_attr(
    not(compiler_of_stderr_files),
    ignore = "the .stderr files hold the words of another compiler, see build.rs"
)]
fn mistakes_are_told_where_they_are() {
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}

#[test]
fn hostile_surroundings_change_nothing() {
    trybuild::TestCases::new().pass("tests/ui/pass/*.rs");
}
