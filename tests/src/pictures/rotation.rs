//! A rotation over time.

use super::svg::Svg;

/// The moments of the picture, from left to right.
const START: u32 = 150;
const ROTATED: u32 = 330;
const POLLED: u32 = 440;
const SWAPPED: u32 = 610;
const DRAINED: u32 = 730;
const END: u32 = 860;

pub(super) fn draw() -> String {
    let mut svg = Svg::new(880, 350, "A rotation over time");
    let lane = |svg: &mut Svg, y: u32, name: &str, about: &str| {
        svg.text("name", 20, y + 16, name);
        svg.text("soft", 20, y + 33, about);
    };
    let bar = |svg: &mut Svg, class: &str, y: u32, from: u32, to: u32, text: &str| {
        svg.rect(class, from, y, to - from, 36);
        svg.centered("soft", (from + to) / 2, y + 22, text);
    };

    lane(&mut svg, 40, "SikkerKey", "sk_db_prod");
    bar(&mut svg, "one", 40, START, ROTATED, "version 1");
    bar(&mut svg, "two", 40, ROTATED, END, "version 2");
    svg.centered("soft", ROTATED, 28, "the secret rotates");

    lane(&mut svg, 110, "Client", "its poller");
    for (from, text) in [(190, "poll"), (POLLED - 25, "poll"), (690, "poll")] {
        bar(&mut svg, "box", 110, from, from + 50, text);
    }
    bar(&mut svg, "one", 110, POLLED + 35, POLLED + 80, "read");
    bar(
        &mut svg,
        "one",
        110,
        POLLED + 85,
        SWAPPED - 5,
        "build, probe",
    );
    svg.text("soft", ROTATED + 6, 102, "within 15 s ± 20 %");

    lane(&mut svg, 180, "live.load()", "your requests");
    bar(&mut svg, "one", 180, START, SWAPPED, "generation 1");
    bar(&mut svg, "two", 180, SWAPPED, END, "generation 2");

    lane(&mut svg, 250, "Resource", "a pool");
    bar(&mut svg, "one", 250, START, SWAPPED, "the old pool");
    bar(&mut svg, "box", 250, SWAPPED, DRAINED, "drains");
    bar(&mut svg, "two", 292, SWAPPED + 40, END, "the new pool");
    svg.text(
        "soft",
        START,
        314,
        "queries that run on the old pool end there",
    );

    svg.path("line dashed", &[(ROTATED, 34), (ROTATED, 150)]);
    svg.path("line dashed", &[(SWAPPED, 90), (SWAPPED, 336)]);
    svg.text("soft", SWAPPED + 6, 102, "one swap");
    svg.finish()
}
