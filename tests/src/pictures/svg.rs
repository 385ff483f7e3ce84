//! An SVG that is readable in light and in dark: it brings its own background, and follows the reader's color scheme.

use std::fmt::{Display, Write as _};

/// The classes of both color schemes. Text has `ink` or `soft`; what is drawn has one of the others.
const STYLE: &str = "\
text { font: 14px system-ui, sans-serif; fill: #1f2328 }
.name { font-weight: 600 }
.soft { fill: #59636e; font-size: 12px }
.page { fill: #ffffff }
.box { fill: #f6f8fa; stroke: #818b98 }
.shade { fill: #fff1e5 }
.one { fill: #ddf4ff; stroke: #0969da }
.two { fill: #dafbe1; stroke: #1a7f37 }
.line { stroke: #59636e; fill: none; stroke-width: 1.5 }
.grid { stroke: #d1d9e0; fill: none }
.dashed { stroke-dasharray: 5 4 }
.head { fill: #59636e }
.curve { fill: none; stroke-width: 1.5; stroke-linejoin: round }
.a { stroke: #0969da } .b { stroke: #bc4c00 } .c { stroke: #8250df }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc }
.soft { fill: #9198a1 }
.page { fill: #0d1117 }
.box { fill: #151b23; stroke: #656c76 }
.shade { fill: #2b1d0e }
.one { fill: #0c2d6b; stroke: #58a6ff }
.two { fill: #033a16; stroke: #3fb950 }
.line { stroke: #9198a1 }
.grid { stroke: #2f353d }
.head { fill: #9198a1 }
.a { stroke: #58a6ff } .b { stroke: #f0883e } .c { stroke: #bc8cff }
}";

/// A picture in the making.
pub(super) struct Svg {
    width: u32,
    height: u32,
    title: &'static str,
    body: String,
}

impl Svg {
    pub(super) fn new(width: u32, height: u32, title: &'static str) -> Self {
        let body = String::new();
        Svg {
            width,
            height,
            title,
            body,
        }
    }

    pub(super) fn rect(&mut self, class: &str, x: u32, y: u32, width: u32, height: u32) {
        self.add(format_args!(
            r#"<rect class="{class}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>"#
        ));
    }

    /// Text from `x` on.
    pub(super) fn text(&mut self, class: &str, x: u32, y: u32, text: impl Display) {
        self.anchored("start", class, x, y, text);
    }

    /// Text around `x`.
    pub(super) fn centered(&mut self, class: &str, x: u32, y: u32, text: impl Display) {
        self.anchored("middle", class, x, y, text);
    }

    /// Text up to `x`.
    pub(super) fn before(&mut self, class: &str, x: u32, y: u32, text: impl Display) {
        self.anchored("end", class, x, y, text);
    }

    /// A box with a name and a line about it.
    pub(super) fn labeled(&mut self, class: &str, x: u32, y: u32, name: &str, about: &str) {
        self.rect(class, x, y, 164, 58);
        self.centered("name", x + 82, y + 25, name);
        self.centered("soft", x + 82, y + 45, about);
    }

    /// A line through these points.
    pub(super) fn path(&mut self, class: &str, points: &[(u32, u32)]) {
        let points: Vec<_> = points.iter().map(|(x, y)| format!("{x},{y}")).collect();
        self.add(format_args!(
            r#"<polyline class="{class}" points="{}"/>"#,
            points.join(" ")
        ));
    }

    /// A line through these points, with an arrow's head at the last.
    pub(super) fn arrow(&mut self, class: &str, points: &[(u32, u32)]) {
        self.path(&format!("line {class}"), points);
        let [.., (from_x, from_y), (x, y)] = *points else {
            return;
        };
        let (x, y) = (i64::from(x), i64::from(y));
        let (right, down) = (
            (x - i64::from(from_x)).signum(),
            (y - i64::from(from_y)).signum(),
        );
        let corner = |side: i64| {
            let (x, y) = (
                x - 9 * right + 5 * side * down,
                y - 9 * down + 5 * side * right,
            );
            format!("{x},{y}")
        };
        self.add(format_args!(
            r#"<polygon class="head" points="{x},{y} {} {}"/>"#,
            corner(1),
            corner(-1)
        ));
    }

    pub(super) fn finish(self) -> String {
        let Svg {
            width,
            height,
            title,
            body,
        } = self;
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">
<title>{title}</title>
<style>
{STYLE}
</style>
<rect class="page" width="{width}" height="{height}" rx="8"/>
{body}</svg>
"#
        )
    }

    fn anchored(&mut self, anchor: &str, class: &str, x: u32, y: u32, text: impl Display) {
        let text = text.to_string().replace('&', "&amp;").replace('<', "&lt;");
        self.add(format_args!(
            r#"<text class="{class}" text-anchor="{anchor}" x="{x}" y="{y}">{text}</text>"#
        ));
    }

    fn add(&mut self, element: impl Display) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.body, "{element}");
    }
}
