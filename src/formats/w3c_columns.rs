//! Which column of a log with a `#Fields:` line is which field: names of the W3C draft (`c-`, `s-`, `r-`, `cs-`, `sc-` prefixes), of IIS,
//! Blue Coat ProxySG ("ELFF access log fields"), Amazon CloudFront ("Standard logs"), the Windows Firewall and Exchange.
//!
//! A table, and what cannot be said column by column. What has no field goes to `extra` under its own name. Of a proxy the responder is the
//! origin server (`r-ip`), not the proxy itself, whose address is kept as `s-ip`.

use super::json_lines;
use super::{Loss, Out, clock, draft, draft::Draft, web};
use crate::model::field::{self, FieldId};
use crate::model::record::Kind;

/// What a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Date,
    Time,
    /// Both, in the log's zone.
    DateTime,
    /// Both, in the file's zone.
    LocalTime,
    /// Both, as an epoch.
    Epoch,
    Field(FieldId),
    /// A header in which IIS writes spaces as `+`.
    Header(FieldId),
    /// An address, or address and port.
    Endpoint(FieldId, FieldId),
    /// Addresses of mail after `;`.
    Recipients,
    Host,
    Scheme,
    Port,
    Stem,
    Query,
    Uri,
    Taken,
    /// Allowed or not.
    Verdict,
    /// The sensor.
    Sensor,
    IcmpType,
    IcmpCode,
    /// Of the Windows Firewall: how many events were lost.
    Info,
    Keep,
}

/// The kind of records of a log with these columns.
pub(super) fn kind(names: &[&str]) -> Kind {
    let any = |test: &dyn Fn(&str) -> bool| names.iter().any(|n| test(&n.to_ascii_lowercase()));
    match () {
        () if any(&|n| n == "src-ip") && any(&|n| n == "dst-ip") => Kind::Fw,
        () if any(&|n| {
            matches!(n, "s-action" | "r-ip" | "r-host" | "s-hierarchy" | "sc-filter-result" | "cs-categories" | "r-dns")
                || n.starts_with("s-supplier")
                || n.starts_with("sr-")
                || n.starts_with("x-bluecoat")
        }) =>
        {
            Kind::Proxy
        }
        () if any(&|n| n.starts_with("cs-") || n.starts_with("cs(") || n == "c-ip" || n == "sc-status" || n == "urlstem") => {
            Kind::Http
        }
        () => Kind::Log,
    }
}

/// What a column is, by its name. `sends`: the log is of a client, its local end the originator.
pub(super) fn column(name: &str, kind: Option<Kind>, sends: bool) -> Column {
    use Column::{Endpoint, Field, Header};
    let proxy = kind == Some(Kind::Proxy);
    let (near, far) = match sends {
        true => ((field::SRC_IP, field::SRC_PORT), (field::DST_IP, field::DST_PORT)),
        false => ((field::DST_IP, field::DST_PORT), (field::SRC_IP, field::SRC_PORT)),
    };
    match name.to_ascii_lowercase().as_str() {
        "date" => Column::Date,
        "time" => Column::Time,
        "date-time" | "datetime" | "date-time-utc" | "timestamp" | "gmttime" => Column::DateTime,
        "localtime" | "x-localtime" => Column::LocalTime,
        "x-timestamp" | "x-timestamp-unix" | "cs-start" => Column::Epoch,
        "c-ip" | "client-ip" | "clientipaddress" | "c-ipaddress" => Endpoint(field::SRC_IP, field::SRC_PORT),
        "c-port" | "client-port" => Field(field::SRC_PORT),
        "s-ip" | "server-ip" | "s-ipaddress" if !proxy => Endpoint(field::DST_IP, field::DST_PORT),
        "s-port" | "server-port" if !proxy => Field(field::DST_PORT),
        "r-ip" | "rs-ip" | "s-supplier-ip" | "r-ipaddress" => Endpoint(field::DST_IP, field::DST_PORT),
        "r-port" => Field(field::DST_PORT),
        "local-endpoint" => Endpoint(near.0, near.1),
        "remote-endpoint" => Endpoint(far.0, far.1),
        "src-ip" => Field(field::SRC_IP),
        "dst-ip" => Field(field::DST_IP),
        "src-port" => Field(field::SRC_PORT),
        "dst-port" => Field(field::DST_PORT),
        "protocol" if kind == Some(Kind::Fw) => Field(field::PROTO),
        "size" if kind == Some(Kind::Fw) => Field(field::BYTES_OUT),
        "tcpflags" => Field(field::TCP_FLAGS),
        "icmptype" => Column::IcmpType,
        "icmpcode" => Column::IcmpCode,
        "path" if kind == Some(Kind::Fw) => Field(field::DIRECTION_STATED),
        "pid" => Field(field::PID),
        "info" if kind == Some(Kind::Fw) => Column::Info,
        "action" | "sc-filter-result" | "sc-action" => Column::Verdict,
        "cs-username" | "c-username" | "authenticateduser" | "cs-user" => Field(field::USER),
        "cs-method" | "cs-request-method" | "method" => Field(field::HTTP_METHOD),
        "cs-uri-stem" | "cs-uri-path" | "urlstem" | "x-cs-raw-uri-path" => Column::Stem,
        "cs-uri-query" | "urlquery" => Column::Query,
        "cs-uri" | "c-uri" | "cs-url" => Column::Uri,
        "cs-uri-scheme" | "cs-protocol" => Column::Scheme,
        "cs-uri-port" => Column::Port,
        "cs-host" | "cs(host)" | "cs-uri-host" | "r-host" | "x-host-header" | "urlhost" => Column::Host,
        "sc-status" | "httpstatus" => Field(field::HTTP_STATUS),
        "cs(user-agent)" | "cs-user-agent" | "c-agent" | "useragent" => Header(field::HTTP_AGENT),
        "cs(referer)" | "cs(referrer)" | "cs-referred" | "cs-referer" => Header(field::HTTP_REFERER),
        "cs(x-forwarded-for)" | "x-forwarded-for" | "s-xff" | "original-client-ip" => Header(field::XFF),
        "rs(content-type)" | "sc-content-type" | "cs-mime-type" | "sc(content-type)" | "rs-content-type" => {
            Header(field::HTTP_TYPE)
        }
        "sc-bytes" => Field(field::BYTES_IN),
        "cs-bytes" => Field(field::BYTES_OUT),
        "time-taken" | "timetaken" | "x-duration" => Column::Taken,
        "s-action" | "x-edge-result-type" | "s-cache-info" | "reason" => Field(field::REASON),
        "cs-categories" | "sc-filter-category" | "cs-category" | "x-categories" | "cs-attacktype" => Field(field::CATEGORY),
        "cs-rule" | "s-rulename" | "rule" | "filterinfo" => Field(field::RULE),
        "x-virus-id" | "x-icap-virus-id" => Field(field::SIGNATURE),
        "s-computername" | "s-computer-name" | "server-hostname" | "serverhostname" | "s-dns" | "servername" => Column::Sensor,
        "cs-version" | "cs-protocol-version" => Field(field::VERSION),
        "ssl-protocol" | "x-rs-connection-negotiated-ssl-version" | "x-cs-connection-negotiated-ssl-version" => {
            Field(field::TLS_VERSION)
        }
        "ssl-cipher" | "x-rs-connection-negotiated-cipher" => Field(field::TLS_CIPHER),
        "sender-address" | "x-mailfrom" => Field(field::MAIL_FROM),
        "recipient-address" | "x-rcptto" => Column::Recipients,
        "message-subject" => Field(field::MAIL_SUBJECT),
        "event-id" | "event" => Field(field::ACTION),
        "data" => Field(field::MESSAGE),
        other if other.contains(['-', '(']) => Column::Keep,
        other => json_lines::id_of(other).map_or(Column::Keep, Field),
    }
}

/// A date and time in the forms of these logs.
pub(super) fn stamp(text: &str) -> Option<clock::Stamp> {
    let bytes = text.trim().as_bytes();
    if let Some(stamp) = clock::iso(bytes).or_else(|| clock::date(bytes)) {
        return Some(stamp);
    }
    // `28/Jun/2017 07:28:59` is Apache's with a space.
    if bytes.get(2) == Some(&b'/') && bytes.get(11) == Some(&b' ') {
        let text = text.trim();
        return clock::apache(format!("{}:{}", text.get(..11)?, text.get(12..)?).as_bytes());
    }
    clock::apache(bytes).or_else(|| clock::numeric(bytes))
}

/// What of a row is put together from several cells.
#[derive(Default)]
pub(super) struct Row {
    host: String,
    scheme: String,
    port: Option<u64>,
    stem: String,
    query: String,
    icmp: (Option<u64>, Option<u64>),
    lost: Option<u64>,
    /// How long the request took, nanoseconds.
    pub taken: Option<u64>,
    /// The host that wrote the log.
    pub sensor: Option<String>,
}

impl Row {
    /// Takes a cell that has a value.
    pub fn cell(&mut self, name: &str, column: Column, text: &str, d: &mut Draft) {
        match column {
            Column::Date | Column::Time | Column::DateTime => {}
            Column::LocalTime | Column::Epoch | Column::Keep => d.keep(name, text),
            Column::Field(id) => d.put_or_keep(id, name, text),
            Column::Header(id) => d.put_or_keep(id, name, &spaced(text)),
            Column::Endpoint(address, port) => self.endpoint(name, address, port, text, d),
            Column::Recipients => {
                for one in text.split(';').map(str::trim).take(256) {
                    d.text(field::MAIL_TO, one);
                }
            }
            Column::Host => {
                if self.host.is_empty() {
                    text.clone_into(&mut self.host);
                } else if self.host != text {
                    d.keep(name, text);
                }
            }
            Column::Scheme => text.clone_into(&mut self.scheme),
            Column::Port => self.port = text.parse::<u16>().ok().map(u64::from).filter(|p| *p > 0),
            Column::Stem => text.clone_into(&mut self.stem),
            Column::Query => text.clone_into(&mut self.query),
            Column::Uri => self.uri(text, d),
            Column::Taken => match taken(text) {
                Some(nanos) => {
                    self.taken = Some(nanos);
                    d.uint(field::ELAPSED, nanos);
                }
                None => d.keep(name, text),
            },
            Column::Verdict => {
                let word = verdict(text);
                d.put_or_keep(field::ACTION, name, word);
            }
            Column::Sensor => {
                d.text(field::HOSTNAME, text);
                self.sensor = Some(text.to_owned());
            }
            Column::IcmpType => self.icmp.0 = text.parse().ok(),
            Column::IcmpCode => self.icmp.1 = text.parse().ok(),
            Column::Info => {
                self.lost = text.parse().ok();
                d.text(field::REASON, text);
            }
        }
    }
    fn endpoint(&self, name: &str, address: FieldId, port: FieldId, text: &str, d: &mut Draft) {
        if d.has(address) || d.addr(address, text) {
            if d.record.addr(address) != draft::address(text) {
                d.keep(name, text);
            }
            return;
        }
        match text.rsplit_once(':').and_then(|(ip, p)| Some((draft::address(ip)?, p.parse::<u16>().ok()?))) {
            Some((ip, p)) => {
                d.give(address, ip.into());
                d.uint(port, u64::from(p));
            }
            // A server may log names instead.
            None => d.keep(name, text),
        }
    }
    fn uri(&mut self, text: &str, d: &mut Draft) {
        match text.contains("://") && !text.starts_with('/') {
            true => {
                d.text(field::URL, text);
                if let Some((host, port)) = web::authority(text) {
                    if self.host.is_empty() {
                        host.clone_into(&mut self.host);
                    }
                    self.port = self.port.or(port);
                }
            }
            false if self.stem.is_empty() => text.clone_into(&mut self.stem),
            false => d.keep("cs-uri", text),
        }
    }
    /// Gives what was put together.
    pub fn finish(&mut self, d: &mut Draft, out: &mut Out) {
        let query = self.query.trim_start_matches('?');
        let mut target = std::mem::take(&mut self.stem);
        if !query.is_empty() {
            target = format!("{target}?{query}");
        }
        d.text(field::HTTP_URI, &target);
        if let Some((kind, code)) = self.icmp.0.map(|k| (k, self.icmp.1.unwrap_or(0))) {
            d.icmp(kind, code);
        }
        let proxy = d.record.kind == Kind::Proxy;
        let connect = d.record.text(field::HTTP_METHOD) == Some("CONNECT");
        if let Some(port) = self.port {
            d.uint(field::DST_PORT, port);
        }
        if !self.host.is_empty() {
            let (name, named) = web::authority(&self.host).unwrap_or((&self.host, None));
            if draft::address(name).is_none() {
                d.text(field::NAME, name);
            } else if proxy {
                d.addr(field::DST_IP, name);
            }
            d.text(field::HTTP_HOST, name);
            let port = self.port.or(named).or_else(|| d.record.uint(field::DST_PORT)).unwrap_or(0);
            // A tunnel has no target, and a log without scheme and target no URL.
            if connect {
                d.text(field::URL, &format!("{name}:{port}"));
            } else if !target.is_empty() || !self.scheme.is_empty() {
                let scheme = if self.scheme.is_empty() { "http" } else { &self.scheme };
                d.text(field::URL, &web::url(scheme, &self.host, port, &target));
            }
        }
        match d.record.kind {
            Kind::Http => _ = d.text(field::APP, "http"),
            Kind::Proxy if !d.has(field::ACTION) => {
                let denied = web::denied(d.record.text(field::REASON).unwrap_or(""), d.record.uint(field::HTTP_STATUS));
                d.text(field::ACTION, if denied { "deny" } else { "allow" });
            }
            Kind::Log if d.has(field::MAIL_FROM) || d.has(field::MAIL_TO) => _ = d.text(field::APP, "smtp"),
            _ => {}
        }
        if let Some(lost) = self.lost.filter(|_| d.record.text(field::ACTION) == Some("INFO-EVENTS-LOST")) {
            out.losses.push(Loss { what: "events", lost, of: lost, total: false, at: Some(d.record.start) });
        }
    }
}

/// A value in which spaces were written as `+`; of two `+` the second is one.
fn spaced(text: &str) -> String {
    if text.contains(' ') || !text.contains('+') {
        return text.to_owned();
    }
    let mut plain = String::with_capacity(text.len());
    let mut before = false;
    for c in text.chars() {
        match (c, before) {
            ('+', false) => plain.push(' '),
            (c, _) => plain.push(c),
        }
        before = c == '+' && !before;
    }
    plain
}

/// A decimal number of seconds, or a whole one of milliseconds, as nanoseconds.
fn taken(text: &str) -> Option<u64> {
    match text.contains('.') {
        true => draft::seconds(text),
        false => text.parse::<u64>().ok()?.checked_mul(1_000_000),
    }
}

/// The word for what was done. The Windows Firewall's OPEN is the start of a connection.
fn verdict(text: &str) -> &str {
    match text.to_ascii_uppercase().as_str() {
        "ALLOW" | "ALLOWED" | "OBSERVED" | "PROXIED" | "PASS" | "REQ_PASSED" => "allow",
        "DENIED" | "DENY" | "BLOCK" | "BLOCKED" | "REQ_BLOCKED_SECURITY" => "deny",
        "DROP" => "drop",
        "OPEN" | "OPEN-INBOUND" => "start",
        "CLOSE" => "close",
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_that_were_written_as_plus_come_back() {
        assert_eq!(spaced("Mozilla/5.0+(a;++http://b)"), "Mozilla/5.0 (a; +http://b)");
        assert_eq!(spaced("curl+7 x"), "curl+7 x");
    }

    #[test]
    fn dates_of_all_these_logs_are_read() {
        for text in ["2017-06-28 07:28:59", "28/Jun/2017 07:28:59", "2017/06/28 07:28:59", "2017-06-28T07:28:59.000Z"] {
            let stamp = stamp(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((stamp.year, stamp.month, stamp.day, stamp.second), (Some(2017), 6, 28, 26_939), "{text}");
        }
    }
}
