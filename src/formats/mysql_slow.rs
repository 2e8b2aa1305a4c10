//! MySQL's and MariaDB's slow query log (MySQL Reference Manual, "The Slow Query Log"): a block of comment lines and a statement.
//!
//! A block begins with `# Time:`, or with `# User@Host:` where the second is the same as before; then its time is that of `SET timestamp`. The record
//! ends when it is written: it begins the query's time before.

use super::blocks::Blocks;
use super::each_line::Line;
use super::{Status, clock, draft, mysql_text};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Blocks = Blocks {
    name: "mysql-slow",
    doc: "MySQL and MariaDB slow query log (MySQL Reference Manual, The Slow Query Log).",
    // `User@Host` after `Time` is of the same block: `read` takes blocks that are a time alone as nothing.
    begins: |l| l.starts_with("# User@Host: "),
    skips: |l| l.contains(", Version: ") || l.starts_with("Tcp port: ") || l.starts_with("Time  ") || l.starts_with("# Time: "),
    read,
};

fn read(text: &str, line: &mut Line<'_>) -> Option<Status> {
    let mut lines = text.lines();
    let who = lines.next()?.strip_prefix("# User@Host: ")?;
    let (mut statement, mut epoch) = (String::new(), None);
    let mut said: Vec<(&str, &str)> = Vec::new();
    for row in lines {
        if row.starts_with("# Time: ") {
            // It is of the next block.
            continue;
        }
        if let Some(pairs) = row.strip_prefix("# ") {
            // `Query_time: 0.011853  Lock_time: 0.011542`
            let mut words = pairs.split_ascii_whitespace().peekable();
            while let Some(word) = words.next() {
                if let Some(key) = word.strip_suffix(':')
                    && let Some(value) = words.next_if(|v| !v.ends_with(':'))
                {
                    said.push((key, value));
                }
            }
        } else if let Some(time) = row.strip_prefix("SET timestamp=") {
            epoch = clock::epoch(time.trim_end_matches(';'));
        } else {
            if !statement.is_empty() {
                statement.push('\n');
            }
            statement.push_str(row);
        }
    }
    let mut d = line.draft(Kind::Log, epoch);
    d.text(field::APP, "mysql");
    mysql_text::account(who.split("  Id:").next().unwrap_or(who), &mut d);
    d.keep("thread", who.split_once("Id:").map_or("", |(_, id)| id.trim()));
    for (key, value) in said {
        match key {
            "Query_time" => {
                if let Some(nanos) = draft::seconds(value) {
                    d.uint(field::ELAPSED, nanos);
                    d.record.start = d.record.start.plus(-i64::try_from(nanos).unwrap_or(0));
                }
            }
            "Schema" => d.keep("database", value),
            "Bytes_sent" => d.put_or_keep(field::BYTES_IN, key, value),
            _ => d.keep(key, value),
        }
    }
    d.text(field::MESSAGE, &statement);
    line.finish(d, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn blocks_are_queries() {
        let text = "# Time: 2021-01-26T23:45:57.678222Z\n# User@Host: owncloud[owncloud] @ ws5 [192.0.2.5]  Id:     2\n# Schema: shop  Last_errno: 0  Killed: 0\n# Query_time: 1.500000  Lock_time: 0.011542  Rows_sent: 268\nSET timestamp=1611704757;\nselect\n  1;\n\
            # User@Host: bob[bob] @ localhost []  Id:     3\n# Query_time: 0.5\nSET timestamp=1611704758;\nselect 2;\n";
        let read = read_all(&FORMAT, text);
        assert_eq!(read.counts, [10, 0, 1, 0]);
        assert_eq!(
            read.shown().lines().next().unwrap().to_owned() + "|" + read.shown().lines().nth(1).unwrap(),
            "log 2021-01-26T23:45:55.500Z..2021-01-26T23:45:57Z src.ip=192.0.2.5 app=mysql user=owncloud message=select|  1; elapsed=1s500ms \
             extra={\"thread\":\"2\",\"database\":\"shop\",\"Last_errno\":\"0\",\"Killed\":\"0\",\"Lock_time\":\"0.011542\",\"Rows_sent\":\"268\"}"
        );
        assert_eq!(read.records[1].record.text(field::USER), Some("bob"));
    }
}
