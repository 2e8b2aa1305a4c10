//! The report as one HTML file: what the Markdown says, with the situation and the timeline as pictures in it. Nothing in it runs and nothing is
//! fetched: its policy forbids both, and text from the evidence stays text.

use super::{Report, markdown};
use crate::case::situation::layout::{Charset, draw};
use crate::case::situation::svg::{self, escape};
use crate::query::Engine;
use pulldown_cmark::{Event, Options, Parser, html};
use std::fmt::Write;

/// Columns and rows of the situation.
const PICTURE: (usize, usize) = (140, 44);
/// Size of the timeline in pixels.
const TIMELINE: (f64, f64) = (1_120.0, 80.0);
/// How it looks, on paper too.
const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;color:#1f2328;background:#fff;max-width:75rem;margin:2rem auto;padding:0 1rem}\
h1,h2,h3{line-height:1.2}h2{border-bottom:1px solid #d0d7de;padding-bottom:.2rem;margin-top:2rem}\
table{border-collapse:collapse;width:100%;font-size:13px}th,td{border:1px solid #d0d7de;padding:.25rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
th{background:#f6f8fa}code{background:#f6f8fa;font-size:13px;overflow-wrap:anywhere}figure{margin:1rem 0;overflow-x:auto}svg{max-width:100%;height:auto}figcaption{color:#57606a;font-size:13px}";

/// The whole report.
pub fn write(report: &Report, engine: &dyn Engine) -> String {
    let text = markdown::write(report, engine);
    // What looks like HTML in it was written by somebody else: it is shown as it was written.
    let events = Parser::new_ext(&text, Options::ENABLE_TABLES).map(|event| match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Event::Text(raw),
        other => other,
    });
    let mut body = String::new();
    html::push_html(&mut body, events.filter(|e| !leads_away(e)));
    let mut pictures = String::new();
    if let Some(scene) = report.scene.as_ref().filter(|s| !s.nodes.is_empty()) {
        let drawn = svg::svg(&draw(scene, PICTURE, Charset::Unicode, None), &scene.title);
        let _ = write!(
            pictures,
            "<h2>Situation</h2>\n<figure>{drawn}<figcaption>Solid: seen and in the inventory; dashed: in the inventory and silent; double: seen and not in the inventory.</figcaption></figure>\n"
        );
        let _ =
            writeln!(pictures, "<figure>{}<figcaption>{}</figcaption></figure>", timeline(&scene.site), escape(&scene.caption));
    }
    // Behind the heading, before what follows.
    let at = body.find("<h2>").unwrap_or(body.len());
    body.insert_str(at, &pictures);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Case {}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        escape(&report.name)
    )
}

/// Links and images of what people wrote: a report opened by somebody else must not lead anywhere.
fn leads_away(event: &Event<'_>) -> bool {
    use pulldown_cmark::{Tag, TagEnd};
    matches!(event, Event::Start(Tag::Link { .. } | Tag::Image { .. }) | Event::End(TagEnd::Link | TagEnd::Image))
}

fn timeline(bins: &[f64]) -> String {
    let top = bins.iter().copied().fold(0.0, f64::max);
    let wide = TIMELINE.0 / bins.len().max(1) as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0} {:.0}\" role=\"img\"><title>bytes over time</title>",
        TIMELINE.0, TIMELINE.1
    );
    for (n, bin) in bins.iter().enumerate().filter(|(_, b)| **b > 0.0 && top > 0.0) {
        let tall = (bin / top * (TIMELINE.1 - 2.0)).max(1.0);
        let _ = write!(
            out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\" fill=\"#1b6e3c\"/>",
            n as f64 * wide,
            TIMELINE.1 - tall,
            (wide - 0.5).max(0.5)
        );
    }
    out.push_str("</svg>");
    out
}
