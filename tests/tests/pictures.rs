//! The pictures of the guide are those that the program draws.

use std::path::Path;

#[test]
fn the_pictures_are_drawn_anew() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sikkerkey/docs");
    for (name, content) in sikkerkey_tests::pictures::files() {
        let file = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(
            file == content,
            "{name} differs: cargo run -p sikkerkey-tests --bin pictures"
        );
    }
}
