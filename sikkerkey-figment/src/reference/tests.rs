use super::*;

#[track_caller]
fn parsed(text: &str) -> (String, bool, Option<String>, ValueKind) {
    let Reference {
        secret,
        by_name,
        field,
        kind,
    } = text.parse().unwrap();
    (secret, by_name, field, kind)
}

fn by_id(
    secret: &str,
    field: Option<&str>,
    kind: ValueKind,
) -> (String, bool, Option<String>, ValueKind) {
    (secret.to_owned(), false, field.map(str::to_owned), kind)
}

#[test]
fn every_form_is_read() {
    for (text, expected) in [
        ("sikkerkey://sk_a", by_id("sk_a", None, ValueKind::String)),
        (
            "sikkerkey://sk_a/b",
            by_id("sk_a", Some("b"), ValueKind::String),
        ),
        (
            "sikkerkey://sk_a?as=json",
            by_id("sk_a", None, ValueKind::Json),
        ),
        (
            "sikkerkey://sk_a/b?as=number",
            by_id("sk_a", Some("b"), ValueKind::Number),
        ),
        (
            "sikkerkey://sk_a/b?as=bool",
            by_id("sk_a", Some("b"), ValueKind::Bool),
        ),
        (
            "sikkerkey://sk_a/b?as=string",
            by_id("sk_a", Some("b"), ValueKind::String),
        ),
        (
            "sikkerkey://sk_a/b%2Fc",
            by_id("sk_a", Some("b/c"), ValueKind::String),
        ),
        (
            "sikkerkey://sk_a/b c.d",
            by_id("sk_a", Some("b c.d"), ValueKind::String),
        ),
        (
            "sikkerkey://sk_a/%C3%A9é",
            by_id("sk_a", Some("éé"), ValueKind::String),
        ),
    ] {
        assert_eq!(parsed(text), expected, "{text}");
    }
    let (name, by_name, field, _) = parsed("sikkerkey:///DB%20CREDS/password");
    assert!(by_name);
    assert_eq!(
        (name.as_str(), field.as_deref()),
        ("DB CREDS", Some("password"))
    );
}

#[test]
fn what_is_displayed_parses_to_the_same() {
    for text in [
        "sikkerkey://sk_a",
        "sikkerkey:///A NAME",
        "sikkerkey://sk_a/%25%2F%3F%23é?as=json",
    ] {
        let reference: Reference = text.parse().unwrap();
        assert_eq!(reference.to_string(), text);
    }
}

#[test]
fn every_mistake_says_what_it_is_and_shows_the_form() {
    for (text, said) in [
        ("sikkerkey:/sk_a", "one slash, and two"),
        ("sikkerkey:/sk_a/b", "one slash, and two"),
        ("sikkerkey:sk_a", "`//` is missing"),
        ("sikkerkey:", "`//` is missing"),
        ("sikkerkey//sk_a", "the `:` after"),
        ("sikkerkey/sk_a", "the `:` after"),
        ("SikkerKey://sk_a", "lower case"),
        (" sikkerkey://sk_a", "white space"),
        ("sikerkey://sk_a", "only nearly"),
        ("sikkerkeys://sk_a", "only nearly"),
        ("sikkrekey://sk_a", "only nearly"),
        ("sikkerkey://", "names no secret"),
        ("sikkerkey://?as=json", "names no secret"),
        ("sikkerkey:///", "display name is empty"),
        ("sikkerkey:////password", "display name is empty"),
        ("sikkerkey://sk_a/", "field is empty"),
        ("sikkerkey://sk_a/b/c", "%2F"),
        ("sikkerkey://sk a", "a space or a line end"),
        ("sikkerkey://user@sk_a", "only letters"),
        ("sikkerkey://sk_a:443/b", "only letters"),
        ("sikkerkey://sk_%61", "only letters"),
        ("sikkerkey://../x", "only letters"),
        ("sikkerkey://sk_a\n", "a space or a line end"),
        ("sikkerkey://sk_\u{200b}a", "an invisible character"),
        ("\u{feff}sikkerkey://sk_a", "a byte order mark"),
        ("sikkerkey://sk_é", "only letters"),
        ("sikkerkey://sk_a/b\n", "control character"),
        ("sikkerkey://sk_a/b#c", "%23"),
        ("sikkerkey://sk_a/%", "hexadecimal"),
        ("sikkerkey://sk_a/%4", "hexadecimal"),
        ("sikkerkey://sk_a/%é1", "hexadecimal"),
        ("sikkerkey://sk_a/%zz", "hexadecimal"),
        ("sikkerkey://sk_a/%FF", "not UTF-8"),
        ("sikkerkey://sk_a?", "`as=`"),
        ("sikkerkey://sk_a?as=", "string, number"),
        ("sikkerkey://sk_a?as=int", "string, number"),
        ("sikkerkey://sk_a?as=json&x=1", "string, number"),
        ("sikkerkey://sk_a?field=b", "`as=`"),
        ("postgres://u:sikkerkey://sk_db/password@h", "a longer text"),
        ("${sikkerkey://sk_db/password}", "a longer text"),
        ("Bearer sikkerkey:///TOKEN", "a longer text"),
        ("https://sikkerkey.com sikkerkey://sk_a", "a longer text"),
    ] {
        let Err(error) = Written::of(text) else {
            panic!("{text:?} was accepted");
        };
        let error = error.to_string();
        assert!(error.contains(said), "{text:?}: {error}");
        assert!(error.contains("sikkerkey://SECRET_ID/FIELD"), "{error}");
    }
}

#[test]
fn what_was_never_meant_as_a_reference_stays_plain() {
    for text in [
        "",
        "s",
        "sikkerkey",
        "sikkerkey is a service",
        "sikkerkey.com",
        "https://sikkerkey.com",
        "references begin with sikkerkey://",
        "`sikkerkey://` is the scheme, `mysikkerkey` is not",
        "op://vault/item",
        "ключ://sikkerkey",
        "monkey://x",
    ] {
        assert!(matches!(Written::of(text), Ok(Written::Plain)), "{text:?}");
    }
}

#[test]
fn a_literal_is_the_text_after_its_prefix() {
    for (text, literal) in [
        ("sikkerkey:literal:sikkerkey://sk_a", "sikkerkey://sk_a"),
        (
            "sikkerkey:literal:sikkerkey:literal:x",
            "sikkerkey:literal:x",
        ),
        ("sikkerkey:literal:", ""),
    ] {
        assert!(matches!(Written::of(text), Ok(Written::Literal(l)) if l == literal));
    }
    assert!("sikkerkey:literal:x".parse::<Reference>().is_err());
}
