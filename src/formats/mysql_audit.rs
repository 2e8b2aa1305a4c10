//! MariaDB's audit plugin (MariaDB documentation, "MariaDB Audit Plugin - Log Format"): `time,server,user,host,connection,query,operation,database,object,
//! code`; the object is quoted.
//!
//! `CONNECT` is a login record, `login_ok` with code 0; `FAILED_CONNECT` a failed one; `DISCONNECT` a logout.

use super::each_line::{EachLine, Line};
use super::{Status, mysql_text};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: EachLine = EachLine {
    name: "mysql-audit",
    doc: "MariaDB audit plugin's log (MariaDB documentation, Audit Plugin Log Format).",
    percent: 50,
    is: |l| parse(l).is_some(),
    read,
};

struct Parts<'a> {
    stamp: super::clock::Stamp,
    /// server, user, host, connection, query, operation, database
    cells: Vec<&'a str>,
    object: &'a str,
    code: &'a str,
}

fn parse(line: &str) -> Option<Parts<'_>> {
    let stamp = mysql_text::stamp(line)?;
    let rest = line.get(stamp.len..)?.strip_prefix(',')?;
    let mut cells: Vec<&str> = rest.splitn(8, ',').collect();
    let last = cells.pop().filter(|_| cells.len() == 7)?;
    let number = |n: usize| !cells[n].is_empty() && cells[n].bytes().all(|b| b.is_ascii_digit());
    let operation = !cells[5].is_empty() && cells[5].bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    if !number(3) || !number(4) || !operation {
        return None;
    }
    let (object, code) = last.rsplit_once(',')?;
    Some(Parts { stamp, cells, object: object.strip_prefix('\'').and_then(|o| o.strip_suffix('\'')).unwrap_or(object), code })
}

fn read(text: &str, line: &mut Line<'_>) -> Option<Status> {
    let parts = parse(text)?;
    let [server, user, host, connection, query, operation, database] = parts.cells[..] else { return None };
    let time = parts.stamp.time(line.context, line.out);
    let mut d = line.draft(Kind::Log, time);
    d.text(field::APP, "mysql");
    d.text(field::USER, user);
    mysql_text::peer(host, &mut d);
    d.text(field::HOSTNAME, server);
    let action = match operation {
        "CONNECT" if parts.code == "0" => "login_ok",
        "CONNECT" | "FAILED_CONNECT" => "login_fail",
        "DISCONNECT" => "logout",
        _ => operation,
    };
    if matches!(operation, "CONNECT" | "FAILED_CONNECT" | "DISCONNECT") {
        d.record.kind = Kind::Auth;
    }
    d.text(field::ACTION, action);
    d.text(field::MESSAGE, parts.object);
    for (key, value) in [("connection", connection), ("query", query), ("database", database), ("code", parts.code)] {
        d.keep(key, if value == "0" { "" } else { value });
    }
    line.finish(d, server)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_one, show};

    #[test]
    fn logins_and_statements() {
        assert_eq!(
            show(&FORMAT, "20261120 08:00:00,db1,root,192.0.2.66,12,0,FAILED_CONNECT,,,1045"),
            "auth 2026-11-20T08:00:00Z src.ip=192.0.2.66 app=mysql action=login_fail user=root hostname=db1 extra={\"connection\":\"12\",\"code\":\"1045\"} sensor=db1"
        );
        let query = read_one(&FORMAT, "20261120 08:00:01,db1,bob,localhost,13,345,QUERY,shop,'select 1, \\'x\\'',0").record;
        assert_eq!((query.text(field::ACTION), query.text(field::MESSAGE)), (Some("QUERY"), Some("select 1, \\'x\\'")));
    }
}
