//! Error logs of web servers: nginx (`error_log`, ngx_core_module), Apache httpd 2.2 and 2.4 (`ErrorLogFormat`'s default), with what
//! ModSecurity writes into them, with or without syslog envelope.
//!
//! Times are local. Severity is that of the level. A message of ModSecurity is an alert: its rule's id, text and severity, the page in `http.uri`;
//! `deny` where it says `Access denied`, else `alert`. All others are log records with the client, the request and the message.

use super::draft::Draft;
use super::envelope::Envelope;
use super::services::Service;
use super::{Context, Out, access_log, clock, draft, json_lines, web};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Service = Service {
    name: "web-error",
    doc: "Error logs of nginx and Apache httpd, with ModSecurity's messages (nginx ngx_core_module, Apache ErrorLogFormat).",
    is,
    own,
    stamp,
    read,
};

/// The levels of both servers.
const LEVELS: [&str; 16] = [
    "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug", "trace1", "trace2", "trace3", "trace4", "trace5",
    "trace6", "trace7", "trace8",
];

fn is(envelope: &Envelope<'_>) -> bool {
    let server = ["nginx", "httpd", "apache", "apache2"].iter().any(|p| envelope.process.starts_with(p));
    server && (stamp(envelope.message).is_some() || apache(envelope.message).is_some())
}

fn own(line: &str) -> Option<Envelope<'_>> {
    stamp(line).map(|s| Envelope { stamp: Some(s), message: line, ..Envelope::default() })
}

fn stamp(message: &str) -> Option<clock::Stamp> {
    let bytes = message.as_bytes();
    match bytes.first()? {
        b'[' => {
            let stamp = clock::asctime(&bytes[1..])?;
            apache(message.get(stamp.len + 1..)?.strip_prefix("] ")?).map(|_| stamp)
        }
        b'0'..=b'9' => {
            let stamp = clock::iso(bytes).filter(|_| bytes.get(4) == Some(&b'/'))?;
            nginx(message.get(stamp.len..)?.trim_start()).map(|_| stamp)
        }
        _ => None,
    }
}

/// Level and the rest of nginx's `[error] 1234#5678: *90 message`.
fn nginx(text: &str) -> Option<(&str, &str)> {
    let (level, rest) = text.strip_prefix('[')?.split_once("] ")?;
    let (process, _) = rest.split_once('#')?;
    (LEVELS.contains(&level) && process.bytes().all(|b| b.is_ascii_digit())).then_some((level, rest))
}

/// Module, level and the rest of Apache's `[core:error] [pid 1:tid 2] [client 192.0.2.5:51000] message`.
fn apache(text: &str) -> Option<(&str, &str, &str)> {
    let (head, rest) = text.strip_prefix('[')?.split_once("] ")?;
    let (module, level) = head.split_once(':').unwrap_or(("", head));
    LEVELS.contains(&level).then_some((module, level, rest))
}

fn read(envelope: &Envelope<'_>, d: &mut Draft, _: &Context, _: &mut Out) {
    let message = envelope.message;
    let begin = stamp(message).map_or(0, |s| s.len + usize::from(message.starts_with('[')));
    let rest = message.get(begin..).unwrap_or("").trim_start_matches([']', ' ']);
    if let Some((level, rest)) = nginx(rest) {
        severity(level, d);
        read_nginx(rest, d);
    } else if let Some((module, level, rest)) = apache(rest) {
        severity(level, d);
        d.keep("module", module);
        read_apache(rest, d);
    }
}

fn severity(level: &str, d: &mut Draft) {
    if let Some(rank) = json_lines::level(if level.starts_with("trace") { "trace" } else { level }) {
        d.uint(field::SEVERITY, rank);
    }
}

/// `1234#5678: *90 message, client: 192.0.2.5, server: example.com, request: "GET / HTTP/1.1", host: "example.com"`.
fn read_nginx(text: &str, d: &mut Draft) {
    let (process, rest) = text.split_once(": ").unwrap_or((text, ""));
    d.put(field::PID, process.split('#').next().unwrap_or(""));
    let (connection, rest) = match rest.strip_prefix('*').and_then(|r| r.split_once(' ')) {
        Some((number, rest)) => (number, rest),
        None => ("", rest),
    };
    d.keep("connection", connection);
    let (mut target, mut host) = (String::new(), String::new());
    for key in ["client", "server", "request", "subrequest", "upstream", "host", "referrer"] {
        let Some(value) = after(rest, key) else { continue };
        match key {
            "client" => {
                let bare = value.strip_prefix("unix:").map_or(value, |_| "");
                if !bare.is_empty() && !d.addr(field::SRC_IP, bare) {
                    d.keep(key, value);
                }
            }
            "request" => request(value, &mut target, d),
            "host" => value.clone_into(&mut host),
            "referrer" => _ = d.text(field::HTTP_REFERER, value),
            "server" if !matches!(value, "_" | "localhost") && web::authority(value).is_some() => d.keep(key, value),
            _ => d.keep(key, value),
        }
    }
    if !host.is_empty() {
        named(&host, &target, d);
    }
    modsecurity(rest, d);
}

/// The value after `, key: `, without its quotes.
fn after<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut at = 0;
    loop {
        at += text.get(at..)?.find(key)?;
        let (before, rest) = (&text[..at], &text[at + key.len()..]);
        match rest.strip_prefix(": ") {
            Some(value) if before.ends_with(", ") || before.is_empty() => {
                return match value.strip_prefix('"') {
                    Some(quoted) => quoted.find("\", ").or_else(|| quoted.rfind('"')).map(|end| &quoted[..end]),
                    None => value.split(", ").next(),
                };
            }
            _ => at += key.len(),
        }
    }
}

fn request(text: &str, target: &mut String, d: &mut Draft) {
    match access_log::request(text) {
        Some((method, uri, version)) => {
            d.text(field::HTTP_METHOD, method);
            d.text(field::HTTP_URI, uri);
            d.text(field::VERSION, version);
            uri.clone_into(target);
        }
        None => _ = d.text(field::HTTP_URI, text),
    }
}

fn named(host: &str, target: &str, d: &mut Draft) {
    let (name, port) = web::authority(host).unwrap_or((host, None));
    d.text(field::HTTP_HOST, name);
    if draft::address(name).is_none() {
        d.text(field::NAME, name);
    }
    if !target.is_empty() {
        d.text(field::URL, &web::url("http", host, port.unwrap_or(0), target));
    }
}

/// `[pid 1:tid 2] [client 192.0.2.5:51000] AH00126: message, referer: http://b.example/`.
fn read_apache(text: &str, d: &mut Draft) {
    let mut rest = text;
    while let Some((part, after)) = rest.strip_prefix('[').and_then(|r| r.split_once("] ")) {
        let (key, value) = part.split_once(' ').unwrap_or((part, ""));
        match key {
            "pid" => _ = d.put(field::PID, value.split(':').next().unwrap_or(value)),
            "client" | "remote" => client(value, d),
            "host" | "vhost" => named(value, "", d),
            _ if !value.is_empty() => d.keep(key, value),
            _ => break,
        }
        rest = after;
    }
    if let Some((code, _)) = rest.split_once(": ").filter(|(c, _)| c.len() == 7 && c.starts_with("AH")) {
        d.text(field::EVENT_CODE, code);
    }
    if let Some((_, referer)) = rest.rsplit_once(", referer: ") {
        d.text(field::HTTP_REFERER, referer.trim_end());
    }
    modsecurity(rest, d);
}

/// `192.0.2.5:51000`, `[2001:db8::5]:51000`, `2001:db8::5` (2.2), a name.
fn client(text: &str, d: &mut Draft) {
    let said = d.record.addr(field::SRC_IP).is_some_and(|a| Some(a) == draft::address(text));
    if said || d.addr(field::SRC_IP, text) {
        return;
    }
    match text.rsplit_once(':').and_then(|(ip, port)| Some((draft::address(ip)?, port.parse::<u16>().ok()?))) {
        Some((ip, port)) => {
            d.give(field::SRC_IP, ip.into());
            d.uint(field::SRC_PORT, u64::from(port));
        }
        None => d.keep("client", text),
    }
}

/// `ModSecurity: Access denied with code 403 (phase 2). ... [id "942100"] [msg "..."] [severity "CRITICAL"] [uri "/x"]` (ModSecurity
/// Reference Manual, "Audit log and error log messages").
fn modsecurity(text: &str, d: &mut Draft) {
    let Some(at) = text.find("ModSecurity:") else { return };
    let text = &text[at..];
    let mut host = String::new();
    let mut tags = 0;
    let mut rest = text;
    while let Some(open) = rest.find(" [").filter(|_| tags < 100) {
        rest = &rest[open + 2..];
        let Some((key, value)) = rest.split_once(" \"").filter(|(k, _)| k.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        else {
            continue;
        };
        let Some(end) = value.find("\"]") else { break };
        let value = &value[..end];
        tags += 1;
        match key {
            "id" => d.put_or_keep(field::SIGNATURE_ID, key, value),
            "msg" => _ = d.text(field::SIGNATURE, value),
            "rev" => d.put_or_keep(field::SIGNATURE_REV, key, value),
            "severity" => {
                d.record.fields.retain(|(id, _)| *id != field::SEVERITY);
                let rank = match value.parse::<usize>() {
                    Ok(n) => [4, 4, 4, 3, 2, 1, 0, 0].get(n).copied(),
                    Err(_) => json_lines::level(value),
                };
                match rank {
                    Some(rank) => _ = d.uint(field::SEVERITY, rank),
                    None => d.keep(key, value),
                }
            }
            "uri" => _ = d.text(field::HTTP_URI, value),
            "hostname" => value.clone_into(&mut host),
            "tag" if !d.has(field::CATEGORY) => _ = d.text(field::CATEGORY, value),
            _ => d.keep(key, value),
        }
    }
    if d.has(field::SIGNATURE_ID) || d.has(field::SIGNATURE) {
        d.record.kind = Kind::Alert;
        d.text(field::MESSAGE, text);
        d.text(field::ACTION, if text.contains("Access denied") { "deny" } else { "alert" });
        if !host.is_empty() && !d.has(field::HTTP_HOST) {
            let target = d.record.text(field::HTTP_URI).unwrap_or("").to_owned();
            if draft::address(&host).is_some() {
                d.addr(field::DST_IP, &host);
            } else {
                named(&host, &target, d);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_one, show};

    #[test]
    fn nginx_names_client_request_and_host() {
        let line = r#"2026/11/20 08:00:00 [error] 1234#5678: *90 open() "/srv/www/x" failed (2: No such file or directory), client: 192.0.2.5, server: example.com, request: "GET /x?a=1 HTTP/1.1", host: "www.example.com:8080", referrer: "http://b.example/""#;
        assert_eq!(
            show(&FORMAT, line),
            "log 2026-11-20T08:00:00Z src.ip=192.0.2.5 name=www.example.com url=http://www.example.com:8080/x?a=1 http.method=GET \
             http.host=www.example.com http.uri=/x?a=1 http.referer=http://b.example/ severity=high pid=1234 message="
                .to_owned()
                + line
                + " version=HTTP/1.1 extra={\"connection\":\"90\",\"server\":\"example.com\"}"
        );
    }

    #[test]
    fn apache_of_both_versions_in_files_and_in_syslog() {
        let new = read_one(
            &FORMAT,
            "[Fri Nov 20 08:00:00.123456 2026] [core:error] [pid 35708:tid 4328636416] [client 192.0.2.5:51000] AH00126: Invalid URI in request GET /../etc/passwd HTTP/1.1, referer: http://b.example/",
        )
        .record;
        assert_eq!((new.addr(field::SRC_IP), new.uint(field::SRC_PORT)), (draft::address("192.0.2.5"), Some(51_000)));
        assert_eq!((new.text(field::EVENT_CODE), new.text(field::HTTP_REFERER)), (Some("AH00126"), Some("http://b.example/")));
        assert_eq!((new.start.to_string(), new.uint(field::PID)), ("2026-11-20T08:00:00.123456Z".to_owned(), Some(35_708)));
        let old = read_one(&FORMAT, "[Fri Nov 20 08:00:00 2026] [error] [client 2001:db8::5] File does not exist: /srv/x").record;
        assert_eq!((old.addr(field::SRC_IP), old.uint(field::SEVERITY)), (draft::address("2001:db8::5"), Some(3)));
        let sys = read_one(
            &FORMAT,
            "Nov 20 08:00:00 web httpd[9]: [ssl:warn] [pid 9] AH01909: server certificate does NOT include an ID",
        )
        .record;
        assert_eq!((sys.text(field::HOSTNAME), sys.uint(field::SEVERITY)), (Some("web"), Some(2)));
    }

    #[test]
    fn modsecurity_is_an_alert() {
        let line = r#"[Fri Nov 20 08:00:00.1 2026] [:error] [pid 7] [client 192.0.2.5:51000] [client 192.0.2.5] ModSecurity: Access denied with code 403 (phase 2). detected SQLi [file "/etc/x.conf"] [line "65"] [id "942100"] [msg "SQL Injection Attack"] [severity "CRITICAL"] [tag "attack-sqli"] [hostname "www.example.com"] [uri "/q"] [unique_id "Yk"]"#;
        let r = read_one(&FORMAT, line).record;
        assert_eq!((r.kind, r.uint(field::SIGNATURE_ID), r.text(field::ACTION)), (Kind::Alert, Some(942_100), Some("deny")));
        assert_eq!((r.uint(field::SEVERITY), r.text(field::URL)), (Some(4), Some("http://www.example.com/q")));
    }
}
