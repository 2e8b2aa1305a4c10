//! A report for others: addresses replaced so that those of one network stay in one network, users by pseudonyms, ids by others.
//!
//! Each bit of an address is flipped or not by a keyed function of the bits before it, as Crypto-PAn does (Fan, Xu, Ammar, Moon, 2004); the function
//! here is HMAC-SHA256 (RFC 2104). Whoever has the key can undo it by trying; without it the networks keep their shape and nothing else. Ids that
//! are made of what they name would let anybody try all addresses: they are keyed as well. Names, MAC addresses and hashes stay.

use super::uuid;
use crate::error::{Error, Result};
use crate::model::answer::Cancel;
use crate::model::field;
use crate::query::Engine;
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Longest address, and longest user that is looked for.
const LONGEST: usize = 45;
const USER: usize = 128;
/// Users of several words that are looked for.
const PHRASES: usize = 2_000;
/// Users that are replaced.
const USERS: usize = 100_000;

/// Replaces what names people and machines.
pub struct Redactor {
    inner: Sha256,
    outer: Sha256,
    /// In lower case, without backslashes: these may be doubled where a text was escaped.
    users: BTreeSet<String>,
    phrases: Vec<String>,
    known: HashMap<IpAddr, IpAddr>,
}

impl Redactor {
    /// With a key, and the users that are to be replaced wherever they stand as a word, in any case; those without two letters are left.
    pub fn new(key: &[u8], users: impl IntoIterator<Item = String>) -> Redactor {
        let mut block = [0u8; 64];
        let short: Vec<u8> = if key.len() > 64 { Sha256::digest(key).to_vec() } else { key.to_vec() };
        block.iter_mut().zip(short).for_each(|(b, k)| *b = k);
        let padded = |pad: u8| Sha256::new().chain_update(block.map(|b| b ^ pad));
        let (mut words, mut phrases) = (BTreeSet::new(), Vec::new());
        for user in users.into_iter().filter(|u| u.chars().filter(|c| c.is_alphabetic()).count() > 1) {
            if user.chars().all(in_user) {
                words.insert(plain(&user));
            } else if phrases.len() < PHRASES {
                phrases.push(user);
            }
        }
        Redactor { inner: padded(0x36), outer: padded(0x5c), users: words, phrases, known: HashMap::new() }
    }
    /// With the key in a file, made if there is none, and the users of a case.
    pub fn by_file(path: &Path, engine: &dyn Engine, cancel: &Cancel) -> Result<Redactor> {
        let users = engine.values(field::USER, "", USERS, cancel)?.into_iter().map(|(v, _)| v.to_string());
        Ok(Redactor::new(&key(path)?, users))
    }
    fn hmac(&self, text: &[u8]) -> [u8; 32] {
        let inner = self.inner.clone().chain_update(text).finalize();
        self.outer.clone().chain_update(inner).finalize().into()
    }
    /// The address that stands for another.
    pub fn address(&mut self, ip: IpAddr) -> IpAddr {
        let ip = ip.to_canonical();
        if let Some(known) = self.known.get(&ip) {
            return *known;
        }
        let (bits, width) = match ip {
            IpAddr::V4(a) => (u128::from(u32::from(a)) << 96, 32),
            IpAddr::V6(a) => (u128::from(a), 128),
        };
        let mut out = bits;
        for n in 0..width {
            // The bits before this one, and how many they are.
            let before = if n == 0 { 0 } else { bits >> (128 - n) << (128 - n) };
            let mut text = [0u8; 18];
            text[..16].copy_from_slice(&before.to_be_bytes());
            (text[16], text[17]) = (n as u8, width as u8);
            if self.hmac(&text)[0] & 1 == 1 {
                out ^= 1 << (127 - n);
            }
        }
        let new = match ip {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from((out >> 96) as u32)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(out)),
        };
        self.known.insert(ip, new);
        new
    }
    fn pseudonym(&self, user: &str) -> String {
        let hash = self.hmac(plain(user).as_bytes());
        format!("user-{}", crate::model::hex::hex(&hash[..6]))
    }
    /// A text in which every address and user is replaced, inside of words too.
    pub fn text(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for phrase in &self.phrases {
            if text.contains(phrase.as_str()) {
                text = text.replace(phrase.as_str(), &self.pseudonym(phrase));
            }
        }
        let mut out = String::with_capacity(text.len());
        let (mut at, mut before) = (0, [' '; 2]);
        while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
            let rest = &text[at..];
            let found = match address(rest, before) {
                Some((ip, len)) => Some((self.address(ip).to_string(), len)),
                None if c.is_alphanumeric() && !before[1].is_alphanumeric() => self.user(rest),
                None => None,
            };
            let taken = match found {
                Some((new, len)) => {
                    out.push_str(&new);
                    len
                }
                None => {
                    out.push(c);
                    c.len_utf8()
                }
            };
            // What stood last, before it was replaced.
            for c in text[at..at + taken].chars() {
                before = [before[1], c];
            }
            at += taken;
        }
        out
    }
    /// The longest user that a text begins with as a word, and its length there.
    fn user(&self, text: &str) -> Option<(String, usize)> {
        let run = text.char_indices().find(|(at, c)| *at > USER || !in_user(*c)).map_or(text.len(), |(at, _)| at);
        let mut end = run;
        loop {
            let word = text.get(..end)?;
            if self.users.contains(&plain(word)) {
                return Some((self.pseudonym(word), end));
            }
            // Back to where a word may end.
            end = word.char_indices().rev().find(|(_, c)| !c.is_alphanumeric())?.0;
            if end == 0 {
                return None;
            }
        }
    }
    /// JSON in which every text and key is so replaced, and ids that are UUIDs by others that only the key makes.
    pub fn json(&mut self, value: &mut Json) {
        let mut ids = BTreeMap::new();
        self.ids(value, &mut ids);
        self.walk(value, &ids);
    }
    fn ids(&self, value: &Json, out: &mut BTreeMap<String, String>) {
        match value {
            Json::Array(list) => list.iter().for_each(|v| self.ids(v, out)),
            Json::Object(members) => {
                for (key, value) in members {
                    if let Some(id) = value.as_str().filter(|_| ["id", "uuid"].contains(&key.as_str()))
                        && let Some(kind) =
                            id.len().checked_sub(36).and_then(|at| Some((id.get(..at)?, id.get(at..)?))).filter(|p| is_uuid(p.1))
                    {
                        let mut new = [0u8; 16];
                        new.copy_from_slice(&self.hmac(id.as_bytes())[..16]);
                        out.insert(id.to_owned(), format!("{}{}", kind.0, uuid::show(&uuid::v5(&new, ""))));
                    }
                    self.ids(value, out);
                }
            }
            _ => {}
        }
    }
    fn walk(&mut self, value: &mut Json, ids: &BTreeMap<String, String>) {
        match value {
            Json::String(text) => *text = ids.get(text.as_str()).cloned().unwrap_or_else(|| self.text(text)),
            Json::Array(list) => list.iter_mut().for_each(|v| self.walk(v, ids)),
            Json::Object(members) => {
                let old = std::mem::take(members);
                *members = old
                    .into_iter()
                    .map(|(key, mut value)| {
                        self.walk(&mut value, ids);
                        (self.text(&key), value)
                    })
                    .collect::<Map<String, Json>>();
            }
            _ => {}
        }
    }
}

/// The key in a file; a new one if there is no file.
fn key(path: &Path) -> Result<Vec<u8>> {
    match std::fs::read(path) {
        Ok(key) if key.len() >= 16 => Ok(key),
        Ok(_) => {
            Err(Error::user("a key has at least 16 bytes").at_path(path).hint("name a file that is not there: a key is made"))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let mut random = vec![0; 32];
            let source = Path::new("/dev/urandom");
            std::fs::File::open(source)
                .and_then(|mut f| f.read_exact(&mut random))
                .map_err(|e| Error::io("cannot read", source, &e))?;
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            made.and_then(|mut f| f.write_all(&random)).map_err(|e| Error::io("cannot write", path, &e))?;
            Ok(random)
        }
        Err(e) => Err(Error::io("cannot read", path, &e)),
    }
}

fn in_user(c: char) -> bool {
    c.is_alphanumeric() || "._-@$\\".contains(c)
}

fn plain(user: &str) -> String {
    user.replace('\\', "").to_lowercase()
}

fn is_uuid(text: &str) -> bool {
    text.char_indices().all(|(n, c)| if [8, 13, 18, 23].contains(&n) { c == '-' } else { c.is_ascii_hexdigit() })
}

/// The address that a text begins with, and its length; `before` are the two characters before it.
fn address(text: &str, before: [char; 2]) -> Option<(IpAddr, usize)> {
    let bytes = text.as_bytes();
    let next = |at: usize| text.get(at..).and_then(|rest| rest.chars().next());
    // Of a longer number or version it is no address.
    if bytes.first().is_some_and(u8::is_ascii_digit)
        && !before[1].is_ascii_digit()
        && !(before[1] == '.' && before[0].is_ascii_digit())
    {
        let run = bytes.iter().take(15).take_while(|b| b.is_ascii_digit() || **b == b'.').count();
        for len in (7..=run).rev() {
            let Some(ip) = text.get(..len).and_then(|t| t.parse::<Ipv4Addr>().ok()) else { continue };
            let goes_on = bytes.get(len).is_some_and(u8::is_ascii_digit)
                || bytes.get(len) == Some(&b'.') && bytes.get(len + 1).is_some_and(u8::is_ascii_digit);
            return if goes_on { None } else { Some((ip.into(), len)) };
        }
    }
    if before[1].is_alphanumeric() || before[1] == ':' {
        return None;
    }
    let run = bytes.iter().take(LONGEST).take_while(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.')).count();
    let part = text.get(..run)?;
    if part.matches(':').count() < 2 {
        return None;
    }
    for len in (3..=run).rev() {
        let Some(ip) = text.get(..len).and_then(|t| t.parse::<Ipv6Addr>().ok()) else { continue };
        if !next(len).is_some_and(char::is_alphanumeric) && !ip.is_unspecified() {
            return Some((ip.into(), len));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(a: IpAddr, b: IpAddr) -> u32 {
        let bits = |ip| match ip {
            IpAddr::V4(a) => u128::from(u32::from(a)) << 96,
            IpAddr::V6(a) => u128::from(a),
        };
        (bits(a) ^ bits(b)).leading_zeros()
    }

    #[test]
    fn networks_keep_their_shape() {
        let mut r = Redactor::new(b"key", []);
        let list = ["10.8.21.5", "10.8.21.31", "10.8.30.12", "192.0.2.1", "2001:db8::1", "2001:db8::2"];
        let list = list.map(|a| a.parse::<IpAddr>().unwrap());
        for a in list {
            assert_ne!(r.address(a), a);
            for b in list.iter().filter(|b| b.is_ipv4() == a.is_ipv4() && **b != a) {
                assert_eq!(shared(r.address(a), r.address(*b)), shared(a, *b), "{a} {b}");
            }
        }
        assert_eq!(Redactor::new(b"key", []).address(list[0]), r.address(list[0]));
        assert_ne!(Redactor::new(b"other", []).address(list[0]), r.address(list[0]));
    }

    #[test]
    fn addresses_are_found_wherever_they_stand() {
        let mut r = Redactor::new(b"key", []);
        let four = r.address("10.8.21.5".parse().unwrap()).to_string();
        for (text, want) in [
            ("10.8.21.5:443 (10.8.21.5/24).", "#:443 (#/24)."),
            ("::ffff:10.8.21.5", "#"),
            ("10.8.21.5.pcap", "#.pcap"),
            ("host-10.8.21.5", "host-#"),
            ("10.8.21.5_443", "#_443"),
            ("10.8.21.5:443-10.8.21.5:80", "#:443-#:80"),
            ("n10.8.21.5", "n#"),
            ("src\\_10.8.21.5\\_x", "src\\_#\\_x"),
            ("1.10.8.21.5", "1.10.8.21.5"),
            ("08:12:03.114 02:08:15:00:28:14 v1.2 3.14", "08:12:03.114 02:08:15:00:28:14 v1.2 3.14"),
        ] {
            assert_eq!(r.text(text).replace(&four, "#"), want, "{text}");
        }
        let six = r.address("2001:db8:5::".parse().unwrap()).to_string();
        for (text, want) in [("2001:db8:5::/48", "#/48"), ("[2001:db8:5::]:443", "[#]:443"), ("at 2001:db8:5::.", "at #.")] {
            assert_eq!(r.text(text).replace(&six, "#"), want, "{text}");
        }
        assert!(!r.text("5.21.8.10.in-addr.arpa").contains("5.21.8.10"));
    }

    #[test]
    fn users_are_found_in_any_case_and_escaped_but_not_inside_of_words() {
        let users = ["john_doe", "CORP\\jdoe", "PC7$", "Jane Doe", "x", "7"].map(str::to_owned);
        let mut r = Redactor::new(b"key", users);
        let of = |r: &Redactor, user: &str| r.pseudonym(user);
        let (john, corp, pc, jane) = (of(&r, "john_doe"), of(&r, "CORP\\jdoe"), of(&r, "PC7$"), of(&r, "Jane Doe"));
        for (text, want) in [
            ("john_doe, JOHN_DOE, john\\_doe", format!("{john}, {john}, {john}")),
            ("CORP\\jdoe and corp\\\\jdoe", format!("{corp} and {corp}")),
            ("pc7$ of Jane Doe", format!("{pc} of {jane}")),
            ("john_doe-pc, john_does", format!("{john}-pc, john_does")),
            ("x 7", "x 7".to_owned()),
        ] {
            assert_eq!(r.text(text), want, "{text}");
        }
        assert_ne!(john, corp);
    }

    #[test]
    fn ids_of_json_are_keyed_and_still_refer_to_each_other() {
        let id = "ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4";
        let made = |key: &[u8]| {
            let mut json = serde_json::json!({"objects": [{"id": id, "value": "198.51.100.3"}, {"ref": id, "note": "x\n198.51.100.3", "id": "7"}]});
            Redactor::new(key, []).json(&mut json);
            json
        };
        let one = made(b"key");
        let text = one.to_string();
        assert!(!text.contains("28bb3599") && !text.contains("198.51.100.3"), "{text}");
        assert_eq!(one["objects"][0]["id"], one["objects"][1]["ref"]);
        assert!(one["objects"][0]["id"].as_str().unwrap().starts_with("ipv4-addr--") && one["objects"][1]["id"] == "7");
        assert_ne!(one, made(b"other"));
    }
}
