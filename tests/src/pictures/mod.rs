//! The pictures of the guide, drawn. `cargo run -p sikkerkey-tests --bin pictures` writes them.

mod flow;
mod outage;
mod rotation;
mod svg;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Each file of `docs` that is drawn: its name and what it holds.
pub fn files() -> Vec<(&'static str, String)> {
    let pictures = [
        ("flow.svg", flow::draw()),
        ("outage.svg", outage::draw()),
        ("rotation.svg", rotation::draw()),
    ];
    // In rustdoc no picture lies beside a page: there the names of the pictures lead to their content.
    let embedded = pictures.iter().map(|(name, svg)| {
        let name = name.trim_end_matches(".svg");
        format!(
            "[{name}]: data:image/svg+xml;base64,{}\n",
            STANDARD.encode(svg)
        )
    });
    let embedded = embedded.chain(["\n".to_owned()]).collect();
    let embedded = ("rustdoc-pictures.txt", embedded);
    pictures.into_iter().chain([embedded]).collect()
}
