//! Outside names that stand out: listed somewhere, new in the last fifth of the window, or used by one host only.
//!
//! A name counts if a home host asked it by DNS, named it in a TLS handshake or sent it as HTTP host. Resolvers, which ask for others, do
//! not count as askers. Names without a dot, reverse lookups and names that never leave a site (`.local`, `.lan`, `.internal`, `.home.arpa`)
//! are left out.

use super::{Asking, Cell, Go, Line, Section, Which, numbers};
use crate::error::Result;
use crate::model::{FieldId, Kind, Time, Value, Window, field};
use crate::query::engine::Page;
use crate::query::quote;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

/// Most names that are listed with their first use.
const SHOWN: usize = 60;
/// Most listed indicators that are compared.
const MAX_LISTED: usize = 200_000;
/// Most askers of a name that are told apart.
const MAX_ASKERS: usize = 100;
/// Where names are used.
const USES: [(&str, FieldId, &str); 3] =
    [("dns", field::NAME, "name"), ("tls", field::SNI, "sni"), ("http", field::HTTP_HOST, "http.host")];

#[derive(Default)]
struct Used {
    askers: BTreeSet<IpAddr>,
    count: u64,
    fields: BTreeSet<usize>,
}

pub(super) fn section(asking: &Asking) -> Result<Section> {
    let used = used(asking)?;
    let early = early(asking)?;
    let listed = listed(asking)?;
    let tier = |name: &str, used: &Used| {
        let (late, one) = (!early.contains(name), used.askers.len() == 1);
        let (words, tier) = match (late, one) {
            (true, true) => ("new, one host", 1),
            (true, false) => ("new", 2),
            (false, true) => ("one host", 3),
            (false, false) => ("", 4),
        };
        if is_listed(name, &listed) { (format!("listed {words}").trim_end().to_owned(), 0) } else { (words.to_owned(), tier) }
    };
    let mut found: Vec<(u8, String, String, Used)> = used
        .into_iter()
        .map(|(name, used)| {
            let (words, tier) = tier(&name, &used);
            (tier, name, words, used)
        })
        .filter(|(tier, ..)| *tier < 4)
        .collect();
    found.sort_by(|a, b| (a.0, std::cmp::Reverse(a.3.count), &a.1).cmp(&(b.0, std::cmp::Reverse(b.3.count), &b.1)));
    let total = found.len();
    found.truncate(SHOWN);
    let mut lines = Vec::new();
    for (tier, name, words, used) in found {
        asking.cancel.check()?;
        let first = first(asking, &name, &used)?;
        lines.push((tier, first, line(name, words, &used, first, tier == 0)));
    }
    lines.sort_by_key(|(tier, first, _)| (*tier, std::cmp::Reverse(*first)));
    let why = if asking.has(&[Kind::Dns, Kind::Tls, Kind::Http]) {
        "no outside name is listed, new in the last fifth of the window, or used by one host only"
    } else {
        "no source here gives DNS, TLS or HTTP, so no name is known"
    };
    let lines: Vec<Line> = lines.into_iter().map(|(_, _, line)| line).collect();
    let mut section = Section::new(Which::Names, lines, "listed, new in the last fifth, or of one host", why);
    section.total = total;
    Ok(section)
}

/// Names used by home hosts, with who and how often.
fn used(asking: &Asking) -> Result<HashMap<String, Used>> {
    let home = asking.engine.home(asking.cancel)?;
    let resolvers = asking.engine.table(&asking.question("kind = dns | count by dst.ip")?, asking.cancel)?;
    let resolvers: HashSet<IpAddr> = numbers(resolvers).filter_map(|(v, _)| v.first()?.as_addr()).collect();
    let mut out: HashMap<String, Used> = HashMap::new();
    for (at, (kind, _, name)) in USES.iter().enumerate() {
        let text = format!("kind = {kind} and exists {name} and exists src.ip | count by {name}, src.ip");
        for (values, n) in numbers(asking.engine.table(&asking.question(&text)?, asking.cancel)?) {
            let [name, Value::Addr(asker)] = values.as_slice() else { continue };
            let Some(name) = outside(&name.to_string()) else { continue };
            if !home.is_near(*asker) || resolvers.contains(asker) {
                continue;
            }
            let used = out.entry(name).or_default();
            used.count += n;
            used.fields.insert(at);
            if used.askers.len() < MAX_ASKERS {
                used.askers.insert(*asker);
            }
        }
    }
    Ok(out)
}

/// A name as it is compared; none if it is not one of the outside.
pub(in crate::case) fn outside(name: &str) -> Option<String> {
    let name = name.trim_end_matches('.').to_lowercase();
    let inside = [".arpa", ".local", ".lan", ".internal", ".localdomain", ".localhost"].iter().any(|end| name.ends_with(end));
    let is_name = name.contains('.') && !name.starts_with('_') && name.parse::<IpAddr>().is_err() && !name.contains(':');
    (is_name && !inside).then_some(name)
}

/// Names that anybody used in the first four fifths of the window.
fn early(asking: &Asking) -> Result<HashSet<String>> {
    let cut = asking.window.start.plus(asking.window.length() / 5 * 4);
    let mut out = HashSet::new();
    for (kind, _, name) in USES {
        let question = asking.question(&format!("kind = {kind} and exists {name} | count by {name}"))?;
        let question = question.within(&Window::new(asking.window.start, cut));
        out.extend(numbers(asking.engine.table(&question, asking.cancel)?).filter_map(|(v, _)| outside(&v.first()?.to_string())));
    }
    Ok(out)
}

/// Indicators of all lists.
fn listed(asking: &Asking) -> Result<HashSet<String>> {
    let question = asking.engine.compile("kind = inventory and exists indicator")?;
    let mut out = HashSet::new();
    let page = Page { limit: MAX_LISTED, ..Page::default() };
    asking.engine.select(&question, &page, asking.cancel, &mut |r| {
        out.extend(r.text(field::INDICATOR).map(|t| t.trim_start_matches("*.").trim_end_matches('.').to_lowercase()));
        true
    })?;
    Ok(out)
}

/// Whether a name or a domain above it is listed; a top-level domain is none.
fn is_listed(name: &str, listed: &HashSet<String>) -> bool {
    let mut rest = name;
    loop {
        if listed.contains(rest) {
            return true;
        }
        match rest.split_once('.') {
            Some((_, above)) if above.contains('.') => rest = above,
            _ => return false,
        }
    }
}

fn first(asking: &Asking, name: &str, used: &Used) -> Result<Option<Time>> {
    let mut first: Option<Time> = None;
    for at in &used.fields {
        let (kind, _, field) = USES[*at];
        // A name may be written with the dot of the root.
        let both = format!("{{{}, {}}}", quote(name), quote(&format!("{name}.")));
        let question = asking.question(&format!("kind = {kind} and {field} in {both}"))?;
        asking.engine.select(&question, &Page { limit: 1, ..Page::default() }, asking.cancel, &mut |r| {
            first = Some(first.map_or(r.time(), |t| t.min(r.time())));
            true
        })?;
    }
    Ok(first)
}

fn line(name: String, words: String, used: &Used, first: Option<Time>, loud: bool) -> Line {
    let host = match used.askers.first() {
        Some(addr) if used.askers.len() == 1 => Cell::Of(field::SRC_IP, Value::Addr(*addr)),
        _ => Cell::Text(format!("{}{} hosts", used.askers.len(), if used.askers.len() == MAX_ASKERS { "+" } else { "" })),
    };
    let value = Value::from(name);
    Line {
        cells: vec![
            Cell::Of(field::NAME, value.clone()),
            Cell::Text(words),
            host,
            first.map_or(Cell::Empty, Cell::At),
            Cell::Count(used.count),
        ],
        go: Go::Entity(field::NAME, value),
        loud,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_outside_count_and_a_listed_domain_lists_what_is_below() {
        assert_eq!(outside("WWW.Evil.Example."), Some("www.evil.example".into()));
        for inside in ["printer", "5.21.8.10.in-addr.arpa", "_ldap._tcp.dc.corp.example", "tv.local", "10.8.21.5", "a.home.arpa"]
        {
            assert_eq!(outside(inside), None, "{inside}");
        }
        let listed: HashSet<String> = ["evil.example".to_owned(), "example".to_owned()].into();
        assert!(is_listed("a.b.evil.example", &listed) && is_listed("evil.example", &listed));
        assert!(!is_listed("good.example", &listed) && !is_listed("notevil.example", &listed));
    }
}
