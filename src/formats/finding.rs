//! What formats of scanners share: whom a finding is about, how bad it is, when it was seen.
//!
//! Knows no scanner. The scanned host is `dst.ip`, its name `hostname`; a finding's action is `found`.

use super::draft::{self, Draft};
use super::{Context, Out, clock, nmap_xml};
use crate::model::field;
use crate::model::time::Time;
use crate::model::value::{SEVERITIES, Value};

/// Whom a text names: an address, `host:port`, `[v6]:port`, a URL, a name.
pub(super) fn host(d: &mut Draft, text: &str) {
    let text = text.trim().trim_end_matches('.');
    if text.is_empty() || draft::address(text).is_some_and(|a| d.has(field::DST_IP) || d.give(field::DST_IP, a.into())) {
        return;
    }
    let (host, port) = match super::web::authority(text) {
        Some((host, port)) if text.contains("://") => {
            d.text(field::URL, text);
            (host, port)
        }
        _ => match text.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() && (!host.contains(':') || host.starts_with('[')) => {
                (host, port.parse().ok())
            }
            _ => (text, None),
        },
    };
    if let Some(port) = port.filter(|p| *p > 0 && *p <= 65_535) {
        d.uint(field::DST_PORT, port);
    }
    match draft::address(host) {
        Some(address) => _ = d.give(field::DST_IP, address.into()),
        None if !host.is_empty() && host.len() <= 253 && !host.contains(char::is_whitespace) => _ = d.text(field::HOSTNAME, host),
        None => d.keep("host", text),
    }
}

/// The protocol of a port; what is none of IANA's is the application (`http`).
pub(super) fn proto(d: &mut Draft, key: &str, text: &str) {
    let text = text.trim();
    if !text.is_empty() && !d.put(field::PROTO, &text.to_ascii_lowercase()) && !d.text(field::APP, &text.to_ascii_lowercase()) {
        d.keep(key, text);
    }
}

/// A port; 0 means the host and is left out.
pub(super) fn port(d: &mut Draft, key: &str, text: &str) {
    let text = text.trim();
    if !matches!(text, "" | "0" | "general" | "N/A" | "-") {
        d.put_or_keep(field::DST_PORT, key, text.strip_suffix(".0").unwrap_or(text));
    }
}

/// A scanner's application; what says nothing is left out.
pub(super) fn app(d: &mut Draft, text: &str) {
    match text.trim().trim_end_matches('?').to_ascii_lowercase().as_str() {
        "" | "general" | "unknown" | "n/a" => {}
        "www" => _ = d.text(field::APP, "http"),
        other => _ = d.text(field::APP, other),
    }
}

/// The rank of a word for a severity.
pub(super) fn severity(word: &str) -> Option<u64> {
    let word = word.trim().to_ascii_lowercase();
    Some(match word.as_str() {
        "log" | "ok" | "none" | "info" | "informational" | "information" | "unknown" | "debug" | "false positive" | "warn"
        | "warning" => 0,
        "urgent" | "fatal" | "critical" => 4,
        "serious" | "important" => 3,
        "moderate" => 2,
        "minimal" | "minor" => 1,
        other => SEVERITIES.iter().position(|s| *s == other)? as u64,
    })
}

/// The first number of a text, as a CVSS score (`8.1 (AV:N/...)`).
pub(super) fn score(text: &str) -> Option<f64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text[..end].parse::<f64>().ok().filter(|s| (0.0..=10.0).contains(s))
}

/// A score as severity, by the ratings of CVSS v3 (specification, section 5).
pub(super) fn rated(score: f64) -> u64 {
    match score {
        s if s >= 9.0 => 4,
        s if s >= 7.0 => 3,
        s if s >= 4.0 => 2,
        s if s > 0.0 => 1,
        _ => 0,
    }
}

/// A CVSS score that is given if it is one, else kept.
pub(super) fn cvss(d: &mut Draft, key: &str, text: &str) {
    match score(text) {
        Some(score) if !d.has(field::CVSS) => _ = d.give(field::CVSS, Value::Float(score)),
        _ => d.keep(key, text),
    }
}

/// Most CVEs of a record.
pub(super) const CVES_MAX: usize = 500;

/// Every CVE that a text names, each once; a text without any is kept. Beyond [`CVES_MAX`] the record is partial.
pub(super) fn cve(d: &mut Draft, key: &str, text: &str) {
    let found = nmap_xml::cves(&text.to_ascii_uppercase());
    if found.is_empty() {
        d.keep(key, text.trim());
    }
    for name in found {
        // Each is compared with all before it, so their number is looked at first.
        if d.record.all(field::CVE).nth(CVES_MAX - 1).is_some() {
            d.partial = true;
            return;
        }
        if !d.record.all(field::CVE).any(|v| v.as_text() == Some(name.as_str())) {
            d.text(field::CVE, &name);
        }
    }
}

/// The number of a check; of an OID its last part, and the OID is kept.
pub(super) fn plugin(d: &mut Draft, key: &str, text: &str) {
    let text = text.trim();
    let number = text.rsplit('.').next().and_then(|n| n.parse::<u64>().ok());
    match number {
        Some(number) if d.uint(field::PLUGIN, number) => {
            if text.contains('.') {
                d.keep(key, text);
            }
        }
        _ => d.keep(key, text),
    }
}

/// Times as scanners write them: what [`clock::any`] reads, and `Feb 03, 2026 07:00 AM`, `Jan 5, 2021 10:24:08 MST`,
/// `04 Feb 2026 10:00AM GMT-0500`, `20210211T162340221`. Zone names are those of RFC 5322, section 4.3.
pub(super) fn time(text: &str, context: &Context, out: &mut Out) -> Option<Time> {
    let text = text.trim();
    if let Some(time) = clock::any(text, context, out) {
        return Some(time);
    }
    if let Some(time) = compact(text) {
        return clock::any(&time, context, out);
    }
    let words: Vec<&str> = text.split([' ', ',']).filter(|w| !w.is_empty()).collect();
    let (first, second, year) = (*words.first()?, *words.get(1)?, *words.get(2)?);
    let (month, day) = if first.as_bytes()[0].is_ascii_digit() { (second, first) } else { (first, second) };
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let month = MONTHS.iter().position(|m| month.to_ascii_lowercase().starts_with(m))? + 1;
    let (day, year): (u32, u32) = (day.parse().ok()?, year.parse().ok().filter(|y| (1970..2200).contains(y))?);
    let mut clock = words.get(3).map_or("00:00:00", |w| *w).to_ascii_lowercase();
    let mut rest = words.get(4..).unwrap_or(&[]);
    let mut half = ["am", "pm"].into_iter().find(|h| clock.ends_with(h));
    if half.is_some() {
        clock.truncate(clock.len() - 2);
    } else if let Some(word) = rest.first().filter(|w| w.eq_ignore_ascii_case("am") || w.eq_ignore_ascii_case("pm")) {
        half = Some(if word.eq_ignore_ascii_case("am") { "am" } else { "pm" });
        rest = &rest[1..];
    }
    let mut parts = clock.split(':').map(|n| n.parse::<u32>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    let hour = match half {
        Some(half) if (1..=12).contains(&hour) => hour % 12 + if half == "pm" { 12 } else { 0 },
        Some(_) => return None,
        None => hour,
    };
    let zone = rest.first().map_or(Some(String::new()), |z| zone(z))?;
    clock::any(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{zone}"), context, out)
}

/// `20210211T162340221` as ISO 8601.
fn compact(text: &str) -> Option<String> {
    let (date, rest) = text.split_once('T')?;
    let whole = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if date.len() != 8 || !whole(date) {
        return None;
    }
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits < 6 {
        return None;
    }
    let (clock, zone) = rest.split_at(digits);
    let more = if digits > 6 { format!(".{}", &clock[6..]) } else { String::new() };
    Some(format!("{}-{}-{}T{}:{}:{}{more}{zone}", &date[..4], &date[4..6], &date[6..], &clock[..2], &clock[2..4], &clock[4..6]))
}

fn zone(word: &str) -> Option<String> {
    let upper = word.to_ascii_uppercase();
    Some(match upper.as_str() {
        "UT" | "UTC" | "GMT" | "Z" => "Z".into(),
        "EDT" => "-0400".into(),
        "EST" | "CDT" => "-0500".into(),
        "CST" | "MDT" => "-0600".into(),
        "MST" | "PDT" => "-0700".into(),
        "PST" => "-0800".into(),
        _ => {
            let digits = upper.strip_prefix("GMT").or_else(|| upper.strip_prefix("UTC")).unwrap_or(&upper);
            let fits = digits.starts_with(['+', '-']) && digits[1..].bytes().all(|b| b.is_ascii_digit() || b == b':');
            return fits.then(|| digits.to_owned());
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{Dates, Unit, Zone};
    use crate::model::origin::EvidenceKey;
    use crate::model::record::Kind;

    fn context() -> Context {
        Context {
            evidence: EvidenceKey(1),
            stem: "x".into(),
            zone: Zone::Fixed(0),
            year: None,
            dates: Dates::default(),
            modified: Time(0),
        }
    }

    #[test]
    fn times_of_scanners_are_read() {
        for (text, want) in [
            ("Feb 03, 2026 07:00 AM", "2026-02-03T07:00:00Z"),
            ("Jan 5, 2021 10:24:08 MST", "2021-01-05T17:24:08Z"),
            ("04 Feb 2026 10:00PM GMT-0500", "2026-02-05T03:00:00Z"),
            ("20210211T162340221", "2021-02-11T16:23:40.221Z"),
            ("2021-05-26T20:50:18Z", "2021-05-26T20:50:18Z"),
            ("Dec 01, 2022 12:00 PM", "2022-12-01T12:00:00Z"),
        ] {
            let read = time(text, &context(), &mut Out::default());
            assert_eq!(read.map(|t| t.to_string()).as_deref(), Some(want), "{text}");
        }
        for text in ["", "soon", "Feb 31, 2026 07:00 AM", "Feb 03, 2026 13:00 AM", "jfowefjweoifjoie", "20210211Txx"] {
            assert_eq!(time(text, &context(), &mut Out::default()), None, "{text}");
        }
    }

    #[test]
    fn a_record_has_so_many_cves_and_is_partial_beyond() {
        let mut d = Draft::new(Kind::Vuln, &context(), Unit::default(), 0, Time(0));
        for from in [0, 300] {
            assert!(!d.partial);
            cve(&mut d, "cve", &(from..from + 300).map(|n| format!("CVE-2021-{n:05} ")).collect::<String>());
        }
        assert_eq!((d.record.all(field::CVE).count(), d.partial), (CVES_MAX, true));
    }

    #[test]
    fn hosts_are_addresses_names_ports_and_urls() {
        let of = |text: &str| {
            let mut d = Draft::new(Kind::Vuln, &context(), Unit::default(), 0, Time(0));
            host(&mut d, text);
            let port = d.record.uint(field::DST_PORT).map_or(String::new(), |p| p.to_string());
            let address = d.record.addr(field::DST_IP).map_or(String::new(), |a| a.to_string());
            format!("{address} {} {port}", d.record.text(field::HOSTNAME).unwrap_or(""))
        };
        assert_eq!(of("10.10.10.10."), "10.10.10.10  ");
        assert_eq!(of("www.example.org:22"), " www.example.org 22");
        assert_eq!(of("[2001:db8::1]:443"), "2001:db8::1  443");
        assert_eq!(of("2001:db8::1"), "2001:db8::1  ");
        assert_eq!(of("https://www.example.org/x"), " www.example.org 443");
    }
}
