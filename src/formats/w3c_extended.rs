//! Logs that name their own columns in a `#Fields:` line: W3C Extended Log File Format (W3C working draft WD-logfile-960323) of IIS, Blue Coat
//! ProxySG, Amazon CloudFront, Forefront TMG, Windows Media Services; the Windows Firewall's log (Microsoft, "Windows Firewall log fields");
//! Exchange's tracking and protocol logs, which use commas.
//!
//! The header may come again and change. Cells stand between tabs if the line has any, commas if the names do, else spaces; quoted ones hold
//! theirs. Times are UTC unless the header says `#Time Format: Local`, a `#GMT-Offset` or the column is a local one. A log without a date column
//! counts days from `#Date`. Of a request the time is that of its end: the record begins `time-taken` before. `time-taken` with a point is
//! seconds (CloudFront), else milliseconds (IIS, ProxySG). IIS writes a space in a header as `+`.

use super::w3c_columns::{self, Column, Row};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, Zone, clock, draft::Draft, head, table};
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::{SECOND, Time};
use std::borrow::Cow;

/// The format.
pub static FORMAT: W3cExtended = W3cExtended;

/// Logs with a `#Fields:` line.
pub struct W3cExtended;

/// Most columns of a header.
const COLUMNS_MAX: usize = 512;
/// What a day has of seconds.
const DAY: u32 = 86_400;

impl Format for W3cExtended {
    fn name(&self) -> &'static str {
        "w3c-extended"
    }
    fn doc(&self) -> &'static str {
        "Logs with a #Fields: line: IIS, Blue Coat ProxySG, Amazon CloudFront, Windows Firewall, Exchange (W3C Extended Log File Format)."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 1 << 20 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let named =
            head::lines(head).iter().any(|l| directive(&String::from_utf8_lossy(l)).is_some_and(|(key, _)| key == "fields"));
        if named { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Lines { context: context.clone(), header: Header::default() })
    }
}

/// Name in lower case and value of a line `#Name: value`.
fn directive(line: &str) -> Option<(String, &str)> {
    let (key, value) = line.trim_start_matches(['"', ' ']).strip_prefix('#')?.split_once(':')?;
    let plain = key.len() <= 32 && key.bytes().all(|b| b.is_ascii_alphabetic() || matches!(b, b'-' | b' '));
    plain.then(|| (key.trim().to_ascii_lowercase(), value.trim()))
}

/// What the header lines say.
#[derive(Default)]
struct Header {
    columns: Vec<(String, Column)>,
    /// What stands between cells: a space if nothing else is known.
    separator: Option<u8>,
    kind: Option<Kind>,
    /// Seconds east of UTC; `None`: local, the file's zone.
    zone: Zoned,
    /// Day of `#Date`, as days since 1970, and the last time of day after it.
    day: Option<i32>,
    last: u32,
    /// `#Log-type` of Exchange.
    sends: bool,
}

/// The zone of times.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Zoned {
    #[default]
    Utc,
    East(i32),
    Local,
}

impl Header {
    fn learn(&mut self, key: &str, value: &str) {
        match key {
            "fields" => self.name(value),
            "date" | "start-date" => {
                if let Some(stamp) = w3c_columns::stamp(value) {
                    self.day = stamp.year.map(|y| clock::days(y, stamp.month, stamp.day));
                    self.last = stamp.second;
                }
            }
            "gmt-offset" => {
                if let Some(Zone::Fixed(east)) = Zone::parse(value) {
                    self.zone = Zoned::East(east);
                }
            }
            "time format" if value.eq_ignore_ascii_case("local") => self.zone = Zoned::Local,
            "log-type" => self.sends = value.to_ascii_lowercase().contains("send"),
            _ => {}
        }
    }
    fn name(&mut self, names: &str) {
        self.separator = match () {
            () if names.contains('\t') => Some(b'\t'),
            () if names.contains(',') => Some(b','),
            () => None,
        };
        // A remark may follow the names.
        let names = names.split("//").next().unwrap_or(names).trim_matches([' ', '\t', '"']);
        let is_end = |c: char| c == ',' || c.is_whitespace();
        let names: Vec<&str> = names.split(is_end).filter(|n| !n.is_empty()).take(COLUMNS_MAX).collect();
        self.kind = Some(w3c_columns::kind(&names));
        self.columns = names.iter().map(|n| ((*n).to_owned(), w3c_columns::column(n, self.kind, self.sends))).collect();
    }
    fn cells<'a>(&self, line: &'a str) -> Option<Vec<Cow<'a, str>>> {
        match self.separator.or_else(|| line.contains('\t').then_some(b'\t')) {
            Some(separator) => table::cells(line, separator),
            None => spaced(line),
        }
    }
    /// The instant of a date, which may be missing, and a time of day.
    fn time(&mut self, date: &str, time: &str, local: bool, context: &Context, out: &mut Out) -> Option<Time> {
        let stamp = match date.is_empty() {
            true => {
                let of_day = w3c_columns::stamp(&format!("1970-01-01 {time}"))?;
                // Half a day back is a new day; less is two writers.
                if of_day.second + DAY / 2 < self.last {
                    self.day = self.day.map(|d| d.saturating_add(1));
                }
                self.last = of_day.second;
                let (year, month, day) = clock::civil(self.day?);
                clock::Stamp { year: Some(year), month, day, ..of_day }
            }
            false if time.is_empty() => w3c_columns::stamp(date)?,
            false => w3c_columns::stamp(&format!("{date} {time}"))?,
        };
        let east = match (stamp.east, local, self.zone) {
            (Some(east), _, _) => Some(east),
            (None, true, _) | (None, false, Zoned::Local) => None,
            (None, false, Zoned::Utc) => Some(0),
            (None, false, Zoned::East(east)) => Some(east),
        };
        clock::Stamp { east, ..stamp }.time(context, out)
    }
}

/// Cells between spaces; one in quotes may hold spaces, and quotes written twice. `None`: a quote stays open.
fn spaced(line: &str) -> Option<Vec<Cow<'_, str>>> {
    let mut cells = Vec::new();
    let mut rest = line.trim_start_matches(' ');
    while !rest.is_empty() && cells.len() < COLUMNS_MAX {
        match rest.strip_prefix('"') {
            Some(inner) => {
                let mut end = inner.find('"')?;
                while inner[end + 1..].starts_with('"') {
                    end += 2 + inner[end + 2..].find('"')?;
                }
                cells.push(if inner[..end].contains("\"\"") {
                    inner[..end].replace("\"\"", "\"").into()
                } else {
                    inner[..end].into()
                });
                rest = &inner[end + 1..];
            }
            None => {
                let end = rest.find(' ').unwrap_or(rest.len());
                // IIS writes a space in a value as `+`, and a `+` too: of two the second is one.
                cells.push(Cow::Borrowed(&rest[..end]));
                rest = &rest[end..];
            }
        }
        rest = rest.trim_start_matches(' ');
    }
    Some(cells)
}

struct Lines {
    context: Context,
    header: Header,
}

impl Reader for Lines {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        if text.trim_start().is_empty() {
            return Status::Skipped;
        }
        if text.trim_start_matches('"').starts_with('#') {
            if let Some((key, value)) = directive(text) {
                self.header.learn(&key, value);
            }
            return Status::Skipped;
        }
        if self.header.columns.is_empty() {
            out.oddities.push(Oddity::at("header_missing", format!("line {}", unit.line)));
            return Status::Failed;
        }
        let Some(cells) = self.header.cells(text) else {
            out.oddities.push(Oddity::at("quote_open", format!("line {}", unit.line)));
            return Status::Failed;
        };
        self.row(&cells, text.len(), line.len(), unit, out)
    }
}

impl Lines {
    fn row(&mut self, cells: &[Cow<'_, str>], text: usize, len: usize, unit: Unit, out: &mut Out) -> Status {
        // A row that shares nothing with the header is none of this log.
        if cells.len() * 2 < self.header.columns.len() || cells.len() == 1 && text > 256 {
            out.oddities.push(Oddity::at("columns_missing", format!("line {}", unit.line)));
            return Status::Failed;
        }
        let of = |wanted: Column| {
            let at = self.header.columns.iter().position(|(_, c)| *c == wanted)?;
            cells.get(at).map(|c| c.as_ref()).filter(|c| !matches!(*c, "-" | ""))
        };
        let (date, time, local) = (of(Column::Date), of(Column::Time), of(Column::LocalTime));
        let (whole, epoch) = (of(Column::DateTime), of(Column::Epoch));
        let header = &mut self.header;
        let context = &self.context;
        let stated = match (whole, date, time, local, epoch) {
            (Some(whole), ..) => header.time(whole, "", false, context, out),
            (None, date, Some(time), ..) => header.time(date.unwrap_or(""), time, false, context, out),
            (None, _, None, Some(local), _) => header.time(local.trim_matches(['[', ']']), "", true, context, out),
            (None, _, None, None, Some(epoch)) => clock::epoch(epoch),
            (None, Some(date), None, None, None) => header.time(date, "", false, context, out),
            (None, None, None, None, None) => None,
        };
        let mut d = Draft::timed(self.header.kind.unwrap_or(Kind::Log), &self.context, unit, len, stated, out);
        let mut row = Row::default();
        for (n, cell) in cells.iter().enumerate() {
            match self.header.columns.get(n) {
                _ if matches!(cell.as_ref(), "-" | "") => {}
                Some((name, column)) => row.cell(name, *column, cell, &mut d),
                None => {
                    d.partial = true;
                    d.keep(&format!("column {}", n + 1), cell);
                }
            }
        }
        // Fewer cells than names: the line was cut.
        d.partial |= cells.len() < self.header.columns.len();
        row.finish(&mut d, out);
        if let Some(taken) = row.taken.filter(|t| stated.is_some() && *t < DAY as u64 * SECOND as u64) {
            d.record.end = d.record.start;
            d.record.start = d.record.start.plus(-i64::try_from(taken).unwrap_or(0));
        }
        let sensor = row.sensor.take();
        d.finish(sensor.as_deref(), out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};
    use crate::model::field;

    #[test]
    fn iis_is_utc_and_a_request_begins_before_it_is_written() {
        let text = "#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n#Date: 2026-11-20 08:00:00\n\
            #Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken\n\
            2026-11-20 08:00:01 192.0.2.10 GET /a.aspx id=1'+or+1=1 443 CORP\\jdoe 198.51.100.7 Mozilla/5.0+(compatible;++http://b.example/) - 200 0 0 250\n";
        let read = read_all(&FORMAT, text);
        assert_eq!(read.counts, [1, 0, 4, 0]);
        assert_eq!(
            read.shown(),
            "http 2026-11-20T08:00:00.750Z..2026-11-20T08:00:01Z src.ip=198.51.100.7 dst.ip=192.0.2.10 dst.port=443 app=http \
             http.method=GET http.uri=/a.aspx?id=1'+or+1=1 http.status=200 http.agent=Mozilla/5.0 (compatible; +http://b.example/) \
             user=CORP\\jdoe elapsed=250ms extra={\"sc-substatus\":\"0\",\"sc-win32-status\":\"0\"}\n"
        );
    }

    #[test]
    fn a_header_may_come_again_and_days_go_on_without_a_date_column() {
        let text = "#Date: 2026-11-20 23:59:58\n#Fields: time c-ip cs-method cs-uri-stem sc-status\n23:59:59 192.0.2.1 GET /a 200\n\
            00:00:01 192.0.2.1 GET /b 404\n#Fields: time cs-method cs-uri-stem c-ip\n00:00:02 POST /c 192.0.2.2\n";
        let read = read_all(&FORMAT, text);
        assert_eq!(read.counts, [3, 0, 3, 0]);
        let starts: Vec<String> = read.records.iter().map(|r| r.record.start.to_string()).collect();
        assert_eq!(starts, ["2026-11-20T23:59:59Z", "2026-11-21T00:00:01Z", "2026-11-21T00:00:02Z"]);
        assert_eq!(read.records[2].record.text(field::HTTP_URI), Some("/c"));
    }

    #[test]
    fn the_windows_firewall_writes_local_time() {
        let text = "#Version: 1.5\n#Software: Microsoft Windows Firewall\n#Time Format: Local\n\
            #Fields: date time action protocol src-ip dst-ip src-port dst-port size tcpflags tcpsyn tcpack tcpwin icmptype icmpcode info path\n\n\
            2005-11-20 11:43:41 DROP TCP 192.168.0.7 192.168.0.6 1172 3389 48 S 1640769051 0 65535 - - - RECEIVE\n\
            2005-11-20 11:43:42 OPEN ICMP 192.168.0.7 192.168.0.6 - - 60 - - - - 8 0 - SEND\n\
            2005-11-20 11:43:43 INFO-EVENTS-LOST - - - - - - - - - - - - 17 -\n";
        let context = Context {
            evidence: crate::model::origin::EvidenceKey(1),
            stem: "pfirewall".into(),
            zone: Zone::Fixed(3600),
            year: None,
            dates: crate::formats::Dates::default(),
            modified: Time(0),
        };
        let (mut records, mut losses) = (Vec::new(), Vec::new());
        crate::formats::read(&mut text.as_bytes(), &FORMAT, &context, Unit { offset: 0, line: 1 }, &[], &mut |_, out| {
            records.extend(out.records.iter().map(crate::formats::tests::line));
            losses.extend(out.losses);
            true
        })
        .unwrap();
        assert_eq!(
            records[0],
            "fw 2005-11-20T10:43:41Z src.ip=192.168.0.7 src.port=1172 dst.ip=192.168.0.6 dst.port=3389 proto=tcp \
             direction.stated=RECEIVE bytes.out=48 action=drop tcp.flags=S extra={\"tcpsyn\":\"1640769051\",\"tcpack\":\"0\",\"tcpwin\":\"65535\"}"
        );
        assert!(records[1].contains("src.port=8 ") && records[1].contains("action=start"), "{}", records[1]);
        assert_eq!((losses.len(), losses[0].lost), (1, 17));
    }

    #[test]
    fn proxies_quote_and_name_the_origin_server() {
        let text = "#Software: SGOS 6.7.4.107\n#Fields: date time time-taken c-ip cs-username cs-auth-group x-exception-id sc-filter-result cs-categories cs(Referer) sc-status s-action cs-method rs(Content-Type) cs-uri-scheme cs-host cs-uri-port cs-uri-path cs-uri-query cs-uri-extension cs(User-Agent) s-ip sc-bytes cs-bytes x-virus-id r-ip\n\
            2026-11-20 08:00:05 5012 10.0.0.5 jdoe - policy_denied DENIED \"Malicious Sources;Web \"\"Ads\"\"\" - 403 TCP_DENIED GET text/html;%20charset=utf-8 http c2.example 8080 /x ?b=c - \"Mozilla/5.0 (X11)\" 10.0.0.1 1242 303 - 203.0.113.9\n";
        assert_eq!(
            show(&FORMAT, text),
            "proxy 2026-11-20T07:59:59.988Z..2026-11-20T08:00:05Z src.ip=10.0.0.5 dst.ip=203.0.113.9 dst.port=8080 bytes.out=303 bytes.in=1242 \
             name=c2.example url=http://c2.example:8080/x?b=c http.method=GET http.host=c2.example http.uri=/x?b=c http.status=403 \
             http.agent=Mozilla/5.0 (X11) http.type=text/html;%20charset=utf-8 category=Malicious Sources;Web \"Ads\" action=deny \
             reason=TCP_DENIED user=jdoe elapsed=5s12ms extra={\"x-exception-id\":\"policy_denied\",\"s-ip\":\"10.0.0.1\"}"
        );
    }

    #[test]
    fn exchange_separates_with_commas_and_names_many_recipients() {
        let text = "#Software: Microsoft Exchange Server\n#Log-type: Message Tracking Log\n#Date: 2026-11-20T08:00:00.000Z\n\
            #Fields: date-time,client-ip,client-hostname,server-ip,server-hostname,event-id,message-id,recipient-address,sender-address,message-subject\n\
            2026-11-20T08:00:01.123Z,192.0.2.5,ws5,192.0.2.25,EX01,RECEIVE,<a@b.example>,x@c.example;y@c.example,j@b.example,\"Hello, you\"\n";
        assert_eq!(
            show(&FORMAT, text),
            "log 2026-11-20T08:00:01.123Z src.ip=192.0.2.5 dst.ip=192.0.2.25 app=smtp action=RECEIVE hostname=ex01 mail.from=j@b.example \
             mail.to=x@c.example mail.to=y@c.example mail.subject=Hello, you extra={\"client-hostname\":\"ws5\",\"message-id\":\"<a@b.example>\"} sensor=EX01"
        );
    }

    #[test]
    fn rows_without_a_header_and_open_quotes_are_said() {
        let read = read_all(
            &FORMAT,
            "2026-11-20 08:00:00 x\n#Fields: date time c-ip cs(User-Agent)\n2026-11-20 08:00:00 192.0.2.1 \"open\n",
        );
        assert_eq!((read.counts, read.oddities.join(" ")), ([0, 0, 1, 2], "header_missing line 1 quote_open line 3".to_owned()));
    }
}
