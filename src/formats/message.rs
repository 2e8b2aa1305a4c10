//! Layouts of messages that devices write into syslog, one file each: how one is known by its content, and what it says.
//!
//! `ALL` is asked by `syslog` for every line, in order; a file in which most lines are of one layout is of that format. To add one: its file
//! with a `pub static FORMAT: Layout`, its line in `ALL` here and in `super::ALL`.

use super::envelope::Envelope;
use super::{Context, Format, Framing, Out, Reader, Sniff, draft::Draft, head, syslog};
use crate::model::time::Time;

/// Every layout, the special before the general.
pub(super) const ALL: &[&Layout] = &[
    &super::cef::FORMAT,
    &super::leef::FORMAT,
    &super::juniper_srx::FORMAT,
    &super::check_point::FORMAT,
    &super::cisco_ios::FORMAT,
    &super::cisco_wsa::FORMAT,
    &super::barracuda_waf::FORMAT,
    &super::f5_bigip::FORMAT,
    &super::fortiweb::FORMAT,
    &super::infoblox::FORMAT,
    &super::meraki::FORMAT,
    &super::netscaler::FORMAT,
    &super::prisma_sdwan::FORMAT,
    &super::pulse_secure::FORMAT,
    &super::qumulo::FORMAT,
    &super::radware::FORMAT,
    &super::rsa_securid::FORMAT,
    &super::snort_syslog::FORMAT,
    &super::solace::FORMAT,
    &super::sonicwall::FORMAT,
    &super::sophos::FORMAT,
    &super::vmware_nsx::FORMAT,
    &super::watchguard::FORMAT,
];

/// A layout of messages in syslog, which is a format too.
pub struct Layout {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    /// Whether a message, in whatever envelope, is of this layout.
    pub(super) is: fn(&Envelope<'_>) -> bool,
    /// Gives what a message for which `is` holds says.
    pub(super) read: for<'a> fn(&Envelope<'a>, &mut Draft, &Context, &mut Out) -> Said<'a>,
}

/// What a message says of its record beside fields.
#[derive(Debug, Default)]
pub(super) struct Said<'a> {
    /// When it was; none: the envelope's time.
    pub time: Option<Time>,
    /// When it ended, if it lasted.
    pub end: Option<Time>,
    /// Nanoseconds that it had lasted when it was written: it began so long before its time.
    pub lasted: Option<u64>,
    /// Device that wrote it; empty: the envelope's host.
    pub host: &'a str,
    /// What the envelope's structured data holds is in the record's fields.
    pub parameters: bool,
}

impl Format for Layout {
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
        if head::most(head, 50, |l| (self.is)(&super::envelope::open(l))) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        syslog::reader(context)
    }
}

/// The layout of a message.
pub(super) fn of(envelope: &Envelope<'_>) -> Option<&'static Layout> {
    ALL.iter().copied().find(|l| (l.is)(envelope))
}

impl Said<'_> {
    /// Sets when the record was.
    pub fn set(&self, time: Time, d: &mut Draft) {
        (d.record.start, d.record.end) = (time, time);
        if let Some(nanos) = self.lasted {
            d.record.start = time.plus(-i64::try_from(nanos).unwrap_or(0));
        }
        // Longer than a month is no duration but a mistake.
        if let Some(end) = self.end.filter(|end| (0..2_678_400_000_000_000).contains(&end.since(time))) {
            d.record.end = end;
        }
    }
}
