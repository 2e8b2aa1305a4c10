//! MySQL's and MariaDB's general query log (MySQL Reference Manual, "The General Query Log"): `time thread command argument`, tab-separated.
//!
//! `Connect` is a login record: `start`, or `login_fail` where it was refused. Queries over several lines are one record. Lines of older servers
//! that leave the time out stand at the time of the line before and belong to its record's message.

use super::blocks::Blocks;
use super::each_line::Line;
use super::{Status, mysql_text};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Blocks = Blocks {
    name: "mysql-general",
    doc: "MySQL and MariaDB general query log (MySQL Reference Manual, The General Query Log).",
    begins: |l| parse(l).is_some(),
    skips: |l| l.contains(", Version: ") || l.starts_with("Tcp port: ") || l.starts_with("Time  "),
    read,
};

const COMMANDS: [&str; 16] = [
    "Connect",
    "Query",
    "Quit",
    "Init DB",
    "Prepare",
    "Execute",
    "Close stmt",
    "Statistics",
    "Field List",
    "Ping",
    "Change user",
    "Reset stmt",
    "Reset Connection",
    "Binlog Dump",
    "Shutdown",
    "Refresh",
];

/// Stamp, thread, command and argument.
fn parse(line: &str) -> Option<(super::clock::Stamp, &str, &str, &str)> {
    let stamp = mysql_text::stamp(line)?;
    let rest = line.get(stamp.len..)?.trim_start();
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (thread, rest) = rest.split_at(digits);
    let rest = rest.strip_prefix(' ')?;
    let (command, argument) = rest.split_once('\t').unwrap_or((rest, ""));
    (digits > 0 && COMMANDS.contains(&command.trim())).then_some((stamp, thread, command.trim(), argument))
}

fn read(text: &str, line: &mut Line<'_>) -> Option<Status> {
    let (stamp, thread, command, argument) = parse(text)?;
    let time = stamp.time(line.context, line.out);
    let mut d = line.draft(Kind::Log, time);
    d.text(field::APP, "mysql");
    d.keep("thread", thread);
    if command == "Connect" {
        if !mysql_text::refused(argument, &mut d) {
            d.record.kind = Kind::Auth;
            d.text(field::ACTION, "start");
            mysql_text::account(argument, &mut d);
            let database = argument.split_once(" on ").and_then(|(_, a)| a.split(' ').next()).unwrap_or("");
            d.keep("database", if database == "using" { "" } else { database });
            d.keep("transport", argument.split_once(" using ").map_or("", |(_, t)| t));
        }
    } else {
        d.text(field::ACTION, command);
    }
    d.text(field::MESSAGE, argument);
    line.finish(d, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn connections_and_queries_over_lines() {
        let text = "/usr/sbin/mysqld, Version: 8.0.43 ((Ubuntu)). started with:\nTcp port: 3306  Unix socket: /x\nTime                 Id Command    Argument\n\
            2025-08-15T14:03:50.259438Z\t    9 Connect\tbob@192.0.2.5 on shop using SSL/TLS\n2025-08-15T14:03:51Z\t    9 Query\tselect\n 1\n\
            2025-08-15T14:03:52Z\t   10 Connect\tAccess denied for user 'root'@'192.0.2.66' (using password: YES)\n2025-08-15T14:03:53Z\t    9 Quit\t\n";
        let read = read_all(&FORMAT, text);
        assert_eq!(read.counts, [5, 0, 3, 0]);
        assert_eq!(
            read.shown().lines().next().unwrap(),
            "auth 2025-08-15T14:03:50.259438Z src.ip=192.0.2.5 app=mysql action=start user=bob message=bob@192.0.2.5 on shop using SSL/TLS \
             extra={\"thread\":\"9\",\"database\":\"shop\",\"transport\":\"SSL/TLS\"}"
        );
        assert_eq!(read.records[1].record.text(field::MESSAGE), Some("select\n 1"));
        assert_eq!(read.records[2].record.text(field::ACTION), Some("login_fail"));
    }
}
