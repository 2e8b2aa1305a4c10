//! MySQL's and MariaDB's error logs (MySQL Reference Manual, "Error Log"): `time thread [level] [code] [subsystem] message`; older ones without
//! code, thread, or with short dates.
//!
//! Times are UTC with a `Z`, else local. A refused login is a login record.

use super::blocks::Blocks;
use super::each_line::Line;
use super::{Status, json_lines, mysql_text};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Blocks = Blocks {
    name: "mysql-error",
    doc: "MySQL and MariaDB error log (MySQL Reference Manual, Error Log).",
    begins: |l| parse(l).is_some(),
    skips: |_| false,
    read,
};

/// Stamp, thread, level and the rest.
fn parse(line: &str) -> Option<(super::clock::Stamp, &str, &str, &str)> {
    let stamp = mysql_text::stamp(line)?;
    let rest = line.get(stamp.len..)?.trim_start();
    let (thread, rest) = match rest.split_once(" [") {
        Some((thread, rest)) if thread.bytes().all(|b| b.is_ascii_digit()) => (thread, rest),
        _ => ("", rest.strip_prefix('[')?),
    };
    let (level, rest) = rest.split_once("] ")?;
    let known = ["Note", "Warning", "ERROR", "Error", "System", "Info"].contains(&level);
    known.then_some((stamp, thread, level, rest))
}

fn read(text: &str, line: &mut Line<'_>) -> Option<Status> {
    let (stamp, thread, level, rest) = parse(text)?;
    let time = stamp.time(line.context, line.out);
    let mut d = line.draft(Kind::Log, time);
    d.uint(field::SEVERITY, json_lines::level(level).unwrap_or(if level == "Note" { 1 } else { 0 }));
    d.text(field::APP, "mysql");
    d.keep("thread", thread);
    let mut message = rest;
    if let Some((code, after)) = message.strip_prefix('[').and_then(|m| m.split_once("] ")).filter(|(c, _)| c.starts_with("MY-"))
    {
        d.text(field::EVENT_CODE, code);
        message = after;
        if let Some((part, after)) = message.strip_prefix('[').and_then(|m| m.split_once("] ")) {
            d.keep("subsystem", part);
            message = after;
        }
    }
    mysql_text::refused(message, &mut d);
    // `Aborted connection 7 to db: 'x' user: 'root' host: '192.0.2.5' (Got timeout)`
    if let Some(rest) = message.strip_prefix("Aborted connection ") {
        d.text(field::ACTION, "close");
        let after = |key: &str| rest.split_once(key).and_then(|(_, v)| v.split('\'').next()).unwrap_or("");
        d.text(field::USER, after("user: '"));
        mysql_text::peer(after("host: '"), &mut d);
        d.text(field::REASON, rest.rsplit_once('(').map_or("", |(_, r)| r.trim_end_matches([')', '.'])));
    }
    d.text(field::MESSAGE, message);
    line.finish(d, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_one, show};

    #[test]
    fn lines_of_all_versions() {
        assert_eq!(
            show(&FORMAT, "2020-08-06T14:25:02.936146Z 0 [Warning] [MY-010068] [Server] CA certificate ca.pem is self signed."),
            "log 2020-08-06T14:25:02.936146Z app=mysql severity=medium message=CA certificate ca.pem is self signed. event.code=MY-010068 \
             extra={\"thread\":\"0\",\"subsystem\":\"Server\"}"
        );
        let denied =
            read_one(&FORMAT, "2026-11-20  8:00:00 12 [Note] Access denied for user 'root'@'192.0.2.66' (using password: YES)")
                .record;
        assert_eq!(
            (denied.kind, denied.text(field::USER), denied.text(field::ACTION)),
            (Kind::Auth, Some("root"), Some("login_fail"))
        );
        assert!(denied.addr(field::SRC_IP).is_some());
        let aborted = read_one(&FORMAT, "201120  8:00:00 [Warning] Aborted connection 7 to db: 'shop' user: 'bob' host: '192.0.2.5' (Got timeout reading communication packets)").record;
        assert_eq!(
            (aborted.text(field::USER), aborted.text(field::REASON)),
            (Some("bob"), Some("Got timeout reading communication packets"))
        );
        assert_eq!(aborted.start.to_string(), "2020-11-20T08:00:00Z");
    }
}
