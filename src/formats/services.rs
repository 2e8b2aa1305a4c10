//! Programs that write into syslog with a layout of their own, beside the firewalls: load balancers, mail, names, leases, sensors.
//!
//! A member is a `Service`: whether a message is its, the envelope that it writes itself where no syslog does, and what a message says. The
//! syslog reader asks them all, so a file in which many programs write is read as well as one of a single program.

use super::clock::Stamp;
use super::draft::Draft;
use super::envelope::{self, Envelope};
use super::{Context, Format, Framing, Out, Reader, Sniff, head, syslog};
use super::{auditd, clamav, dhcp_log, dns_log, exim, haproxy, mail_log, snort_fast, web_error};

/// A program that writes into syslog.
pub struct Service {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    /// Whether the message in an envelope is its.
    pub(super) is: fn(&Envelope<'_>) -> bool,
    /// The envelope of a line that it writes into a file of its own.
    pub(super) own: for<'a> fn(&'a str) -> Option<Envelope<'a>>,
    /// The time in a message, if it states one that is better than the envelope's.
    pub(super) stamp: fn(&str) -> Option<Stamp>,
    /// Gives what a message says; a message that says nothing special stays a log record.
    pub(super) read: fn(&Envelope<'_>, &mut Draft, &Context, &mut Out),
}

/// Every member.
static ALL: &[&Service] = &[
    &haproxy::FORMAT,
    &web_error::FORMAT,
    &mail_log::FORMAT,
    &exim::FORMAT,
    &dns_log::FORMAT,
    &dhcp_log::FORMAT,
    &snort_fast::FORMAT,
    &auditd::FORMAT,
    &clamav::FORMAT,
];

/// For members that write into syslog only.
pub(super) fn no_own(_: &str) -> Option<Envelope<'_>> {
    None
}

/// For members whose messages hold no time.
pub(super) fn no_stamp(_: &str) -> Option<Stamp> {
    None
}

impl Service {
    /// The envelope of a line of this service.
    fn open<'a>(&self, line: &'a str, envelope: &Envelope<'a>) -> Option<Envelope<'a>> {
        let envelope = match (self.is)(envelope) {
            true => *envelope,
            false => (self.own)(line)?,
        };
        Some(Envelope { stamp: (self.stamp)(envelope.message).or(envelope.stamp), ..envelope })
    }
}

/// The service that wrote a line, with the line's envelope.
pub(super) fn of<'a>(line: &'a str, envelope: &Envelope<'a>) -> Option<(&'static Service, Envelope<'a>)> {
    ALL.iter().find_map(|s| Some((*s, s.open(line, envelope)?)))
}

impl Format for Service {
    fn name(&self) -> &'static str {
        self.name
    }
    fn doc(&self) -> &'static str {
        self.doc
    }
    fn framing(&self) -> Framing {
        syslog::LINES
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        if head::most(head, 50, |l| self.open(l, &envelope::open(l)).is_some()) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        syslog::reader(context)
    }
}
