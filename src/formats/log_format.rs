//! An access log's format as its server is told it: nginx `log_format`, Apache `LogFormat`, Squid `logformat`; a line is read by it as the record that
//! `web_json` makes of the same variables.
//!
//! A variable takes what stands up to the text after it. Apache's and Squid's directives are given the names of nginx's variables; those without one are kept
//! under their own. Escapes stay as written.

use super::draft::seconds;
use super::json;
use super::{Context, Out, Status, Unit, web_json};
use crate::model::field;
use crate::model::record::Kind;
use regex::{Regex, RegexBuilder};

/// Whose format it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    Nginx,
    Apache,
    Squid,
}

/// A format that is understood.
pub(super) struct LogFormat {
    pattern: Regex,
    /// The variables in order of the pattern's groups.
    names: Vec<String>,
    server: Server,
}

/// Most variables of a format, and largest program of its pattern in bytes.
const NAMES_MAX: usize = 100;
const PATTERN_MAX: usize = 4 << 20;

/// A piece of a format.
enum Piece {
    Text(String),
    Variable(String),
}

impl LogFormat {
    /// The format that a text is; else what is wrong with it.
    pub fn parse(server: Server, format: &str) -> Result<LogFormat, String> {
        let pieces = match server {
            Server::Nginx => nginx(format)?,
            Server::Apache => apache(format)?,
            Server::Squid => squid(format)?,
        };
        let mut pattern = String::from("^");
        let mut names = Vec::new();
        for (n, piece) in pieces.iter().enumerate() {
            match piece {
                // Squid pads columns with further spaces.
                Piece::Text(text) if server == Server::Squid && text.trim().is_empty() => pattern.push_str("\\s+"),
                Piece::Text(text) => pattern.push_str(&regex::escape(text)),
                Piece::Variable(name) => {
                    pattern.push_str(match pieces.get(n + 1) {
                        None => "(.*)",
                        Some(Piece::Variable(_)) => return Err(format!("nothing stands between {name} and what follows it")),
                        Some(Piece::Text(text)) => upto(name, text),
                    });
                    names.push(name.clone());
                }
            }
        }
        pattern.push('$');
        if names.is_empty() || names.len() > NAMES_MAX {
            return Err(format!("it has {} variables: at least one, at most {NAMES_MAX}", names.len()));
        }
        let known = ["remote_addr", "remote_host", "request", "request_uri", "url"].iter().any(|k| names.iter().any(|n| n == k));
        if !known {
            return Err("it has neither a client nor a request".into());
        }
        let pattern = RegexBuilder::new(&pattern).size_limit(PATTERN_MAX).dfa_size_limit(PATTERN_MAX).build();
        Ok(LogFormat { pattern: pattern.map_err(|e| e.to_string())?, names, server })
    }
    /// The kind of its records.
    pub fn kind(&self) -> Kind {
        if self.server == Server::Squid { Kind::Proxy } else { Kind::Http }
    }
    /// Whether a line is of this format.
    pub fn is(&self, line: &str) -> bool {
        self.pattern.is_match(line)
    }
    /// Reads a line. `None`: it is not of this format.
    pub fn read(&self, text: &str, context: &Context, unit: Unit, len: usize, out: &mut Out) -> Option<Status> {
        let groups = self.pattern.captures(text)?;
        let mut object = String::from("{");
        for (name, value) in self.names.iter().zip(groups.iter().skip(1)) {
            let Some(value) = value.map(|v| v.as_str()).filter(|v| !v.is_empty()) else { continue };
            let (name, value) = unit_of(name, value);
            if object.len() > 1 {
                object.push(',');
            }
            json::quote(&name, &mut object);
            object.push(':');
            json::quote(&value, &mut object);
        }
        object.push('}');
        let members = json::object(&object)?;
        let before = out.records.len();
        let status = web_json::FORMAT.read(&members, context, unit, len, None, out);
        for read in out.records.iter_mut().skip(before) {
            read.record.kind = self.kind();
            if self.server == Server::Squid {
                proxied(&mut read.record);
            }
        }
        Some(status)
    }
}

/// What a record of a proxy says besides.
fn proxied(record: &mut crate::model::record::Record) {
    record.fields.retain(|(id, _)| *id != field::APP);
    let denied = super::web::denied(record.text(field::REASON).unwrap_or(""), record.uint(field::HTTP_STATUS));
    record.set_text(field::ACTION, if denied { "deny" } else { "allow" });
    let name = record.text(field::URL).and_then(|u| super::web::authority(u)).map(|(host, _)| host.to_lowercase());
    if let Some(name) = name.filter(|n| super::draft::address(n).is_none()) {
        record.set_text(field::NAME, &name);
    }
}

/// A pattern for a variable that ends where a text begins.
fn upto(name: &str, text: &str) -> &'static str {
    let spaced = name.starts_with("upstream_") || name.starts_with("time");
    match text.chars().next() {
        // A quote in a value is written with a backslash, or as an escape.
        Some('"') => r#"((?:[^"\\]|\\.)*)"#,
        Some(']') => r"([^\]]*)",
        Some(' ') if !spaced => r"(\S*)",
        _ => "(.*?)",
    }
}

/// The variable that a directive's unit makes of it: microseconds and milliseconds become seconds.
fn unit_of(name: &str, value: &str) -> (String, String) {
    let scaled = |divisor: u64| {
        let number: u64 = value.parse().ok()?;
        Some(("request_time".to_owned(), format!("{}.{:06}", number / divisor, number % divisor * (1_000_000 / divisor))))
    };
    let changed = match name {
        "request_time_us" => scaled(1_000_000),
        "request_time_ms" => scaled(1_000),
        "request_time" => seconds(value).map(|_| (name.to_owned(), value.to_owned())),
        _ => None,
    };
    changed.unwrap_or_else(|| (name.to_owned(), value.to_owned()))
}

/// Adds to the text before, or begins one.
fn push(pieces: &mut Vec<Piece>, c: char) {
    match pieces.last_mut() {
        Some(Piece::Text(text)) => text.push(c),
        _ => pieces.push(Piece::Text(c.to_string())),
    }
}

/// `$remote_addr - ${remote_user} [$time_local] "$request"`.
fn nginx(format: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = format;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        if c != '$' {
            push(&mut pieces, c);
            rest = after;
            continue;
        }
        let (name, tail) = match after.strip_prefix('{') {
            Some(inner) => inner.split_once('}').ok_or("a `${` is not closed")?,
            None => {
                let end = after.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
                after.split_at(end)
            }
        };
        if name.is_empty() {
            return Err("a `$` has no name after it".into());
        }
        pieces.push(Piece::Variable(name.to_owned()));
        rest = tail;
    }
    Ok(pieces)
}

/// `%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"` (mod_log_config).
fn apache(format: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let plain = format.replace("\\\"", "\"");
    let mut chars = plain.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            push(&mut pieces, c);
            continue;
        }
        let (mut argument, mut letter) = (String::new(), String::new());
        while let Some(c) = chars.next() {
            match c {
                '%' => {
                    push(&mut pieces, '%');
                    break;
                }
                '{' => argument = chars.by_ref().take_while(|c| *c != '}').collect(),
                // Conditions on the status, and whose request is meant.
                '<' | '>' | '!' | ',' | '0'..='9' => {}
                '^' => letter.push('^'),
                c => {
                    letter.push(c);
                    if !letter.starts_with('^') || letter.len() == 4 {
                        break;
                    }
                }
            }
        }
        let header = || argument.to_ascii_lowercase().replace('-', "_");
        let name = match letter.as_str() {
            "" => continue,
            "h" | "a" => "remote_addr".to_owned(),
            "A" => "server_addr".to_owned(),
            "l" => "ident".to_owned(),
            "u" => "remote_user".to_owned(),
            "t" if argument.is_empty() => {
                push(&mut pieces, '[');
                pieces.push(Piece::Variable("time_local".into()));
                push(&mut pieces, ']');
                continue;
            }
            "t" => match argument.as_str() {
                "sec" | "begin:sec" | "end:sec" => "msec".to_owned(),
                "msec" | "usec" | "begin:msec" | "end:msec" | "begin:usec" | "end:usec" => "timestamp".to_owned(),
                _ => "time".to_owned(),
            },
            "r" => "request".to_owned(),
            "s" => "status".to_owned(),
            "b" | "B" => "body_bytes_sent".to_owned(),
            "O" => "bytes_sent".to_owned(),
            "I" => "request_length".to_owned(),
            "D" => "request_time_us".to_owned(),
            "T" => match argument.as_str() {
                "ms" => "request_time_ms".to_owned(),
                "us" => "request_time_us".to_owned(),
                _ => "request_time".to_owned(),
            },
            "v" | "V" => "host".to_owned(),
            "p" => "server_port".to_owned(),
            "m" => "request_method".to_owned(),
            "U" => "request_uri".to_owned(),
            "q" => "query_string".to_owned(),
            "H" => "server_protocol".to_owned(),
            "i" if argument.eq_ignore_ascii_case("host") => "http_host".to_owned(),
            "i" => format!("http_{}", header()),
            "o" => format!("sent_http_{}", header()),
            "x" if argument == "SSL_PROTOCOL" => "ssl_protocol".to_owned(),
            "x" if argument == "SSL_CIPHER" => "ssl_cipher".to_owned(),
            "L" => "request_log_id".to_owned(),
            other => format!("{other}{}{}", if argument.is_empty() { "" } else { "." }, argument),
        };
        pieces.push(Piece::Variable(name));
    }
    Ok(pieces)
}

/// `%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt` (squid.conf, logformat).
fn squid(format: &str) -> Result<Vec<Piece>, String> {
    // A header's name may stand before or after the code.
    const CODES: [(&str, &str); 26] = [
        ("ts.%03tu", "msec"),
        ("ts", "msec"),
        ("tl", "time_local"),
        ("tr", "request_time_ms"),
        (">a", "remote_addr"),
        (">p", "remote_port"),
        ("<a", "peer"),
        ("<p", "peer_port"),
        (">la", "server_addr"),
        (">lp", "server_port"),
        ("la", "server_addr"),
        ("lp", "server_port"),
        ("Ss", "result"),
        (">Hs", "status"),
        ("<Hs", "status_upstream"),
        ("Hs", "status"),
        ("<st", "bytes_sent"),
        (">st", "request_length"),
        ("st", "bytes_total"),
        ("rm", "request_method"),
        (">ru", "url"),
        ("ru", "url"),
        ("un", "remote_user"),
        ("Sh", "hierarchy"),
        ("mt", "content_type"),
        ("rv", "version"),
    ];
    let mut pieces = Vec::new();
    let mut rest = format;
    while let Some(c) = rest.chars().next() {
        if c != '%' {
            push(&mut pieces, c);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        // Quoting and width before the code.
        let mut code = rest[1..].trim_start_matches(['"', '[', '#', '\'', '-', '/']);
        code = code.trim_start_matches(|c: char| c.is_ascii_digit());
        let mut argument = "";
        if let Some(inner) = code.strip_prefix('{') {
            (argument, code) = inner.split_once('}').ok_or("a `%{` is not closed")?;
        }
        if let Some(after) = code.strip_prefix(">h").or_else(|| code.strip_prefix("<h")) {
            let (name, after) = match after.strip_prefix('{').and_then(|a| a.split_once('}')) {
                Some((name, after)) => (name, after),
                None => (argument, after),
            };
            let prefix = if code.starts_with('>') { "http_" } else { "sent_http_" };
            pieces.push(Piece::Variable(format!("{prefix}{}", name.to_ascii_lowercase().replace('-', "_"))));
            rest = after;
            continue;
        }
        let Some((code_text, name)) = CODES.iter().find(|(code_text, _)| code.starts_with(code_text)) else {
            // One that is not known is kept under its own letters.
            let end = code.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'<' | b'>' | b':' | b'_')).count();
            if end == 0 {
                return Err("a `%` has no code after it".into());
            }
            pieces.push(Piece::Variable(code[..end].to_owned()));
            rest = &code[end..];
            continue;
        };
        pieces.push(Piece::Variable((*name).to_owned()));
        rest = &code[code_text.len()..];
        if rest.starts_with('{') && *name == "time_local" {
            rest = rest.split_once('}').map_or("", |(_, r)| r);
        }
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{Dates, Zone, tests::line};
    use crate::model::origin::EvidenceKey;
    use crate::model::time::Time;

    fn told(server: Server, format: &str, text: &str) -> String {
        let context = Context {
            evidence: EvidenceKey(1),
            stem: "x".into(),
            zone: Zone::Fixed(0),
            year: None,
            dates: Dates::default(),
            modified: Time(0),
        };
        let format = LogFormat::parse(server, format).unwrap();
        let mut out = Out::default();
        match format.read(text, &context, Unit { offset: 0, line: 1 }, text.len(), &mut out) {
            Some(_) => line(&out.records[0]),
            None => "none".into(),
        }
    }

    #[test]
    fn formats_of_all_servers() {
        assert_eq!(
            told(
                Server::Nginx,
                r#"$remote_addr - ${remote_user} [$time_local] "$request" $status $body_bytes_sent rt=$request_time "$http_user_agent" up="$upstream_addr""#,
                r#"192.0.2.5 - bob [20/Nov/2026:08:00:01 +0000] "GET /a?b HTTP/1.1" 200 512 rt=0.250 "x \x22y" up="10.0.0.1:80, 10.0.0.2:80""#
            ),
            "http 2026-11-20T08:00:00.750Z..2026-11-20T08:00:01Z src.ip=192.0.2.5 app=http http.method=GET http.uri=/a?b http.status=200 \
             http.agent=x \\x22y http.response.bytes=512 user=bob elapsed=250ms version=HTTP/1.1 extra={\"upstream_addr\":\"10.0.0.1:80, 10.0.0.2:80\"}"
        );
        let apache = told(
            Server::Apache,
            r#"%v:%p %h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\" %D"#,
            r#"www.example.com:443 192.0.2.5 - - [20/Nov/2026:08:00:01 +0000] "GET / HTTP/1.1" 404 99 "-" "a \"b\"" 2500"#,
        );
        assert!(
            apache.contains("http.host=www.example.com")
                && apache.contains("elapsed=2ms500us")
                && apache.contains("dst.port=443"),
            "{apache}"
        );
        let squid = told(
            Server::Squid,
            r#"%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt "%{User-Agent}>h""#,
            r#"1795161601.250    500 192.0.2.5 TCP_DENIED/403 1661 GET http://c2.example/x - HIER_NONE/- text/html "curl/8""#,
        );
        assert!(squid.starts_with("proxy 2026-11-20T08:00:00.750Z..2026-11-20T08:00:01.250Z src.ip=192.0.2.5"), "{squid}");
        assert!(
            squid.contains("url=http://c2.example/x") && squid.contains("action=deny") && squid.contains("name=c2.example"),
            "{squid}"
        );
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for (server, format) in [
            (Server::Nginx, "$remote_addr$status"),
            (Server::Nginx, "$msec only"),
            (Server::Nginx, "${x"),
            (Server::Squid, "%ts % "),
        ] {
            assert!(LogFormat::parse(server, format).is_err(), "{format}");
        }
        assert_eq!(told(Server::Nginx, "$remote_addr [$time_local]", "nothing"), "none");
    }
}
