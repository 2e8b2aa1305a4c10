//! Zeek's conn.log as tab-separated values with its header lines, so that Zeek's own readers accept it.

use super::{Rows, io};
use crate::error::Result;
use crate::model::field;
use crate::model::record::{Kind, Record};
use crate::model::{Time, Value, proto};
use crate::query::Engine;
use sha2::{Digest, Sha256};
use std::io::Write;

const FIELDS: &[(&str, &str)] = &[
    ("ts", "time"),
    ("uid", "string"),
    ("id.orig_h", "addr"),
    ("id.orig_p", "port"),
    ("id.resp_h", "addr"),
    ("id.resp_p", "port"),
    ("proto", "enum"),
    ("service", "string"),
    ("duration", "interval"),
    ("orig_bytes", "count"),
    ("resp_bytes", "count"),
    ("conn_state", "string"),
    ("missed_bytes", "count"),
    ("history", "string"),
    ("orig_pkts", "count"),
    ("orig_ip_bytes", "count"),
    ("resp_pkts", "count"),
    ("resp_ip_bytes", "count"),
    ("tunnel_parents", "set[string]"),
    ("ip_proto", "count"),
    ("community_id", "string"),
];

/// Writes flows; other records have no place in conn.log and are left out.
pub struct ZeekRows<'w> {
    out: &'w mut dyn Write,
    begun: bool,
}

impl<'w> ZeekRows<'w> {
    /// A writer.
    pub fn new(out: &'w mut dyn Write) -> ZeekRows<'w> {
        ZeekRows { out, begun: false }
    }
    fn header(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        let names: Vec<&str> = FIELDS.iter().map(|(n, _)| *n).collect();
        let types: Vec<&str> = FIELDS.iter().map(|(_, t)| *t).collect();
        write!(
            self.out,
            "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n#fields\t{}\n#types\t{}\n",
            names.join("\t"),
            types.join("\t")
        )
        .map_err(io)
    }
}

impl Rows for ZeekRows<'_> {
    fn record(&mut self, record: &Record, _: &dyn Engine) -> Result<()> {
        self.header()?;
        if record.kind != Kind::Flow || has_no_row(record) {
            return Ok(());
        }
        writeln!(self.out, "{}", row(record).join("\t")).map_err(io)
    }
    fn end(&mut self) -> Result<()> {
        self.header()?;
        writeln!(self.out, "#close").map_err(io)?;
        self.out.flush().map_err(io)
    }
}

/// Whether conn.log has no row for a flow: it only carries others directly over IP (IP-in-IP, 6in4, GRE, EtherIP), is sealed (ESP), has no
/// transport (IPv6 without a next header, or mobility), or is of fragments without the one that has the ports.
fn has_no_row(record: &Record) -> bool {
    match record.uint(field::PROTO) {
        Some(4 | 41 | 47 | 97) => record.get(field::APP).is_some(),
        Some(50 | 59 | 135) => true,
        Some(6 | 17) => {
            let ports = [field::SRC_PORT, field::DST_PORT].map(|f| record.uint(f).unwrap_or(0));
            ports == [0, 0] && record.uint(field::FRAGMENTS).unwrap_or(0) > 0
        }
        _ => false,
    }
}

/// A uid in Zeek's form (`C` and base 62), derived from the flow's id, so that it is stable.
fn uid(id: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let hash = Sha256::digest(id.as_bytes());
    let mut out = String::from("C");
    for byte in hash.iter().take(17) {
        out.push(char::from(DIGITS[*byte as usize % 62]));
    }
    out
}

fn seconds(time: Time) -> String {
    let micros = time.0.div_euclid(1_000);
    format!("{}.{:06}", micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000))
}

/// Text without what would break a row.
fn clean(text: &str) -> String {
    if text.is_empty() {
        return "-".into();
    }
    text.replace('\\', "\\x5c").replace('\t', "\\x09").replace('\n', "\\x0a")
}

fn row(record: &Record) -> Vec<String> {
    let number = |id| record.uint(id).unwrap_or(0).to_string();
    let text = |id| record.text(id).map_or_else(|| "-".to_owned(), clean);
    let addr = |id| record.addr(id).map_or_else(|| "-".to_owned(), |a| a.to_string());
    let protocol = record.uint(field::PROTO).unwrap_or(0) as u8;
    let length = record.end.since(record.start).max(0);
    // Zeek leaves duration and bytes unset where nothing but one instant was seen.
    let timed = |shown: String| if length > 0 { shown } else { "-".to_owned() };
    // Zeek counts a datagram once, with one header, however many fragments it came in, and no IP byte that the header does not state.
    let joined = |id| record.uint(id).unwrap_or(0);
    let header = if record.addr(field::SRC_IP).is_some_and(|a| a.is_ipv6()) { 48 } else { 20 };
    let whole = |id, less: u64| record.uint(id).unwrap_or(0).saturating_sub(less).to_string();
    vec![
        seconds(record.time()),
        uid(&record.id.to_string()),
        addr(field::SRC_IP),
        number(field::SRC_PORT),
        addr(field::DST_IP),
        number(field::DST_PORT),
        match protocol {
            proto::TCP => "tcp",
            proto::UDP => "udp",
            proto::ICMP | proto::ICMP6 => "icmp",
            _ => "unknown_transport",
        }
        .to_owned(),
        service(record),
        timed(seconds(Time(length))),
        timed(number(field::PAYLOAD_OUT)),
        timed(number(field::PAYLOAD_IN)),
        text(field::STATE),
        number(field::MISSED),
        text(field::HISTORY),
        whole(field::PACKETS_OUT, joined(field::FRAGMENTS_JOINED_OUT)),
        whole(field::BYTES_OUT, joined(field::FRAGMENTS_JOINED_OUT) * header + joined(field::UNSTATED_OUT)),
        whole(field::PACKETS_IN, joined(field::FRAGMENTS_JOINED_IN)),
        whole(field::BYTES_IN, joined(field::FRAGMENTS_JOINED_IN) * header + joined(field::UNSTATED_IN)),
        record.text(field::TUNNEL).map_or_else(|| "-".to_owned(), uid),
        protocol.to_string(),
        record.value(field::COMMUNITY_ID).as_ref().and_then(Value::as_text).map_or_else(|| "-".to_owned(), str::to_owned),
    ]
}

/// Zeek's names of the applications that were recognised by content, and of the logins that they carry.
fn service(record: &Record) -> String {
    let by_content = record.text(field::APP_CONF).is_some_and(|c| c == "parsed" || c == "banner");
    let Some(app) = record.text(field::APP).filter(|_| by_content) else { return "-".into() };
    let stream = record.uint(field::PROTO) == Some(u64::from(proto::TCP));
    let mut names: Vec<&str> = app
        .split(',')
        .map(|name| match (name, stream) {
            ("tls", _) => "ssl",
            ("mdns" | "llmnr" | "nbns", _) => "dns",
            ("kerberos", true) => "krb_tcp",
            ("kerberos", false) => "krb",
            ("ldap", true) => "ldap_tcp",
            ("ldap", false) => "ldap_udp",
            ("syslog", true) => "syslog_tcp",
            ("postgres", _) => "postgresql",
            ("dcerpc", _) => "dce_rpc",
            ("dnp3", true) => "dnp3_tcp",
            ("dnp3", false) => "dnp3_udp",
            (other, _) => other,
        })
        .collect();
    // A QUIC handshake is one of TLS.
    if names.contains(&"quic") {
        names.push("ssl");
    }
    match record.text(field::METHOD_AUTH) {
        // SMB carries it in GSSAPI tokens.
        Some("ntlm") if names.contains(&"smb") => names.extend(["gssapi", "ntlm"]),
        Some("ntlm") => names.push("ntlm"),
        Some("kerberos") => names.extend(["gssapi", "krb"]),
        _ => {}
    }
    names.sort_unstable();
    names.dedup();
    names.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::origin::{EvidenceKey, RecordId};
    use crate::model::source::SourceId;

    fn flow(fields: &[(field::FieldId, Value)]) -> Record {
        let id = RecordId { evidence: EvidenceKey(1), offset: 24, ordinal: 0 };
        let mut record = Record::new(Kind::Flow, id, SourceId(0), Time(0));
        record.fields = fields.to_vec();
        record.fields.sort_by_key(|f| f.0);
        record
    }

    #[test]
    fn applications_have_the_names_that_zeek_gives_them() {
        let named = |app: &str, protocol: u8, login: &str| {
            let mut fields = vec![
                (field::PROTO, Value::Uint(u64::from(protocol))),
                (field::APP, Value::text(app)),
                (field::APP_CONF, Value::text("parsed")),
            ];
            if !login.is_empty() {
                fields.push((field::METHOD_AUTH, Value::text(login)));
            }
            service(&flow(&fields))
        };
        assert_eq!(named("ldap", proto::TCP, "ntlm"), "ldap_tcp,ntlm");
        assert_eq!(named("ldap,tls", proto::TCP, "kerberos"), "gssapi,krb,ldap_tcp,ssl");
        assert_eq!(named("smb", proto::TCP, "ntlm"), "gssapi,ntlm,smb");
        assert_eq!((named("kerberos", proto::UDP, ""), named("quic", proto::UDP, "")), ("krb".into(), "quic,ssl".into()));
    }

    #[test]
    fn fragments_of_a_datagram_count_once_with_one_header() {
        let row = row(&flow(&[
            (field::SRC_IP, Value::Addr([10, 0, 0, 1].into())),
            (field::PACKETS_OUT, Value::Uint(3)),
            (field::BYTES_OUT, Value::Uint(168)),
            (field::FRAGMENTS_JOINED_OUT, Value::Uint(2)),
        ]));
        let at = |name: &str| row[FIELDS.iter().position(|f| f.0 == name).unwrap()].as_str();
        assert_eq!((at("orig_pkts"), at("orig_ip_bytes")), ("1", "128"));
    }

    #[test]
    fn flows_that_zeek_does_not_log_have_no_row() {
        let flow = |protocol: u64, port: u64, more: &[(field::FieldId, Value)]| {
            let mut record =
                Record::new(Kind::Flow, RecordId { evidence: EvidenceKey(1), offset: 1, ordinal: 0 }, SourceId(0), Time(0));
            record.fields = [(field::SRC_PORT, Value::Uint(port)), (field::PROTO, Value::Uint(protocol))]
                .into_iter()
                .chain(more.iter().cloned())
                .collect();
            record.fields.sort_by_key(|(f, _)| *f);
            has_no_row(&record)
        };
        let fragments = [(field::FRAGMENTS, Value::Uint(2))];
        assert!(flow(50, 0, &[]) && flow(59, 0, &[]) && flow(135, 0, &[]));
        assert!(flow(47, 0, &[(field::APP, Value::text("gre"))]) && !flow(47, 0, &[]));
        assert!(flow(17, 0, &fragments) && !flow(17, 5, &fragments) && !flow(17, 0, &[]) && !flow(1, 0, &fragments));
    }
}
