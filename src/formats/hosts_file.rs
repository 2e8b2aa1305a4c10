//! A hosts file (hosts(5)): which names stand for which address on a machine.
//!
//! Each line is an inventory record about the address, action `stated`, at the file's modification time: the first name is the host's, the others
//! are further names of it. A file whose lines all point at nowhere is a list of what to block: that is `reputation-list`.

use super::each_line::{EachLine, Line};
use super::{Status, draft};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: EachLine =
    EachLine { name: "hosts-file", doc: "Hosts file: addresses and their names (hosts(5)).", percent: 60, is, read };

/// Address, names and comment of a line.
fn entry(line: &str) -> Option<(&str, Vec<&str>, &str)> {
    let (entry, comment) = line.split_once('#').unwrap_or((line, ""));
    let mut words = entry.split_ascii_whitespace();
    let ip = words.next().filter(|w| draft::address(w).is_some())?;
    let names: Vec<&str> = words.take(64).collect();
    let name = |n: &&str| n.len() <= 253 && n.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    let told = !names.is_empty() && names.iter().all(name) && names.iter().any(|n| n.bytes().any(|b| b.is_ascii_alphabetic()));
    told.then_some((ip, names, comment.trim()))
}

/// Whether a line shows that the file is one: nowhere is the address of lists of what to block.
fn is(line: &str) -> bool {
    let nowhere = |ip: &str| matches!(ip, "0.0.0.0" | "::") || ip == "127.0.0.1";
    entry(line).is_some_and(|(ip, names, _)| {
        let own = names.iter().all(|n| n.starts_with("localhost") || n.starts_with("ip6-") || !n.contains('.'));
        // Neighbour tables have words of their own after the address.
        (!nowhere(ip) || own) && !matches!(names[0], "dev" | "ether")
    }) || line.trim_start().starts_with('#')
}

fn read(text: &str, line: &mut Line<'_>) -> Option<Status> {
    if text.trim_start().starts_with('#') {
        return Some(Status::Skipped);
    }
    let (ip, names, comment) = entry(text)?;
    let mut d = line.timeless(Kind::Inventory);
    d.text(field::ACTION, "stated");
    d.addr(field::DST_IP, ip);
    d.text(field::HOSTNAME, names[0]);
    for name in &names[1..] {
        d.text(field::NAME, name);
    }
    d.keep("comment", comment);
    line.finish(d, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};
    use crate::formats::{Format as _, Sniff};

    #[test]
    fn names_of_addresses() {
        assert_eq!(
            show(&FORMAT, "192.0.2.5\tWS5.a.example ws5 # jdoe"),
            "inventory 2026-11-20T12:00:00Z dst.ip=192.0.2.5 name=ws5 action=stated hostname=ws5.a.example extra={\"comment\":\"jdoe\"}"
        );
        assert_eq!(read_all(&FORMAT, "# hosts\n::1 localhost ip6-localhost\n\n192.0.2.5\n").counts, [1, 0, 2, 1]);
    }

    #[test]
    fn a_list_of_what_to_block_is_no_hosts_file() {
        assert_eq!(
            FORMAT.sniff(b"127.0.0.1 localhost\n0.0.0.0 ads.example\n0.0.0.0 evil.example\n0.0.0.0 c2.example\n"),
            Sniff::No
        );
        assert_eq!(FORMAT.sniff(b"127.0.0.1 localhost\n::1 localhost\n192.0.2.5 ws5\n"), Sniff::Yes);
    }
}
