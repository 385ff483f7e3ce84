//! Draws the pictures of the guide into `sikkerkey/docs`.

use std::io;
use std::path::Path;

fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sikkerkey/docs");
    for (name, content) in sikkerkey_tests::pictures::files() {
        std::fs::write(folder.join(name), content)?;
    }
    Ok(())
}
