//! One JSON object (RFC 8259) as its members with their values still as text: what is wanted is read without copying, what is
//! not goes to `extra` as it stands.
//!
//! Knows no format. Nesting is walked by the caller, one object at a time, so that hostile depth costs nothing.

use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Deepest nesting that is kept as JSON; deeper values are kept as text.
pub(super) const DEPTH_MAX: usize = 32;

/// The members of an object, in order.
pub(super) type Members<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// The members of the object that a text is. `None`: it is not one whole object.
pub(super) fn object(text: &str) -> Option<Members<'_>> {
    struct Object;
    impl<'de> Visitor<'de> for Object {
        type Value = Members<'de>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
            let mut members = Vec::with_capacity(24);
            while let Some(Key(key)) = map.next_key()? {
                members.push((key, map.next_value()?));
            }
            Ok(members)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let members = reader.deserialize_map(Object).ok()?;
    reader.end().ok()?;
    Some(members)
}

/// The elements of the array that a text is; of anything else, itself.
pub(super) fn elements(raw: &RawValue) -> Vec<&RawValue> {
    struct Array;
    impl<'de> Visitor<'de> for Array {
        type Value = Vec<&'de RawValue>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an array")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut elements = Vec::new();
            while let Some(element) = seq.next_element()? {
                elements.push(element);
            }
            Ok(elements)
        }
    }
    if !raw.get().starts_with('[') {
        return vec![raw];
    }
    serde_json::Deserializer::from_str(raw.get()).deserialize_seq(Array).unwrap_or_else(|_| vec![raw])
}

/// A key of an object, borrowed unless it has escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Key<'de>, D::Error> {
        struct Name;
        impl<'de> Visitor<'de> for Name {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }
            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        from.deserialize_str(Name)
    }
}

/// The text of a scalar: a string without quotes and escapes, anything else as it stands; `null` is empty.
pub(super) fn scalar(raw: &RawValue) -> Cow<'_, str> {
    let text = raw.get();
    match text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
        Some(inner) if !inner.contains('\\') => Cow::Borrowed(inner),
        Some(_) => serde_json::from_str::<String>(text).map_or(Cow::Borrowed(text), Cow::Owned),
        None if text == "null" => Cow::Borrowed(""),
        None => Cow::Borrowed(text),
    }
}

/// Whether a value is an object or an array.
pub(super) fn is_nested(raw: &RawValue) -> bool {
    raw.get().starts_with(['{', '['])
}

/// The value of a member.
pub(super) fn member<'a>(members: &Members<'a>, key: &str) -> Option<&'a RawValue> {
    members.iter().find(|(k, _)| k == key).map(|(_, v)| *v)
}

/// The value at the end of a path of keys.
pub(super) fn at<'a>(members: &Members<'a>, path: &[&str]) -> Option<&'a RawValue> {
    let (first, rest) = path.split_first()?;
    let value = member(members, first)?;
    if rest.is_empty() { Some(value) } else { at(&object(value.get())?, rest) }
}

/// The text of the scalar at the end of a path of keys, else empty; of an array its scalars with spaces between.
pub(super) fn text_at(members: &Members<'_>, path: &[&str]) -> String {
    let Some(value) = at(members, path) else { return String::new() };
    elements(value).into_iter().filter(|e| !is_nested(e)).map(scalar).collect::<Vec<_>>().join(" ")
}

/// Whether a head begins as JSON does and has all of these keys.
pub(super) fn has_keys(head: &[u8], keys: &[&str]) -> bool {
    let head = super::head::plain(head).trim_ascii_start();
    let has = |key: &str| {
        let quoted = format!("\"{key}\"");
        memchr::memmem::find_iter(head, quoted.as_bytes())
            .any(|at| head[at + quoted.len()..].iter().find(|b| !b.is_ascii_whitespace()) == Some(&b':'))
    };
    (head.starts_with(b"{") || head.starts_with(b"[")) && keys.iter().all(|k| has(k))
}

/// Appends a text as a JSON string.
pub(super) fn quote(text: &str, to: &mut String) {
    match serde_json::to_string(text) {
        Ok(quoted) => to.push_str(&quoted),
        Err(_) => to.push_str("\"\""),
    }
}

/// How deep a value nests.
pub(super) fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0usize, 0usize, false, false);
    for b in text.bytes() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_order_and_their_own_text() {
        let members = object(r#"{"b":1,"a\n":{"x":[1,2]},"c":"t\"x"}"#).unwrap();
        let shown: Vec<_> = members.iter().map(|(k, v)| format!("{k}={}", v.get())).collect();
        assert_eq!(shown, ["b=1", "a\n={\"x\":[1,2]}", "c=\"t\\\"x\""]);
        assert_eq!(scalar(members[2].1), "t\"x");
        assert!(object("[1]").is_none() && object("{\"a\":1").is_none() && object("{} x").is_none());
    }

    #[test]
    fn a_million_brackets_are_no_danger() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        let members = object(&deep).unwrap();
        assert_eq!(depth(members[0].1.get()), 1_000_000);
        assert_eq!(elements(members[0].1).len(), 1);
    }
}
