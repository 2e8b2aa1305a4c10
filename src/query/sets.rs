//! Sets in queries: of a file, of a name, and what of a set a test of one field cannot say. What a text means is decided by
//! [`context::sets`](crate::context::sets).

use super::ast::{Expr, Item};
use super::parse::parse;
use crate::context::sets::{put, tidy};
use crate::model::filter::{Members, Test};
use crate::model::{FieldId, Filter, Value, field};
use std::io::Read;
use std::sync::Arc;

/// Largest file that is read as a set.
const MAX_FILE: u64 = 64 << 20;

/// The entries of a text: the first column of each line (to a comma, semicolon or tab), `#` begins a comment, quotes are dropped.
pub fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.trim().trim_start_matches('\u{feff}');
        if line.starts_with('#') {
            return None;
        }
        let cell = line.split([',', ';', '\t']).next().unwrap_or(line);
        let cell = cell.split(" #").next().unwrap_or(cell).trim().trim_matches(['"', '\'']);
        (!cell.is_empty()).then_some(cell)
    })
}

/// Reads a set from a text, see [`entries`].
pub fn read(name: &str, text: &str) -> Members {
    let mut members = Members { name: name.to_owned(), ..Members::default() };
    entries(text).for_each(|entry| put(&mut members, entry));
    tidy(&mut members);
    members
}

/// The sets that a text names, each once.
pub fn named(text: &str) -> Vec<String> {
    fn names(expr: &Expr, out: &mut Vec<String>) {
        match expr {
            Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| names(part, out)),
            Expr::Not(inner) => names(inner, out),
            Expr::Test { items, .. } => {
                out.extend(items.iter().filter_map(|i| if let Item::Set(name) = i { Some(name.text.clone()) } else { None }));
            }
            Expr::Exists(_) | Expr::Bare(_) | Expr::Time(..) => {}
        }
    }
    let mut out = Vec::new();
    if let Some(expr) = parse(text).ok().and_then(|query| query.expr) {
        names(&expr, &mut out);
    }
    out.sort_unstable();
    out.dedup();
    out
}

/// A set that is a file; none: there is no such file.
pub fn file(name: &str) -> Option<Members> {
    let mut text = Vec::new();
    std::fs::File::open(name).ok()?.take(MAX_FILE).read_to_end(&mut text).ok()?;
    Some(read(name, &String::from_utf8_lossy(&text)))
}

/// Conditions that hold for members of a set beside the test of a field: services, which are an address and its port; of `any` also every
/// other field whose values are things that one can pivot on.
pub fn beside(id: FieldId, set: &Arc<Members>) -> Vec<Filter> {
    let mut out = Vec::new();
    if id == field::TEXT {
        let numbers = set.texts.iter().any(|t| t.bytes().all(|b| b.is_ascii_digit()));
        let fits = |f: &&field::Field| match f.ty {
            field::Type::Addr => f.id == field::HOST && !(set.addrs.is_empty() && set.nets.is_empty()),
            field::Type::Text => f.entity.is_some() && !(set.texts.is_empty() && set.under.is_empty()) && !in_any(f.id),
            _ => f.id == field::SIGNATURE_ID && numbers,
        };
        let stored = |f: &&field::Field| matches!(f.place, field::Place::One | field::Place::Many) || f.id == field::HOST;
        out.extend(field::ALL.iter().filter(stored).filter(fits).map(|f| Filter::Test(f.id, Test::Set(Arc::clone(set)))));
    }
    let ends: &[(FieldId, FieldId)] = match id {
        field::SRC_IP => &ENDS[..1],
        field::DST_IP => &ENDS[1..2],
        field::HOST | field::TEXT => &ENDS,
        _ => return out,
    };
    for service in &set.services {
        for (host, port) in ends {
            let mut all = vec![Filter::is(*port, u64::from(service.port))];
            all.extend(service.addr.map(|addr| Filter::is(*host, Value::Addr(addr))));
            all.extend(service.proto.map(|proto| Filter::is(field::PROTO, u64::from(proto))));
            out.push(Filter::And(all));
        }
    }
    out
}

/// Addresses of a record and the port that belongs to each.
const ENDS: [(FieldId, FieldId); 3] =
    [(field::SRC_IP, field::SRC_PORT), (field::DST_IP, field::DST_PORT), (field::NAT_DST_IP, field::NAT_DST_PORT)];

/// Whether `any` looks into a field by itself.
fn in_any(id: FieldId) -> bool {
    field::get(field::TEXT).is_some_and(|f| matches!(f.place, field::Place::Any(parts) if parts.contains(&id)))
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
