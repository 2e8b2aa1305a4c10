//! PostgreSQL's log on standard error (PostgreSQL documentation, `log_line_prefix`): a prefix that each installation chooses, a level, a message over
//! one line or several.
//!
//! A line that begins with a time and has a level begins a record; the lines after it, which are indented, belong to it. Of the prefix the usual
//! parts are known wherever they stand: process in brackets, `user@database`, `user=`, `db=`, `client=`, an address with a port. Zones by
//! abbreviation are known where they mean only one.

use super::blocks::Blocks;
use super::each_line::Line;
use super::{Status, clock, draft, postgres_text};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Blocks = Blocks {
    name: "postgres",
    doc: "PostgreSQL server log on standard error with any usual log_line_prefix (PostgreSQL documentation).",
    begins: |l| parse(l).is_some(),
    skips: |_| false,
    read,
};

struct Parts<'a> {
    stamp: clock::Stamp,
    prefix: &'a str,
    level: &'a str,
    message: &'a str,
}

fn parse(line: &str) -> Option<Parts<'_>> {
    let bytes = line.as_bytes();
    let stamp = clock::iso(bytes).filter(|_| bytes.get(10) == Some(&b' ') && bytes.get(4) == Some(&b'-'))?;
    let rest = line.get(stamp.len..)?;
    let rest_plain = rest.trim_start();
    let zone = rest_plain.bytes().take_while(u8::is_ascii_uppercase).count();
    let (stamp, rest) = match (stamp.east, rest_plain.get(..zone)) {
        (None, Some(name)) if (2..=5).contains(&zone) && postgres_text::rank(name).is_none() => {
            (clock::Stamp { east: postgres_text::east(name), ..stamp }, &rest_plain[zone..])
        }
        _ => (stamp, rest),
    };
    // The level is the first word in capitals before `:  `.
    let at = rest.find(":  ").filter(|at| *at < 512)?;
    let level = rest[..at].rsplit(|c: char| !c.is_ascii_alphanumeric()).next()?;
    postgres_text::rank(level)?;
    Some(Parts { stamp, prefix: &rest[..at - level.len()], level, message: &rest[at + 3..] })
}

fn read(text: &str, line: &mut Line<'_>) -> Option<Status> {
    let parts = parse(text)?;
    let time = parts.stamp.time(line.context, line.out);
    let mut d = line.draft(Kind::Log, time);
    d.uint(field::SEVERITY, postgres_text::rank(parts.level).unwrap_or(0));
    d.keep("level", parts.level);
    prefix(parts.prefix, &mut d);
    postgres_text::message(parts.message, &mut d);
    d.text(field::MESSAGE, parts.message);
    line.finish(d, "")
}

/// What stands between the time and the level.
fn prefix(text: &str, d: &mut super::draft::Draft) {
    let mut left = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c == ',').map(|w| w.trim_matches([':', ';'])).filter(|w| !w.is_empty())
    {
        let inside = word.strip_prefix('[').and_then(|w| w.strip_suffix(']'));
        let peer = |text: &str| {
            let (ip, port) = text.split_once('(').map_or((text, ""), |(ip, p)| (ip, p.trim_end_matches(')')));
            draft::address(ip).map(|ip| (ip, port.parse::<u16>().ok()))
        };
        // RDS joins them with colons: `192.0.2.5(51000):user@db:[123]`.
        if inside.is_none() && word.contains(':') && word.contains('@') {
            let (before, after) = word.split_once(':').unwrap_or((word, ""));
            if let Some((ip, port)) = peer(before) {
                d.give(field::SRC_IP, ip.into());
                port.map(|p| d.uint(field::SRC_PORT, u64::from(p)));
            } else if before != "[local]" {
                left = format!("{left} {before}");
            }
            prefix(&after.replace(':', " "), d);
            continue;
        }
        match (word.split_once('='), word.split_once('@')) {
            (Some((key, value)), _) if !value.is_empty() => match key {
                "user" | "usr" | "u" => _ = d.text(field::USER, value),
                "client" | "host" | "h" | "remote" if peer(value).is_some() => {
                    if let Some((ip, port)) = peer(value) {
                        d.give(field::SRC_IP, ip.into());
                        port.map(|p| d.uint(field::SRC_PORT, u64::from(p)));
                    }
                }
                "db" | "database" => d.keep("database", value),
                "pid" => d.put_or_keep(field::PID, key, value),
                "app" => d.keep("application", value),
                _ => d.keep(key, value),
            },
            (None, Some((user, database))) if inside.is_none() => {
                if user != "[unknown]" {
                    d.text(field::USER, user);
                }
                if database != "[unknown]" {
                    d.keep("database", database);
                }
            }
            _ => match (inside, peer(word)) {
                (Some(pid), _) if d.put(field::PID, pid.split('-').next().unwrap_or(pid)) => {}
                (_, Some((ip, port))) => {
                    d.give(field::SRC_IP, ip.into());
                    port.map(|p| d.uint(field::SRC_PORT, u64::from(p)));
                }
                _ => left = format!("{left} {word}"),
            },
        }
    }
    d.keep("prefix", left.trim());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, read_one, show};

    #[test]
    fn lines_of_the_default_prefix_and_what_continues_them() {
        let read = read_all(
            &FORMAT,
            "2025-04-12 00:14:12.837 CEST [1329108] ERROR:  syntax error at or near \"null\" at character 510\n2025-04-12 00:14:12.837 CEST [1329108] STATEMENT:  create table (\n\t    id smallserial,\n\n\t);\n",
        );
        assert_eq!(read.counts, [4, 0, 1, 0]);
        assert_eq!(
            read.shown(),
            "log 2025-04-11T22:14:12.837Z app=postgresql severity=high pid=1329108 message=syntax error at or near \"null\" at character 510 extra={\"level\":\"ERROR\"}\n\
             log 2025-04-11T22:14:12.837Z app=postgresql severity=info pid=1329108 message=create table (\n\t    id smallserial,\n\t); extra={\"level\":\"STATEMENT\"}\n"
        );
    }

    #[test]
    fn prefixes_of_many_kinds_and_logins() {
        let debian = read_one(
            &FORMAT,
            "2026-11-20 08:00:00.123 UTC [77] bob@shop FATAL:  password authentication failed for user \"bob\"",
        )
        .record;
        assert_eq!(
            (debian.kind, debian.text(field::USER), debian.text(field::ACTION)),
            (Kind::Auth, Some("bob"), Some("login_fail"))
        );
        let rds = read_one(&FORMAT, "2026-11-20 08:00:00 UTC:192.0.2.5(51000):bob@shop:[77]:LOG:  connection authorized: user=bob database=shop application_name=psql SSL enabled (protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, bits=256)").record;
        assert_eq!(
            (rds.addr(field::SRC_IP), rds.uint(field::SRC_PORT), rds.uint(field::PID)),
            (draft::address("192.0.2.5"), Some(51_000), Some(77))
        );
        assert_eq!((rds.text(field::ACTION), rds.text(field::TLS_VERSION)), (Some("login_ok"), Some("TLSv1.3")));
        let keys = read_one(&FORMAT, "2026-11-20 08:00:00 UTC [77]: [3-1] user=bob,db=shop,app=psql,client=2001:db8::5 LOG:  duration: 1500.25 ms  statement: select 1").record;
        assert_eq!((keys.addr(field::SRC_IP), keys.uint(field::ELAPSED)), (draft::address("2001:db8::5"), Some(1_500_250_000)));
        let hba = show(
            &FORMAT,
            "2026-11-20 08:00:00 UTC [77] FATAL:  no pg_hba.conf entry for host \"192.0.2.66\", user \"x\", database \"y\", no encryption",
        );
        assert!(hba.starts_with("auth ") && hba.contains("src.ip=192.0.2.66") && hba.contains("user=x"), "{hba}");
        let gone = read_one(&FORMAT, "2026-11-20 08:00:00 UTC [77] bob@shop LOG:  disconnection: session time: 0:00:01.500 user=bob database=shop host=192.0.2.5 port=51000").record;
        assert_eq!(
            (gone.text(field::ACTION), gone.uint(field::ELAPSED), gone.uint(field::SRC_PORT)),
            (Some("logout"), Some(1_500_000_000), Some(51_000))
        );
    }
}
