//! A drawn scene as SVG: text on a grid, without scripts and without anything from elsewhere, so that it can stand in a report.

use super::layout::Picture;
use std::fmt::Write;

/// Size of a cell in pixels.
const CELL: (f64, f64) = (8.4, 17.0);

fn colour(role: &str) -> &'static str {
    match role {
        "severity.critical" | "severity.high" => "#b3261e",
        "severity.medium" | "ui.warning" => "#8a5a00",
        "entity.address" | "ui.title" => "#0b3d91",
        "ui.chip" | "ui.key" => "#1b6e3c",
        "ui.dim" | "ui.border" => "#6b7280",
        _ => "#1f2328",
    }
}

/// The picture as a document of its own.
pub fn svg(picture: &Picture, title: &str) -> String {
    let (columns, rows) = (picture.cells.first().map_or(0, Vec::len), picture.cells.len());
    let (width, height) = (columns as f64 * CELL.0, rows as f64 * CELL.1);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" font-family=\"DejaVu Sans Mono, monospace\" font-size=\"14\"><title>{}</title><rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        escape(title)
    );
    for (y, row) in picture.cells.iter().enumerate() {
        let mut x = 0;
        while x < row.len() {
            let role = row[x].1;
            let run = row[x..].iter().take_while(|c| c.1 == role).count();
            let text: String = row[x..x + run].iter().map(|c| c.0).collect();
            let blank = text.len() - text.trim_start().len();
            let shown = text.trim();
            if !shown.is_empty() {
                let (at, down) = ((x + blank) as f64 * CELL.0, (y as f64 + 0.8) * CELL.1);
                let length = shown.chars().count() as f64 * CELL.0;
                let _ = writeln!(
                    out,
                    "<text x=\"{at:.1}\" y=\"{down:.1}\" textLength=\"{length:.1}\" lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\" fill=\"{}\">{}</text>",
                    colour(role),
                    escape(shown)
                );
            }
            x += run;
        }
    }
    out.push_str("</svg>\n");
    out
}

/// Text for an element: what has a meaning there is written out.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::{layout::*, tests::scene};
    use super::*;

    #[test]
    fn what_is_drawn_is_harmless_text() {
        let mut scene = scene();
        scene.nodes[0].name = "<script>alert(1)</script>".into();
        let text = svg(&draw(&scene, (120, 40), Charset::Unicode, None), "a & b");
        assert!(text.contains("&lt;script") && !text.contains("<script"), "{text}");
        assert!(text.contains("10.8.40.20") && text.contains("<title>a &amp; b</title>") && text.ends_with("</svg>\n"));
    }
}
