//! A plain reputation list: one indicator a line (address, network, name, URL, hash), comments after `#` or `;`, also as hosts file
//! (`0.0.0.0 name`).
//!
//! Each indicator is an inventory record, action `listed`; a comment on its line is its reason, a comment line before the first indicator
//! belongs to the list. A list has no times: its records stand at the file's modification time.

use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, draft, draft::Draft, head, indicator};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: ReputationList = ReputationList;

/// Plain reputation lists.
pub struct ReputationList;

impl Format for ReputationList {
    fn name(&self) -> &'static str {
        "reputation-list"
    }
    fn doc(&self) -> &'static str {
        "Plain reputation list: one address, network, name, URL or hash a line, comments allowed, hosts files too."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 64 << 10 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let lines = head::lines(head);
        let listed: Vec<bool> = lines
            .iter()
            .filter_map(|l| match std::str::from_utf8(l) {
                Ok(line) => parse(line).map(|(text, _)| indicator::recognise(text).is_some()),
                Err(_) => Some(false),
            })
            .collect();
        let found = listed.iter().filter(|found| **found).count();
        let enough = found >= 2 || found == 1 && lines.len() == 1;
        if enough && found * 100 >= listed.len() * 80 { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Lines { context: context.clone() })
    }
}

/// The indicator's text and the comment of a line; `None`: a comment or blank line.
fn parse(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with(['#', ';', '!']) || line.starts_with("//") {
        return None;
    }
    // A URL may hold `#` and `;`: a comment begins after a space, or at `;` or `#` where no URL is.
    let end =
        line.find([' ', '\t', ',']).into_iter().chain((!line.contains("://")).then(|| line.find(['#', ';'])).flatten()).min();
    let (text, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start();
    // Hosts files name after the address what they block.
    if matches!(text, "0.0.0.0" | "127.0.0.1" | "::") && !rest.is_empty() {
        let (name, comment) = rest.split_once([' ', '\t', '#']).unwrap_or((rest, ""));
        return Some((name, comment.trim_matches([' ', '\t', '#'])));
    }
    // What follows is a comment, or the line is none of a list.
    match rest.is_empty() || rest.starts_with(['#', ';']) || rest.starts_with("//") {
        true => Some((text, rest.trim_matches([' ', '\t', '#', ';', '/']))),
        false => Some((line, "")),
    }
}

struct Lines {
    context: Context,
}

impl Reader for Lines {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        let text = String::from_utf8_lossy(line);
        let Some((listed, comment)) = parse(&text) else { return Status::Skipped };
        if indicator::recognise(listed).is_none() {
            out.oddities.push(Oddity::at("indicator_unknown", format!("line {}: {}", unit.line, draft::cut(listed))));
            return Status::Failed;
        }
        let mut d = Draft::new(Kind::Inventory, &self.context, unit, line.len(), self.context.modified);
        indicator::fill(&mut d, listed, &self.context.stem);
        d.text(field::REASON, comment);
        d.finish(None, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};

    #[test]
    fn lists_hosts_files_and_comments_are_read() {
        assert_eq!(
            show(&FORMAT, "198.51.100.0/24 ; SBL123"),
            "inventory 2026-11-20T12:00:00Z action=listed reason=SBL123 indicator=198.51.100.0/24 feed=sample"
        );
        let read =
            read_all(&FORMAT, "# a list\n203.0.113.9#fast flux\n0.0.0.0 ads.evil.example # x\nhttp://evil.example/a;b#c\n?!\n");
        assert_eq!(read.counts, [3, 0, 1, 1]);
        let shown: Vec<_> = read.records.iter().map(|r| r.record.text(field::INDICATOR).unwrap_or("")).collect();
        assert_eq!(shown, ["203.0.113.9", "ads.evil.example", "http://evil.example/a;b#c"]);
    }
}
