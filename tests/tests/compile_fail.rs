//! What the derive says of each mistake, one file a mistake, and what it must live with.
//!
//! After a change of the texts: `TRYBUILD=overwrite cargo test -p sikkerkey-tests --test compile_fail`,
//! then read the difference.

#[test]
fn mistakes_are_told_where_they_are() {
    if !sikkerkey_tests::compiler_speaks_our_words() {
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}

#[test]
fn hostile_surroundings_change_nothing() {
    trybuild::TestCases::new().pass("tests/ui/pass/*.rs");
}
