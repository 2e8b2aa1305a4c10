//! Zeek's logs, as tab-separated values with their own header (Zeek manual, "Zeek Log Formats and Inspection") or as JSON lines, of every
//! version and of the exporters that write `_path` or `@stream`.
//!
//! Columns are found by the header's names, never by position. A file may hold several headers after one another. A row whose time is
//! missing stands at the file's modification time and is partial. Zeek's `weird` and `notice` are notices, `x509` a TLS record, `software` and
//! `known_*` inventory. Zeek times are UTC epochs, but JSON may hold ISO times.

use super::json;
use super::zeek_map::{self, Log, To};
use super::{Context, Format, Framing, Loss, Out, Reader, Sniff, Status, Unit, clock, draft, draft::Draft, head};
use crate::model::field::{self, FieldId, Place};
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::Time;
use crate::model::value::Value;
use std::borrow::Cow;

/// The format.
pub static FORMAT: Zeek = Zeek;

/// Zeek logs.
pub struct Zeek;

impl Format for Zeek {
    fn name(&self) -> &'static str {
        "zeek"
    }
    fn doc(&self) -> &'static str {
        "Zeek logs of every kind, tab-separated by their own header or JSON lines (docs.zeek.org, log formats)."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 4 << 20 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let first: Vec<&[u8]> = head::lines(head).into_iter().take(20).collect();
        let table = first.iter().any(|l| l.starts_with(b"#fields"))
            && first.iter().any(|l| l.starts_with(b"#path") || l.starts_with(b"#types"));
        let cut = first.first().is_some_and(|l| l.starts_with(b"#separator "));
        if table || cut || head::most(head, 50, is_zeek_json) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Rows { context: context.clone(), header: Header::default(), plans: Vec::new() })
    }
}

fn is_zeek_json(line: &str) -> bool {
    let has = |key: &str| line.contains(key);
    line.starts_with('{')
        && !head::is_export(line)
        && (has("\"ts\":") || has("\"_write_ts\":"))
        && (has("\"_path\":\"")
            || has("\"@stream\":\"")
            || has("\"id.orig_h\":")
            || has("\"id_orig_h\":")
            || has("\"fuid\":")
            || has("\"certificate.serial\":")
            || has("\"seen.indicator\":")
            || (has("\"notice\":") && has("\"peer\":")))
}

/// What the lines that begin with `#` say.
struct Header {
    separator: u8,
    set_separator: u8,
    empty: Vec<u8>,
    unset: Vec<u8>,
    path: String,
    log: &'static Log,
    columns: Vec<(String, To)>,
}

impl Default for Header {
    fn default() -> Header {
        Header {
            separator: b'\t',
            set_separator: b',',
            empty: b"(empty)".to_vec(),
            unset: b"-".to_vec(),
            path: String::new(),
            log: zeek_map::log(""),
            columns: Vec::new(),
        }
    }
}

struct Rows {
    context: Context,
    header: Header,
    /// Where the keys of JSON objects go, by log; at most [`PLANS_MAX`] keys are remembered.
    plans: Vec<Plan>,
}

const PLANS_MAX: usize = 256;

/// A log by its name, and where the keys that were met go.
type Plan = (String, &'static Log, Vec<(String, To)>);

impl Reader for Rows {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        match line.first() {
            None => Status::Skipped,
            Some(b'#') => {
                self.directive(&String::from_utf8_lossy(line));
                Status::Skipped
            }
            Some(b'{') => self.object(&String::from_utf8_lossy(line), unit, line.len(), out),
            Some(_) => self.row(line, unit, out),
        }
    }
}

impl Rows {
    fn directive(&mut self, line: &str) {
        let header = &mut self.header;
        let (name, rest) = line.split_once([' ', char::from(header.separator)]).unwrap_or((line, ""));
        match name {
            "#separator" => {
                *header = Header::default();
                header.separator = unescape(rest.as_bytes()).first().copied().unwrap_or(b'\t');
            }
            "#set_separator" => header.set_separator = unescape(rest.as_bytes()).first().copied().unwrap_or(b','),
            "#empty_field" => header.empty = rest.as_bytes().to_vec(),
            "#unset_field" => header.unset = rest.as_bytes().to_vec(),
            "#path" => {
                header.path = rest.to_owned();
                header.log = zeek_map::log(rest);
            }
            "#fields" => {
                let names: Vec<&str> = rest.split(char::from(header.separator)).take(1024).collect();
                if header.path.is_empty() {
                    header.path = zeek_map::guess(&|key| names.contains(&key)).to_owned();
                    header.log = zeek_map::log(&header.path);
                }
                header.columns = names.iter().map(|n| ((*n).to_owned(), zeek_map::column(header.log, n))).collect();
            }
            _ => {}
        }
    }

    fn row(&self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        let header = &self.header;
        if header.columns.is_empty() {
            out.oddities.push(Oddity::at("zeek_row_without_header", format!("line {}", unit.line)));
            return Status::Failed;
        }
        let mut row = Row::new(&self.context, header.log, &header.path, unit, line.len());
        let mut columns = header.columns.iter();
        let mut cells = Cells { line: Some(line), separator: header.separator };
        loop {
            match (columns.next(), cells.next()) {
                (Some((name, to)), Some(cell)) => {
                    if cell != header.unset && !cell.is_empty() {
                        let text = |cell: &[u8]| -> String { String::from_utf8_lossy(&unescape(cell)).into_owned() };
                        let plain = std::str::from_utf8(cell).ok().filter(|_| memchr::memchr(b'\\', cell).is_none());
                        let cell_text = plain.map_or_else(|| Cow::Owned(text(cell)), Cow::Borrowed);
                        if cell == header.empty {
                            continue;
                        }
                        if many(*to) {
                            row.list(
                                name,
                                *to,
                                &mut cell.split(|b| *b == header.set_separator).map(|c| Cow::Owned(text(c))),
                                out,
                            );
                        } else {
                            row.one(name, *to, &cell_text, out);
                        }
                    }
                }
                (None, None) => break,
                (name, cell) => {
                    row.draft.partial = true;
                    let what = if cell.is_none() { "zeek_cells_missing" } else { "zeek_cells_extra" };
                    let place =
                        name.map_or_else(|| format!("line {}", unit.line), |(n, _)| format!("line {} from {n}", unit.line));
                    out.oddities.push(Oddity::at(what, place));
                    break;
                }
            }
        }
        row.finish(None, out)
    }

    fn object(&mut self, text: &str, unit: Unit, len: usize, out: &mut Out) -> Status {
        let Some(members) = json::object(text) else {
            out.oddities.push(Oddity::at("json_malformed", format!("line {}", unit.line)));
            return Status::Failed;
        };
        let named = ["_path", "@stream"].iter().find_map(|key| json::member(&members, key)).map(json::scalar);
        let path = named.unwrap_or_else(|| Cow::Borrowed(zeek_map::guess(&|key| json::member(&members, key).is_some())));
        let plan = match self.plans.iter().position(|(p, ..)| *p == path) {
            Some(plan) => plan,
            None => {
                if self.plans.len() >= PLANS_MAX {
                    self.plans.clear();
                }
                self.plans.push((path.to_string(), zeek_map::log(&path), Vec::new()));
                self.plans.len() - 1
            }
        };
        let (_, log, columns) = &mut self.plans[plan];
        let mut row = Row::new(&self.context, log, &path, unit, len);
        let mut sensor = None;
        for (key, raw) in &members {
            let to = match key.as_ref() {
                "_path" | "@stream" | "_write_ts" | "@proc" => continue,
                "@system" | "_system_name" => {
                    sensor = Some(json::scalar(raw));
                    continue;
                }
                key => match columns.iter().find(|(k, _)| k == key) {
                    Some((_, to)) => *to,
                    None => {
                        let to = zeek_map::column(log, key);
                        if columns.len() < PLANS_MAX {
                            columns.push((key.to_owned(), to));
                        }
                        to
                    }
                },
            };
            if many(to) && raw.get().starts_with('[') {
                row.list(key, to, &mut json::elements(raw).into_iter().map(json::scalar), out);
            } else if to == To::Keep || json::is_nested(raw) {
                row.draft.keep_json(key, raw.get());
                row.measure(key, raw.get());
            } else {
                row.one(key, to, &json::scalar(raw), out);
            }
        }
        row.finish(sensor.as_deref(), out)
    }
}

/// Cells of a line, without copying.
struct Cells<'a> {
    line: Option<&'a [u8]>,
    separator: u8,
}

impl<'a> Iterator for Cells<'a> {
    type Item = &'a [u8];
    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.line?;
        match memchr::memchr(self.separator, line) {
            Some(end) => {
                self.line = line.get(end + 1..);
                Some(&line[..end])
            }
            None => {
                self.line = None;
                Some(line)
            }
        }
    }
}

fn many(to: To) -> bool {
    match to {
        To::First(_) | To::Answers | To::Ttls | To::Sent | To::Received => true,
        To::Field(id) => {
            id == field::DHCP_TYPE
                || id == field::XFF
                || id == field::FEED
                || field::get(id).is_some_and(|f| f.place == Place::Many)
        }
        _ => false,
    }
}

/// Turns `\x09` into the byte that it means.
fn unescape(cell: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', cell).is_none() {
        return Cow::Borrowed(cell);
    }
    let mut bytes = Vec::with_capacity(cell.len());
    let mut at = 0;
    while let Some(b) = cell.get(at) {
        let hex = cell.get(at + 2..at + 4).filter(|_| *b == b'\\' && cell.get(at + 1) == Some(&b'x'));
        match hex.and_then(|h| std::str::from_utf8(h).ok()).and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                at += 4;
            }
            None => {
                bytes.push(*b);
                at += 1;
            }
        }
    }
    Cow::Owned(bytes)
}

/// A row while it is read.
struct Row<'a> {
    context: &'a Context,
    log: &'static Log,
    draft: Draft,
    time: Option<Time>,
    lasting: Option<u64>,
    sent: Option<Cow<'a, str>>,
    received: Option<Cow<'a, str>>,
    by_originator: bool,
    ip_proto: Option<u64>,
    /// Columns of the logs in which Zeek says what it missed: missed, of.
    loss: Option<zeek_map::Missed>,
}

impl<'a> Row<'a> {
    fn new(context: &'a Context, log: &'static Log, path: &str, unit: Unit, len: usize) -> Row<'a> {
        let mut draft = Draft::new(log.kind, context, unit, len, context.modified);
        if log.path != path {
            draft.text(field::CATEGORY, path);
        }
        let loss = zeek_map::LOSSES.iter().find(|(p, ..)| *p == path).map(|(_, what, columns)| (*what, columns, [None, None]));
        Row {
            context,
            log,
            draft,
            time: None,
            lasting: None,
            sent: None,
            received: None,
            by_originator: false,
            ip_proto: None,
            loss,
        }
    }

    fn one(&mut self, name: &str, to: To, text: &str, out: &mut Out) {
        let d = &mut self.draft;
        match to {
            To::Start => self.time = clock::any(text, self.context, out).or_else(|| Time::parse_epoch(text)),
            To::Lasting => match draft::seconds(text) {
                Some(nanos) => self.lasting = Some(nanos),
                None => d.keep(name, text),
            },
            To::Field(field::PROTO) => match crate::model::proto::parse(text) {
                Some(n) => _ = d.uint(field::PROTO, u64::from(n)),
                // Zeek's own word where it knows no transport; `ip_proto` has the number.
                None if text == "unknown_transport" => {}
                None => d.keep(name, text),
            },
            To::Field(id) => d.put_or_keep(id, name, text),
            To::IpProto => self.ip_proto = text.parse().ok(),
            To::First(id) => d.put_or_keep(id, name, text),
            To::Instant(id) => d.instant(id, name, text, self.context, out),
            To::Answers => answer(d, text),
            To::Ttls => ttl(d, text),
            To::Success => {
                let action = match text {
                    "T" | "true" | "success" | "successful" => "login_ok",
                    "F" | "false" | "failed" | "failure" => "login_fail",
                    other => other,
                };
                d.text(field::ACTION, action);
            }
            To::CertHash => {
                let id = if text.len() > 60 { field::CERT_SHA256 } else { field::CERT_SHA1 };
                if matches!(text.len(), 40 | 59 | 64 | 95) { d.put_or_keep(id, name, text) } else { d.keep(name, text) }
            }
            To::Sent => self.sent = Some(Cow::Owned(text.to_owned())),
            To::Received => self.received = Some(Cow::Owned(text.to_owned())),
            To::ByOriginator => self.by_originator = matches!(text, "T" | "true"),
            To::Principal => {
                d.text(field::USER, text.split('/').next().unwrap_or(text));
                d.keep(name, text);
            }
            To::Keep => {
                d.keep(name, text);
                self.measure(name, text);
            }
            To::Drop => {}
        }
    }

    fn list<'b>(&mut self, name: &str, to: To, texts: &mut dyn Iterator<Item = Cow<'b, str>>, out: &mut Out) {
        match to {
            To::First(_) | To::Sent | To::Received => {
                for (n, text) in texts.enumerate() {
                    if n == 0 { self.one(name, to, &text, out) } else { self.draft.keep(&format!("{name}.{n}"), &text) }
                }
            }
            To::Field(id) if field::get(id).is_some_and(|f| f.place != Place::Many) => {
                let joined = texts.collect::<Vec<_>>().join(",");
                self.one(name, to, &joined, out);
            }
            _ => texts.for_each(|text| self.one(name, to, &text, out)),
        }
    }

    fn measure(&mut self, name: &str, text: &str) {
        let Some((_, columns, counts)) = &mut self.loss else { return };
        for (column, count) in columns.iter().zip(counts) {
            if *column == name {
                *count = text.parse().ok();
            }
        }
    }

    fn finish(mut self, sensor: Option<&str>, out: &mut Out) -> Status {
        if let Some((what, _, [Some(lost), Some(of)])) = self.loss {
            out.losses.push(Loss { what, lost, of, total: false, at: self.time });
        }
        match self.time {
            Some(time) => (self.draft.record.start, self.draft.record.end) = (time, time),
            None => {
                self.draft.partial = true;
                out.oddities.push(Oddity::new("time_missing"));
            }
        }
        if let Some(nanos) = self.lasting {
            self.draft.lasting(nanos);
        }
        if let Some(number) = self.ip_proto {
            self.draft.uint(field::PROTO, number);
        }
        let (src, dst) = if self.by_originator { (self.sent, self.received) } else { (self.received, self.sent) };
        for (id, host) in [(field::SRC_IP, src), (field::DST_IP, dst)] {
            self.draft.addr(id, host.as_deref().unwrap_or(""));
        }
        let d = &mut self.draft;
        d.text(field::APP, self.log.app);
        // Zeek says ssl for what everybody calls tls.
        let foreign = |a: &str| a.contains("ssl") || a.bytes().any(|b| b.is_ascii_uppercase());
        if let Some(app) = d.record.text(field::APP).filter(|a| foreign(a)) {
            let app = app.to_ascii_lowercase();
            let words: Vec<_> = app.split(',').map(|w| if w == "ssl" { "tls" } else { w }).collect();
            let app = words.join(",");
            replace(d, field::APP, &app);
        }
        let name = [field::SNI, field::HTTP_HOST].into_iter().find_map(|id| d.record.text(id).map(str::to_owned));
        if let Some(name) = name.filter(|_| matches!(self.log.kind, Kind::Tls | Kind::Http)) {
            d.text(field::NAME, &name);
        }
        if let (Kind::Http, Some(host), Some(uri)) =
            (self.log.kind, d.record.text(field::HTTP_HOST).map(str::to_owned), d.record.text(field::HTTP_URI).map(str::to_owned))
        {
            d.text(field::URL, &super::web::url("http", &host, d.record.uint(field::DST_PORT).unwrap_or(80), &uri));
        }
        match self.log.kind {
            Kind::Dns => {
                let answered = d.has(field::DNS_RCODE);
                d.text(field::ACTION, if answered { "answered" } else { "asked" });
            }
            Kind::Dhcp if d.has(field::LEASE) => _ = d.text(field::ACTION, "lease"),
            Kind::Inventory => _ = d.text(field::ACTION, "found"),
            Kind::Notice => indicator(d),
            _ => {}
        }
        self.draft.finish(sensor, out)
    }
}

fn replace(d: &mut Draft, id: FieldId, text: &str) {
    for (field, value) in &mut d.record.fields {
        if *field == id {
            *value = Value::text(text);
        }
    }
}

/// An indicator that was seen is found by its own kind too.
fn indicator(d: &mut Draft) {
    let Some(text) = d.record.text(field::INDICATOR).map(str::to_owned) else { return };
    match d.record.text(field::CATEGORY) {
        Some("Intel::DOMAIN") => _ = d.text(field::NAME, &text),
        Some("Intel::URL") => _ = d.text(field::URL, &text),
        Some("Intel::FILE_HASH") => {
            let id = [(32, field::MD5), (40, field::SHA1), (64, field::SHA256)].into_iter().find(|(n, _)| *n == text.len());
            if let Some((_, id)) = id {
                d.text(id, &text);
            }
        }
        _ => {}
    }
}

/// Zeek lists answers without their types: addresses, `TXT <length> <text>`, names.
fn answer(d: &mut Draft, text: &str) {
    if d.addr(field::ANSWER_IP, text) {
        return;
    }
    match text.strip_prefix("TXT ").and_then(|t| t.split_once(' ')) {
        Some((_, rest)) => _ = d.text(field::ANSWER_TEXT, rest),
        None if text.contains(' ') || text.contains('<') => _ = d.text(field::ANSWER_TEXT, text),
        None => _ = d.text(field::ANSWER_NAME, text),
    }
}

/// Keeps the smallest.
fn ttl(d: &mut Draft, text: &str) {
    let Some(seconds) = draft::seconds(text).map(|n| n / 1_000_000_000) else { return };
    match d.record.fields.iter_mut().find(|(id, _)| *id == field::DNS_TTL) {
        Some((_, value)) => *value = Value::Uint(value.as_uint().map_or(seconds, |n| n.min(seconds))),
        None => _ = d.uint(field::DNS_TTL, seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};

    const CONN: &str = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state\tlocal_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\ttunnel_parents\n";

    #[test]
    fn a_connection_is_a_flow_with_its_bytes_named_as_ours() {
        let row = "1521911721.255387\tC5aHKk1\t192.168.4.76\t46378\t31.3.245.133\t80\ttcp\thttp\t0.254115\t77\t295\tSF\tT\tF\t0\tShADadFf\t6\t397\t4\t511\t-";
        assert_eq!(
            show(&FORMAT, &format!("{CONN}{row}")),
            "flow 2018-03-24T17:15:21.255387Z..2018-03-24T17:15:21.509502Z src.ip=192.168.4.76 src.port=46378 dst.ip=31.3.245.133 dst.port=80 \
             proto=tcp app=http uid=C5aHKk1 state=SF history=ShADadFf packets.out=6 packets.in=4 bytes.out=397 bytes.in=511 payload.out=77 \
             payload.in=295 missed=0 extra={\"local_orig\":\"T\",\"local_resp\":\"F\"}"
        );
    }

    #[test]
    fn a_second_header_in_one_file_takes_over_and_a_short_row_is_partial() {
        let text = format!(
            "{CONN}#close\t2020-01-01-00-00-00\n#separator \\x09\n#path\tweird\n#fields\tts\tid.orig_h\tname\n1521911721.5\t192.0.2.1\tbad\\x09thing\n1521911722.0\t192.0.2.1\n"
        );
        let read = read_all(&FORMAT, &text);
        assert_eq!(read.records[0].record.text(field::SIGNATURE), Some("bad\tthing"));
        assert_eq!(read.counts, [1, 1, read.counts[2], 0]);
        assert_eq!(read.oddities, ["zeek_cells_missing line 12 from name"]);
    }

    #[test]
    fn answers_are_told_apart_by_their_form() {
        let line = r#"{"@stream":"dns","@system":"s.example","ts":1588205198.89971,"id_orig_h":"10.0.1.4","id_orig_p":64842,"id_resp_h":"10.0.0.4","id_resp_p":53,"proto":"udp","query":"WWW.Example.org","qtype_name":"A","rcode_name":"NOERROR","answers":["cdn.example.net","192.0.2.7","TXT 5 hello"],"TTLs":[300.0,60.0]}"#;
        assert_eq!(
            show(&FORMAT, line),
            "dns 2020-04-30T00:06:38.899710Z src.ip=10.0.1.4 src.port=64842 dst.ip=10.0.0.4 dst.port=53 proto=udp app=dns \
             name=www.example.org dns.type=A dns.rcode=NOERROR dns.answer.ip=192.0.2.7 dns.answer.name=cdn.example.net \
             dns.answer.text=hello dns.ttl=60 action=answered sensor=s.example"
        );
    }

    #[test]
    fn the_receiver_of_a_file_asked_for_it() {
        let line = r#"{"_path":"files","ts":1588205521.662286,"fuid":"F1","tx_hosts":["10.0.0.4"],"rx_hosts":["10.0.1.4"],"conn_uids":["C6"],"source":"SMB","is_orig":false,"seen_bytes":22,"total_bytes":22,"md5":"cc85d7649546d3c0b1607f761b73fec2"}"#;
        assert_eq!(
            show(&FORMAT, line),
            "file 2020-04-30T00:12:01.662286Z src.ip=10.0.1.4 dst.ip=10.0.0.4 app=smb uid=C6 file.size=22 \
             md5=cc85d7649546d3c0b1607f761b73fec2 extra={\"fuid\":\"F1\",\"seen_bytes\":22}"
        );
    }
}
