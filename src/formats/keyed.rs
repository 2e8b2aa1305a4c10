//! Logs whose lines are JSON objects with keys of their own: a table says which key is which field, a function what a table cannot say.
//!
//! Knows no format; the list of them is `ALL`. Whatever reads objects (lines, arrays, exports of collectors) asks it, so an object is read the
//! same wherever it stands. Nested keys are written with dots. What has no field goes to `extra` under its key.

use super::draft::Draft;
use super::json::{self, Members};
use super::json_document::{self, Document};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, head, unwrap};
use super::{caddy, cloudflare, cloudtrail, kubernetes_audit, microsoft_365, passive_dns, postgres_json, snort_json, web_json};
use crate::model::field::{self, FieldId, Place, Type};
use crate::model::record::Kind;
use crate::model::time::Time;
use crate::model::value::Value;
use serde_json::value::RawValue;

/// A log of objects.
pub struct Keyed {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    pub(super) kind: Kind,
    /// Objects do not stand one a line: the arrays that hold them, outermost first.
    pub(super) document: Option<&'static [&'static str]>,
    /// Whether an object is of this log.
    pub(super) is: fn(&Members<'_>) -> bool,
    /// Keys of the time, best first.
    pub(super) times: &'static [&'static str],
    /// The time where no key states one that stands for itself.
    pub(super) time: fn(&Members<'_>, &Context, &mut Out) -> Option<Time>,
    /// Which key is which field.
    pub(super) fields: &'static [(&'static str, FieldId)],
    /// What the table cannot say of a member. True: it is done.
    pub(super) special: fn(&str, &RawValue, &mut Draft, &Context, &mut Out) -> bool,
    /// What follows from several members; may give the sensor.
    pub(super) finish: fn(&Members<'_>, &mut Draft) -> Option<String>,
}

/// Every log of objects, the special before the general.
pub(super) static ALL: &[&Keyed] = &[
    &caddy::FORMAT,
    &cloudflare::FORMAT,
    &web_json::FORMAT,
    &snort_json::FORMAT,
    &kubernetes_audit::FORMAT,
    &cloudtrail::FORMAT,
    &microsoft_365::FORMAT,
    &passive_dns::FORMAT,
    &postgres_json::FORMAT,
];

/// For logs whose times stand for themselves.
pub(super) fn no_time(_: &Members<'_>, _: &Context, _: &mut Out) -> Option<Time> {
    None
}

/// Deepest object that is flattened, and most keys of an object.
const DEPTH: usize = 6;
const KEYS_MAX: usize = 500;
/// Most elements of a list that become values of a field.
const LIST_MAX: usize = 256;

/// The log that an object is of.
pub(super) fn of(members: &Members<'_>) -> Option<&'static Keyed> {
    ALL.iter().copied().find(|k| (k.is)(members))
}

/// Whether an object has all these keys.
pub(super) fn has(members: &Members<'_>, keys: &[&str]) -> bool {
    keys.iter().all(|key| json::member(members, key).is_some())
}

/// The text at a path of keys with dots; a key may hold dots itself.
pub(super) fn at(members: &Members<'_>, path: &str) -> Option<String> {
    if let Some(raw) = json::member(members, path) {
        return (!json::is_nested(raw)).then(|| json::scalar(raw).into_owned()).filter(|t| !t.is_empty());
    }
    let (outer, inner) = path.split_once('.')?;
    at(&json::object(json::member(members, outer)?.get())?, inner)
}

impl Keyed {
    /// Reads an object; `outer` is the time of what wraps it.
    pub(super) fn read(
        &self,
        members: &Members<'_>,
        context: &Context,
        unit: Unit,
        len: usize,
        outer: Option<Time>,
        out: &mut Out,
    ) -> Status {
        let stated = self.times.iter().find_map(|key| Some((*key, clock::any(&at(members, key)?, context, out)?)));
        let start = stated.map(|(_, t)| t).or_else(|| (self.time)(members, context, out)).or(outer);
        let mut d = Draft::timed(self.kind, context, unit, len, start, out);
        let mut left = KEYS_MAX;
        let mut walk = Walk { keyed: self, context, time: stated.map(|(key, _)| key), left: &mut left };
        walk.members(members, "", 0, &mut d, out);
        d.partial |= left == 0;
        let sensor = (self.finish)(members, &mut d);
        d.finish(sensor.as_deref(), out)
    }
}

struct Walk<'a> {
    keyed: &'a Keyed,
    context: &'a Context,
    /// The key that gave the time.
    time: Option<&'static str>,
    left: &'a mut usize,
}

impl Walk<'_> {
    fn members(&mut self, members: &Members<'_>, path: &str, depth: usize, d: &mut Draft, out: &mut Out) {
        for (key, raw) in members {
            let name = if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
            *self.left = self.left.saturating_sub(1);
            if *self.left == 0 {
                return;
            }
            if self.time == Some(name.as_str()) || (self.keyed.special)(&name, raw, d, self.context, out) {
                continue;
            }
            if raw.get().starts_with('{')
                && depth < DEPTH
                && let Some(inner) = json::object(raw.get())
            {
                self.members(&inner, &name, depth + 1, d, out);
                continue;
            }
            let id = self.keyed.fields.iter().find(|(k, _)| *k == name).map(|(_, id)| *id);
            match id {
                Some(id) => self.give(id, &name, raw, d, out),
                None => d.keep_json(&name, raw.get()),
            }
        }
    }
    fn give(&self, id: FieldId, name: &str, raw: &RawValue, d: &mut Draft, out: &mut Out) {
        if raw.get().starts_with('[') {
            let many = field::get(id).is_some_and(|f| f.place == Place::Many);
            let elements = json::elements(raw);
            let plain =
                elements.iter().all(|e| !json::is_nested(e)) && (many || elements.len() <= 1) && elements.len() <= LIST_MAX;
            if !plain || !elements.iter().all(|e| json::scalar(e).is_empty() || d.put(id, &json::scalar(e))) {
                d.keep_json(name, raw.get());
            }
            return;
        }
        if json::is_nested(raw) {
            return d.keep_json(name, raw.get());
        }
        let text = json::scalar(raw);
        match field::get(id).map(|f| f.ty) {
            Some(Type::Time) => match clock::any(&text, self.context, out) {
                Some(t) => _ = d.give(id, Value::Time(t)),
                None => d.keep_json(name, raw.get()),
            },
            // A number that does not fit stays what it was.
            _ if text.is_empty() => {}
            _ => d.put_or_keep(id, name, &text),
        }
    }
}

impl Format for Keyed {
    fn name(&self) -> &'static str {
        self.name
    }
    fn doc(&self) -> &'static str {
        self.doc
    }
    fn framing(&self) -> Framing {
        match self.document {
            Some(_) => Framing::Document,
            None => Framing::Lines { max: 4 << 20 },
        }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let is = |text: &str| json::object(text).is_some_and(|o| (self.is)(&o));
        let found = match self.document {
            Some(holders) => json_document::first_held(head, holders).is_some_and(|o| is(&o)),
            None => head::most(head, 50, |l| l.trim_start().starts_with('{') && is(l.trim())),
        };
        if found { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        match self.document {
            Some(holders) => Box::new(Document { context: context.clone(), holders }),
            None => Box::new(Lines { context: context.clone() }),
        }
    }
}

struct Lines {
    context: Context,
}

impl Reader for Lines {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        if text.is_empty() {
            return Status::Skipped;
        }
        unwrap::read(text, &self.context, unit, line.len(), out)
    }
}
