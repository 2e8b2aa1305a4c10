//! What Windows events mean, however they were rendered (JSON, XML, binary): names of event data become fields by their names, and
//! provider and number say what kind of record it is (Microsoft's audit events; Sysmon's manual, "Events").
//!
//! Knows no rendering. A user is the bare account name, so that it meets the same account elsewhere: its domain stays in `extra`. Sysmon's
//! `UtcTime` is stamped by the driver and everything else by the event log: they are two clocks, so two sensors.

use super::draft::{self, Draft};
use super::windows_codes as codes;
use super::{Context, Out, Unit, clock, lift};
use crate::model::field::{self, FieldId};
use crate::model::record::Kind;
use crate::model::time::Time;
use crate::model::value::Value;
use std::borrow::Cow;

/// One named value of an event.
pub(super) struct Datum<'a> {
    pub name: Cow<'a, str>,
    pub text: Cow<'a, str>,
    /// The text is JSON, an object or an array.
    pub nested: bool,
}

/// An event without its rendering.
#[derive(Default)]
pub(super) struct Event<'a> {
    /// Event id in decimals.
    pub code: Cow<'a, str>,
    pub provider: Cow<'a, str>,
    pub channel: Cow<'a, str>,
    pub host: Cow<'a, str>,
    /// When the event log wrote it.
    pub time: Option<Time>,
    /// Word or number of its level.
    pub level: Cow<'a, str>,
    /// It is an audit of a failure.
    pub failed: bool,
    /// Text as rendered on the host; empty if it was not.
    pub message: Cow<'a, str>,
    pub data: Vec<Datum<'a>>,
}

impl Event<'_> {
    fn datum(&self, name: &str) -> &str {
        let datum = self.data.iter().find(|d| d.name.eq_ignore_ascii_case(name)).map_or("", |d| &*d.text);
        stated(datum)
    }
    fn is_sysmon(&self) -> bool {
        self.channel.contains("Sysmon") || self.provider.contains("Sysmon")
    }
    /// Host and clock: `HOST/sysmon` with `UtcTime`, else `HOST/` and the channel.
    fn sensor(&self, utc: bool) -> Option<String> {
        let channel = match (self.is_sysmon(), utc) {
            (true, true) => "sysmon".to_owned(),
            (true, false) => "sysmon-logged".to_owned(),
            (false, _) => {
                let name = if self.channel.is_empty() { &self.provider } else { &self.channel };
                let name = name.strip_prefix("Microsoft-Windows-").unwrap_or(name);
                name.strip_suffix("/Operational").unwrap_or(name).to_ascii_lowercase().replace([' ', '/'], "-")
            }
        };
        (!self.host.is_empty())
            .then(|| if channel.is_empty() { self.host.to_string() } else { format!("{}/{channel}", self.host) })
    }
    /// Makes the record; gives it with its sensor.
    pub fn draft(&self, context: &Context, unit: Unit, len: usize, out: &mut Out) -> (Draft, Option<String>) {
        let utc = if self.is_sysmon() { utc(self.datum("UtcTime"), context, out) } else { None };
        let meaning = codes::meaning(self.is_sysmon(), &self.code);
        let mut d = Draft::timed(meaning.kind, context, unit, len, utc.or(self.time), out);
        self.fill(meaning, utc.is_some(), &mut d);
        (d, self.sensor(utc.is_some()))
    }

    fn fill(&self, meaning: codes::Meaning, utc: bool, d: &mut Draft) {
        d.text(field::EVENT_CODE, &self.code);
        d.text(field::HOSTNAME, &self.host);
        // The driver's clock gave the record's time: the event log's own stays beside it.
        if let (true, Some(time)) = (utc, self.time) {
            d.keep("TimeCreated", &time.to_string());
        }
        d.keep("provider", &self.provider);
        d.keep("channel", &self.channel);
        if let Some(rank) = codes::level(&self.level) {
            d.uint(field::SEVERITY, rank);
        }
        let result = ["Status", "FailureCode", "ResultCode"].iter().map(|n| self.datum(n)).find(|t| !t.is_empty()).unwrap_or("");
        d.text(field::ACTION, meaning.action_of(result, self.failed));
        self.user(meaning.target, d);
        self.login(d, meaning.kind);
        let command = COMMANDS.iter().map(|n| self.datum(n)).find(|t| !t.is_empty()).unwrap_or("");
        match command.is_empty() {
            true => _ = d.text(field::MESSAGE, self.message.trim_end()),
            false => {
                d.text(field::MESSAGE, command);
                d.keep("Message", self.message.lines().next().unwrap_or("").trim_end());
            }
        }
        for datum in &self.data {
            // That is the record's time.
            if !(utc && datum.name == "UtcTime") {
                self.datum_to(datum, d);
            }
        }
        // Of what is not known only its words can tell something.
        if meaning.is_other() {
            self.data.iter().filter(|datum| !datum.nested).for_each(|datum| lift::lift(&datum.text, d));
            lift::lift(&self.message, d);
        }
    }

    /// Gives a datum to its field, or keeps it.
    fn datum_to(&self, datum: &Datum<'_>, d: &mut Draft) {
        let (name, text) = (&*datum.name, stated(&datum.text));
        if datum.nested {
            return d.keep_json(name, text);
        }
        let said = d.record.text(field::MESSAGE) == Some(draft::cut(text));
        if text.is_empty() || said && COMMANDS.iter().any(|c| c.eq_ignore_ascii_case(name)) {
            return;
        }
        let lower = name.to_ascii_lowercase();
        let given = match lower.as_str() {
            "hashes" | "hash" => hashes(text, d),
            "queryname" => d.text(field::NAME, text),
            "queryresults" => answers(text, d),
            "querystatus" => rcode(text).is_some_and(|code| d.text(field::DNS_RCODE, code)),
            "initiated" => d.text(field::DIRECTION_STATED, if text.eq_ignore_ascii_case("true") { "out" } else { "in" }),
            "direction" => direction(text).is_some_and(|word| d.text(field::DIRECTION_STATED, word)),
            "processid" if self.code == "4688" && !self.is_sysmon() => false,
            "processid" | "newprocessid" | "sourceprocessid" => number(text).is_some_and(|n| n == 0 || d.uint(field::PID, n)),
            "objectname" => matches!(self.datum("ObjectType"), "File" | "") && d.text(field::FILE_NAME, text),
            "protocol" => d.put(field::PROTO, text),
            _ => match codes::field(&lower) {
                Some(id) => self.give(id, text, d),
                None => d.record.text(field::USER) == Some(text) && lower.ends_with("username"),
            },
        };
        if !given {
            d.keep(name, text);
        }
    }

    fn give(&self, id: FieldId, text: &str, d: &mut Draft) -> bool {
        match id {
            field::SRC_IP | field::DST_IP => draft::address(text).is_some_and(|a| d.give(id, Value::Addr(a.to_canonical()))),
            // What has no port has 0.
            field::SRC_PORT | field::DST_PORT => text == "0" || d.put(id, text),
            field::NAME if draft::address(text).is_some() || text.eq_ignore_ascii_case("localhost") => false,
            field::NAME => d.text(id, text.trim_start_matches('\\')),
            _ => d.put(id, text),
        }
    }

    /// The account: the one acted on for logons, else the one that acts.
    fn user(&self, target: bool, d: &mut Draft) {
        let order: &[&str] = match target {
            true => &["TargetUserName", "TargetAccount", "User", "SubjectUserName", "AccountName"],
            false => &["SubjectUserName", "User", "SourceUser", "TargetUserName", "AccountName"],
        };
        let account = order.iter().find_map(|name| {
            // Sysmon's own account says nothing of the event.
            let text = if *name == "AccountName" && self.is_sysmon() { "" } else { self.datum(name) };
            let bare = account(text);
            (!bare.is_empty()).then_some(bare)
        });
        d.text(field::USER, account.unwrap_or(""));
    }

    fn login(&self, d: &mut Draft, kind: Kind) {
        if kind != Kind::Auth {
            return;
        }
        let package = [self.datum("AuthenticationPackageName"), self.datum("PackageName")].into_iter().find(|p| !p.is_empty());
        let way = codes::logon_type(self.datum("LogonType"));
        let method = [way, package.unwrap_or("").trim()].into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("/");
        d.text(field::METHOD_AUTH, &method);
        let codes = [self.datum("SubStatus"), self.datum("Status"), self.datum("FailureCode")];
        if let Some(why) = codes.iter().find_map(|c| codes::why(c)) {
            d.text(field::REASON, why);
        }
    }
}

/// Data that are a command line or a script, best first.
const COMMANDS: [&str; 6] = ["CommandLine", "ProcessCommandLine", "ScriptBlockText", "Payload", "ImagePath", "ServiceFileName"];

/// What Windows writes for nothing.
fn stated(text: &str) -> &str {
    let text = text.trim();
    if matches!(text, "-" | "N/A" | "(null)") { "" } else { text }
}

/// `DOMAIN\name` and `name@REALM` without domain and realm.
fn account(text: &str) -> &str {
    let text = text.rsplit_once('\\').map_or(text, |(_, name)| name);
    text.split_once('@').map_or(text, |(name, _)| name)
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn direction(text: &str) -> Option<&'static str> {
    match text.to_ascii_lowercase().as_str() {
        "%%14592" | "inbound" | "in" => Some("in"),
        "%%14593" | "outbound" | "out" => Some("out"),
        _ => None,
    }
}

/// A time that is UTC though it does not say so.
pub(super) fn utc(text: &str, context: &Context, out: &mut Out) -> Option<Time> {
    let stamp = clock::iso(text.as_bytes())?;
    clock::Stamp { east: stamp.east.or(Some(0)), ..stamp }.time(context, out)
}

/// `SHA1=...,MD5=...,SHA256=...,IMPHASH=...`
fn hashes(text: &str, d: &mut Draft) -> bool {
    let mut all = true;
    for part in text.split([',', ';']) {
        let (name, value) = part.split_once('=').unwrap_or(("", part));
        let value = value.trim();
        let hex = value.bytes().all(|b| b.is_ascii_hexdigit());
        let id = match (name.trim().to_ascii_uppercase().as_str(), value.len()) {
            ("MD5", 32) => field::MD5,
            ("SHA1" | "", 40) => field::SHA1,
            ("SHA256" | "", 64) => field::SHA256,
            _ => {
                d.keep(name.trim(), value);
                continue;
            }
        };
        all &= hex && d.text(id, value);
    }
    all
}

/// `type:  5 name;::ffff:192.0.2.1;`
fn answers(text: &str, d: &mut Draft) -> bool {
    for part in text.split(';').map(str::trim).filter(|p| !p.is_empty()).take(256) {
        if let Some(address) = draft::address(part) {
            d.give(field::ANSWER_IP, Value::Addr(address.to_canonical()));
            continue;
        }
        let record = part.strip_prefix("type:").map(|r| r.trim_start().split_once(' ').unwrap_or(("", r)));
        match record {
            Some(("2" | "5" | "12" | "15" | "33", name)) => d.text(field::ANSWER_NAME, name.trim()),
            _ => d.text(field::ANSWER_TEXT, part),
        };
    }
    true
}

/// Response code that a status of the DNS client means (winerror.h).
fn rcode(status: &str) -> Option<&'static str> {
    Some(match status {
        "0" => "NOERROR",
        "9001" => "FORMERR",
        "9002" => "SERVFAIL",
        "9003" => "NXDOMAIN",
        "9004" => "NOTIMP",
        "9005" => "REFUSED",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_bare_and_hexadecimal_numbers_are_numbers() {
        assert_eq!((account("NT AUTHORITY\\SYSTEM"), account("a@B.C"), account("x$")), ("SYSTEM", "a", "x$"));
        assert_eq!((number("0x181c"), number("12"), number("x")), (Some(6172), Some(12), None));
    }
}
