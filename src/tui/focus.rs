//! What one looks at: the whole case, one entity, or a set given by a query. Focus -> query text; no I/O.

use crate::model::entity::EntityKind;
use crate::model::field::{self, FieldId, Type};
use crate::model::site::Home;
use crate::model::{Entity, Record, Value};
use crate::query::{narrow, quote};
use std::net::{IpAddr, SocketAddr};

/// What the lenses of a node are about.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Focus {
    /// Everything.
    #[default]
    Case,
    /// One thing.
    Entity(Entity),
    /// A set of records by its query text (several marked rows, several hosts).
    Set {
        /// What it is called.
        label: String,
        /// Query text.
        query: String,
    },
}

impl Focus {
    /// The query that selects what the focus is about; empty for the whole case.
    pub fn query(&self) -> String {
        match self {
            Focus::Case => String::new(),
            Focus::Entity(entity) => term(entity),
            Focus::Set { query, .. } => query.clone(),
        }
    }
    /// What the header calls it.
    pub fn label(&self) -> String {
        match self {
            Focus::Case => "whole case".into(),
            Focus::Entity(entity) => show(entity),
            Focus::Set { label, .. } => label.clone(),
        }
    }
    /// The entity, if it is one.
    pub fn entity(&self) -> Option<&Entity> {
        if let Focus::Entity(entity) = self { Some(entity) } else { None }
    }
    /// The entities of a set of hosts or other values, as [`Focus::of_set`] makes it; of one entity itself.
    pub fn members(&self) -> Vec<Entity> {
        match self {
            Focus::Case => Vec::new(),
            Focus::Entity(entity) => vec![entity.clone()],
            Focus::Set { query, .. } => {
                let hosts = query.strip_prefix("host in {").and_then(|q| q.strip_suffix('}'));
                hosts.into_iter().flat_map(|list| list.split(", ")).filter_map(Entity::recognise).collect()
            }
        }
    }
    /// The focus on several entities: of one it is that one, of addresses `host in {..}`.
    pub fn of_set(entities: &[Entity]) -> Focus {
        if let [only] = entities {
            return Focus::Entity(only.clone());
        }
        let n = entities.len();
        if entities.iter().all(|e| e.kind == EntityKind::Address) {
            let hosts: Vec<String> = entities.iter().map(show).collect();
            return Focus::Set { label: format!("these {n} hosts"), query: format!("host in {{{}}}", hosts.join(", ")) };
        }
        let terms: Vec<String> = entities.iter().map(term).collect();
        Focus::Set { label: format!("these {n} values"), query: format!("({})", terms.join(" or ")) }
    }
    /// One end of connections, an address with a port (`198.51.100.2:39662`, `[2001:db8::1]:443`), as logs write it.
    pub fn of_end(text: &str) -> Option<Focus> {
        let end: SocketAddr = text.trim().parse().ok()?;
        Some(Focus::Set {
            label: end.to_string(),
            query: format!("host = {} and port = {}", quote(&end.ip().to_string()), end.port()),
        })
    }
    /// The address, if it is one: rows then show the peer of this host.
    pub fn host(&self) -> Option<IpAddr> {
        self.entity().and_then(|e| e.value.as_addr())
    }
    /// As text that [`Focus::parse`] reads back: empty, `field=value`, or `(label) query`.
    pub fn to_text(&self) -> String {
        match self {
            Focus::Case => String::new(),
            Focus::Entity(e) => format!("{}={}", field::name(e.field), e.value.show(type_of(e.field))),
            Focus::Set { label, query } => format!("({}) {query}", label.replace(['(', ')'], "")),
        }
    }
    /// Reads what [`Focus::to_text`] wrote; what is not understood is the whole case.
    pub fn parse(text: &str) -> Focus {
        if let Some((label, query)) = text.strip_prefix('(').and_then(|rest| rest.split_once(") ")) {
            return Focus::Set { label: label.to_owned(), query: query.to_owned() };
        }
        let Some((name, value)) = text.split_once('=') else { return Focus::Case };
        let Some(known) = field::find(name) else { return Focus::Case };
        let Some(kind) = known.entity else { return Focus::Case };
        match Value::parse(value, known.ty) {
            Some(value) => Focus::Entity(Entity { kind, field: known.id, value }),
            // A network is a text in an address field.
            None => Entity::recognise(value).map_or(Focus::Case, Focus::Entity),
        }
    }
}

fn type_of(id: FieldId) -> Type {
    field::get(id).map_or(Type::Text, |f| f.ty)
}

/// An entity as text: its value as its field shows it.
pub fn show(entity: &Entity) -> String {
    match entity.kind {
        EntityKind::Service => format!("port {}", entity.value),
        _ => entity.value.show(type_of(entity.field)),
    }
}

/// The query term that selects the records of an entity, in whichever field it stands.
pub fn term(entity: &Entity) -> String {
    let value = quote(&entity.value.show(type_of(entity.field)));
    match entity.kind {
        EntityKind::Address => format!("host = {value}"),
        EntityKind::Network => format!("net {}", entity.value),
        EntityKind::Name if !matches!(entity.field, field::FILE_NAME | field::CERT_SAN) => format!("name = {value}"),
        EntityKind::Mac => format!("mac = {value}"),
        EntityKind::Hash => format!("hash = {value}"),
        EntityKind::Flow if matches!(entity.field, field::FLOW | field::TUNNEL) => format!("(flow = {value} or id = {value})"),
        _ => format!("{} = {value}", field::name(entity.field)),
    }
}

/// Two conditions that both hold; stages of the first stay at the end. A text that is no query stays as it is: asking it says why.
pub fn both(a: &str, b: &str) -> String {
    match (a.trim().is_empty(), b.trim().is_empty()) {
        (true, _) => b.to_owned(),
        (_, true) => a.to_owned(),
        _ => narrow(a, b).unwrap_or_else(|_| format!("({a}) and ({b})")),
    }
}

/// A query's condition and its stages (from the first `|` that stands alone, with it). `||` is an alternative, quotes and `/../` are skipped.
pub fn split_stages(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut inside = 0u8;
    while at < bytes.len() {
        let c = bytes[at];
        match c {
            b'\\' if inside != 0 => at += 1,
            b'"' | b'\'' if inside == 0 => inside = c,
            b'/' if inside == 0 && text[..at].trim_end().ends_with(['~', '=']) => inside = c,
            _ if inside != 0 && c == inside => inside = 0,
            b'|' if inside == 0 => {
                if bytes.get(at + 1) == Some(&b'|') {
                    at += 1;
                } else {
                    return (text[..at].trim(), text[at..].trim());
                }
            }
            _ => {}
        }
        at += 1;
    }
    (text.trim(), "")
}

/// The thing that a row is about when no value of it is chosen: of an alert the host that is home, of a flow the peer of the focus, of a DNS
/// transaction the name, of others the name or host they carry.
pub fn of_row(record: &Record, focus: &Focus, home: &Home) -> Option<Entity> {
    use crate::model::Kind;
    let entity = |id: FieldId| record.get(id).and_then(|v| Entity::of(id, v));
    let here = focus.host();
    let inside = || {
        let sides = [field::SRC_IP, field::DST_IP];
        let fresh = |id: &FieldId| record.addr(*id).is_some_and(|a| Some(a) != here);
        sides
            .iter()
            .find(|id| fresh(id) && record.addr(**id).is_some_and(|a| home.has(a)))
            .or(sides.iter().find(|id| fresh(id)))
            .copied()
    };
    match record.kind {
        Kind::Alert | Kind::Notice => inside().and_then(entity),
        Kind::Flow => match here {
            Some(host) if record.addr(field::SRC_IP) == Some(host) => entity(field::DST_IP),
            Some(_) => entity(field::SRC_IP),
            None => inside().and_then(entity),
        },
        Kind::Dns => entity(field::NAME).or_else(|| inside().and_then(entity)),
        Kind::Http | Kind::Proxy => entity(field::URL).or_else(|| entity(field::HTTP_HOST)).or_else(|| entity(field::NAME)),
        Kind::Tls => entity(field::SNI).or_else(|| entity(field::NAME)),
        Kind::File => [field::SHA256, field::MD5, field::SHA1, field::FILE_NAME].into_iter().find_map(entity),
        Kind::Auth => entity(field::USER).or_else(|| inside().and_then(entity)),
        Kind::Vuln => entity(field::CVE).or_else(|| inside().and_then(entity)),
        _ => inside().or(Some(field::NAME)).and_then(entity),
    }
    .filter(|e| focus.entity() != Some(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_an_address_with_its_port() {
        let query = |text: &str| Focus::of_end(text).map(|f| f.query());
        assert_eq!(query(" 198.51.100.2:39662").as_deref(), Some("host = 198.51.100.2 and port = 39662"));
        assert!(query("[2001:db8::1]:443").unwrap().ends_with(" and port = 443"));
        assert!(["198.51.100.2", "evil.example:443", "1:2", ""].iter().all(|t| query(t).is_none()));
        assert_eq!(Entity::recognise("198.51.100.2:39662"), None);
    }

    #[test]
    fn conditions_are_joined_before_the_stages() {
        assert_eq!(both("host = 10.0.0.5", "app = dns or app = tls"), "host = 10.0.0.5 and (app = dns or app = tls)");
        assert_eq!(both("kind = flow | top 10 host", "not app = dns"), "kind = flow and not app = dns | top 10 host");
        assert_eq!(both("", "a = b"), "a = b");
        assert_eq!(split_stages(r#"name = "a|b" || x = 1 | count"#), (r#"name = "a|b" || x = 1"#, "| count"));
    }

    #[test]
    fn a_set_of_hosts_knows_its_hosts() {
        let hosts: Vec<Entity> = ["10.0.0.5", "2001:db8::1"].into_iter().filter_map(Entity::recognise).collect();
        let set = Focus::of_set(&hosts);
        assert_eq!((set.query().as_str(), set.label().as_str()), ("host in {10.0.0.5, 2001:db8::1}", "these 2 hosts"));
        assert_eq!(set.members(), hosts);
        assert_eq!(Focus::parse(&set.to_text()), set);
        let mixed: Vec<Entity> = ["10.0.0.5", "evil.example"].into_iter().filter_map(Entity::recognise).collect();
        assert_eq!(Focus::of_set(&mixed).query(), "(host = 10.0.0.5 or name = evil.example)");
        assert_eq!(Focus::of_set(&hosts[..1]), Focus::Entity(hosts[0].clone()));
    }

    #[test]
    fn a_focus_reads_back_what_it_writes() {
        for text in ["10.8.21.5", "10.0.0.0/8", "evil.example", "443/tcp", "1:SzjqZQfkLJ3zyYBbhMgWQDBzVVw="] {
            if let Some(entity) = Entity::recognise(text) {
                let focus = Focus::Entity(entity);
                assert_eq!(Focus::parse(&focus.to_text()), focus);
            }
        }
        assert_eq!(Focus::parse(""), Focus::Case);
    }
}
