//! What does this line, document or object of a log say? One file, one format.
//!
//! A member recognises its format by content (never by name) and turns each unit of it into records with their origin. It does no I/O of
//! its own, never fails on content: a unit is ok, partial, skipped or failed, and the counts reconcile.
//!
//! To add one: write `src/formats/<name>.rs` with a `pub static FORMAT`; add its `pub mod` line and its name to `ALL`; put a sample into
//! `sample-data/formats/<name>.<ext>` and run `cargo test`. What several formats share is marked as such and is not in the list: lines on their own
//! (`each_line`), records over several lines (`blocks`), programs in syslog (`services`), JSON objects by their keys (`keyed`).

pub use choose::{find, recognise};

use crate::model::oddity::Oddity;
use crate::model::origin::EvidenceKey;
use crate::model::record::Record;
use crate::model::time::Time;
use std::io::BufRead;

/// How a file is cut into units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Lines ended by LF or CR LF; a line longer than `max` bytes is an oddity, skipped and counted as failed.
    Lines {
        /// Longest line in bytes.
        max: usize,
    },
    /// One document that the reader streams by itself.
    Document,
}

/// How sure a sniff is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sniff {
    /// Not this format.
    No,
    /// Could be, if nothing says `Yes`.
    Maybe,
    /// It is.
    Yes,
}

/// What became of one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Understood in full.
    Ok,
    /// Understood in part.
    Partial,
    /// Not a record by design: comment, header, blank line.
    Skipped,
    /// Not understood.
    Failed,
}

/// What a reader may know of the file besides its content.
#[derive(Debug, Clone)]
pub struct Context {
    /// The evidence file that records get as origin.
    pub evidence: EvidenceKey,
    /// Sensor name if the content names none: the file's stem.
    pub stem: String,
    /// Zone of times that state none.
    pub zone: Zone,
    /// Year for times without one: the one that puts them nearest before `modified`, unless set.
    pub year: Option<i32>,
    /// How dates like 03/04/2026 are read.
    pub dates: Dates,
    /// Modification time of the file (of a stream: now at import).
    pub modified: Time,
}

/// Where a unit stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unit {
    /// Offset of its first byte in the uncompressed data.
    pub offset: u64,
    /// Line number from 1; 0 in a document.
    pub line: u64,
}

/// One record with the sensor that it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// The record; `source` is filled by ingest from `sensor`.
    pub record: Record,
    /// Sensor that the content names, else `None`: the file's stem.
    pub sensor: Option<String>,
}

/// Where readers put what they read.
#[derive(Debug, Default)]
pub struct Out {
    /// Records in order.
    pub records: Vec<Read>,
    /// Oddities of the unit.
    pub oddities: Vec<Oddity>,
    /// Assumptions made (zone, year), as fixed phrases; reported once per source.
    pub assumed: Vec<&'static str>,
    /// What the sensor says of itself that it missed.
    pub losses: Vec<Loss>,
    /// Where the unit stands; set by [`read`] for lines.
    pub unit: Unit,
}

/// A format: how it is framed and recognised, and a reader.
pub trait Format: Sync {
    /// Its name, kebab-case, equal to the file's stem.
    fn name(&self) -> &'static str;
    /// One sentence for help, with vendor and manual.
    fn doc(&self) -> &'static str;
    /// How it is cut into units.
    fn framing(&self) -> Framing;
    /// Whether the head of a file (up to 64 KiB, maybe cut inside a line) is of this format.
    fn sniff(&self, head: &[u8]) -> Sniff;
    /// The same, whatever others say of it: a general format takes what no special one before it in the list claims, and asks them when it is
    /// sniffed by itself. [`recognise`] asks in order and need not.
    fn looks(&self, head: &[u8]) -> Sniff {
        self.sniff(head)
    }
    /// A reader for one file.
    fn reader(&self, context: &Context) -> Box<dyn Reader>;
}

/// Reads units of one file; keeps header state (Zeek's `#fields`).
pub trait Reader: Send {
    /// Is shown the beginning of the file (up to 64 KiB) before its first line.
    fn begin(&mut self, head: &[u8]) {
        let _ = head;
    }
    /// Reads one line (without its line end). Only called for [`Framing::Lines`].
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status;
    /// Streams a document; calls `each` after every unit so that memory stays bounded and the import can be cancelled (`false`: stop).
    /// Only called for [`Framing::Document`].
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let _ = (input, each);
    }
    /// What was read before, at another time, has been shown: what of it was given at its end is not given again.
    fn go_on(&mut self) {}
    /// The file is over: give back what is pending.
    fn end(&mut self, out: &mut Out) {
        let _ = out;
    }
}

pub mod access_log;
pub mod argus_ra;
pub mod arp_table;
pub mod auditd;
pub mod auth_log;
pub mod azure_flow;
pub mod barracuda_waf;
/// Shared: not a member.
pub mod blocks;
pub mod caddy;
pub mod cef;
pub mod check_point;
/// Shared: not a member.
pub mod choose;
pub mod cisco_asa;
pub mod cisco_ios;
/// Shared: not a member.
pub mod cisco_text;
pub mod cisco_wsa;
pub mod clamav;
/// Shared: not a member.
pub mod clock;
pub mod cloudflare;
pub mod cloudtrail;
pub mod conntrack;
pub mod container_log;
pub mod csv_lines;
/// Shared: not a member.
pub mod dates;
pub mod defender;
pub mod defender_mplog;
pub mod dhcp_leases;
pub mod dhcp_log;
/// Shared: not a member.
pub mod dhcp_text;
pub mod dns_log;
/// Shared: not a member.
pub mod dns_text;
pub mod dnsmasq_leases;
/// Shared: not a member.
pub mod draft;
/// Shared: not a member.
pub mod each_line;
pub mod elastic;
/// Shared: not a member.
pub mod element;
/// Shared: not a member.
pub mod envelope;
pub mod evtx;
pub mod exim;
/// Shared: not a member.
pub mod exports;
pub mod f5_bigip;
pub mod filterlog;
/// Shared: not a member.
pub mod finding;
/// Shared: not a member.
pub mod flow_text;
pub mod fortigate;
pub mod fortiweb;
pub mod gcp_flow;
/// Shared: not a member.
pub mod glossary;
pub mod haproxy;
/// Shared: not a member.
pub mod head;
pub mod hosts_file;
/// Shared: not a member.
pub mod indicator;
/// Shared: not a member.
pub mod indicator_json;
/// Shared: not a member.
pub mod indicator_words;
/// Shared: not a member.
pub mod indicators;
pub mod infoblox;
pub mod inventory_csv;
pub mod inventory_json;
pub mod iprep;
/// Shared: not a member.
pub mod journal;
pub mod journald_export;
pub mod journald_json;
/// Shared: not a member.
pub mod json;
pub mod json_document;
pub mod json_lines;
pub mod juniper_srx;
pub mod kea_leases;
/// Shared: not a member.
pub mod key_value;
/// Shared: not a member.
pub mod keyed;
pub mod kubernetes_audit;
pub mod leef;
/// Shared: not a member.
pub mod lift;
/// Shared: not a member.
pub mod lines;
/// Shared: not a member.
pub mod log_format;
/// Shared: not a member.
pub mod loss;
pub mod mail_log;
/// Shared: not a member.
pub mod mail_text;
pub mod masscan;
pub mod meraki;
/// Shared: not a member.
pub mod message;
pub mod microsoft_365;
pub mod misp;
pub mod misp_warninglist;
/// Shared: not a member.
pub mod moments;
pub mod mysql_audit;
pub mod mysql_error;
pub mod mysql_general;
pub mod mysql_slow;
/// Shared: not a member.
pub mod mysql_text;
/// Shared: not a member.
pub mod named_dates;
pub mod nessus;
pub mod nessus_csv;
pub mod netfilter;
pub mod netflow;
pub mod netscaler;
pub mod nexpose;
pub mod nfdump;
pub mod nfdump_csv;
pub mod nmap_grepable;
pub mod nmap_normal;
pub mod nmap_xml;
pub mod nuclei;
/// Shared: not a member.
pub mod objects;
pub mod openvas_csv;
pub mod openvas_xml;
pub mod otel_logs;
/// Shared: not a member.
pub mod own;
pub mod palo_alto;
/// Shared: not a member.
pub mod palo_alto_rows;
pub mod passive_dns;
pub mod postgres;
pub mod postgres_csv;
pub mod postgres_json;
/// Shared: not a member.
pub mod postgres_text;
pub mod prisma_sdwan;
pub mod pulse_secure;
pub mod qualys_csv;
pub mod qualys_xml;
pub mod qumulo;
pub mod radware;
pub mod reputation_csv;
pub mod reputation_list;
pub mod rsa_securid;
/// Shared: not a member.
pub mod scan_table;
/// Shared: not a member.
pub mod services;
pub mod sflow;
pub mod shell_history;
pub mod silk_rwcut;
pub mod snort_csv;
pub mod snort_fast;
pub mod snort_full;
pub mod snort_json;
pub mod snort_syslog;
/// Shared: not a member.
pub mod snort_text;
pub mod solace;
pub mod sonicwall;
pub mod sophos;
pub mod splunk;
pub mod squid;
pub mod ssh_audit;
pub mod sslscan;
pub mod stix;
pub mod suricata_eve;
/// Shared: not a member.
pub mod suricata_objects;
pub mod syslog;
/// Shared: not a member.
pub mod table;
pub mod testssl;
pub mod testssl_json;
pub mod text_lines;
/// Shared: not a member.
pub mod unwrap;
/// Shared: not a member.
pub mod vendor_names;
/// Shared: not a member.
pub mod vendor_values;
/// Shared: not a member.
pub mod verdict_words;
pub mod vmware_nsx;
pub mod vpc_flow;
/// Shared: not a member.
pub mod w3c_columns;
pub mod w3c_extended;
pub mod watchguard;
pub mod wazuh;
/// Shared: not a member.
pub mod web;
pub mod web_error;
pub mod web_json;
/// Shared: not a member.
pub mod windows;
/// Shared: not a member.
pub mod windows_codes;
pub mod windows_dhcp;
pub mod windows_dns;
pub mod windows_event;
pub mod windows_xml;
pub mod xccdf;
/// Shared: not a member.
pub mod xml;
pub mod zeek;
/// Shared: not a member.
pub mod zeek_map;
/// Shared: not a member.
pub mod zone;
pub mod zone_file;

pub use dates::Dates;
pub use lines::read;
pub use loss::Loss;
pub use zone::Zone;

/// Every format, in the order in which help lists them and in which they are asked: the special before the general.
pub const ALL: &[&dyn Format] = &[
    &suricata_eve::FORMAT,
    &journald_json::FORMAT,
    &caddy::FORMAT,
    &cloudflare::FORMAT,
    &web_json::FORMAT,
    &snort_json::FORMAT,
    &kubernetes_audit::FORMAT,
    &cloudtrail::FORMAT,
    &microsoft_365::FORMAT,
    &passive_dns::FORMAT,
    &postgres_json::FORMAT,
    &otel_logs::FORMAT,
    &zeek::FORMAT,
    &evtx::FORMAT,
    &netflow::FORMAT,
    &sflow::FORMAT,
    &nfdump::FORMAT,
    &nfdump_csv::FORMAT,
    &silk_rwcut::FORMAT,
    &argus_ra::FORMAT,
    &vpc_flow::FORMAT,
    &azure_flow::FORMAT,
    &gcp_flow::FORMAT,
    &wazuh::FORMAT,
    &elastic::FORMAT,
    &splunk::FORMAT,
    &windows_event::FORMAT,
    &windows_xml::FORMAT,
    &netfilter::FORMAT,
    &conntrack::FORMAT,
    &cisco_asa::FORMAT,
    &palo_alto::FORMAT,
    &fortigate::FORMAT,
    &filterlog::FORMAT,
    &access_log::FORMAT,
    &squid::FORMAT,
    &w3c_extended::FORMAT,
    &haproxy::FORMAT,
    &web_error::FORMAT,
    &mail_log::FORMAT,
    &exim::FORMAT,
    &dns_log::FORMAT,
    &windows_dns::FORMAT,
    &dhcp_log::FORMAT,
    &dhcp_leases::FORMAT,
    &kea_leases::FORMAT,
    &dnsmasq_leases::FORMAT,
    &windows_dhcp::FORMAT,
    &journald_export::FORMAT,
    &arp_table::FORMAT,
    &zone_file::FORMAT,
    &hosts_file::FORMAT,
    &container_log::FORMAT,
    &shell_history::FORMAT,
    &postgres::FORMAT,
    &postgres_csv::FORMAT,
    &mysql_error::FORMAT,
    &mysql_general::FORMAT,
    &mysql_slow::FORMAT,
    &mysql_audit::FORMAT,
    &auditd::FORMAT,
    &clamav::FORMAT,
    &defender_mplog::FORMAT,
    &snort_fast::FORMAT,
    &snort_full::FORMAT,
    &snort_csv::FORMAT,
    &auth_log::FORMAT,
    &cef::FORMAT,
    &leef::FORMAT,
    &juniper_srx::FORMAT,
    &check_point::FORMAT,
    &cisco_ios::FORMAT,
    &cisco_wsa::FORMAT,
    &barracuda_waf::FORMAT,
    &f5_bigip::FORMAT,
    &fortiweb::FORMAT,
    &infoblox::FORMAT,
    &meraki::FORMAT,
    &netscaler::FORMAT,
    &pulse_secure::FORMAT,
    &qumulo::FORMAT,
    &radware::FORMAT,
    &rsa_securid::FORMAT,
    &snort_syslog::FORMAT,
    &solace::FORMAT,
    &sonicwall::FORMAT,
    &sophos::FORMAT,
    &watchguard::FORMAT,
    &vmware_nsx::FORMAT,
    &prisma_sdwan::FORMAT,
    &syslog::FORMAT,
    &nmap_xml::FORMAT,
    &nmap_grepable::FORMAT,
    &nmap_normal::FORMAT,
    &masscan::FORMAT,
    &nessus::FORMAT,
    &nessus_csv::FORMAT,
    &openvas_xml::FORMAT,
    &openvas_csv::FORMAT,
    &nexpose::FORMAT,
    &qualys_xml::FORMAT,
    &qualys_csv::FORMAT,
    &nuclei::FORMAT,
    &sslscan::FORMAT,
    &testssl::FORMAT,
    &testssl_json::FORMAT,
    &ssh_audit::FORMAT,
    &defender::FORMAT,
    &xccdf::FORMAT,
    &inventory_csv::FORMAT,
    &inventory_json::FORMAT,
    &misp::FORMAT,
    &misp_warninglist::FORMAT,
    &stix::FORMAT,
    &iprep::FORMAT,
    &reputation_csv::FORMAT,
    &reputation_list::FORMAT,
    &json_lines::FORMAT,
    &json_document::FORMAT,
    &csv_lines::FORMAT,
    &text_lines::FORMAT,
];

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::field;

    /// What a format makes of a text.
    pub(crate) struct All {
        /// Records in order.
        pub records: Vec<Read>,
        /// Oddities, name and place.
        pub oddities: Vec<String>,
        /// Units that were ok, partial, skipped, failed.
        pub counts: [usize; 4],
    }

    impl All {
        /// Records as lines: kind, span, fields, sensor.
        pub(crate) fn shown(&self) -> String {
            self.records.iter().map(|r| line(r) + "\n").collect()
        }
    }

    pub(crate) fn line(read: &Read) -> String {
        let r = &read.record;
        let mut text = format!("{} {}", r.kind, r.start);
        if r.end != r.start {
            text += &format!("..{}", r.end);
        }
        for (id, value) in &r.fields {
            let ty = field::get(*id).map_or(field::Type::Text, |f| f.ty);
            text += &format!(" {}={}", field::name(*id), value.show(ty));
        }
        read.sensor.iter().for_each(|s| text += &format!(" sensor={s}"));
        text
    }

    /// Reads a text of a file `sample` that was modified 2026-11-20T12:00:00Z.
    pub(crate) fn read_all(format: &dyn Format, text: &str) -> All {
        let context = Context {
            evidence: EvidenceKey(1),
            stem: "sample".into(),
            zone: Zone::Fixed(0),
            year: None,
            dates: Dates::default(),
            modified: Time::parse("2026-11-20T12:00:00Z").unwrap(),
        };
        let mut all = All { records: Vec::new(), oddities: Vec::new(), counts: [0; 4] };
        let start = Unit { offset: 0, line: 1 };
        read(&mut text.as_bytes(), format, &context, start, text.as_bytes(), &mut |status, out| {
            all.counts[status as usize] += 1;
            all.records.extend(out.records);
            all.oddities.extend(out.oddities.iter().map(|o| format!("{} {}", o.what, o.place)));
            true
        })
        .unwrap();
        all
    }

    /// The only record of a text.
    pub(crate) fn read_one(format: &dyn Format, text: &str) -> Read {
        let mut all = read_all(format, text);
        assert_eq!(all.records.len(), 1, "{:?}", all.oddities);
        all.records.remove(0)
    }

    /// The only record of a text as a line.
    pub(crate) fn show(format: &dyn Format, text: &str) -> String {
        line(&read_one(format, text))
    }
}
