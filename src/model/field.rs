//! The table of fields: the narrow waist between formats and protocols (which fill fields) and queries, columns, export, postings,
//! pivots and help (which read them).
//!
//! To add a field: one row at the end of its group, with the next free number. Numbers are stored on disk and never reused.
//! A row names a kind of entity exactly if one can pivot on its values; such fields are indexed.

use super::entity::EntityKind;
use serde::{Deserialize, Serialize};

/// The number of a field, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FieldId(pub u16);

/// The type of a field's values; see [`Value`](super::value::Value) for which variant holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `Value::Bool`.
    Bool,
    /// `Value::Uint`: a count.
    Uint,
    /// `Value::Uint`: bytes; read with units (`1MB`).
    Bytes,
    /// `Value::Uint`: a port number.
    Port,
    /// `Value::Uint`: nanoseconds; read and shown as `1m30s`.
    Span,
    /// `Value::Uint`: IANA protocol number; read and shown by name.
    Proto,
    /// `Value::Uint`: rank 0 info .. 4 critical; read and shown by name, ordered.
    Severity,
    /// `Value::Float`.
    Float,
    /// `Value::Addr`; compared with networks too.
    Addr,
    /// `Value::Time`.
    Time,
    /// `Value::Text`.
    Text,
}

/// Where a field's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the head of every record: kind, source, evidence, id, start, end.
    Head,
    /// In the record's own list of fields, at most one value.
    One,
    /// In the record's own list of fields, any number of values (answers, CVEs).
    Many,
    /// Nowhere: a test holds if it holds for any of these fields.
    Any(&'static [FieldId]),
    /// Nowhere: the sum of these fields.
    Sum(&'static [FieldId]),
    /// Nowhere: computed from the record (duration, community_id) or filled in when a question is answered (verdict).
    Derived,
}

/// A field: a named, typed, documented attribute of flows and events.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Number, as stored.
    pub id: FieldId,
    /// Canonical name, the same in queries, columns, JSON Lines, CSV and help.
    pub name: &'static str,
    /// Other names that queries accept: Wireshark's, Zeek's, ECS's.
    pub aliases: &'static [&'static str],
    /// Type.
    pub ty: Type,
    /// Where values are.
    pub place: Place,
    /// What one can pivot on, if its values are such things.
    pub entity: Option<EntityKind>,
    /// What it is, in one sentence.
    pub doc: &'static str,
}

macro_rules! fields {
    ($( $const:ident = $id:literal, $name:literal, [$($alias:literal),*], $ty:ident, $place:expr, $entity:expr, $doc:literal; )*) => {
        $( #[doc = $doc] pub const $const: FieldId = FieldId($id); )*
        /// Every field, in the order in which help and completion show them.
        pub const ALL: &[Field] = &[ $( Field {
            id: FieldId($id), name: $name, aliases: &[$($alias),*], ty: Type::$ty, place: $place, entity: $entity, doc: $doc,
        } ),* ];
    };
}

use EntityKind as E;
use Place::{Any, Derived, Head, Many, One, Sum};

fields! {
    // --- of every record
    KIND = 1, "kind", ["event.kind", "event_type", "_path"], Text, Head, None, "What the record is: flow, alert, dns, http, tls, file, fw, proxy, auth, dhcp, vuln, inventory, notice, log, oddity.";
    SOURCE = 2, "source", ["sensor", "observer.name"], Text, Head, None, "The stream that the record came from.";
    EVIDENCE = 3, "evidence", ["log.file.path"], Text, Head, None, "The evidence file that the record came from.";
    ID = 4, "id", ["event.id"], Text, Head, None, "The record's own id: evidence key, offset, ordinal.";
    START = 5, "start", ["ts", "time", "timestamp", "frame.time", "@timestamp", "event.start"], Time, Head, None, "First instant of the record, corrected by its source's clock.";
    END = 6, "end", ["event.end"], Time, Head, None, "Last instant of the record; equals start where there is none.";
    DURATION = 7, "duration", ["dur", "event.duration", "tcp.time_relative"], Span, Derived, None, "End minus start.";
    RAW_START = 8, "start.raw", ["ts_raw"], Time, Derived, None, "First instant as the source wrote it, before any correction.";
    VERDICT = 9, "verdict", ["judgement"], Text, Derived, None, "What people judged the record to be: benign, suspicious, malicious; the worst that covers it; missing while nobody has.";
    // --- who with whom
    HOST = 10, "host", ["ip", "ip.addr", "ipv6.addr", "addr", "related.ip"], Addr, Any(&[SRC_IP, DST_IP, NAT_SRC_IP, NAT_DST_IP, ANSWER_IP]), Some(E::Address), "Any address of the record: originator, responder, translated or answered.";
    SRC_IP = 11, "src.ip", ["src", "id.orig_h", "source.ip", "ip.src", "ipv6.src", "src_ip", "saddr"], Addr, One, Some(E::Address), "Address of the originator (RFC 5103 forward side).";
    SRC_PORT = 12, "src.port", ["sport", "id.orig_p", "source.port", "tcp.srcport", "udp.srcport", "src_port"], Port, One, None, "Port of the originator; for ICMP the type.";
    DST_IP = 13, "dst.ip", ["dst", "id.resp_h", "destination.ip", "ip.dst", "ipv6.dst", "dest_ip", "daddr"], Addr, One, Some(E::Address), "Address of the responder.";
    DST_PORT = 14, "dst.port", ["dport", "id.resp_p", "destination.port", "tcp.dstport", "udp.dstport", "dest_port"], Port, One, Some(E::Service), "Port of the responder; for ICMP the counterpart type or the code.";
    PORT = 15, "port", ["tcp.port", "udp.port"], Port, Any(&[SRC_PORT, DST_PORT, NAT_SRC_PORT, NAT_DST_PORT]), None, "Any port of the record, before or after translation.";
    PROTO = 16, "proto", ["ip.proto", "ip_proto", "network.transport", "network.iana_number"], Proto, One, None, "Transport protocol, by name or IANA number.";
    APP = 17, "app", ["service", "app_proto", "network.protocol", "_ws.col.Protocol"], Text, One, None, "Application recognised in the flow (http, tls, dns, ssh, ...), comma-separated if several.";
    APP_CONF = 18, "app.confidence", ["service_conf"], Text, One, None, "How the application was recognised: parsed (both sides), banner (one side), port (by its number only).";
    COMMUNITY_ID = 19, "community_id", ["network.community_id", "communityid"], Text, Derived, Some(E::CommunityId), "Community ID v1 (seed 0) of the record's addresses and ports.";
    VLAN = 20, "vlan", ["vlan.id", "network.vlan.id"], Uint, One, None, "Outer VLAN id.";
    VLAN_INNER = 21, "vlan.inner", ["inner_vlan", "network.inner.vlan.id"], Uint, One, None, "Inner VLAN id.";
    TUNNEL = 22, "tunnel", ["tunnel_parents"], Text, One, Some(E::Flow), "Id of the flow that carries this one.";
    FLOW = 23, "flow", [], Text, One, Some(E::Flow), "Id of the flow that this event belongs to.";
    UID = 24, "uid", ["flow_id", "conn_uids"], Text, One, Some(E::Flow), "The source's own id of the connection (Zeek uid, Suricata flow_id).";
    MAC = 25, "mac", ["eth.addr"], Text, Any(&[SRC_MAC, DST_MAC]), Some(E::Mac), "Either hardware address.";
    SRC_MAC = 26, "src.mac", ["eth.src", "orig_l2_addr", "source.mac"], Text, One, Some(E::Mac), "Hardware address of the originator.";
    DST_MAC = 27, "dst.mac", ["eth.dst", "resp_l2_addr", "destination.mac"], Text, One, Some(E::Mac), "Hardware address of the responder.";
    DIRECTION_STATED = 28, "direction.stated", [], Text, One, None, "Direction as the source itself states it (in, out, to_client, ...); `direction` is by the home networks.";
    DIRECTION = 29, "direction", ["network.direction"], Text, Derived, None, "in, out, internal or external, by which of src.ip and dst.ip are home networks (confirmed, else guessed) when asked.";
    COUNTRY = 230, "country", ["geo.country"], Text, Derived, None, "Country (ISO 3166) in which src.ip or dst.ip is registered, by the registration feeds; as a column that of the end that is not one's own.";
    SRC_COUNTRY = 231, "src.country", ["source.geo.country_iso_code", "src.geo"], Text, Derived, None, "Country in which src.ip is registered.";
    DST_COUNTRY = 232, "dst.country", ["destination.geo.country_iso_code", "dst.geo"], Text, Derived, None, "Country in which dst.ip is registered.";
    AS = 233, "as", ["asn"], Uint, Derived, None, "Number of the autonomous system that announces src.ip or dst.ip, by the registration feeds; as a column that of the end that is not one's own.";
    SRC_AS = 234, "src.as", ["source.as.number", "src.asn"], Uint, Derived, None, "Number of the autonomous system that announces src.ip.";
    DST_AS = 235, "dst.as", ["destination.as.number", "dst.asn"], Uint, Derived, None, "Number of the autonomous system that announces dst.ip.";
    // --- the life of a flow
    STATE = 30, "state", ["conn_state"], Text, One, None, "Zeek's connection state: S0 S1 SF REJ S2 S3 RSTO RSTR RSTOS0 RSTRH SH SHR OTH; of other sources their own word.";
    HISTORY = 31, "history", [], Text, One, None, "Zeek's history letters: upper case the originator, lower case the responder.";
    PACKETS = 32, "packets", ["network.packets", "pkts"], Uint, Sum(&[PACKETS_OUT, PACKETS_IN]), None, "Packets of both directions.";
    PACKETS_OUT = 33, "packets.out", ["orig_pkts", "source.packets"], Uint, One, None, "Packets of the originator.";
    PACKETS_IN = 34, "packets.in", ["resp_pkts", "destination.packets"], Uint, One, None, "Packets of the responder.";
    BYTES = 35, "bytes", ["network.bytes"], Bytes, Sum(&[BYTES_OUT, BYTES_IN]), None, "IP bytes of both directions.";
    BYTES_OUT = 36, "bytes.out", ["orig_ip_bytes", "source.bytes"], Bytes, One, None, "IP bytes of the originator.";
    BYTES_IN = 37, "bytes.in", ["resp_ip_bytes", "destination.bytes"], Bytes, One, None, "IP bytes of the responder.";
    PAYLOAD = 38, "payload", [], Bytes, Sum(&[PAYLOAD_OUT, PAYLOAD_IN]), None, "Application bytes of both directions.";
    PAYLOAD_OUT = 39, "payload.out", ["orig_bytes"], Bytes, One, None, "Application bytes of the originator (TCP: from sequence numbers).";
    PAYLOAD_IN = 40, "payload.in", ["resp_bytes"], Bytes, One, None, "Application bytes of the responder (TCP: from sequence numbers).";
    MISSED = 41, "missed", ["missed_bytes"], Bytes, One, None, "Bytes acknowledged by the peer but not captured.";
    RETRANS_OUT = 42, "retransmitted.out", [], Bytes, One, None, "Payload bytes that the originator sent again.";
    RETRANS_IN = 43, "retransmitted.in", [], Bytes, One, None, "Payload bytes that the responder sent again.";
    CAPTURED_OUT = 44, "captured.out", [], Bytes, One, None, "Payload bytes of the originator really present, where fewer than payload.out.";
    CAPTURED_IN = 45, "captured.in", [], Bytes, One, None, "Payload bytes of the responder really present, where fewer than payload.in.";
    FRAGMENTS = 46, "fragments", [], Uint, One, None, "IP fragments among the packets.";
    FRAGMENTS_JOINED_OUT = 56, "fragments.joined.out", [], Uint, One, None, "Fragments of the originator beyond the first of their datagram: packets that other tools count once per datagram.";
    FRAGMENTS_JOINED_IN = 57, "fragments.joined.in", [], Uint, One, None, "Fragments of the responder beyond the first of their datagram.";
    UNSTATED_OUT = 58, "unstated.out", [], Bytes, One, None, "IP bytes of the originator that the header of their packet does not state (length 0, segmentation offload): counted by what was captured, which other tools do not.";
    UNSTATED_IN = 59, "unstated.in", [], Bytes, One, None, "IP bytes of the responder that the header of their packet does not state.";
    ICMP_ERROR = 47, "icmp.error", [], Text, One, None, "Type/code of an ICMP error that answered this flow.";
    RELATED = 48, "related", [], Text, One, Some(E::CommunityId), "Community ID of the flow that an ICMP error is about.";
    OPEN = 49, "open", [], Bool, One, None, "The flow had not ended when last seen.";
    L2_BYTES_OUT = 50, "l2.bytes.out", ["bytes_toserver"], Bytes, One, None, "Link-layer bytes of the originator, where a source counts those.";
    L2_BYTES_IN = 51, "l2.bytes.in", ["bytes_toclient"], Bytes, One, None, "Link-layer bytes of the responder, where a source counts those.";
    END_REASON = 52, "end.reason", ["flow.reason"], Text, One, None, "Why the flow ended: close, reset, timeout, eviction, end of file.";
    // --- names, web, TLS
    NAME = 60, "name", ["dns.qry.name", "query", "rrname", "dns.question.name", "domain", "destination.domain"], Text, Many, Some(E::Name), "Name asked or used: DNS question, SNI, HTTP host, host name.";
    SNI = 61, "sni", ["tls.handshake.extensions_server_name", "server_name", "tls.sni", "tls.client.server_name"], Text, One, Some(E::Name), "Server name of a TLS or QUIC ClientHello.";
    URL = 62, "url", ["http.request.full_uri", "url.full", "url.original"], Text, One, Some(E::Url), "URL, whole where host and scheme are known.";
    HTTP_METHOD = 63, "http.method", ["http.request.method", "method"], Text, One, None, "HTTP method.";
    HTTP_HOST = 64, "http.host", ["host.header", "hostname.http", "url.domain"], Text, One, Some(E::Name), "Host header.";
    HTTP_URI = 65, "http.uri", ["http.request.uri", "uri", "url.path"], Text, One, None, "Request target as sent.";
    HTTP_STATUS = 66, "http.status", ["http.response.code", "status_code", "http.response.status_code", "status"], Uint, One, None, "HTTP status.";
    HTTP_AGENT = 67, "http.agent", ["http.user_agent", "user_agent", "user_agent.original", "agent"], Text, One, Some(E::Agent), "User agent.";
    HTTP_REFERER = 68, "http.referer", ["referrer", "http.request.referrer", "http_refer"], Text, One, Some(E::Url), "Referer header.";
    HTTP_TYPE = 69, "http.type", ["http.content_type", "resp_mime_types", "http_content_type"], Text, One, None, "Content type of the response, else of the request.";
    HTTP_REQUEST_BYTES = 70, "http.request.bytes", ["request_body_len"], Bytes, One, None, "Length of the request body.";
    HTTP_RESPONSE_BYTES = 71, "http.response.bytes", ["response_body_len", "http.length"], Bytes, One, None, "Length of the response body.";
    XFF = 72, "xff", ["proxied", "http.x_forwarded_for"], Text, One, None, "X-Forwarded-For as sent: a claim, not evidence.";
    TLS_VERSION = 73, "tls.version", ["ssl.version", "version.tls"], Text, One, None, "TLS version negotiated, else offered.";
    TLS_CIPHER = 74, "tls.cipher", ["cipher"], Text, One, None, "Cipher suite chosen.";
    ALPN = 75, "alpn", ["next_protocol", "tls.next_protocol"], Text, One, None, "Application protocol negotiated, else first offered.";
    JA3 = 76, "ja3", ["tls.client.ja3", "tls.handshake.ja3", "ja3.hash"], Text, One, Some(E::Fingerprint), "JA3 of the TLS client.";
    JA3S = 77, "ja3s", ["tls.server.ja3s", "tls.handshake.ja3s"], Text, One, Some(E::Fingerprint), "JA3S of the TLS server.";
    JA4 = 78, "ja4", ["tls.client.ja4", "tls.handshake.ja4"], Text, One, Some(E::Fingerprint), "JA4 of the TLS or QUIC client.";
    CERT_SUBJECT = 79, "cert.subject", ["certificate.subject", "tls.subject", "tls.server.subject", "subject"], Text, One, Some(E::Certificate), "Subject of the server's certificate.";
    CERT_ISSUER = 80, "cert.issuer", ["certificate.issuer", "issuerdn", "tls.server.issuer", "issuer"], Text, One, None, "Issuer of the server's certificate.";
    CERT_SERIAL = 81, "cert.serial", ["certificate.serial", "serial"], Text, One, Some(E::Certificate), "Serial number of the certificate, hexadecimal without separators.";
    CERT_SHA1 = 82, "cert.sha1", ["tls.fingerprint", "tls.server.hash.sha1"], Text, One, Some(E::Certificate), "SHA-1 of the certificate, hexadecimal without separators.";
    CERT_SHA256 = 83, "cert.sha256", ["tls.server.hash.sha256"], Text, One, Some(E::Certificate), "SHA-256 of the certificate.";
    CERT_NOT_BEFORE = 84, "cert.not_before", ["certificate.not_valid_before", "notbefore"], Time, One, None, "Start of the certificate's validity.";
    CERT_NOT_AFTER = 85, "cert.not_after", ["certificate.not_valid_after", "notafter"], Time, One, None, "End of the certificate's validity.";
    CERT_SAN = 86, "cert.san", ["san.dns"], Text, Many, Some(E::Name), "Names in the certificate's subjectAltName.";
    // --- DNS
    DNS_TYPE = 90, "dns.type", ["qtype", "qtype_name", "rrtype", "dns.qry.type", "dns.question.type"], Text, One, None, "Type of the question (A, AAAA, TXT, ...).";
    DNS_RCODE = 91, "dns.rcode", ["rcode", "rcode_name", "dns.flags.rcode", "dns.response_code"], Text, One, None, "Response code (NOERROR, NXDOMAIN, ...).";
    DNS_ID = 92, "dns.id", ["trans_id", "dns.tx_id"], Uint, One, None, "Transaction id.";
    ANSWER_IP = 93, "dns.answer.ip", ["dns.a", "dns.aaaa", "dns.resolved_ip", "rdata.ip"], Addr, Many, Some(E::Address), "Addresses answered.";
    ANSWER_NAME = 94, "dns.answer.name", ["dns.cname", "rdata.name"], Text, Many, Some(E::Name), "Names answered (CNAME, PTR, MX, NS, SRV), in packet order.";
    ANSWER_TEXT = 95, "dns.answer.text", ["dns.txt", "rdata"], Text, Many, None, "Other answers as text.";
    DNS_TTL = 96, "dns.ttl", ["ttls", "ttl"], Uint, One, None, "Smallest time to live among the answers, seconds.";
    DNS_RTT = 97, "dns.rtt", ["rtt"], Span, One, None, "Time from question to answer.";
    // --- alerts, firewalls, who
    SIGNATURE = 100, "signature", ["alert.signature", "rule.name", "msg", "alert.msg"], Text, One, Some(E::Signature), "Message of the rule that fired.";
    SIGNATURE_ID = 101, "signature.id", ["sid", "alert.signature_id", "rule.id", "sig"], Uint, One, Some(E::Signature), "Number of the rule that fired.";
    SIGNATURE_GID = 102, "signature.gid", ["gid"], Uint, One, None, "Generator of the rule.";
    SIGNATURE_REV = 103, "signature.rev", ["rev"], Uint, One, None, "Revision of the rule.";
    SEVERITY = 104, "severity", ["alert.severity", "event.severity", "priority"], Severity, One, None, "critical, high, medium, low, info; each format says how it maps.";
    CATEGORY = 105, "category", ["alert.category", "event.category", "classification"], Text, One, None, "The rule's or record's class, in its source's words.";
    ACTION = 106, "action", ["event.action", "alert.action"], Text, One, None, "allow, deny, drop, reset, alert, start, close, timeout, login_ok, login_fail, logout, lease, asked, found, or the source's word.";
    REASON = 107, "reason", ["event.reason"], Text, One, None, "Why, in the source's words.";
    RULE = 108, "rule", ["fw.rule"], Text, One, None, "Firewall or proxy rule (its name, prefix or number).";
    IFACE_IN = 109, "interface.in", ["in_iface", "observer.ingress.interface.name"], Text, One, None, "Interface that it came in by.";
    IFACE_OUT = 110, "interface.out", ["observer.egress.interface.name"], Text, One, None, "Interface that it left by.";
    ZONE_IN = 111, "zone.in", ["observer.ingress.zone"], Text, One, None, "Zone that it came from.";
    ZONE_OUT = 112, "zone.out", ["observer.egress.zone"], Text, One, None, "Zone that it went to.";
    NAT_SRC_IP = 113, "nat.src.ip", ["source.nat.ip"], Addr, One, Some(E::Address), "Originator's address after translation.";
    NAT_SRC_PORT = 114, "nat.src.port", ["source.nat.port"], Port, One, None, "Originator's port after translation.";
    NAT_DST_IP = 115, "nat.dst.ip", ["destination.nat.ip"], Addr, One, Some(E::Address), "Responder's address after (DNAT: behind the) translation.";
    NAT_DST_PORT = 116, "nat.dst.port", ["destination.nat.port"], Port, One, None, "Responder's port after translation.";
    USER = 117, "user", ["user.name", "username", "source.user.name"], Text, One, Some(E::User), "User or account.";
    HOSTNAME = 118, "hostname", ["host.name", "computer", "host_name"], Text, One, Some(E::Name), "Name of the host that the record is about or was written by.";
    PROCESS = 119, "process", ["process.name", "image", "program"], Text, One, None, "Program or process.";
    PID = 120, "pid", ["process.pid"], Uint, One, None, "Process id.";
    MESSAGE = 121, "message", ["event.original", "text"], Text, One, None, "The record in its source's words.";
    TCP_FLAGS = 122, "tcp.flags", [], Text, One, None, "TCP flags as the source states them.";
    PCAP_CNT = 123, "pcap_cnt", ["frame.number"], Uint, One, None, "Number of the packet in its capture, from 1, as the IDS counted.";
    ELAPSED = 124, "elapsed", ["event.elapsed"], Span, One, None, "How long the source says it took.";
    METHOD_AUTH = 125, "auth.method", [], Text, One, None, "How a login was attempted: password, publickey, ...";
    PAYLOAD_TEXT = 126, "payload.text", ["payload_printable"], Text, One, None, "Printable payload that an alert carries.";
    EVENT_CODE = 127, "event.code", ["winlog.event_id", "message_id", "logid"], Text, One, None, "The source's own number of the kind of event: Windows event id, Cisco message number, FortiGate log id.";
    // --- files
    FILE_NAME = 130, "file.name", ["filename", "fileinfo.filename", "file.path"], Text, One, Some(E::Name), "Name of a file.";
    FILE_SIZE = 131, "file.size", ["fileinfo.size", "total_bytes", "seen_bytes"], Bytes, One, None, "Size of a file.";
    FILE_TYPE = 132, "file.type", ["mime_type", "fileinfo.magic", "file.mime_type"], Text, One, None, "Type of a file, by its content where known.";
    MD5 = 133, "md5", ["file.hash.md5", "hash.md5"], Text, One, Some(E::Hash), "MD5 of a file.";
    SHA1 = 134, "sha1", ["file.hash.sha1", "hash.sha1"], Text, One, Some(E::Hash), "SHA-1 of a file.";
    SHA256 = 135, "sha256", ["file.hash.sha256", "hash.sha256"], Text, One, Some(E::Hash), "SHA-256 of a file.";
    HASH = 136, "hash", ["file.hash", "related.hash"], Text, Any(&[MD5, SHA1, SHA256]), Some(E::Hash), "Any hash of a file.";
    // --- other protocols
    SSH_CLIENT = 140, "ssh.client", ["client"], Text, One, None, "SSH client's version string.";
    SSH_SERVER = 141, "ssh.server", ["server"], Text, One, None, "SSH server's version string.";
    HASSH = 142, "hassh", [], Text, One, Some(E::Fingerprint), "HASSH of the SSH client.";
    HASSH_SERVER = 143, "hassh.server", ["hasshserver"], Text, One, Some(E::Fingerprint), "HASSH of the SSH server.";
    MAIL_FROM = 144, "mail.from", ["smtp.mail_from", "mailfrom"], Text, One, Some(E::User), "Envelope sender.";
    MAIL_TO = 145, "mail.to", ["smtp.rcpt_to", "rcptto"], Text, Many, Some(E::User), "Envelope recipients.";
    MAIL_SUBJECT = 146, "mail.subject", ["smtp.subject", "email.subject"], Text, One, None, "Subject of a mail.";
    SHARE = 147, "share", ["smb.share", "smb.tree"], Text, One, None, "SMB share.";
    BANNER = 148, "banner", [], Text, One, None, "Greeting of a server.";
    LEASE = 149, "dhcp.address", ["assigned_ip", "dhcp.assigned_ip", "assigned_addr"], Addr, One, Some(E::Address), "Address that DHCP or RADIUS assigned.";
    DHCP_TYPE = 150, "dhcp.type", ["dhcp.msg_type", "msg_types"], Text, One, None, "DHCP message.";
    // --- inventory, scans, reputation
    PRODUCT = 160, "product", [], Text, One, None, "Product behind a service or of a host.";
    VERSION = 161, "version", [], Text, One, None, "Version of the product or protocol.";
    OS = 162, "os", ["host.os.full", "host.os.name"], Text, One, None, "Operating system.";
    ROLE = 163, "role", ["host.type"], Text, One, None, "Role of the host (workstation, server, printer, ...).";
    OWNER = 164, "owner", [], Text, One, Some(E::User), "Owner of the host.";
    MISSION = 165, "mission", [], Text, One, None, "Mission that the host or service serves.";
    CRITICALITY = 166, "criticality", [], Text, One, None, "How critical the host is to its mission.";
    PORT_STATE = 167, "port.state", [], Text, One, None, "State of a scanned port: open, closed, filtered.";
    CVE = 168, "cve", ["vulnerability.id", "cves"], Text, Many, Some(E::Cve), "CVE identifiers.";
    CVSS = 169, "cvss", ["vulnerability.score.base"], Float, One, None, "CVSS base score, the newest version that the source gives.";
    PLUGIN = 170, "plugin", ["plugin_id"], Uint, One, None, "Number of the scanner's check.";
    SOLUTION = 171, "solution", [], Text, One, None, "What the scanner recommends.";
    CPE = 172, "cpe", [], Text, Many, None, "CPE names.";
    INDICATOR = 173, "indicator", ["threat.indicator"], Text, One, None, "Indicator of a reputation list, as listed (an address, network, name, URL, hash).";
    FEED = 174, "feed", ["threat.feed.name"], Text, One, None, "Reputation list that the indicator is on.";
    CONFIDENCE = 175, "confidence", [], Float, One, None, "Confidence that the source states, 0 to 1.";
    SITE = 176, "site", ["location"], Text, One, None, "Site or location.";
    CHECK_RESULT = 177, "check.result", ["rule.result"], Text, One, None, "Result of a configuration check: pass, fail, error, unknown, notapplicable, notchecked, informational.";
    // --- oddities and the rest
    ODDITY = 180, "oddity", ["weird", "anomaly"], Text, One, Some(E::Signature), "What was malformed, as a short name.";
    PLACE = 181, "place", [], Text, One, None, "Where it was malformed: layer, offset, line.";
    EXTRA = 182, "extra", [], Text, One, None, "Fields of the source that have no name here, as one JSON object.";
    VIA = 184, "via", [], Text, Derived, None, "How a row was found that does not name the host that was asked for: nat (it has an end that the host had elsewhere at the time).";
    VIA_HOST = 185, "via.host", [], Addr, Derived, Some(E::Address), "The host that was asked for, of a row found via a translation.";
    VIA_METHOD = 186, "via.method", [], Text, Derived, None, "How that translation is known: log, infer (two vantage points), proxy, claim.";
    VIA_CONFIDENCE = 187, "via.confidence", [], Float, Derived, None, "How sure that translation is, 0 to 1.";
    VIA_EVIDENCE = 188, "via.evidence", [], Text, Derived, None, "Id of the record that proves that translation.";
    FORWARDED_SRC_IP = 250, "forwarded.src.ip", [], Addr, One, Some(E::Address), "Address of the client for whom a proxy says it opened the connection (PROXY protocol): a claim of whoever sent it.";
    FORWARDED_SRC_PORT = 251, "forwarded.src.port", [], Port, One, None, "Port of that client.";
    FORWARDED_DST_IP = 252, "forwarded.dst.ip", [], Addr, One, Some(E::Address), "Address that the client called, as the proxy says.";
    FORWARDED_DST_PORT = 253, "forwarded.dst.port", [], Port, One, None, "Port that the client called.";
    SRC_OS = 254, "src.os", [], Text, One, None, "System of the originator by the SYN that it sent: windows, linux, apple, bsd, firmware.";
    DST_OS = 255, "dst.os", [], Text, One, None, "System of the responder by the SYN that it answered with.";
    TEXT = 183, "any", [], Text, Any(&[NAME, SNI, URL, HTTP_HOST, HTTP_URI, SIGNATURE, USER, HOSTNAME, MESSAGE, FILE_NAME, INDICATOR, ODDITY]), None, "What a bare word is looked for in: names, URLs, signatures, users, messages, file names.";
}

/// The fields that the registration feeds give.
pub const REGISTRATION: [FieldId; 6] = [COUNTRY, SRC_COUNTRY, DST_COUNTRY, AS, SRC_AS, DST_AS];

/// Whether a field is given by the registration feeds.
pub fn is_registration(id: FieldId) -> bool {
    REGISTRATION.contains(&id)
}

/// The field with a number. Constant time.
pub fn get(id: FieldId) -> Option<&'static Field> {
    use std::sync::LazyLock;
    static BY_ID: LazyLock<Vec<Option<&'static Field>>> = LazyLock::new(|| {
        let mut table = vec![None; 1 + ALL.iter().map(|f| f.id.0 as usize).max().unwrap_or(0)];
        for field in ALL {
            table[field.id.0 as usize] = Some(field);
        }
        table
    });
    BY_ID.get(id.0 as usize).copied().flatten()
}

/// The name of a field; numbers of a newer version show as `field-N`.
pub fn name(id: FieldId) -> String {
    get(id).map_or_else(|| format!("field-{}", id.0), |f| f.name.to_owned())
}

/// The field that a name or alias means, without regard to case.
pub fn find(name: &str) -> Option<&'static Field> {
    use std::collections::HashMap;
    use std::sync::LazyLock;
    static BY_NAME: LazyLock<HashMap<String, &'static Field>> = LazyLock::new(|| {
        let mut table = HashMap::new();
        for field in ALL {
            for alias in field.aliases {
                table.entry(alias.to_ascii_lowercase()).or_insert(field);
            }
        }
        for field in ALL {
            table.insert(field.name.to_owned(), field);
        }
        table
    });
    BY_NAME.get(&name.to_ascii_lowercase()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_names_and_aliases_are_unique_and_every_field_is_documented() {
        let mut numbers = std::collections::HashSet::new();
        let mut names = std::collections::HashMap::new();
        for field in ALL {
            assert!(numbers.insert(field.id), "number {} twice", field.id.0);
            assert!(field.doc.ends_with('.'), "{}", field.name);
            for name in field.aliases.iter().chain([&field.name]) {
                if let Some(other) = names.insert(name.to_ascii_lowercase(), field.name) {
                    assert_eq!(other, field.name, "{name} means both {other} and {}", field.name);
                }
            }
        }
    }

    #[test]
    fn parts_of_fields_are_stored_fields() {
        for field in ALL {
            if let Place::Any(parts) | Place::Sum(parts) = field.place {
                for part in parts {
                    let part = get(*part).map(|f| f.place);
                    assert!(matches!(part, Some(Place::One | Place::Many)), "{}", field.name);
                }
            }
        }
    }
}
