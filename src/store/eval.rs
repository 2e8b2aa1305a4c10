//! Evaluates a filter on the columns of a block, reading only those that it tests. Gives the same as [`Filter::matches`] row by row, which
//! a property test holds it to.

use super::ask::bounds;
use super::bits::Bits;
use super::block::Zone;
use super::column::{Column, Values};
use super::reader::{FEW, Reader};
use crate::error::Result;
use crate::model::ends::{Ends, Pair, Which};
use crate::model::field::{self, FieldId, Place, Type};
use crate::model::filter::{Test, canonical};
use crate::model::{Filter, Kind, RecordId, Time, Value, Window, community_id};
use crate::store::clocks::Shift;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::net::IpAddr;

/// What a block has in common for all its rows, for filters: names and clock.
pub struct Setting<'a> {
    /// Name of its source.
    pub source: &'a str,
    /// Path of its evidence.
    pub evidence: &'a str,
    /// Clock of its source.
    pub shift: &'a Shift,
}

/// What is known of all rows of a block without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No row matches.
    No,
    /// Some may.
    Maybe,
    /// Every row does.
    Yes,
}

/// Whether rows of a block can match, by kinds, source, evidence and the bounds of ids alone.
pub fn judge(filter: &Filter, zone: &Zone, setting: &Setting<'_>) -> Verdict {
    let of = |yes: bool| if yes { Verdict::Yes } else { Verdict::No };
    match filter {
        Filter::All => Verdict::Yes,
        Filter::Not(f) => match judge(f, zone, setting) {
            Verdict::No => Verdict::Yes,
            Verdict::Maybe => Verdict::Maybe,
            Verdict::Yes => Verdict::No,
        },
        Filter::And(all) => {
            let mut verdict = Verdict::Yes;
            for f in all {
                match judge(f, zone, setting) {
                    Verdict::No => return Verdict::No,
                    Verdict::Maybe => verdict = Verdict::Maybe,
                    Verdict::Yes => {}
                }
            }
            verdict
        }
        Filter::Or(any) => {
            let mut verdict = Verdict::No;
            for f in any {
                match judge(f, zone, setting) {
                    Verdict::Yes => return Verdict::Yes,
                    Verdict::Maybe => verdict = Verdict::Maybe,
                    Verdict::No => {}
                }
            }
            verdict
        }
        Filter::Test(field::SOURCE, test) => of(test.holds(&Value::text(setting.source), Type::Text)),
        Filter::Test(field::EVIDENCE, test) => of(test.holds(&Value::text(setting.evidence), Type::Text)),
        Filter::Test(field::KIND, test) => {
            let holds = zone.kinds.iter().filter(|(k, _)| test.holds(&Value::text(k.name()), Type::Text)).count();
            if holds == 0 {
                Verdict::No
            } else if holds == zone.kinds.len() {
                Verdict::Yes
            } else {
                Verdict::Maybe
            }
        }
        Filter::Elsewhere(ends, _) => {
            if may_be_elsewhere(ends, zone, setting) {
                Verdict::Maybe
            } else {
                Verdict::No
            }
        }
        Filter::Test(field::ID, Test::Is(Value::Text(text))) => {
            let here = |id: RecordId| id.evidence == zone.evidence && (zone.offsets.0..=zone.offsets.1).contains(&id.offset);
            if text.parse().is_ok_and(here) { Verdict::Maybe } else { Verdict::No }
        }
        Filter::Test(id, _) if zone.lacks(*id) => Verdict::No,
        Filter::Test(id, test) => match zone.most_of(*id) {
            Some(most) if exceeds(test, most) => Verdict::No,
            _ => Verdict::Maybe,
        },
    }
}

/// Whether rows of a block can have one of some ends, by their time and by the columns that it has.
pub(super) fn may_be_elsewhere(ends: &Ends, zone: &Zone, setting: &Setting<'_>) -> bool {
    let ((start, _), (_, end)) = bounds(zone, setting.shift);
    let lacks = zone.lacks(field::SRC_IP) || zone.lacks(field::DST_IP);
    !lacks && ends.span().is_some_and(|span| span.overlaps(start, end))
}

/// Whether a test holds for nothing up to a number.
fn exceeds(test: &Test, most: u64) -> bool {
    // Greater numbers are compared as real ones, inexactly.
    if most >= 1 << 53 {
        return false;
    }
    match test {
        Test::Is(Value::Uint(n)) => *n > most,
        Test::Compare { order: Ordering::Greater, or_equal, bound: Value::Uint(n) } => *n > most || *n == most && !or_equal,
        Test::Range(low, _) => *low > most,
        Test::In(tests) => tests.iter().all(|t| exceeds(t, most)),
        _ => false,
    }
}

/// The rows of `within` that satisfy a filter.
pub fn eval(filter: &Filter, reader: &Reader<'_>, setting: &Setting<'_>, within: &Bits) -> Result<Bits> {
    if within.is_empty() {
        return Ok(within.clone());
    }
    match judge(filter, &reader.info().zone, setting) {
        Verdict::No => return Ok(Bits::none(within.rows())),
        Verdict::Yes => return Ok(within.clone()),
        Verdict::Maybe => {}
    }
    match filter {
        Filter::All => Ok(within.clone()),
        Filter::And(all) => {
            let mut left = within.clone();
            for f in all {
                left = eval(f, reader, setting, &left)?;
                if left.is_empty() {
                    break;
                }
            }
            Ok(left)
        }
        Filter::Or(any) => {
            let mut found = Bits::none(within.rows());
            for f in any {
                let left = within.clone().without(&found);
                found = found.or(&eval(f, reader, setting, &left)?);
            }
            Ok(found)
        }
        Filter::Not(f) => Ok(within.clone().without(&eval(f, reader, setting, within)?)),
        Filter::Test(id, test) => eval_test(*id, test, reader, setting, within),
        Filter::Elsewhere(ends, which) => elsewhere(ends, *which, reader, setting, within),
    }
}

/// The rows of `within` that have one of some ends, at its time. What is found in a whole block is kept: a host is asked for again and again.
pub(super) fn elsewhere(ends: &Ends, which: Which, reader: &Reader<'_>, setting: &Setting<'_>, within: &Bits) -> Result<Bits> {
    let rows: Vec<usize> = if let Some(known) = reader.rows_of(ends, which, setting.shift) {
        known.iter().map(|row| usize::from(*row)).filter(|row| within.has(*row)).collect()
    } else if within.count() <= FEW {
        those_that_have(ends, which, reader, setting, within.iter().collect())?
    } else {
        let may = those_that_may(ends, which, reader)?;
        let found = those_that_have(ends, which, reader, setting, may)?;
        reader.keep_rows_of(ends, which, setting.shift, found.iter().map(|row| *row as u16).collect());
        found.into_iter().filter(|row| within.has(*row)).collect()
    };
    let mut found = Bits::none(within.rows());
    rows.into_iter().for_each(|row| found.set(row));
    Ok(found)
}

/// The rows of a block of which an end has an address and a port of some ends: by whole columns, since nearly no row has.
fn those_that_may(ends: &Ends, which: Which, reader: &Reader<'_>) -> Result<Vec<usize>> {
    let mut found = Bits::none(reader.rows());
    let sides = [(Which::Src, field::SRC_IP, field::SRC_PORT), (Which::Dst, field::DST_IP, field::DST_PORT)];
    for (_, ip, port) in sides.into_iter().filter(|(side, ..)| which == Which::Either || which == *side) {
        let Some(column) = reader.field(ip)?.into_iter().next() else { continue };
        let Values::Addr(uses, dict) = &column.values else { continue };
        let mut asked = vec![false; dict.len()];
        let places = ends.addrs().iter().flat_map(|ip| forms(*ip)).filter_map(|ip| dict.binary_search(&ip).ok());
        places.for_each(|place| asked[place] = true);
        if !asked.contains(&true) {
            continue;
        }
        let ports = reader.field(port)?.into_iter().next();
        for row in 0..reader.rows() {
            let of = column.range(row).next().and_then(|i| uses.get(i));
            if of.is_some_and(|of| asked.get(*of as usize).copied().unwrap_or(false)) && ends.may_have(port_of(&ports, row)) {
                found.set(row);
            }
        }
    }
    Ok(found.iter().collect())
}

fn port_of(ports: &Option<std::sync::Arc<Column>>, at: usize) -> Option<u16> {
    ports.as_ref().and_then(|c| c.uint(at)).and_then(|p| u16::try_from(p).ok())
}

/// Those of some rows that have one of some ends, at its time.
fn those_that_have(
    ends: &Ends,
    which: Which,
    reader: &Reader<'_>,
    setting: &Setting<'_>,
    mut rows: Vec<usize>,
) -> Result<Vec<usize>> {
    if rows.is_empty() {
        return Ok(rows);
    }
    let few = rows.len() <= FEW;
    let one = |id| if few { reader.field_of(id, &rows) } else { reader.field(id) }.map(|c| c.into_iter().next());
    let (Some(src), Some(dst)) = (one(field::SRC_IP)?, one(field::DST_IP)?) else { return Ok(Vec::new()) };
    let (sport, dport, proto) = (one(field::SRC_PORT)?, one(field::DST_PORT)?, one(field::PROTO)?);
    let (start, span) = (reader.start()?, reader.span()?);
    let mut n = 0;
    rows.retain(|row| {
        let at = if few { n } else { *row };
        n += 1;
        let (Some(from), Some(to)) = (src.addr(at), dst.addr(at)) else { return false };
        let raw = start.times()[*row];
        let shift = setting.shift.at(Time(raw));
        let pair = Pair {
            proto: proto.as_ref().and_then(|c| c.uint(at)).and_then(|p| u8::try_from(p).ok()),
            src: (from, port_of(&sport, at)),
            dst: (to, port_of(&dport, at)),
            start: Time(raw).plus(shift),
            end: Time(raw.wrapping_add(super::block::span(span.uints()[*row]))).plus(shift),
        };
        ends.find(&pair, which).is_some()
    });
    Ok(rows)
}

fn eval_test(id: FieldId, test: &Test, reader: &Reader<'_>, setting: &Setting<'_>, within: &Bits) -> Result<Bits> {
    let mut found = Bits::none(within.rows());
    let Some(field) = field::get(id) else { return Ok(found) };
    match field.place {
        Place::One | Place::Many => {
            eval_field(id, field.ty, matches!(field.place, Place::One), test, reader, within, &mut found)?
        }
        Place::Any(parts) => {
            for part in parts {
                eval_field(*part, field.ty, false, test, reader, within, &mut found)?;
            }
        }
        Place::Sum(parts) => eval_sum(parts, field.ty, test, reader, within, &mut found)?,
        Place::Head | Place::Derived => eval_head(id, field.ty, test, reader, setting, within, &mut found)?,
    }
    Ok(found)
}

/// `first`: only the first value of a row counts.
fn eval_field(
    id: FieldId,
    ty: Type,
    first: bool,
    test: &Test,
    reader: &Reader<'_>,
    within: &Bits,
    found: &mut Bits,
) -> Result<()> {
    let few: Option<Vec<usize>> = (within.count() <= FEW).then(|| within.iter().collect());
    let columns = match &few {
        Some(rows) => reader.field_of(id, rows)?,
        None => reader.field(id)?,
    };
    let first = first && columns.len() == 1;
    for column in columns {
        let mut holds = Memo::new(&column, test, ty);
        for (n, row) in within.iter().enumerate() {
            let mut range = column.range(if few.is_some() { n } else { row });
            if first {
                range.end = range.end.min(range.start + 1);
            }
            if range.into_iter().any(|i| holds.at(i)) {
                found.set(row);
            }
        }
    }
    Ok(())
}

/// The addresses that are equal to one: an IPv4 address is written in two ways.
fn forms(a: IpAddr) -> impl Iterator<Item = IpAddr> {
    let a = canonical(a);
    let mapped = if let IpAddr::V4(v4) = a { Some(IpAddr::V6(v4.to_ipv6_mapped())) } else { None };
    [Some(a), mapped].into_iter().flatten()
}

/// Verdicts on the distinct values of a column: each is tested once.
struct Memo<'a> {
    column: &'a Column,
    test: &'a Test,
    ty: Type,
    known: Vec<u8>,
    last: Option<(u64, bool)>,
}

impl<'a> Memo<'a> {
    fn new(column: &'a Column, test: &'a Test, ty: Type) -> Memo<'a> {
        let distinct = match &column.values {
            Values::Addr(_, dict) => dict.len(),
            Values::Text(_, texts) => texts.len(),
            _ => 0,
        };
        let known = match (&column.values, test) {
            // Sorted, so that one address need not be compared with all.
            (Values::Addr(_, dict), Test::Is(Value::Addr(a))) => {
                let mut known = vec![1; distinct];
                forms(*a).filter_map(|a| dict.binary_search(&a).ok()).for_each(|at| known[at] = 2);
                known
            }
            _ => vec![0; distinct],
        };
        Memo { column, test, ty, known, last: None }
    }
    #[inline]
    fn at(&mut self, i: usize) -> bool {
        match &self.column.values {
            Values::Addr(uses, _) | Values::Text(uses, _) => {
                let Some(entry) = uses.get(i).map(|n| *n as usize) else { return false };
                match self.known.get(entry) {
                    Some(1) => false,
                    Some(2) => true,
                    Some(_) => {
                        let holds = self.column.value(i).is_some_and(|v| self.test.holds(&v, self.ty));
                        self.known[entry] = 1 + u8::from(holds);
                        holds
                    }
                    None => false,
                }
            }
            Values::Uint(values) => {
                let Some(n) = values.get(i).copied() else { return false };
                if let Some((last, holds)) = self.last
                    && last == n
                {
                    return holds;
                }
                let holds = self.test.holds(&Value::Uint(n), self.ty);
                self.last = Some((n, holds));
                holds
            }
            _ => self.column.value(i).is_some_and(|v| self.test.holds(&v, self.ty)),
        }
    }
}

fn eval_sum(parts: &[FieldId], ty: Type, test: &Test, reader: &Reader<'_>, within: &Bits, found: &mut Bits) -> Result<()> {
    let columns: Vec<_> = parts.iter().map(|p| reader.field(*p)).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    for row in within.iter() {
        let mut sum = None;
        for n in columns.iter().filter_map(|c| c.uint(row)) {
            sum = Some(sum.unwrap_or(0u64).saturating_add(n));
        }
        if sum.is_some_and(|n| test.holds(&Value::Uint(n), ty)) {
            found.set(row);
        }
    }
    Ok(())
}

fn eval_head(
    id: FieldId,
    ty: Type,
    test: &Test,
    reader: &Reader<'_>,
    setting: &Setting<'_>,
    within: &Bits,
    found: &mut Bits,
) -> Result<()> {
    let mut keep = |value: &dyn Fn(usize) -> Option<Value>| {
        for row in within.iter() {
            if value(row).is_some_and(|v| test.holds(&v, ty)) {
                found.set(row);
            }
        }
    };
    match id {
        field::KIND => {
            let kinds = reader.kind()?;
            let holds: Vec<bool> = Kind::ALL.iter().map(|k| test.holds(&Value::text(k.name()), ty)).collect();
            for row in within.iter() {
                if holds.get(kinds.uints()[row] as usize).copied().unwrap_or(false) {
                    found.set(row);
                }
            }
        }
        field::SOURCE => keep(&|_| Some(Value::text(setting.source))),
        field::EVIDENCE => keep(&|_| Some(Value::text(setting.evidence))),
        field::ID => {
            let (offset, ordinal) = reader.ids()?;
            let evidence = reader.info().zone.evidence;
            let wanted = ids_of(test);
            keep(&|row| {
                let id = RecordId { evidence, offset: offset.times()[row] as u64, ordinal: ordinal.uints()[row] as u16 };
                // Texts of other ids need not be made.
                wanted.as_ref().is_none_or(|wanted| wanted.contains(&id)).then(|| Value::from(id.to_string()))
            });
        }
        field::RAW_START => {
            let start = reader.start()?;
            keep(&|row| Some(Value::Time(Time(start.times()[row]))));
        }
        field::START | field::END | field::DURATION => {
            let (start, span) = (reader.start()?, reader.span()?);
            keep(&|row| {
                let raw = start.times()[row];
                let end = Time(raw.wrapping_add(super::block::span(span.uints()[row])));
                let shift = setting.shift.at(Time(raw));
                Some(match id {
                    field::START => Value::Time(Time(raw).plus(shift)),
                    field::END => Value::Time(end.plus(shift)),
                    _ => Value::Uint(end.since(Time(raw)).max(0) as u64),
                })
            });
        }
        field::COMMUNITY_ID => {
            let one = |f| reader.field(f).map(|c| c.into_iter().next());
            let (proto, src, dst) = (one(field::PROTO)?, one(field::SRC_IP)?, one(field::DST_IP)?);
            let (sport, dport) = (one(field::SRC_PORT)?, one(field::DST_PORT)?);
            let wanted = if let Test::Is(Value::Text(text)) = test { Some(text.as_bytes()) } else { None };
            keep(&|row| {
                let port = |c: &Option<std::sync::Arc<Column>>| c.as_ref().and_then(|c| c.uint(row)).unwrap_or(0) as u16;
                let proto = proto.as_ref()?.uint(row)? as u8;
                let (src, dst) = (src.as_ref()?.addr(row)?, dst.as_ref()?.addr(row)?);
                let id = community_id::ascii(proto, src, port(&sport), dst, port(&dport));
                wanted.is_none_or(|wanted| id.eq_ignore_ascii_case(wanted)).then(|| Value::text(String::from_utf8_lossy(&id)))
            });
        }
        _ => {}
    }
    Ok(())
}

/// The ids that a test of ids wants, if it names them one by one.
fn ids_of(test: &Test) -> Option<HashSet<RecordId>> {
    match test {
        Test::Is(Value::Text(text)) => Some(HashSet::from([text.parse().ok()?])),
        Test::In(tests) => tests.iter().map(ids_of).collect::<Option<Vec<_>>>().map(|sets| sets.into_iter().flatten().collect()),
        _ => None,
    }
}

/// The rows whose corrected span overlaps a window.
pub fn in_window(reader: &Reader<'_>, shift: &Shift, window: &Window, within: Bits) -> Result<Bits> {
    let (start, span) = (reader.start()?, reader.span()?);
    let (start, span) = (start.times(), span.uints());
    let mut found = Bits::none(within.rows());
    for row in within.iter() {
        let raw = start[row];
        let end = Time(raw.wrapping_add(super::block::span(span[row])));
        let shift = shift.at(Time(raw));
        if window.overlaps(Time(raw).plus(shift), end.plus(shift)) {
            found.set(row);
        }
    }
    Ok(found)
}
