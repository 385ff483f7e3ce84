//! What holds a secret can neither be written as text nor be serialised; the compiler says so.

#[test]
fn secrets_are_neither_displayed_nor_serialised() {
    if !sikkerkey_tests::compiler_speaks_our_words() {
        return;
    }
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/leaks_ui/*.rs");
}
