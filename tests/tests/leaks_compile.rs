//! What holds a secret can neither be written as text nor be serialised; the compiler says so.

#[test]
#[cfg_attr(
    not(compiler_of_stderr_files),
    ignore = "the .stderr files hold the words of another compiler, see build.rs"
)]
fn secrets_are_neither_displayed_nor_serialised() {
    trybuild::TestCases::new().compile_fail("tests/leaks_ui/*.rs");
}
