//! Any syslog line: BSD (RFC 3164), RFC 5424, or with an ISO date. What its message says is asked of the formats that live in syslog
//! (netfilter, logins); anything else is a log record with host, program and message.
//!
//! The reader is shared by [`netfilter`] and [`auth_log`], which differ in what they recognise. Severity is
//! that of the priority: emergency to critical are critical, error high, warning medium, notice low, the rest info. A line without
//! envelope that is indented or blank of time continues the one before it: it stands at that one's time and is partial.

use super::envelope::{self, Envelope};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit};
use super::{auth_log, cisco_asa, clock, draft::Draft, filterlog, fortigate, head, lift, netfilter, palo_alto, services};
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
        // Those of the list before it.
        let others = super::ALL.iter().take_while(|f| f.name() != "syslog");
        // Lines without a time continue others and do not count against it.
        let (mut stamped, mut found) = (0, 0);
        head::most(head, 0, |l| {
            let envelope = envelope::open(l);
            stamped += usize::from(envelope.found || envelope.stamp.is_some());
            found += usize::from(envelope.found);
            true
        });
        let enough = found > 0 && found * 2 >= stamped && stamped * 5 >= head::lines(head).len();
        if !enough || others.into_iter().any(|f| f.sniff(head) == Sniff::Yes) {
            return Sniff::No;
        }
        Sniff::Yes
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
            return cisco_asa::line(&text, line.len(), unit, &self.context, out);
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
        let service = services::of(&text, &envelope);
        if let Some((_, own)) = service {
            envelope = own;
        } else if !envelope.found && envelope.stamp.is_none() {
            return self.continued(&text, unit, line.len(), out);
        }
        let time = match envelope.time(&self.context, out) {
            Some(time) => Some(time),
            // A relay that adds a priority only: the file's own time is all there is.
            None if envelope.stamp.is_none() => {
                clock::assume(out, TIME_ASSUMED);
                Some(self.last.as_ref().map_or(self.context.modified, |(t, _)| *t))
            }
            None => None,
        };
        let mut d = Draft::timed(Kind::Log, &self.context, unit, line.len(), time, out);
        let Some((service, _)) = service else {
            auth_log::read(&envelope, &mut d);
            return self.finish(d, &envelope, time, out);
        };
        let before = d.record.fields.len();
        (service.read)(&envelope, &mut d, &self.context, out);
        // What a service understood needs no guesses.
        if d.record.fields.len() > before + 1 {
            d.lifts = false;
        }
        self.finish(d, &envelope, time, out)
    }
}

/// The phrase for a line whose time is that of the line before, or of the file.
pub(super) const TIME_ASSUMED: &str = "time assumed";

impl Lines {
    /// Firewalls that write into syslog with a layout of their own.
    fn firewall(&self, envelope: &Envelope<'_>, len: usize, unit: Unit, out: &mut Out) -> Option<Status> {
        let message = envelope.message;
        if filterlog::is(envelope) {
            let time = envelope.time(&self.context, out);
            let mut d = Draft::timed(Kind::Fw, &self.context, unit, len, time, out);
            filterlog::read(message, &mut d);
            fill(&mut d, envelope);
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
            return Some(d.finish(Some(host), out));
        }
        if fortigate::start(message).is_some() {
            let time = fortigate::time(message, &self.context, out).or_else(|| envelope.time(&self.context, out));
            let mut d = Draft::timed(Kind::Log, &self.context, unit, len, time, out);
            let device = fortigate::read(message, &mut d);
            let host = if device.is_empty() { envelope.host } else { device };
            fill(&mut d, &Envelope { host, ..*envelope });
            return Some(d.finish(Some(host), out));
        }
        None
    }

    fn finish(&mut self, mut d: Draft, envelope: &Envelope<'_>, time: Option<Time>, out: &mut Out) -> Status {
        fill(&mut d, envelope);
        if let Some(time) = time {
            match &mut self.last {
                Some((last, host)) if host == envelope.host => *last = time,
                last => *last = Some((time, envelope.host.to_owned())),
            }
        }
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

/// Gives what the envelope says.
pub(super) fn fill(d: &mut Draft, envelope: &Envelope<'_>) {
    d.text(field::HOSTNAME, envelope.host);
    d.text(field::PROCESS, envelope.process);
    if let Some(pid) = envelope.pid {
        d.uint(field::PID, pid);
    }
    if let Some(severity) = envelope.severity() {
        d.uint(field::SEVERITY, severity);
    }
    if matches!(d.record.kind, Kind::Log | Kind::Auth) {
        d.text(field::MESSAGE, envelope.message);
    }
    if d.record.kind == Kind::Log && d.lifts {
        lift::lift(envelope.message, d);
        lift::lift(envelope.data, d);
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
    fn continuation_lines_stand_at_the_time_of_the_line_before() {
        let read = read_all(&FORMAT, "\tlost\nAug 16 00:32:15 air syslogd[314]: Notice:\n\tmodule\n\n");
        assert_eq!(read.counts, [1, 1, 1, 1]);
        assert_eq!(read.records[0].record.start, read.records[1].record.start);
        assert_eq!(read.records[1].record.text(field::MESSAGE), Some("\tmodule"));
    }
}
