//! What active lookups brought: kept in the journal with who asked whom and when, shown apart, part of no table of what was seen.

use super::fact;
use crate::model::answer::Fact;
use crate::model::decision::{Decision, What, standing};
use crate::model::entity::EntityKind;
use crate::model::{Entity, Time, Value};
use std::net::IpAddr;

/// Label of the facts that were looked up.
pub const LABEL: &str = "looked up";
/// Lookups of one thing that are shown, the newest first.
const SHOWN: usize = 4;

/// What is permitted: the resolver, the proxy, why, who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// Address and port of the resolver.
    pub resolver: String,
    /// Address and port of a SOCKS5 proxy; empty: none.
    pub proxy: String,
    /// Why.
    pub reason: String,
    /// Who permitted it.
    pub who: String,
    /// When.
    pub at: Time,
}

/// A lookup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The name that was asked for.
    pub name: String,
    /// Type of record.
    pub kind: String,
    /// Whom it was asked of.
    pub resolver: String,
    /// Response code, or what went wrong.
    pub outcome: String,
    /// Records of the answer, `NAME TYPE DATA`.
    pub answer: Vec<String>,
    /// Who asked.
    pub who: String,
    /// When.
    pub at: Time,
}

/// Whether lookups are permitted now, and how.
pub fn permission(decisions: &[Decision]) -> Option<Permission> {
    let said = standing(decisions).filter_map(|d| match &d.what {
        What::Lookups { resolver, proxy, reason } => Some((resolver, proxy, reason, d)),
        _ => None,
    });
    said.last().filter(|(resolver, ..)| !resolver.is_empty()).map(|(resolver, proxy, reason, d)| Permission {
        resolver: resolver.clone(),
        proxy: proxy.clone(),
        reason: reason.clone(),
        who: d.who.name.clone(),
        at: Time(d.at),
    })
}

/// Every lookup, the oldest first. None can be taken back: whoever was asked knows of it.
pub fn lookups(decisions: &[Decision]) -> impl DoubleEndedIterator<Item = Lookup> + '_ {
    decisions.iter().filter_map(|d| match &d.what {
        What::Lookup { name, kind, resolver, outcome, answer } => Some(Lookup {
            name: name.clone(),
            kind: kind.clone(),
            resolver: resolver.clone(),
            outcome: outcome.clone(),
            answer: answer.clone(),
            who: d.who.name.clone(),
            at: Time(d.at),
        }),
        _ => None,
    })
}

/// The name below `arpa` by which an address is looked up (RFC 1035, 3.5; RFC 3596, 2.5).
pub fn reverse(addr: IpAddr) -> String {
    match addr {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().rev().flat_map(|b| [b & 15, b >> 4]);
            nibbles.map(|n| format!("{n:x}.")).collect::<String>() + "ip6.arpa"
        }
    }
}

/// What was looked up of a name or an address.
pub fn facts(decisions: &[Decision], entity: &Entity) -> Vec<Fact> {
    let name = match (&entity.value, entity.kind) {
        (Value::Addr(addr), _) => reverse(*addr),
        (value, EntityKind::Name) => value.to_string(),
        _ => return Vec::new(),
    };
    let said = |l: Lookup| {
        let answer = if l.answer.is_empty() { l.outcome.clone() } else { l.answer.join(", ") };
        let at = l.at.rfc3339();
        fact(LABEL, format!("{} {answer} (asked of {} by {}, {at}: active, no evidence)", l.kind, l.resolver, l.who))
    };
    lookups(decisions).rev().filter(|l| l.name.eq_ignore_ascii_case(&name)).take(SHOWN).map(said).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::decision::Who;

    fn decided(all: Vec<What>) -> Vec<Decision> {
        let who = || Who { name: "ana".into(), ..Who::default() };
        all.into_iter().enumerate().map(|(n, what)| Decision { sequence: n as u64 + 1, at: n as i64, who: who(), what }).collect()
    }
    fn permit(resolver: &str) -> What {
        What::Lookups { resolver: resolver.into(), proxy: String::new(), reason: "ticket 7".into() }
    }

    #[test]
    fn the_last_word_permits_or_forbids_and_may_be_taken_back() {
        let resolver = |all: Vec<What>| permission(&decided(all)).map(|p| p.resolver);
        assert_eq!(resolver(vec![]), None);
        assert_eq!(resolver(vec![permit("127.0.0.1:53")]).as_deref(), Some("127.0.0.1:53"));
        assert_eq!(resolver(vec![permit("127.0.0.1:53"), permit("")]), None);
        assert_eq!(resolver(vec![permit("127.0.0.1:53"), permit(""), What::Remove { id: 2 }]).as_deref(), Some("127.0.0.1:53"));
        assert_eq!(resolver(vec![permit("127.0.0.1:53"), What::Remove { id: 1 }]), None);
    }

    #[test]
    fn an_address_is_looked_up_below_arpa() {
        assert_eq!(reverse("192.0.2.7".parse().unwrap()), "7.2.0.192.in-addr.arpa");
        let name = reverse("2001:db8::567:89ab".parse().unwrap());
        assert_eq!(name, "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
    }

    #[test]
    fn what_was_looked_up_is_said_of_it_with_whom_and_when() {
        let lookup = What::Lookup {
            name: "evil.example".into(),
            kind: "A".into(),
            resolver: "127.0.0.1:53".into(),
            outcome: "NOERROR".into(),
            answer: vec!["evil.example A 203.0.113.9".into()],
        };
        let journal = decided(vec![lookup]);
        let facts = facts(&journal, &Entity::recognise("evil.example").unwrap());
        assert_eq!(facts.len(), 1);
        assert_eq!(
            facts[0].text,
            "A evil.example A 203.0.113.9 (asked of 127.0.0.1:53 by ana, 1970-01-01T00:00:00Z: active, no evidence)"
        );
        assert!(super::facts(&journal, &Entity::recognise("203.0.113.9").unwrap()).is_empty());
    }
}
