//! Which column of which Zeek log is which field (Zeek's script reference, `Info` records of `base/protocols` and `base/frameworks`;
//! names of versions 2 to 8).
//!
//! A table; knows no line. A column that is not here is kept in `extra` under its own name.

use crate::model::field::{self, FieldId};
use crate::model::record::Kind;

/// Where a column's values go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    /// Into a field.
    Field(FieldId),
    /// The time of the record.
    Start,
    /// A duration in seconds: the record ends so much later.
    Lasting,
    /// The transport protocol by number, where `proto` gives none.
    IpProto,
    /// A list of which the field takes the first.
    First(FieldId),
    /// A time.
    Instant(FieldId),
    /// DNS answers: addresses, names, texts in one list.
    Answers,
    /// DNS times to live.
    Ttls,
    /// Success of a login: T, F.
    Success,
    /// Hash of a certificate, by its length.
    CertHash,
    /// Hosts that sent (of a file).
    Sent,
    /// Hosts that received (of a file).
    Received,
    /// Whether the originator sent (of a file).
    ByOriginator,
    /// A Kerberos name, `user/REALM`.
    Principal,
    /// Into `extra`.
    Keep,
    /// Nowhere: it is computed, or said by another column.
    Drop,
}

use To::{Answers, CertHash, Drop, Field, First, Instant, IpProto, Keep, Lasting, Principal, Start, Success, Ttls};

/// What is counted, columns of how many were missed and of how many there were, and what stands in them.
pub(super) type Missed = (&'static str, &'static [&'static str; 2], [Option<u64>; 2]);

/// Logs in which Zeek says what it missed: what it counts, how many of them, of how many.
pub(super) const LOSSES: [(&str, &str, [&str; 2]); 2] =
    [("capture_loss", "acknowledged segments", ["gaps", "acks"]), ("stats", "packets", ["pkts_dropped", "pkts_link"])];

/// Columns that mean the same in every log.
const COMMON: &[(&str, To)] = &[
    ("ts", Start),
    ("uid", Field(field::UID)),
    ("id.orig_h", Field(field::SRC_IP)),
    ("id.orig_p", Field(field::SRC_PORT)),
    ("id.resp_h", Field(field::DST_IP)),
    ("id.resp_p", Field(field::DST_PORT)),
    ("proto", Field(field::PROTO)),
    ("ip_proto", IpProto),
    ("community_id", Drop),
    ("duration", Lasting),
    ("vlan", Field(field::VLAN)),
    ("inner_vlan", Field(field::VLAN_INNER)),
    ("id.vlan", Field(field::VLAN)),
    ("id.inner_vlan", Field(field::VLAN_INNER)),
    ("orig_l2_addr", Field(field::SRC_MAC)),
    ("resp_l2_addr", Field(field::DST_MAC)),
    ("user", Field(field::USER)),
    ("username", Field(field::USER)),
    ("user_agent", Field(field::HTTP_AGENT)),
    ("md5", Field(field::MD5)),
    ("sha1", Field(field::SHA1)),
    ("sha256", Field(field::SHA256)),
    ("filename", Field(field::FILE_NAME)),
    ("mime_type", Field(field::FILE_TYPE)),
    ("tunnel_parents", First(field::TUNNEL)),
];

/// A log: its name, the kind of its records, the application that they show, its own columns.
pub(super) struct Log {
    pub path: &'static str,
    pub kind: Kind,
    pub app: &'static str,
    columns: &'static [(&'static str, To)],
}

macro_rules! logs {
    ($( $path:literal $kind:ident $app:literal [ $( $name:literal => $to:expr ),* $(,)? ] )*) => {
        const LOGS: &[Log] = &[ $( Log { path: $path, kind: Kind::$kind, app: $app, columns: &[ $( ($name, $to) ),* ] } ),* ];
    };
}

logs! {
    "conn" Flow "" [
        "service" => Field(field::APP), "orig_bytes" => Field(field::PAYLOAD_OUT), "resp_bytes" => Field(field::PAYLOAD_IN),
        "conn_state" => Field(field::STATE), "missed_bytes" => Field(field::MISSED), "history" => Field(field::HISTORY),
        "orig_pkts" => Field(field::PACKETS_OUT), "orig_ip_bytes" => Field(field::BYTES_OUT),
        "resp_pkts" => Field(field::PACKETS_IN), "resp_ip_bytes" => Field(field::BYTES_IN),
    ]
    "dns" Dns "dns" [
        "query" => Field(field::NAME), "trans_id" => Field(field::DNS_ID), "rtt" => Field(field::DNS_RTT),
        "qtype_name" => Field(field::DNS_TYPE), "rcode_name" => Field(field::DNS_RCODE), "answers" => Answers, "TTLs" => Ttls,
        "qtype" => Drop, "rcode" => Drop, "qclass" => Drop, "opcode" => Drop, "Z" => Drop,
    ]
    "http" Http "http" [
        "method" => Field(field::HTTP_METHOD), "host" => Field(field::HTTP_HOST), "uri" => Field(field::HTTP_URI),
        "referrer" => Field(field::HTTP_REFERER), "version" => Field(field::VERSION),
        "request_body_len" => Field(field::HTTP_REQUEST_BYTES), "response_body_len" => Field(field::HTTP_RESPONSE_BYTES),
        "status_code" => Field(field::HTTP_STATUS), "proxied" => Field(field::XFF), "resp_mime_types" => First(field::HTTP_TYPE),
    ]
    "ssl" Tls "tls" [
        "version" => Field(field::TLS_VERSION), "cipher" => Field(field::TLS_CIPHER), "server_name" => Field(field::SNI),
        "next_protocol" => Field(field::ALPN), "subject" => Field(field::CERT_SUBJECT), "issuer" => Field(field::CERT_ISSUER),
        "ja3" => Field(field::JA3), "ja3s" => Field(field::JA3S), "ja4" => Field(field::JA4), "cert_chain_fps" => First(field::CERT_SHA256),
        "resp_certificate_sha1" => Field(field::CERT_SHA1), "cert_hash" => CertHash, "not_valid_before" => Instant(field::CERT_NOT_BEFORE),
        "not_valid_after" => Instant(field::CERT_NOT_AFTER), "validation_status" => Field(field::REASON),
        "issuer_subject" => Field(field::CERT_ISSUER),
    ]
    "quic" Tls "quic" [ "version" => Field(field::VERSION), "server_name" => Field(field::SNI), "client_protocol" => Field(field::ALPN) ]
    "x509" Tls "" [
        "fingerprint" => CertHash, "certificate.serial" => Field(field::CERT_SERIAL), "certificate.subject" => Field(field::CERT_SUBJECT),
        "certificate.issuer" => Field(field::CERT_ISSUER), "certificate.not_valid_before" => Instant(field::CERT_NOT_BEFORE),
        "certificate.not_valid_after" => Instant(field::CERT_NOT_AFTER), "san.dns" => Field(field::CERT_SAN),
        "certificate.version" => Field(field::VERSION), "certificate_sha1" => Field(field::CERT_SHA1),
    ]
    "known_certs" Tls "" [
        "host" => Field(field::DST_IP), "port_num" => Field(field::DST_PORT), "subject" => Field(field::CERT_SUBJECT),
        "issuer_subject" => Field(field::CERT_ISSUER), "serial" => Field(field::CERT_SERIAL),
    ]
    "files" File "" [
        "tx_hosts" => To::Sent, "rx_hosts" => To::Received, "is_orig" => To::ByOriginator, "conn_uids" => First(field::UID),
        "total_bytes" => Field(field::FILE_SIZE), "source" => Field(field::APP),
    ]
    "smb_files" File "smb" [
        "name" => Field(field::FILE_NAME), "path" => Field(field::SHARE), "action" => Field(field::ACTION), "size" => Field(field::FILE_SIZE),
    ]
    "pe" File "" [ "os" => Field(field::OS) ]
    "ocsp" Log "ocsp" [ "serialNumber" => Field(field::CERT_SERIAL) ]
    "notice" Notice "" [
        "note" => Field(field::SIGNATURE), "msg" => Field(field::MESSAGE), "sub" => Field(field::REASON), "src" => Field(field::SRC_IP),
        "dst" => Field(field::DST_IP), "p" => Field(field::DST_PORT), "file_mime_type" => Field(field::FILE_TYPE),
    ]
    "notice_alarm" Notice "" [
        "note" => Field(field::SIGNATURE), "msg" => Field(field::MESSAGE), "sub" => Field(field::REASON), "src" => Field(field::SRC_IP),
        "dst" => Field(field::DST_IP), "p" => Field(field::DST_PORT),
    ]
    "intel" Notice "" [
        "seen.indicator" => Field(field::INDICATOR), "seen.indicator_type" => Field(field::CATEGORY), "sources" => Field(field::FEED),
        "file_mime_type" => Field(field::FILE_TYPE), "seen.where" => Field(field::REASON),
    ]
    "weird" Notice "" [ "name" => Field(field::SIGNATURE), "addl" => Field(field::MESSAGE) ]
    "dpd" Notice "" [ "analyzer" => Field(field::APP), "failure_reason" => Field(field::REASON) ]
    "analyzer" Notice "" [ "analyzer_name" => Field(field::APP), "failure_reason" => Field(field::REASON), "cause" => Field(field::SIGNATURE) ]
    "signatures" Alert "" [
        "src_addr" => Field(field::SRC_IP), "src_port" => Field(field::SRC_PORT), "dst_addr" => Field(field::DST_IP),
        "dst_port" => Field(field::DST_PORT), "sig_id" => Field(field::SIGNATURE), "event_msg" => Field(field::MESSAGE),
        "note" => Field(field::CATEGORY),
    ]
    "ssh" Auth "ssh" [
        "auth_success" => Success, "client" => Field(field::SSH_CLIENT), "server" => Field(field::SSH_SERVER),
        "hassh" => Field(field::HASSH), "hasshServer" => Field(field::HASSH_SERVER), "direction" => Field(field::DIRECTION_STATED),
        "version" => Field(field::VERSION), "status" => Success,
    ]
    "kerberos" Auth "kerberos" [
        "client" => Principal, "service" => Field(field::PRODUCT), "success" => Success, "error_msg" => Field(field::REASON),
        "request_type" => Field(field::METHOD_AUTH),
    ]
    "ntlm" Auth "ntlm" [ "hostname" => Field(field::HOSTNAME), "success" => Success, "status" => Field(field::REASON) ]
    "radius" Auth "radius" [
        "mac" => Field(field::SRC_MAC), "framed_addr" => Field(field::LEASE), "result" => Success, "reply_msg" => Field(field::REASON),
    ]
    "rdp" Auth "rdp" [ "cookie" => Field(field::USER), "result" => Field(field::REASON), "client_name" => Field(field::HOSTNAME) ]
    "rfb" Auth "vnc" [ "auth_success" => Success, "authentication_method" => Field(field::METHOD_AUTH) ]
    "ldap" Auth "ldap" [ "object" => Field(field::USER), "result" => Field(field::REASON), "opcode" => Field(field::ACTION) ]
    "ldap_search" Log "ldap" [ "result" => Field(field::REASON) ]
    "dhcp" Dhcp "dhcp" [
        "client_addr" => Field(field::SRC_IP), "server_addr" => Field(field::DST_IP), "mac" => Field(field::SRC_MAC),
        "host_name" => Field(field::HOSTNAME), "assigned_addr" => Field(field::LEASE), "assigned_ip" => Field(field::LEASE),
        "msg_types" => Field(field::DHCP_TYPE),
    ]
    "smtp" Log "smtp" [
        "mailfrom" => Field(field::MAIL_FROM), "rcptto" => Field(field::MAIL_TO), "subject" => Field(field::MAIL_SUBJECT),
        "last_reply" => Field(field::REASON),
    ]
    "ftp" Log "ftp" [
        "command" => Field(field::ACTION), "arg" => Field(field::URL), "reply_msg" => Field(field::REASON), "file_size" => Field(field::FILE_SIZE),
    ]
    "irc" Log "irc" [ "nick" => Field(field::USER), "command" => Field(field::ACTION), "user" => Keep, "dcc_file_name" => Field(field::FILE_NAME) ]
    "socks" Proxy "socks" [ "request.host" => Field(field::NAME), "status" => Field(field::REASON), "version" => Field(field::VERSION) ]
    "syslog" Log "syslog" [ "message" => Field(field::MESSAGE), "facility" => Keep ]
    "tunnel" Log "" [ "tunnel_type" => Field(field::CATEGORY), "action" => Field(field::ACTION) ]
    "dce_rpc" Log "dce_rpc" [ "operation" => Field(field::ACTION), "endpoint" => Field(field::PRODUCT) ]
    "smb_mapping" Log "smb" [ "path" => Field(field::SHARE), "share_type" => Field(field::CATEGORY) ]
    "smb_cmd" Log "smb" [ "command" => Field(field::ACTION), "status" => Field(field::REASON), "tree" => Field(field::SHARE) ]
    "mysql" Log "mysql" [ "cmd" => Field(field::ACTION), "arg" => Field(field::MESSAGE), "response" => Field(field::REASON) ]
    "postgresql" Log "postgresql" [ "frontend" => Field(field::ACTION), "frontend_arg" => Field(field::MESSAGE) ]
    "redis" Log "redis" [ "cmd.name" => Field(field::ACTION) ]
    "sip" Log "sip" [
        "method" => Field(field::ACTION), "uri" => Field(field::URL), "status_code" => Keep, "status_msg" => Field(field::REASON),
    ]
    "snmp" Log "snmp" [ "community" => Field(field::USER), "version" => Field(field::VERSION) ]
    "ntp" Log "ntp" [ "version" => Field(field::VERSION) ]
    "modbus" Log "modbus" [ "func" => Field(field::ACTION), "exception" => Field(field::REASON) ]
    "dnp3" Log "dnp3" [ "fc_request" => Field(field::ACTION) ]
    "websocket" Log "websocket" [ "host" => Field(field::HTTP_HOST), "uri" => Field(field::HTTP_URI) ]
    "software" Inventory "" [
        "host" => Field(field::DST_IP), "host_p" => Field(field::DST_PORT), "software_type" => Field(field::ROLE),
        "name" => Field(field::PRODUCT), "unparsed_version" => Field(field::VERSION), "url" => Field(field::URL),
    ]
    "known_hosts" Inventory "" [ "host" => Field(field::DST_IP) ]
    "known_services" Inventory "" [
        "host" => Field(field::DST_IP), "port_num" => Field(field::DST_PORT), "port_proto" => Field(field::PROTO),
        "service" => Field(field::APP),
    ]
    "known_devices" Inventory "" [ "mac" => Field(field::DST_MAC), "dhcp_host_name" => Field(field::HOSTNAME) ]
    "traceroute" Notice "" [ "src" => Field(field::SRC_IP), "dst" => Field(field::DST_IP) ]
    "reporter" Log "" [ "message" => Field(field::MESSAGE), "level" => Field(field::CATEGORY), "location" => Keep ]
    "netcontrol" Fw "" [ "action" => Field(field::ACTION), "msg" => Field(field::REASON) ]
    "unknown_protocols" Notice "" [ "analyzer" => Field(field::CATEGORY) ]
}

const OTHER: Log = Log { path: "", kind: Kind::Log, app: "", columns: &[] };

/// The log with a path (`conn`); also of a filtered or split one (`conn-limited`, `http_internal`).
pub(super) fn log(path: &str) -> &'static Log {
    let exact = LOGS.iter().find(|l| l.path == path);
    exact.or_else(|| path.split(['-', '_', '.']).next().and_then(|p| LOGS.iter().find(|l| l.path == p))).unwrap_or(&OTHER)
}

/// Where a column of a log goes. `id_orig_h` and `certificate_subject`, as some exporters flatten them, are known too.
pub(super) fn column(log: &Log, name: &str) -> To {
    let find = |name: &str| log.columns.iter().chain(COMMON).find(|(n, _)| *n == name).map(|(_, to)| *to);
    let dotted = || {
        ["id_", "certificate_", "san_", "seen_", "request_"].iter().find_map(|prefix| {
            name.strip_prefix(prefix).and_then(|rest| find(&format!("{}.{rest}", prefix.trim_end_matches('_'))))
        })
    };
    find(name).or_else(dotted).unwrap_or(Keep)
}

/// The log that an object without a name is, by a column that only it has.
pub(super) fn guess(has: &dyn Fn(&str) -> bool) -> &'static str {
    const MARKS: &[(&str, &[&str])] = &[
        ("conn", &["conn_state"]),
        ("dns", &["trans_id", "rejected"]),
        ("http", &["trans_depth", "status_code"]),
        ("ssl", &["ssl_history", "server_name", "cipher"]),
        ("x509", &["certificate.serial", "certificate_serial"]),
        ("files", &["seen_bytes"]),
        ("notice", &["note"]),
        ("intel", &["seen.indicator", "seen_indicator"]),
        ("ssh", &["auth_attempts", "kex_alg"]),
        ("smtp", &["mailfrom", "helo"]),
        ("dhcp", &["assigned_addr", "msg_types"]),
        ("kerberos", &["request_type"]),
        ("ntlm", &["domainname", "server_nb_computer_name"]),
        ("dce_rpc", &["named_pipe"]),
        ("smb_mapping", &["share_type"]),
        ("smb_files", &["times.modified", "times_modified"]),
        ("rdp", &["security_protocol", "cookie"]),
        ("weird", &["peer"]),
    ];
    MARKS.iter().find(|(_, marks)| marks.iter().any(|m| has(m))).map_or("", |(path, _)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_log_and_in_flattened_forms() {
        assert_eq!(column(log("conn"), "service"), Field(field::APP));
        assert_eq!(column(log("kerberos"), "service"), Field(field::PRODUCT));
        assert_eq!(column(log("conn-limited"), "id_orig_h"), Field(field::SRC_IP));
        assert_eq!(column(log("x509"), "certificate_subject"), Field(field::CERT_SUBJECT));
        assert_eq!(column(log("made_up"), "whatever"), Keep);
    }

    #[test]
    fn every_field_that_a_column_names_exists() {
        for log in LOGS {
            for (name, to) in log.columns.iter().chain(COMMON) {
                if let Field(id) | First(id) | Instant(id) = to {
                    assert!(field::get(*id).is_some(), "{} {name}", log.path);
                }
            }
        }
    }
}
