//! Any syslog line: BSD (RFC 3164), RFC 5424, or with an ISO date. What its message says is asked of the formats that live in syslog: packet
//! filters, firewalls, the layouts of `message`, logins. A message that is a JSON object is read as one; pairs, structured data, titles before colons
//! and leaves of XML give what their names mean (`key_value`, `vendor_values`). Anything else is a log record with host,
//! program and message, and what its words tell.
//!
//! The reader is shared by `netfilter`, `auth_log` and every layout, which differ in what they recognise. Severity is
//! that of the priority, if the message states none: emergency to critical are critical, error high, warning medium, notice low, the rest info. A line without
//! envelope that is indented or blank of time continues the one before it: it stands at that one's time and is partial.

use super::envelope::{self, Envelope};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit};
use super::{
    access_log, auth_log, cisco_asa, clock, draft::Draft, filterlog, fortigate, head, key_value, lift, message, netfilter,
    palo_alto, services, text_lines, unwrap, verdict_words,
};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::Time;

/// The format.
pub static FORMAT: Syslog = Syslog;

/// Syslog.
pub struct Syslog;

impl Format for Syslog {
    fn name(&self) -> &'static str {
        "syslog"
    }
    fn doc(&self) -> &'static str {
        "Syslog lines of any program, RFC 3164, RFC 5424 or with ISO dates."
    }
    fn framing(&self) -> Framing {
        LINES
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        super::choose::unclaimed(self, Sniff::Yes, head)
    }
    fn looks(&self, head: &[u8]) -> Sniff {
        // Lines without a time continue others and do not count against it.
        let (mut stamped, mut found) = (0, 0);
        head::most(head, 0, |l| {
            let envelope = envelope::open(l);
            stamped += usize::from(envelope.found || envelope.stamp.is_some());
            found += usize::from(envelope.found);
            true
        });
        let enough = found > 0 && found * 2 >= stamped && stamped * 5 >= head::lines(head).len();
        if enough { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        reader(context)
    }
}

/// How the formats that live in syslog are framed.
pub(super) const LINES: Framing = Framing::Lines { max: 256 << 10 };

/// The reader of syslog lines.
pub(super) fn reader(context: &Context) -> Box<dyn Reader> {
    Box::new(Lines { context: context.clone(), last: None })
}

struct Lines {
    context: Context,
    /// Time and host of the last line that had them.
    last: Option<(Time, String)>,
}

impl Reader for Lines {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        if line.trim_ascii().is_empty() {
            return Status::Skipped;
        }
        let text = String::from_utf8_lossy(line);
        if cisco_asa::is(&text) {
            let (status, time, host) = cisco_asa::line(&text, line.len(), unit, &self.context, out);
            self.remember(time, host);
            return status;
        }
        let mut envelope = envelope::open(&text);
        if netfilter::is(&text) {
            envelope = envelope::host_of(&envelope);
            let time = envelope.time(&self.context, out);
            let mut d = Draft::timed(Kind::Fw, &self.context, unit, line.len(), time, out);
            envelope = netfilter::read(envelope, &mut d);
            return self.finish(d, &envelope, time, out);
        }
        if let Some(status) = self.firewall(&envelope, line.len(), unit, out) {
            return status;
        }
        if let Some(layout) = message::of(&envelope) {
            return self.layout(layout, &envelope, line.len(), unit, out);
        }
        let service = services::of(&text, &envelope);
        if let Some((_, own)) = service {
            envelope = own;
        } else if let Some(status) = self.object(&envelope, line.len(), unit, out) {
            return status;
        } else if !envelope.found && envelope.stamp.is_none() {
            return self.continued(&text, unit, line.len(), out);
        }
        // A relay that adds a priority only: the file's own time is all there is.
        let time = self.time(&envelope, out);
        let mut d = Draft::timed(Kind::Log, &self.context, unit, line.len(), time, out);
        if let Some((service, _)) = service {
            let before = d.record.fields.len();
            (service.read)(&envelope, &mut d, &self.context, out);
            // What a service understood needs no guesses.
            if d.record.fields.len() > before + 1 {
                d.lifts = false;
            } else if d.record.kind == Kind::Log {
                key_value::read(envelope.message, envelope.data, &mut d);
            }
        } else if let Some(parts) = access_log::parse(envelope.message).filter(|p| access_log::request(p.request).is_some()) {
            // A web server that writes its access log into syslog, beside others.
            if let Some(at) = parts.stamp.time(&self.context, out) {
                (d.record.start, d.record.end) = (at, at);
            }
            d.record.kind = Kind::Http;
            parts.fill(&mut d);
            d.lifts = false;
        } else {
            auth_log::read(&envelope, &mut d);
            if d.record.kind == Kind::Log {
                key_value::read(envelope.message, envelope.data, &mut d);
            }
        }
        self.finish(d, &envelope, time, out)
    }
}

/// The phrase for a line whose time is that of the line before, or of the file.
pub(super) const TIME_ASSUMED: &str = "time assumed";

impl Lines {
    /// Firewalls that write into syslog with a layout of their own.
    fn firewall(&mut self, envelope: &Envelope<'_>, len: usize, unit: Unit, out: &mut Out) -> Option<Status> {
        let message = envelope.message;
        if filterlog::is(envelope) {
            let time = envelope.time(&self.context, out);
            let mut d = Draft::timed(Kind::Fw, &self.context, unit, len, time, out);
            filterlog::read(message, &mut d);
            fill(&mut d, envelope);
            self.remember(time, envelope.host);
            return Some(d.finish(Some(envelope.host), out));
        }
        if let Some(at) = palo_alto::start(message) {
            let row = palo_alto::Row::parse(&message[at..]);
            let time = row.time(&self.context, out).or_else(|| envelope.time(&self.context, out));
            let mut d = Draft::timed(Kind::Log, &self.context, unit, len, time, out);
            let device = row.fill(&mut d, &self.context, out);
            // What stands before the row is the host that wrote it.
            let before = message[..at].trim_matches([' ', ':', '-']);
            let host = [envelope.host, before, device].into_iter().find(|h| !h.is_empty()).unwrap_or("");
            fill(&mut d, &Envelope { host, ..*envelope });
            self.remember(time, host);
            return Some(d.finish(Some(host), out));
        }
        if fortigate::start(message).is_some() {
            let time = fortigate::time(message, &self.context, out).or_else(|| envelope.time(&self.context, out));
            let mut d = Draft::timed(Kind::Log, &self.context, unit, len, time, out);
            let device = fortigate::read(message, &mut d);
            let host = if device.is_empty() { envelope.host } else { device };
            fill(&mut d, &Envelope { host, ..*envelope });
            self.remember(time, host);
            return Some(d.finish(Some(host), out));
        }
        None
    }

    /// A message of a device's own layout.
    fn layout(&mut self, layout: &message::Layout, envelope: &Envelope<'_>, len: usize, unit: Unit, out: &mut Out) -> Status {
        let mut d = Draft::new(Kind::Log, &self.context, unit, len, self.context.modified);
        let said = (layout.read)(envelope, &mut d, &self.context, out);
        let time = said.time.or_else(|| self.time(envelope, out));
        match time {
            Some(time) => said.set(time, &mut d),
            None => {
                d.partial = true;
                out.oddities.push(Oddity::new("time_missing"));
            }
        }
        let host = if said.host.is_empty() { envelope.host } else { said.host };
        self.remember(time, host);
        let data = if said.parameters { "" } else { envelope.data };
        enclose(&mut d, &Envelope { host, data, ..*envelope });
        d.finish(Some(host), out)
    }

    /// A message that is a JSON object, maybe after a word or two: read by its own format, else by its names.
    fn object(&mut self, envelope: &Envelope<'_>, len: usize, unit: Unit, out: &mut Out) -> Option<Status> {
        let (before, object) = unwrap::object_in(envelope.message)?;
        // Without an envelope the object's own time is all there is.
        let enclosed = envelope.found || envelope.stamp.is_some();
        let time = if enclosed { self.time(envelope, out) } else { None };
        let around = unwrap::Around { envelope, before, time };
        let (records, oddities) = (out.records.len(), out.oddities.len());
        let status = unwrap::carried(&object, &around, &self.context, unit, len, out);
        // A record without a time stands at the file's: nothing may follow it there.
        let timed = !out.oddities.iter().skip(oddities).any(|o| o.what == "time_missing");
        if let Some(read) = out.records.iter().skip(records).last().filter(|_| timed) {
            self.remember(Some(read.record.start), read.sensor.as_deref().unwrap_or(envelope.host));
        }
        Some(status)
    }

    /// Keeps when and where the record of a line was, for what continues it.
    fn remember(&mut self, time: Option<Time>, host: &str) {
        if let Some(time) = time {
            match &mut self.last {
                Some((last, known)) if known == host => *last = time,
                last => *last = Some((time, host.to_owned())),
            }
        }
    }

    /// The envelope's time; if it states none, that of the line before, or the file's.
    fn time(&self, envelope: &Envelope<'_>, out: &mut Out) -> Option<Time> {
        if envelope.stamp.is_some() {
            return envelope.time(&self.context, out);
        }
        // A relay that adds no time: the message may state its own.
        if let Some(own) = inside(envelope).and_then(|s| s.time(&self.context, out)) {
            return Some(own);
        }
        clock::assume(out, TIME_ASSUMED);
        Some(self.last.as_ref().map_or(self.context.modified, |(t, _)| *t))
    }

    fn finish(&mut self, mut d: Draft, envelope: &Envelope<'_>, time: Option<Time>, out: &mut Out) -> Status {
        fill(&mut d, envelope);
        self.remember(time, envelope.host);
        d.finish(Some(envelope.host), out)
    }

    fn continued(&self, text: &str, unit: Unit, len: usize, out: &mut Out) -> Status {
        let Some((time, host)) = &self.last else {
            out.oddities.push(Oddity::at("time_missing", format!("line {}", unit.line)));
            return Status::Failed;
        };
        let mut d = Draft::new(Kind::Log, &self.context, unit, len, *time);
        d.partial = true;
        clock::assume(out, TIME_ASSUMED);
        d.text(field::HOSTNAME, host);
        d.text(field::MESSAGE, text.trim_end());
        d.finish(Some(host), out)
    }
}

/// Gives what the envelope says, and what a free message tells.
pub(super) fn fill(d: &mut Draft, envelope: &Envelope<'_>) {
    if matches!(d.record.kind, Kind::Log | Kind::Auth) {
        d.text(field::MESSAGE, envelope.message);
    }
    if d.record.kind == Kind::Log && d.lifts {
        lift::lift(envelope.message, d);
        lift::lift(envelope.data, d);
        decide(envelope.message, d);
    }
    enclose(d, envelope);
}

/// The first date with its year in a message or the structured data before it.
fn inside(envelope: &Envelope<'_>) -> Option<clock::Stamp> {
    [envelope.message, envelope.data].into_iter().find_map(|text| match text_lines::stamp(text)?.0 {
        text_lines::Start::Stamp(stamp) => Some(stamp).filter(|s| s.year.is_some()),
        text_lines::Start::Epoch(_) => None,
    })
}

/// Gives what a free message says was done: of a login, or of a packet between two addresses. A word of the source that means none of ours
/// yields to a login.
pub(super) fn decide(message: &str, d: &mut Draft) {
    let own = d.record.text(field::ACTION).map(str::to_owned);
    if d.record.kind != Kind::Log || own.as_deref().and_then(verdict_words::known).is_some_and(|a| a != "start") {
        return;
    }
    let who = d.has(field::USER) || d.has(field::SRC_IP);
    if who && let Some(action) = verdict_words::phrase(message) {
        d.record.kind = Kind::Auth;
        d.record.fields.retain(|(id, _)| *id != field::ACTION);
        d.text(field::ACTION, action);
        d.keep("action", own.as_deref().unwrap_or(""));
    } else if own.is_none()
        && d.has(field::SRC_IP)
        && [field::DST_IP, field::SRC_PORT, field::DST_PORT, field::SHA256, field::MD5].iter().any(|id| d.has(*id))
    {
        d.text(field::ACTION, verdict_words::decision(message).unwrap_or(""));
    }
}

/// Gives what the envelope says.
fn enclose(d: &mut Draft, envelope: &Envelope<'_>) {
    d.text(field::HOSTNAME, envelope.host);
    d.text(field::PROCESS, envelope.process);
    if let Some(pid) = envelope.pid {
        d.uint(field::PID, pid);
    }
    if let Some(severity) = envelope.severity() {
        d.uint(field::SEVERITY, severity);
    }
    d.keep("syslog.id", envelope.id);
    d.keep("syslog.data", envelope.data);
    if let Some(priority) = envelope.priority {
        d.keep_json("syslog.facility", &(priority / 8).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};

    #[test]
    fn a_line_of_any_program_is_a_log_record() {
        assert_eq!(
            show(&FORMAT, "<34>1 2003-10-11T22:14:15.003Z gw.example.com su - ID47 [x@1 a=\"b\"] hello"),
            "log 2003-10-11T22:14:15.003Z severity=critical hostname=gw.example.com process=su message=hello \
             extra={\"syslog.id\":\"ID47\",\"syslog.data\":\"[x@1 a=\\\"b\\\"]\",\"syslog.facility\":4} sensor=gw.example.com"
        );
    }

    #[test]
    fn pairs_parameters_objects_and_sentences_of_any_device_are_understood() {
        for (line, want) in [
            (
                "<134>Nov 20 08:12:01 fw1 app: acl_action=\"DENY\" src_ip=\"192.0.2.1\" src_port=\"4312\" dest_ip=\"198.51.100.7\" dest_port=\"22\" acl_protocol=\"tcp\" rule_id=\"7\"",
                "fw 2026-11-20T08:12:01Z src.ip=192.0.2.1 src.port=4312 dst.ip=198.51.100.7 dst.port=22 proto=tcp severity=info action=deny rule=7 hostname=fw1 process=app",
            ),
            (
                "<134>1 2026-11-20T08:12:01Z idp1 app 7 ID1 [a@1 UserHostAddress=\"192.0.2.1\" UserName=\"joe\" Event=\"Login\" Result=\"Failed\"] x",
                "auth 2026-11-20T08:12:01Z src.ip=192.0.2.1 severity=info action=login_fail user=joe hostname=idp1 process=app pid=7 message=x",
            ),
            (
                "<134>Nov 20 08:12:01 api1 audit {\"username\":\"joe\",\"client_ip\":\"192.0.2.1\",\"description\":\"Failed login\",\"nested\":{\"dst_port\":443}}",
                "auth 2026-11-20T08:12:01Z src.ip=192.0.2.1 dst.port=443 severity=info action=login_fail user=joe hostname=api1 process=audit",
            ),
            (
                "<134>Nov 20 08:12:01 fp1 SFIMS: Protocol: TCP, SrcIP: 192.0.2.1, OriginalClientIP: ::, DstIP: 198.51.100.7, SrcPort: 47097, DstPort: 443, AccessControlRuleName: a, b, AccessControlRuleAction: Block with reset",
                "fw 2026-11-20T08:12:01Z src.ip=192.0.2.1 src.port=47097 dst.ip=198.51.100.7 dst.port=443 proto=tcp severity=info action=reset rule=a, b hostname=fp1",
            ),
            (
                "<134>Nov 20 08:12:01 epo1 fwd: <E><IPAddress>192.0.2.1</IPAddress><UserName>joe</UserName><ThreatName>EICAR</ThreatName></E>",
                "alert 2026-11-20T08:12:01Z src.ip=192.0.2.1 signature=EICAR severity=info user=joe hostname=epo1",
            ),
            (
                "<134>Nov 20 08:12:01 sw1 Security: SSH login denied for joe from 192.0.2.1 to 198.51.100.7",
                "auth 2026-11-20T08:12:01Z src.ip=192.0.2.1 dst.ip=198.51.100.7 severity=info action=login_fail hostname=sw1 process=Security",
            ),
            (
                "<134>Nov 20 08:12:01 ups1 x: took=5 size=7 src=eth0 action=none",
                "log 2026-11-20T08:12:01Z severity=info hostname=ups1 process=x message=took=5 size=7 src=eth0 action=none",
            ),
        ] {
            let shown = show(&FORMAT, line);
            assert!(shown.starts_with(want), "{shown}");
        }
    }

    #[test]
    fn continuation_lines_stand_at_the_time_of_the_line_before() {
        let read = read_all(&FORMAT, "\tlost\nAug 16 00:32:15 air syslogd[314]: Notice:\n\tmodule\n\n");
        assert_eq!(read.counts, [1, 1, 1, 1]);
        assert_eq!(read.records[0].record.start, read.records[1].record.start);
        assert_eq!(read.records[1].record.text(field::MESSAGE), Some("\tmodule"));
    }

    #[test]
    fn continuation_lines_have_host_and_time_of_whatever_is_before() {
        for line in [
            "snort[321]: [1:2:3] x [Priority: 2] {UDP} 192.0.2.10:1029 -> 198.51.100.3:53",
            "audit {\"client_ip\":\"192.0.2.1\",\"description\":\"x\"}",
            "%ASA-4-106023: Deny tcp src outside:203.0.113.9/4000 dst inside:192.0.2.1/22 by access-group \"x\"",
            "filterlog[1]: 5,,,1000000103,em0,match,block,in,4,0x0,,64,1,0,DF,6,tcp,60,192.0.2.1,198.51.100.3,4000,22,0,S,1,,64,,",
            "date=2026-11-20 time=08:12:05 devname=\"b\" logid=\"0000000013\" type=\"traffic\" subtype=\"forward\" srcip=192.0.2.1 action=\"deny\"",
        ] {
            let read = read_all(&FORMAT, &format!("Nov 20 08:00:00 a x: one\n<134>Nov 20 08:12:05 b {line}\n\tmore\n"));
            let told = read.records.last().map(|r| (r.sensor.as_deref(), r.record.start.to_string()));
            assert_eq!(told, Some((Some("b"), "2026-11-20T08:12:05Z".to_owned())), "{line}");
        }
    }
}
