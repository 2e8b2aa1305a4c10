//! masscan's list and JSON outputs (masscan manual, `-oL`, `-oJ`, `-oD`). Its XML is read as Nmap's.
//!
//! A unit is a line or a port of an object; each port is an inventory record with its state, each banner one with its text; the action is `found`, the scanned host
//! `dst.ip`. A record stands at the second that masscan states (epoch). JSON is read with commas missing, in a line of their own or before the end,
//! as several versions write it, and with the `{finished: 1}` of old ones.

use super::draft::Draft;
use super::objects::{Found, Objects};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, head, json, objects};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::Time;
use std::io::{BufRead, Read};

/// The format.
pub static FORMAT: Masscan = Masscan;

/// masscan.
pub struct Masscan;

/// Longest line of a list.
const LINE_MAX: u64 = 64 << 10;
/// Most ports of one object.
const PORTS_MAX: usize = 70_000;

impl Format for Masscan {
    fn name(&self) -> &'static str {
        "masscan"
    }
    fn doc(&self) -> &'static str {
        "masscan list and JSON output: open ports and banners (masscan manual, -oL, -oJ, -oD)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let object =
            json::has_keys(head, &["ip", "timestamp", "ports"]) || json::has_keys(head, &["ip", "timestamp", "rec_type"]);
        let listed = head::lines(head)
            .iter()
            .find(|l| !l.starts_with(b"#"))
            .is_some_and(|l| std::str::from_utf8(l).is_ok_and(|l| line(l).is_some()));
        if listed || object && head::plain(head).iter().take(512).any(|b| *b == b'{') { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Scan { context: context.clone() })
    }
}

struct Scan {
    context: Context,
}

/// A line of a list: state or `banner`, protocol, port, address, second, and of a banner its service and text.
fn line(text: &str) -> Option<(&str, &str, &str, &str, Time, &str)> {
    let mut words = text.splitn(6, ' ');
    let (state, proto, port, ip, at) = (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    let known = matches!(state, "open" | "closed" | "banner" | "filtered" | "arp");
    port.parse::<u16>().ok()?;
    super::draft::address(ip)?;
    known.then_some((state, proto, port, ip, Time::parse_epoch(at)?, words.next().unwrap_or("")))
}

impl Reader for Scan {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let first = input.fill_buf().map(|b| head::plain(b).trim_ascii_start().first().copied());
        match first {
            Ok(Some(b'[' | b'{')) => self.objects(input, each),
            _ => self.list(input, each),
        }
    }
}

impl Scan {
    fn list(&self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let (mut at, mut bytes) = (0u64, Vec::new());
        loop {
            bytes.clear();
            let used = (&mut *input).take(LINE_MAX).read_until(b'\n', &mut bytes).unwrap_or(0);
            if used == 0 {
                return;
            }
            let unit = Unit { offset: at, line: 0 };
            at += used as u64;
            let text = String::from_utf8_lossy(head::plain(&bytes));
            let text = text.trim_end();
            let mut out = Out { unit, ..Out::default() };
            let status = match line(text) {
                _ if text.is_empty() || text.starts_with('#') => Status::Skipped,
                Some((state, proto, port, ip, time, rest)) => {
                    let mut d = self.draft(unit, text.len(), ip, Some(time), &mut out);
                    place(&mut d, port, proto);
                    match state {
                        "banner" => banner(
                            &mut d,
                            rest.split_once(' ').map_or(rest, |(s, _)| s),
                            rest.split_once(' ').map_or("", |(_, t)| t),
                        ),
                        _ => _ = d.text(field::PORT_STATE, state),
                    }
                    d.finish(None, &mut out)
                }
                None => {
                    out.oddities.push(Oddity::at("masscan_line_malformed", format!("byte {}", unit.offset)));
                    Status::Failed
                }
            };
            if !each(status, out) {
                return;
            }
        }
    }

    fn draft(&self, unit: Unit, len: usize, ip: &str, at: Option<Time>, out: &mut Out) -> Draft {
        let mut d = Draft::timed(Kind::Inventory, &self.context, unit, len, at, out);
        d.put_or_keep(field::DST_IP, "ip", ip);
        d.partial |= !d.has(field::DST_IP);
        d.text(field::ACTION, "found");
        d
    }

    fn objects(&self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let mut objects = Objects::new(input, &[]);
        loop {
            let goes_on = match objects.next() {
                Found::Object(text, offset) => self.object(&text, offset, each),
                Found::Bad(what, offset) => {
                    let oddities = vec![Oddity::at(what, format!("byte {offset}"))];
                    each(Status::Failed, Out { oddities, unit: Unit { offset, line: 0 }, ..Out::default() })
                }
                Found::Over => return,
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Gives each port out by itself: an object may have a great many. `false`: the import is cancelled.
    fn object(&self, text: &str, offset: u64, each: &mut dyn FnMut(Status, Out) -> bool) -> bool {
        let whole = Unit { offset, line: 0 };
        let mut out = Out { unit: whole, ..Out::default() };
        let Some(members) = json::object(text) else {
            let status = match text.trim_matches(['{', '}', ' ']).starts_with("finished") {
                true => Status::Skipped,
                false => objects::malformed(whole, &mut out),
            };
            return each(status, out);
        };
        let time = Time::parse_epoch(&json::text_at(&members, &["timestamp"]));
        let ip = json::text_at(&members, &["ip"]);
        // `-oD`: one port an object.
        let ports: Vec<&str> = match json::member(&members, "ports") {
            Some(ports) => json::elements(ports).into_iter().map(|p| p.get()).collect(),
            None => vec![text],
        };
        if ports.is_empty() {
            return each(Status::Ok, out);
        }
        if ports.len() > PORTS_MAX {
            out.oddities.push(Oddity::at("masscan_ports_left_out", format!("{} ports, byte {offset}", ports.len())));
            if !each(Status::Partial, out) {
                return false;
            }
        }
        // The only port of an object, which is the rule, has the place of the object; of several each has its own.
        let alone = ports.len() == 1;
        for port in ports.into_iter().take(PORTS_MAX) {
            let inside = (port.as_ptr() as usize).saturating_sub(text.as_ptr() as usize).min(text.len());
            let (unit, len) = match alone {
                true => (whole, text.len()),
                false => (Unit { offset: offset + inside as u64, line: 0 }, port.len()),
            };
            let mut out = Out { unit, ..Out::default() };
            let d = self.draft(unit, len, &ip, time, &mut out);
            let status = self.port(port, d, &mut out);
            if !each(status, out) {
                return false;
            }
        }
        true
    }

    fn port(&self, text: &str, mut d: Draft, out: &mut Out) -> Status {
        let Some(port) = json::object(text) else {
            d.partial = true;
            d.keep("port", text);
            return d.finish(None, out);
        };
        let of = |path: &[&str]| json::text_at(&port, path);
        place(&mut d, &of(&["port"]), &of(&["proto"]));
        let state = [of(&["status"]), of(&["data", "status"])].into_iter().find(|s| !s.is_empty()).unwrap_or_default();
        d.text(field::PORT_STATE, &state);
        for (key, path) in [("reason", "reason"), ("ttl", "ttl")] {
            let said = [of(&[path]), of(&["data", path])].into_iter().find(|s| !s.is_empty()).unwrap_or_default();
            match key {
                "reason" => _ = d.text(field::REASON, &said),
                _ => d.keep(key, &said),
            }
        }
        let service = [of(&["service", "name"]), of(&["data", "service_name"])].into_iter().find(|s| !s.is_empty());
        let greeting = [of(&["service", "banner"]), of(&["data", "banner"])].into_iter().find(|s| !s.is_empty());
        banner(&mut d, &service.unwrap_or_default(), &greeting.unwrap_or_default());
        d.finish(None, out)
    }
}

fn place(d: &mut Draft, port: &str, proto: &str) {
    d.put_or_keep(field::DST_PORT, "port", port);
    d.put_or_keep(field::PROTO, "proto", proto);
}

/// A banner; some services name what was read, not what serves (`title`, `X509`).
fn banner(d: &mut Draft, service: &str, text: &str) {
    match service {
        "title" | "http.server" => _ = d.text(field::APP, "http"),
        "X509" | "ssl" => {
            d.text(field::APP, "tls");
        }
        other => _ = d.text(field::APP, &other.to_lowercase()),
    }
    d.keep("banner.of", service);
    d.text(field::BANNER, text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn lists_are_read() {
        let read = read_all(
            &FORMAT,
            "#masscan\nopen tcp 80 192.0.2.7 1763625600\nbanner tcp 22 192.0.2.7 1763625601 ssh SSH-2.0-OpenSSH_8.2\nrubbish\n# end\n",
        );
        assert_eq!(read.counts, [2, 0, 2, 1]);
        assert_eq!(
            read.shown(),
            "inventory 2025-11-20T08:00:00Z dst.ip=192.0.2.7 dst.port=80 proto=tcp action=found port.state=open\n\
             inventory 2025-11-20T08:00:01Z dst.ip=192.0.2.7 dst.port=22 proto=tcp app=ssh action=found banner=SSH-2.0-OpenSSH_8.2 extra={\"banner.of\":\"ssh\"}\n"
        );
    }

    #[test]
    fn json_is_read_however_its_commas_stand() {
        let one = r#"{ "ip": "192.0.2.7",   "timestamp": "1763625600", "ports": [ {"port": 80, "proto": "tcp", "status": "open", "reason": "syn-ack", "ttl": 64} ] }"#;
        let want = "inventory 2025-11-20T08:00:00Z dst.ip=192.0.2.7 dst.port=80 proto=tcp action=found reason=syn-ack port.state=open extra={\"ttl\":\"64\"}\n";
        for text in [
            format!("[\n{one}\n,\n{one}\n]\n"),
            format!("[\n{one},\n{one},\n]\n"),
            format!("{one},\n{one},\n{{finished: 1}}\n"),
            format!("{one}\n{one}\n"),
        ] {
            assert_eq!(FORMAT.sniff(text.as_bytes()), Sniff::Yes, "{text}");
            let read = read_all(&FORMAT, &text);
            assert_eq!((read.shown(), read.oddities.len()), (want.repeat(2), 0), "{text}");
        }
        let two = r#"{"ip":"192.0.2.7","timestamp":"1763625600","ports":[{"port":80,"proto":"tcp"},{"port":81,"proto":"tcp"}]}"#;
        let read = read_all(&FORMAT, two);
        let places = read.records.iter().map(|r| (r.record.id.offset, r.record.id.ordinal)).collect::<Vec<_>>();
        assert_eq!((read.counts, places), ([2, 0, 0, 0], vec![(52, 0), (78, 0)]));
        let lines = r#"{"ip":"192.0.2.7","timestamp":"1763625600","port":22,"proto":"tcp","rec_type":"banner","data":{"service_name":"ssh","banner":"SSH-2.0-x"}}"#;
        assert!(read_all(&FORMAT, lines).shown().contains("app=ssh action=found banner=SSH-2.0-x"));
    }
}
