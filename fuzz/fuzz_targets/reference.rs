//! A string of a config file that may be a reference, and what it takes for a secret's id.
#![no_main]

use sikkerkey_figment::Reference;

/// The client's own limit; to a reference, a longer id is one that the client will refuse.
const LONGEST_ID: usize = 200;

libfuzzer_sys::fuzz_target!(|text: &str| {
    sikkerkey_figment::fuzz::reference(text);
    let reference = format!("sikkerkey://{text}").parse::<Reference>();
    let is_id = reference.is_ok_and(|reference| reference.secret() == text);
    assert_eq!(
        is_id && text.len() <= LONGEST_ID,
        sikkerkey::__private::fuzz::is_id(text)
    );
});
