//! What a sweep looks for, in tables: addresses, networks by length, texts by the kind of field that they are looked for in. Every look-up is
//! of constant time, so that ten thousand indicators cost about what one does.

use super::keys;
use super::postings::Span;
use crate::model::entity::EntityKind;
use crate::model::field::{self, FieldId, Type};
use crate::model::filter::canonical;
use crate::model::indicator::{self, How, Indicator};
use ipnet::IpNet;
use smallvec::SmallVec;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

/// Which indicators a value is, and how.
pub type Whom = SmallVec<[(u32, How); 1]>;

/// The kind that stands for all kinds with the same fields.
fn class(kind: EntityKind) -> EntityKind {
    match kind {
        EntityKind::Fingerprint => EntityKind::Hash,
        EntityKind::Network => EntityKind::Address,
        other => other,
    }
}

/// Kinds with fields of their own, each with the fields that it is looked for in.
const CLASSES: [EntityKind; 9] = [
    EntityKind::Address,
    EntityKind::Name,
    EntityKind::Url,
    EntityKind::Hash,
    EntityKind::User,
    EntityKind::Cve,
    EntityKind::Agent,
    EntityKind::Mac,
    EntityKind::CommunityId,
];

/// Indicators in the form in which columns, postings and texts are asked for them.
#[derive(Default)]
pub struct Wanted {
    addrs: HashMap<IpAddr, Whom>,
    /// Networks by family and prefix length.
    nets: Vec<(bool, u8, HashMap<IpNet, Whom>)>,
    /// Texts in lower case by class.
    texts: HashMap<EntityKind, HashMap<String, Whom>>,
    /// Keys of postings by class of field, sorted; networks as ranges beside.
    keys: HashMap<EntityKind, BTreeSet<Vec<u8>>>,
    ranges: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Wanted {
    /// The tables of some indicators, by their place in the list.
    pub fn new(indicators: &[Indicator]) -> Wanted {
        let mut wanted = Wanted::default();
        let mut nets = Vec::new();
        for (n, indicator) in indicators.iter().enumerate() {
            let n = n as u32;
            match indicator.kind {
                EntityKind::Address => drop(indicator.text.parse().map(|a| wanted.addr(a, n, How::Hit))),
                EntityKind::Network => {
                    if let Ok(net) = indicator.text.parse::<IpNet>() {
                        wanted.net(net.trunc(), n);
                        nets.push(net.trunc());
                    }
                }
                EntityKind::Url => {
                    indicator::urls(&indicator.text)
                        .into_iter()
                        .for_each(|text| wanted.text(EntityKind::Url, &text, n, How::Hit));
                    match indicator.site().map(|site| (site.parse::<IpAddr>(), site)) {
                        Some((Ok(addr), _)) => wanted.addr(addr, n, How::Site),
                        Some((Err(_), name)) => wanted.text(EntityKind::Name, &name, n, How::Site),
                        None => {}
                    }
                }
                kind => wanted.text(class(kind), &indicator.text, n, How::Hit),
            }
        }
        for net in IpNet::aggregate(&nets) {
            let (mut low, mut high) = (Vec::new(), Vec::new());
            keys::put_addr(&mut low, net.network());
            keys::put_addr(&mut high, net.broadcast());
            wanted.ranges.push((low, high));
        }
        wanted.ranges.sort();
        wanted
    }
    fn addr(&mut self, addr: IpAddr, n: u32, how: How) {
        let addr = canonical(addr);
        let mut key = Vec::new();
        keys::put_addr(&mut key, addr);
        self.keys.entry(EntityKind::Address).or_default().insert(key);
        self.addrs.entry(addr).or_default().push((n, how));
    }
    fn net(&mut self, net: IpNet, n: u32) {
        let of = (net.addr().is_ipv6(), net.prefix_len());
        let at = self.nets.iter().position(|(v6, len, _)| (*v6, *len) == of).unwrap_or_else(|| {
            self.nets.push((of.0, of.1, HashMap::new()));
            self.nets.len() - 1
        });
        self.nets[at].2.entry(net).or_default().push((n, How::Hit));
    }
    fn text(&mut self, class: EntityKind, text: &str, n: u32, how: How) {
        let text = plain(text).into_owned();
        let mut key = Vec::new();
        keys::put_text(&mut key, &text);
        self.keys.entry(class).or_default().insert(key);
        self.texts.entry(class).or_default().entry(text).or_default().push((n, how));
    }
    /// The class of a field, if anything of it is wanted.
    pub fn class_of(&self, id: FieldId) -> Option<EntityKind> {
        let class = CLASSES.into_iter().find(|c| indicator::fields(*c).contains(&id))?;
        let any = match class {
            EntityKind::Address => !self.addrs.is_empty() || !self.nets.is_empty(),
            other => self.texts.contains_key(&other),
        };
        any.then_some(class)
    }
    /// The stored fields that are looked at.
    pub fn fields(&self) -> Vec<FieldId> {
        let all = CLASSES.into_iter().flat_map(|c| indicator::fields(c).iter().copied());
        all.filter(|id| self.class_of(*id).is_some()).collect()
    }
    /// Whether Community IDs are wanted: they are computed of every flow.
    pub fn community_ids(&self) -> bool {
        self.texts.contains_key(&EntityKind::CommunityId)
    }
    /// Whether a chunk of postings may name rows that are wanted.
    pub fn may(&self, span: &Span) -> bool {
        let (Some((first, low)), Some((last, high))) = (parts(&span.first), parts(&span.last)) else { return true };
        if first != last {
            return true;
        }
        let Some(class) = self.class_of(first) else { return false };
        if class == EntityKind::Name {
            return true;
        }
        let within = self.keys.get(&class).is_some_and(|keys| keys.range(low.to_vec()..).next().is_some_and(|k| &k[..] <= high));
        within || class == EntityKind::Address && self.touches(low, high)
    }
    fn touches(&self, low: &[u8], high: &[u8]) -> bool {
        // Ranges are apart and in order: the only one that can reach `low` from before is the last that begins before it.
        let after = self.ranges.partition_point(|(l, _)| &l[..] <= high);
        after.checked_sub(1).is_some_and(|last| &self.ranges[last].1[..] >= low)
    }
    /// Whether an entry of postings (field number, key) is wanted; of names that are known by a hash only: perhaps.
    pub fn entry(&self, key: &[u8]) -> bool {
        let Some((id, key)) = parts(key) else { return false };
        match self.class_of(id) {
            None => false,
            Some(EntityKind::Address) => {
                self.keys.get(&EntityKind::Address).is_some_and(|keys| keys.contains(key)) || self.touches(key, key)
            }
            Some(EntityKind::Name) => {
                keys::is_hashed(key) || std::str::from_utf8(key).is_ok_and(|name| self.name(name).is_some())
            }
            Some(class) => self.keys.get(&class).is_some_and(|keys| keys.contains(key)),
        }
    }
    /// Who an address is.
    pub fn of_addr(&self, addr: IpAddr) -> Whom {
        let addr = canonical(addr);
        let mut whom = self.addrs.get(&addr).cloned().unwrap_or_default();
        for (_, len, nets) in self.nets.iter().filter(|(v6, ..)| *v6 == addr.is_ipv6()) {
            if let Some(found) = IpNet::new(addr, *len).ok().and_then(|net| nets.get(&net.trunc())) {
                whom.extend(found.iter().copied());
            }
        }
        whom
    }
    /// Who a text of a field of some class is.
    pub fn of_text(&self, class: EntityKind, text: &str) -> Whom {
        let Some(texts) = self.texts.get(&class) else { return Whom::new() };
        let text = plain(text);
        if class == EntityKind::Name {
            return self.name(&text).unwrap_or_default();
        }
        texts.get(&*text).cloned().unwrap_or_default()
    }
    /// Who a name is, by itself or by a name above it.
    fn name(&self, name: &str) -> Option<Whom> {
        let names = self.texts.get(&EntityKind::Name)?;
        let mut whom = Whom::new();
        let mut rest = name.trim_end_matches('.');
        let mut whole = true;
        loop {
            for (n, how) in names.get(rest).into_iter().flatten() {
                let how = if *how == How::Hit && !whole { How::Below } else { *how };
                // Below the host of a URL is another host.
                if how != How::Site || whole {
                    whom.push((*n, how));
                }
            }
            let Some((_, above)) = rest.split_once('.') else { break };
            (rest, whole) = (above, false);
        }
        (!whom.is_empty()).then_some(whom)
    }
    /// Who is mentioned in a text: its words are compared, not its letters, so that `10.0.0.5` is not found in `10.0.0.50`.
    pub fn in_text(&self, text: &str, each: &mut dyn FnMut(u32)) {
        let apart = |c: char| !(c.is_alphanumeric() || matches!(c, '.' | ':' | '-' | '_' | '@'));
        let mut seen: HashSet<u32> = HashSet::new();
        let mut give = |whom: Whom| seen.extend(whom.into_iter().filter(|(_, how)| *how != How::Site).map(|(n, _)| n));
        for word in text.split(apart) {
            let word = word.trim_matches(['.', ':', '-', '_', '@']);
            if word.len() < 3 || word.len() > 260 {
                continue;
            }
            self.word(word, &mut give);
            if word.contains([':', '@']) {
                word.split([':', '@']).filter(|w| w.len() > 2).for_each(|part| self.word(part, &mut give));
            }
        }
        seen.into_iter().for_each(each);
    }
    fn word(&self, word: &str, give: &mut dyn FnMut(Whom)) {
        let first = word.as_bytes()[0];
        if (first.is_ascii_hexdigit() && word.contains(['.', ':']))
            && let Ok(addr) = word.parse::<IpAddr>()
        {
            return give(self.of_addr(addr));
        }
        let lower = plain(word);
        for (class, texts) in &self.texts {
            if *class == EntityKind::Name {
                if lower.contains('.') {
                    give(self.name(&lower).unwrap_or_default());
                }
            } else if let Some(whom) = texts.get(&*lower) {
                give(whom.clone());
            }
        }
    }
}

/// Field and key of an entry.
fn parts(full: &[u8]) -> Option<(FieldId, &[u8])> {
    let (id, key) = full.split_first_chunk::<2>()?;
    Some((FieldId(u16::from_be_bytes(*id)), key))
}

/// A text in the form in which texts are compared: lower case, a name without its last dot.
fn plain(text: &str) -> std::borrow::Cow<'_, str> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) { text.into() } else { text.to_lowercase().into() }
}

/// Whether a field holds texts that are searched word by word.
pub fn is_text(id: FieldId) -> bool {
    indicator::TEXTS.contains(&id) && field::get(id).is_some_and(|f| f.ty == Type::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(list: &[(EntityKind, &str)]) -> Wanted {
        Wanted::new(&list.iter().map(|(kind, text)| Indicator::new(*kind, *text, 1)).collect::<Vec<_>>())
    }

    #[test]
    fn names_are_found_as_they_are_and_above_what_is_asked() {
        let w = wanted(&[(EntityKind::Name, "evil.example"), (EntityKind::Url, "http://www.evil.example/a")]);
        assert_eq!(w.of_text(EntityKind::Name, "Evil.Example.")[..], [(0, How::Hit)]);
        assert_eq!(w.of_text(EntityKind::Name, "www.evil.example")[..], [(1, How::Site), (0, How::Below)]);
        assert_eq!(w.of_text(EntityKind::Name, "a.www.evil.example")[..], [(0, How::Below)]);
        assert!(w.of_text(EntityKind::Name, "notevil.example").is_empty());
        assert_eq!(w.of_text(EntityKind::Url, "http://www.evil.example:80/a/")[..], [(1, How::Hit)]);
        assert!(w.of_text(EntityKind::Url, "https://www.evil.example/a").is_empty());
    }

    #[test]
    fn an_address_is_itself_and_in_its_networks() {
        let w = wanted(&[
            (EntityKind::Network, "10.0.0.0/8"),
            (EntityKind::Network, "10.1.0.0/16"),
            (EntityKind::Address, "10.1.2.3"),
        ]);
        let found = |t: &str| w.of_addr(t.parse().unwrap()).iter().map(|(n, _)| *n).collect::<Vec<_>>();
        assert_eq!(found("10.1.2.3"), [2, 0, 1]);
        assert_eq!(found("::ffff:10.2.0.1"), [0]);
        assert!(found("11.0.0.1").is_empty());
        let key = |t: &str| {
            let mut key = field::SRC_IP.0.to_be_bytes().to_vec();
            keys::put_addr(&mut key, t.parse().unwrap());
            key
        };
        assert!(w.entry(&key("10.9.9.9")) && !w.entry(&key("11.0.0.1")) && !w.entry(&key("9.255.255.255")));
    }

    #[test]
    fn texts_are_searched_by_words() {
        let w = wanted(&[
            (EntityKind::Address, "10.0.0.5"),
            (EntityKind::Name, "evil.example"),
            (EntityKind::User, "bad@mail.example"),
            (EntityKind::Cve, "CVE-2024-1234"),
        ]);
        let found = |text: &str| {
            let mut out = Vec::new();
            w.in_text(text, &mut |n| out.push(n));
            out.sort_unstable();
            out
        };
        assert_eq!(found("from 10.0.0.5:4312 to (www.EVIL.example), <bad@mail.example>: cve-2024-1234."), [0, 1, 2, 3]);
        assert!(found("10.0.0.50 110.0.0.5 notevil.example evil.example.com").is_empty());
    }
}
