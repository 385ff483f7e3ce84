//! From an identity to a live config.

use super::svg::Svg;

pub(super) fn draw() -> String {
    let mut svg = Svg::new(880, 360, "From an identity to a live config");
    svg.labeled("box", 20, 40, "Identity", "or an enrollment token");
    svg.labeled("box", 244, 40, "Client", "signs each request");
    svg.labeled("one", 468, 40, "Snapshot", "secrets at one instant");
    svg.labeled("two", 696, 40, "Your struct", "typed and validated");
    svg.arrow("", &[(184, 69), (244, 69)]);
    svg.arrow("", &[(408, 69), (468, 69)]);
    svg.centered("soft", 438, 60, "reads");
    svg.arrow("", &[(632, 69), (696, 69)]);
    svg.centered("soft", 664, 60, "pure");

    svg.labeled("box", 244, 160, "Poller", "one for all secrets");
    svg.arrow("", &[(326, 98), (326, 160)]);
    svg.arrow("", &[(408, 189), (520, 189), (520, 98)]);
    svg.text("soft", 420, 180, "changes");
    svg.labeled("two", 696, 160, "Live", "the struct that runs now");
    svg.arrow("", &[(778, 98), (778, 160)]);
    svg.text("soft", 788, 134, "one swap");

    svg.labeled("box", 468, 272, "Schema", "what the struct reads");
    svg.arrow("dashed", &[(580, 272), (580, 98)]);
    svg.text("soft", 590, 250, "which secrets");
    svg.arrow("dashed", &[(468, 301), (408, 301)]);
    svg.text("soft", 244, 297, "check() before a deploy,");
    svg.text("soft", 244, 313, "keys for figment");
    svg.text("soft", 20, 64 + 58, "files, values, systemd,");
    svg.text("soft", 20, 80 + 58, "or made in memory");
    svg.text("soft", 696, 242, "probes, resources,");
    svg.text("soft", 696, 258, "status, fail closed");
    svg.finish()
}
