//! What a fleet asks of the service through an outage, from the simulation that the tests run.

use std::time::Duration;

use super::svg::Svg;
use crate::fleet::{Load, OUTAGE, Outage, RECOVERY, followers};

const CLIENTS: usize = 5_000;
/// The minutes that are shown.
const FROM: u64 = 35;
const TO: u64 = 65;
/// One point stands for so many seconds.
const STEP: u64 = 30;
/// The corner of the axes, and what a minute and 100 requests a second are long.
const LEFT: u32 = 70;
const BOTTOM: u32 = 300;
const MINUTE: u32 = 25;
const HUNDRED: u32 = 30;

pub(super) fn draw() -> String {
    let mut svg = Svg::new(880, 390, "A fleet through an outage of ten minutes");
    let minute = |minutes: u64| LEFT + (minutes - FROM) as u32 * MINUTE;
    let (began, ended) = (
        minute(OUTAGE.as_secs() / 60),
        minute(RECOVERY.as_secs() / 60),
    );
    svg.rect("shade", began, 40, ended - began, BOTTOM - 40);
    svg.centered("soft", (began + ended) / 2, 58, "the service is down");
    for hundreds in (0..=8).step_by(2) {
        let y = BOTTOM - hundreds * HUNDRED;
        svg.path("grid", &[(LEFT, y), (minute(TO), y)]);
        svg.before("soft", LEFT - 8, y + 4, hundreds * 100);
    }
    for minutes in (FROM..=TO).step_by(5) {
        svg.centered("soft", minute(minutes), BOTTOM + 20, minutes);
    }
    svg.text(
        "soft",
        20,
        26,
        format!("requests a second of {CLIENTS} clients with five secrets each, means of {STEP} s"),
    );
    svg.before("soft", minute(TO), BOTTOM + 40, "minutes");

    let series = [
        ("a", Outage::Refused, "connections are refused"),
        ("b", Outage::Silent, "nobody answers"),
        ("c", Outage::Sealed, "503, Retry-After: 30"),
    ];
    for (n, (class, outage, text)) in (0..).zip(series) {
        let load = followers(CLIENTS, outage, 20_260_101);
        svg.path(&format!("curve {class}"), &curve(&load));
        let x = LEFT + n * 240;
        svg.path(&format!("curve {class}"), &[(x, 360), (x + 30, 360)]);
        svg.text("soft", x + 40, 364, text);
    }
    svg.finish()
}

fn curve(load: &Load) -> Vec<(u32, u32)> {
    let points = (FROM * 60..TO * 60).step_by(STEP as usize);
    let point = |second: u64| {
        let (from, to) = (
            Duration::from_secs(second),
            Duration::from_secs(second + STEP),
        );
        let mean = load.mean(from, to);
        let x = LEFT + (second + STEP / 2 - FROM * 60) as u32 * MINUTE / 60;
        let y = BOTTOM - (mean * f64::from(HUNDRED) / 100.0).round() as u32;
        (x, y)
    };
    points.map(point).collect()
}
