//! A value as written -> a test of its field's type, and the value in canonical form.

use super::ast::{Literal, Op};
use super::error::QueryError;
use super::parse::{Parsed, example};
use super::{lex, vocabulary};
use crate::model::entity::EntityKind;
use crate::model::field::{self, Field, Type};
use crate::model::filter::{Pattern, Test};
use crate::model::value::SEVERITIES;
use crate::model::{Value, proto, words};
use ipnet::{IpNet, Ipv4Net};
use regex::{Regex, RegexBuilder};
use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Largest compiled regular expression in bytes.
const MAX_REGEX: usize = 1 << 20;

/// `field = value`.
pub(super) fn equal(field: &Field, mut literal: Literal, sources: &[String]) -> Parsed<(Test, Literal)> {
    let text = literal.text.clone();
    let test = match field.ty {
        Type::Text => return equal_text(field, literal, sources),
        Type::Addr => {
            if let Some(net) = network(&text) {
                literal.text = net.to_string();
                Test::Net(net)
            } else {
                let addr: IpAddr = text.parse().map_err(|_| wrong(field, &literal))?;
                literal.text = addr.to_string();
                Test::Is(Value::Addr(addr))
            }
        }
        Type::Uint | Type::Port | Type::Bytes | Type::Span => match range(field, &text) {
            Some((low, high)) => {
                if low > high {
                    return Err(QueryError::new("this range ends before it begins", literal.span));
                }
                if field.ty == Type::Port {
                    literal.text = format!("{low}-{high}");
                }
                Test::Range(low, high)
            }
            None => {
                let (value, shown) = scalar(field, &literal)?;
                literal.text = shown;
                Test::Is(value)
            }
        },
        _ => {
            let (value, shown) = scalar(field, &literal)?;
            literal.text = shown;
            Test::Is(value)
        }
    };
    literal.exact = !lex::is_word(&literal.text);
    Ok((test, literal))
}

fn equal_text(field: &Field, mut literal: Literal, sources: &[String]) -> Parsed<(Test, Literal)> {
    // What begins with `@` would read back as a set if it were not quoted, and in quotes a star is a star.
    let glob = !literal.exact && literal.text.contains('*') && !literal.text.starts_with('@');
    if !glob && words::of(field.id).is_some() {
        let word = words::meant(field.id, &literal.text).ok_or_else(|| wrong(field, &literal))?;
        let literal = Literal { text: word.to_owned(), exact: !lex::is_word(word), span: literal.span };
        return Ok((Test::Is(Value::text(word)), literal));
    }
    if field.id == field::SOURCE && !glob && !sources.is_empty() && !sources.iter().any(|s| s.eq_ignore_ascii_case(&literal.text))
    {
        let error = QueryError::new(format!("there is no source `{}`", literal.text), literal.span);
        return Err(error.hint("`backtrail sources` lists all").nearest(&literal.text, sources.iter().map(String::as_str)));
    }
    match field.entity {
        Some(EntityKind::Mac) => literal.text = literal.text.to_ascii_lowercase().replace('-', ":"),
        Some(EntityKind::Name) if literal.text.len() > 1 => {
            literal.text.truncate(literal.text.trim_end_matches('.').len().max(1));
        }
        _ => {}
    }
    let test = if glob {
        wildcard(field, &literal)?
    } else if field.id == field::APP {
        // The field lists several applications with commas between.
        literal.text = literal.text.to_ascii_lowercase();
        let listed = format!("(^|,){}(,|$)", regex::escape(&literal.text));
        Test::In(vec![Test::Is(Value::text(&literal.text)), Test::Matches(pattern(&listed, &literal)?)])
    } else {
        Test::Is(Value::text(&literal.text))
    };
    literal.exact = !glob && (!lex::is_word(&literal.text) || literal.text.contains('*'));
    Ok((test, literal))
}

/// `*.example.com` (the name and below), `*text*`, `text*`.
fn wildcard(field: &Field, literal: &Literal) -> Parsed<Test> {
    let text = literal.text.to_lowercase();
    let inner = text.trim_matches('*');
    if inner.is_empty() {
        return Ok(Test::Exists);
    }
    let below = text.strip_prefix("*.").filter(|rest| !rest.contains('*'));
    if let Some(below) = below.filter(|_| field.entity == Some(EntityKind::Name) || field.id == field::TEXT) {
        return Ok(Test::Under(below.into()));
    }
    if text.starts_with('*') && text.ends_with('*') && !inner.contains('*') {
        return Ok(Test::Contains(inner.into()));
    }
    let whole: Vec<String> = text.split('*').map(regex::escape).collect();
    Ok(Test::Matches(pattern(&format!("^{}$", whole.join(".*")), literal)?))
}

/// `field < value` and its kin.
pub(super) fn compare(field: &Field, op: Op, mut literal: Literal) -> Parsed<(Test, Literal)> {
    if matches!(field.ty, Type::Bool | Type::Proto) || words::of(field.id).is_some() {
        return Err(QueryError::new(format!("`{}` has no order", field.name), literal.span)
            .hint(format!("write {} = {}", field.name, literal)));
    }
    let (value, shown) = scalar(field, &literal)?;
    literal.text = shown;
    literal.exact = !lex::is_word(&literal.text);
    let order = if matches!(op, Op::Lt | Op::Le) { Ordering::Less } else { Ordering::Greater };
    Ok((Test::Compare { order, or_equal: matches!(op, Op::Le | Op::Ge), bound: value }, literal))
}

/// `field contains text`.
pub(super) fn contains(mut literal: Literal) -> Parsed<(Test, Literal)> {
    if literal.text.is_empty() {
        return Err(QueryError::new("there is nothing to look for", literal.span));
    }
    literal.exact = !lex::is_word(&literal.text) || literal.text.contains('*');
    Ok((Test::Contains(literal.text.to_lowercase().into()), literal))
}

/// `field ~ /regular expression/`.
pub(super) fn matches(mut literal: Literal) -> Parsed<(Test, Literal)> {
    literal.exact = false;
    Ok((Test::Matches(pattern(&literal.text, &literal)?), literal))
}

/// A pattern as questions have them; none: it is none, or too large.
pub fn carried(text: &str) -> Option<Arc<Pattern>> {
    built(text).ok().map(|regex| Arc::new(Pattern { text: text.to_owned(), regex }))
}

fn built(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).case_insensitive(true).size_limit(MAX_REGEX).dfa_size_limit(MAX_REGEX).build()
}

fn pattern(text: &str, literal: &Literal) -> Parsed<Arc<Pattern>> {
    match built(text) {
        Ok(regex) => Ok(Arc::new(Pattern { text: text.to_owned(), regex })),
        Err(regex::Error::CompiledTooBig(_)) => Err(QueryError::new("the regular expression is too large", literal.span)),
        Err(error) => {
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or("").trim_start_matches("error: ").to_owned();
            Err(QueryError::new(format!("not a regular expression: {reason}"), literal.span).hint("use contains for plain text"))
        }
    }
}

/// A single typed value, and its canonical text.
fn scalar(field: &Field, literal: &Literal) -> Parsed<(Value, String)> {
    let text = literal.text.as_str();
    let seconds = field.ty == Type::Span && text.parse::<f64>().is_ok_and(|n| n.is_finite() && n >= 0.0);
    let spelled = if seconds { format!("{text}s") } else { text.to_owned() };
    let value = match field.ty {
        Type::Port => vocabulary::port(text).map(|p| Value::Uint(u64::from(p))).or_else(|| Value::parse(text, field.ty)),
        Type::Float => Value::parse(text, field.ty).filter(|v| v.as_number().is_some_and(f64::is_finite)),
        _ => Value::parse(&spelled, field.ty),
    };
    let value = value.filter(|v| field.ty != Type::Port || v.as_uint().is_some_and(|n| n <= 65_535));
    let Some(value) = value else { return Err(wrong(field, literal)) };
    let shown = match field.ty {
        Type::Bytes | Type::Span | Type::Float => spelled,
        _ => value.show(field.ty),
    };
    Ok((value, shown))
}

fn range(field: &Field, text: &str) -> Option<(u64, u64)> {
    let (low, high) = text.split_once("..").or_else(|| text.split_once('-'))?;
    let number = |t: &str| Value::parse(t, field.ty).and_then(|v| v.as_uint()).filter(|n| field.ty != Type::Port || *n <= 65_535);
    Some((number(low)?, number(high)?))
}

/// `10.0.0.0/8`, `10.8.*`; host bits are dropped.
fn network(text: &str) -> Option<IpNet> {
    if let Ok(net) = text.parse::<IpNet>() {
        return Some(net.trunc());
    }
    let known: Vec<u8> = text.strip_suffix(".*")?.split('.').map(|p| p.parse().ok()).collect::<Option<_>>()?;
    if known.len() > 3 {
        return None;
    }
    let mut octets = [0u8; 4];
    octets[..known.len()].copy_from_slice(&known);
    Ipv4Net::new(Ipv4Addr::from(octets), known.len() as u8 * 8).ok().map(IpNet::V4)
}

/// "not a port", with the nearest value or an example.
fn wrong(field: &Field, literal: &Literal) -> QueryError {
    let text = literal.text.as_str();
    let what = match field.ty {
        Type::Bool => "true or false",
        Type::Uint => "a number",
        Type::Bytes => "a size",
        Type::Port => "a port (0 to 65535)",
        Type::Span => "a span of time",
        Type::Proto => "a protocol",
        Type::Severity => "a severity",
        Type::Float => "a number",
        Type::Addr => "an address or network",
        Type::Time => "a time",
        Type::Text => words::called(field.id).0,
    };
    let error = QueryError::new(format!("`{}` takes {what}, not `{text}`", field.name), literal.span);
    let error = error.hint(format!("such as {}", example(field.ty)));
    match field.ty {
        Type::Proto if vocabulary::is_app(text) => error.hint(format!("it is an application: app = {text}")),
        Type::Proto => error.nearest(text, proto::names()),
        Type::Severity => error.hint(SEVERITIES.join(", ")).nearest(text, SEVERITIES),
        Type::Port => error.nearest(text, vocabulary::port_names()),
        Type::Text => {
            let known = words::of(field.id).unwrap_or_default();
            error.hint(format!("{}{}", known.join(", "), words::called(field.id).1)).nearest(text, known)
        }
        Type::Addr if text.contains(|c: char| c.is_alphabetic()) && !text.contains(':') => {
            error.hint(format!("for a name write name = {literal}; to look for text quote it"))
        }
        _ => error,
    }
}
