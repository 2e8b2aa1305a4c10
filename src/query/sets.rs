//! A set from the text of a file: one address, network, name, URL, hash or user per line. Pure; who reads the file is the caller.

use crate::model::filter::{Members, canonical};
use ipnet::IpNet;

/// Reads a set: the first column of each line (to a comma, semicolon or tab), `#` begins a comment, quotes are dropped.
pub fn read(name: &str, text: &str) -> Members {
    let mut members = Members { name: name.to_owned(), ..Members::default() };
    for line in text.lines() {
        let line = line.trim().trim_start_matches('\u{feff}');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let cell = line.split([',', ';', '\t']).next().unwrap_or(line);
        let cell = cell.split(" #").next().unwrap_or(cell).trim().trim_matches(['"', '\'']);
        if let Ok(addr) = cell.parse() {
            members.addrs.insert(canonical(addr));
        } else if let Ok(net) = cell.parse::<IpNet>() {
            members.nets.push(net.trunc());
        } else if !cell.is_empty() {
            members.texts.insert(cell.trim_end_matches('.').to_lowercase());
        }
    }
    members.nets = IpNet::aggregate(&members.nets);
    members.nets.sort_unstable();
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_reads_addresses_networks_and_names_from_one_file() {
        let m = read("w", "# watch\n10.0.0.5, jdoe\n::ffff:10.0.0.6\n10.1.0.9/16 # lab\n10.1.7.0/24\n\"Evil.Example.\"\n\n");
        assert!(m.addrs.contains(&[10, 0, 0, 5].into()) && m.addrs.contains(&[10, 0, 0, 6].into()));
        assert_eq!(m.nets.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.1.0.0/16"]);
        assert!(m.texts.contains("evil.example"));
    }
}
