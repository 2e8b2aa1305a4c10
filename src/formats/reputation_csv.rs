//! A reputation list with columns: a header line, maybe in a comment, that names an indicator column and at least one of category,
//! confidence, first or last seen.
//!
//! Each row is an inventory record, action `listed`, from first to last seen, else at the file's modification time. Confidence up to 1 is
//! taken as it is, up to 100 as per cent. Columns that are not known are in `extra`.

use super::indicator::{self, Column};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, draft, draft::Draft, head, table};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::value::Value;

/// The format.
pub static FORMAT: ReputationCsv = ReputationCsv;

/// Reputation lists with columns.
pub struct ReputationCsv;

impl Format for ReputationCsv {
    fn name(&self) -> &'static str {
        "reputation-csv"
    }
    fn doc(&self) -> &'static str {
        "Reputation list as CSV: a header with an indicator column and category, confidence, first or last seen."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 256 << 10 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        for line in head::lines(head) {
            let text = String::from_utf8_lossy(line);
            if header(&text).is_some() {
                return Sniff::Yes;
            }
            if !text.starts_with('#') {
                break;
            }
        }
        Sniff::No
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Rows { context: context.clone(), header: None })
    }
}

/// Separator and columns of a header line: names only, an indicator among them, and something that inventories do not have.
fn header(line: &str) -> Option<(u8, Vec<(String, Column)>)> {
    let separator = table::separator(line)?;
    let line = line.trim_start_matches(['#', ' ']);
    let columns: Vec<_> =
        table::cells(line, separator)?.into_iter().map(|c| (table::plain_name(&c), indicator::column(&c))).collect();
    let has = |wanted: &[Column]| columns.iter().any(|(_, c)| wanted.contains(c));
    let data = columns.iter().any(|(name, _)| name.len() > 40)
        || table::cells(line, separator)?.iter().any(|c| indicator::recognise(c).is_some());
    let judged = has(&[Column::Category, Column::Confidence, Column::First]);
    // What vulnerability scans have, and reputation lists do not.
    const FOREIGN: [&str; 12] = [
        "cve",
        "cves",
        "cvss",
        "cvss_base",
        "plugin",
        "plugin_id",
        "vulnerability",
        "solution",
        "qid",
        "cwe",
        "synopsis",
        "patchable",
    ];
    let foreign = columns.iter().any(|(name, _)| FOREIGN.contains(&name.as_str()));
    let dull = foreign || super::inventory_csv::is_header(line);
    (has(&[Column::Indicator]) && judged && !data && !dull).then_some((separator, columns))
}

struct Rows {
    context: Context,
    header: Option<(u8, Vec<(String, Column)>)>,
}

impl Reader for Rows {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        let text = String::from_utf8_lossy(line);
        if self.header.is_none() {
            self.header = header(&text);
            if self.header.is_some() {
                return Status::Skipped;
            }
        }
        if text.trim().is_empty() || text.starts_with('#') {
            return Status::Skipped;
        }
        let row = self.header.as_ref().and_then(|(separator, columns)| Some((columns, table::cells(&text, *separator)?)));
        let Some((columns, cells)) = row else {
            out.oddities.push(Oddity::at("csv_row_malformed", format!("line {}", unit.line)));
            return Status::Failed;
        };
        let mut d = Draft::new(Kind::Inventory, &self.context, unit, line.len(), self.context.modified);
        d.partial = cells.len() != columns.len();
        let mut listed = false;
        let (mut first, mut last) = (None, None);
        for ((name, column), cell) in columns.iter().zip(&cells) {
            if cell.is_empty() || cell == "None" {
                continue;
            }
            match column {
                // `address:port`, as some lists have it, is the address.
                Column::Indicator if !listed => {
                    let (text, port) = match cell.rsplit_once(':') {
                        Some((host, port)) if !host.contains(':') && port.parse::<u16>().is_ok() => (host, port),
                        _ => (cell.as_ref(), ""),
                    };
                    listed = indicator::recognise(text).is_some();
                    if listed {
                        indicator::fill(&mut d, text, "");
                        d.put(field::DST_PORT, port);
                    } else {
                        d.keep(name, cell);
                    }
                }
                // A file has several hashes, of which the first is what is listed.
                Column::Indicator if hash_field(name).is_some() => {
                    d.put_or_keep(hash_field(name).unwrap_or(field::MD5), name, cell);
                }
                Column::Port => d.put_or_keep(field::DST_PORT, name, cell),
                Column::Category => d.put_or_keep(field::CATEGORY, name, cell),
                Column::Feed => d.put_or_keep(field::FEED, name, cell),
                Column::Reason => d.put_or_keep(field::REASON, name, cell),
                Column::Severity if d.put(field::SEVERITY, cell) => {}
                Column::Confidence => match cell.trim_end_matches('%').parse::<f64>() {
                    Ok(n) if (0.0..=1.0).contains(&n) && !cell.ends_with('%') => _ = d.give(field::CONFIDENCE, Value::Float(n)),
                    Ok(n) if (0.0..=100.0).contains(&n) => _ = d.give(field::CONFIDENCE, Value::Float(n / 100.0)),
                    _ => d.keep(name, cell),
                },
                Column::First if first.is_none() => first = time(cell, &self.context, out, name, &mut d),
                Column::Last if last.is_none() => last = time(cell, &self.context, out, name, &mut d),
                _ => d.keep(name, cell),
            }
        }
        if !listed {
            out.oddities.push(Oddity::at("indicator_unknown", format!("line {}", unit.line)));
            return Status::Failed;
        }
        d.text(field::FEED, &self.context.stem);
        d.record.start = first.or(last).unwrap_or(self.context.modified);
        d.record.end = last.unwrap_or(d.record.start).max(d.record.start);
        d.finish(None, out)
    }
}

/// The field of a column of hashes.
fn hash_field(name: &str) -> Option<field::FieldId> {
    match name.split('_').next() {
        Some("md5") => Some(field::MD5),
        Some("sha1") => Some(field::SHA1),
        Some("sha256") => Some(field::SHA256),
        _ => None,
    }
}

/// Lists are published in UTC where they name no zone.
fn time(cell: &str, context: &Context, out: &mut Out, name: &str, d: &mut Draft) -> Option<crate::model::time::Time> {
    let utc = Context { zone: super::Zone::Fixed(0), ..context.clone() };
    let time = clock::any(cell.trim_end_matches(" UTC"), &utc, out);
    if time.is_none() {
        d.partial = true;
        d.keep(name, draft::cut(cell));
    }
    time
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};

    #[test]
    fn a_row_lasts_from_first_to_last_seen() {
        assert_eq!(
            show(
                &FORMAT,
                "indicator,category,confidence,first_seen,last_seen,actor\n203.0.113.9,c2,85,2026-11-01T00:00:00Z,2026-11-19,\"Odd, Inc\""
            ),
            "inventory 2026-11-01T00:00:00Z..2026-11-19T00:00:00Z dst.ip=203.0.113.9 category=c2 action=listed indicator=203.0.113.9 \
             feed=sample confidence=0.85 extra={\"actor\":\"Odd, Inc\"}"
        );
    }

    #[test]
    fn a_file_is_listed_with_all_its_hashes() {
        let text = "# \"first_seen_utc\",\"sha256_hash\",\"md5_hash\",\"reporter\",\"file_name\",\"signature\"\n\"2026-11-01 10:00:00\", \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\", \"d41d8cd98f00b204e9800998ecf8427e\", \"x\", \"a.exe\", \"Odd\"\n";
        let read = read_all(&FORMAT, text);
        let record = &read.records[0].record;
        assert_eq!(record.text(field::MD5), Some("d41d8cd98f00b204e9800998ecf8427e"));
        assert!(record.text(field::INDICATOR).is_some_and(|i| i.starts_with("e3b0c442")) && record.get(field::SHA256).is_some());
        assert_eq!((record.text(field::CATEGORY), record.text(field::FEED)), (Some("Odd"), Some("x")));
    }

    #[test]
    fn a_header_in_a_comment_is_a_header() {
        let text = "# A tracker\n# \"first_seen_utc\",\"dst_ip\",\"dst_port\",\"malware\"\n\"2026-11-01 10:00:00\",\"203.0.113.9\",\"443\",\"Odd\"\nrubbish\n";
        assert_eq!(FORMAT.sniff(text.as_bytes()), Sniff::Yes);
        let read = read_all(&FORMAT, text);
        assert_eq!(read.counts, [1, 0, 2, 1]);
        assert_eq!(read.records[0].record.uint(field::DST_PORT), Some(443));
    }
}
