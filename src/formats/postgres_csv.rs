//! PostgreSQL's CSV log (PostgreSQL documentation, "Using CSV-Format Log Output"): 23 to 26 columns without a header, cells over several lines.

use super::blocks::Blocks;
use super::each_line::Line;
use super::{Status, clock, draft, postgres_text, table};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Blocks = Blocks {
    name: "postgres-csv",
    doc: "PostgreSQL server log as CSV (PostgreSQL documentation, Using CSV-Format Log Output).",
    begins,
    skips: |_| false,
    read,
};

/// A line that begins with a time, and with a user, a database and a process after it.
fn begins(line: &str) -> bool {
    let bytes = line.as_bytes();
    let Some(stamp) = clock::iso(bytes).filter(|_| bytes.get(10) == Some(&b' ')) else { return false };
    let Some(rest) = line.get(stamp.len..) else { return false };
    // A row that goes on in the next line has an open quote: its first cells are whole.
    let cells = table::cells(rest, b',')
        .or_else(|| table::cells(&format!("{rest}\""), b',').map(|c| c.into_iter().map(|c| c.into_owned().into()).collect()));
    cells.is_some_and(|c| {
        let session = c.get(5).is_some_and(|s| s.contains('.') && s.bytes().all(|b| b.is_ascii_hexdigit() || b == b'.'));
        session && c.get(3).is_some_and(|pid| pid.parse::<u32>().is_ok())
    })
}

const COLUMNS: [&str; 26] = [
    "log_time",
    "user_name",
    "database_name",
    "process_id",
    "connection_from",
    "session_id",
    "session_line_num",
    "command_tag",
    "session_start_time",
    "virtual_transaction_id",
    "transaction_id",
    "error_severity",
    "sql_state_code",
    "message",
    "detail",
    "hint",
    "internal_query",
    "internal_query_pos",
    "context",
    "query",
    "query_pos",
    "location",
    "application_name",
    "backend_type",
    "leader_pid",
    "query_id",
];

fn read(text: &str, line: &mut Line<'_>) -> Option<Status> {
    let cells = table::cells(text, b',')?;
    let mut stamp = clock::iso(cells.first()?.as_bytes())?;
    let zone = cells[0].get(stamp.len..).unwrap_or("").trim();
    stamp.east = stamp.east.or_else(|| postgres_text::east(zone));
    let time = stamp.time(line.context, line.out);
    let mut d = line.draft(Kind::Log, time);
    let level = cells.get(11).map_or("", |c| c.as_ref());
    match postgres_text::rank(level) {
        Some(rank) => _ = d.uint(field::SEVERITY, rank),
        None => d.partial = true,
    }
    if let Some(message) = cells.get(13) {
        postgres_text::message(message, &mut d);
        d.text(field::MESSAGE, message);
    }
    for (n, cell) in cells.iter().enumerate().filter(|(_, c)| !c.is_empty()) {
        let name = COLUMNS.get(n).copied().unwrap_or("more");
        match name {
            "log_time" | "message" => {}
            "user_name" => d.put_or_keep(field::USER, name, cell),
            "process_id" => d.put_or_keep(field::PID, name, cell),
            "connection_from" => {
                match cell.rsplit_once(':').and_then(|(ip, p)| Some((draft::address(ip)?, p.parse::<u16>().ok()?))) {
                    Some((ip, port)) => {
                        d.give(field::SRC_IP, ip.into());
                        d.uint(field::SRC_PORT, u64::from(port));
                    }
                    None if cell == "[local]" => {}
                    None => d.put_or_keep(field::SRC_IP, name, cell),
                }
            }
            "session_id" => _ = d.text(field::UID, cell),
            "sql_state_code" => _ = d.text(field::EVENT_CODE, cell),
            _ => d.keep(name, cell),
        }
    }
    line.finish(d, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn rows_over_several_lines() {
        let text = "2026-11-20 08:00:00.123 UTC,\"bob\",\"shop\",77,\"192.0.2.5:51000\",65a1b2c3.4d,1,\"authentication\",2026-11-20 08:00:00 UTC,3/7,0,FATAL,28P01,\"password authentication failed for user \"\"bob\"\"\",,,,,,,,,\"\",\"client backend\",,0\n\
            2026-11-20 08:00:01.123 UTC,,,78,,65a1b2c4.4e,1,,2026-11-20 08:00:00 UTC,,0,LOG,00000,\"two\nlines\",,,,,,\"select\n1\",,,\"\",\"checkpointer\",,0\n";
        let read = read_all(&FORMAT, text);
        assert_eq!(read.counts, [4, 0, 0, 0]);
        let shown = read.shown();
        assert!(
            shown.starts_with(
                "auth 2026-11-20T08:00:00.123Z src.ip=192.0.2.5 src.port=51000 app=postgresql uid=65a1b2c3.4d severity=critical action=login_fail user=bob pid=77 \
                 message=password authentication failed for user \"bob\" auth.method=password event.code=28P01 extra="
            ),
            "{shown}"
        );
        assert_eq!(read.records[1].record.text(field::MESSAGE), Some("two\nlines"));
    }
}
