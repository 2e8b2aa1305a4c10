//! A value of a field, and how it is shown and read.

use super::carry;
use super::time::{self, Time};
use super::{field::Type, proto};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// Severity ranks as stored: a higher number is worse.
pub const SEVERITIES: [&str; 5] = ["info", "low", "medium", "high", "critical"];

/// A typed value. Which variant a field holds follows from its [`Type`]: a protocol and a severity are `Uint`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// Yes or no.
    Bool(bool),
    /// A count, a port, bytes, a protocol number, a severity rank, a span in nanoseconds.
    Uint(u64),
    /// A real number (a CVSS score, a confidence).
    Float(f64),
    /// Text as it was read (bytes that are not UTF-8 replaced).
    #[serde(with = "carry::text")]
    Text(CompactString),
    /// An address; IPv4-mapped IPv6 addresses are kept as IPv6.
    Addr(IpAddr),
    /// An instant.
    Time(Time),
}

impl Value {
    /// A text value.
    pub fn text(text: impl AsRef<str>) -> Value {
        Value::Text(CompactString::from(text.as_ref()))
    }
    /// The number of a `Uint`.
    pub fn as_uint(&self) -> Option<u64> {
        if let Value::Uint(n) = self { Some(*n) } else { None }
    }
    /// The text of a `Text`.
    pub fn as_text(&self) -> Option<&str> {
        if let Value::Text(t) = self { Some(t) } else { None }
    }
    /// The address of an `Addr`.
    pub fn as_addr(&self) -> Option<IpAddr> {
        if let Value::Addr(a) = self { Some(*a) } else { None }
    }
    /// As a real number, for comparisons and sums: numbers, booleans (0, 1), times (nanoseconds).
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Bool(b) => Some(f64::from(u8::from(*b))),
            Value::Uint(n) => Some(*n as f64),
            Value::Float(x) => Some(*x),
            Value::Time(t) => Some(t.0 as f64),
            Value::Text(_) | Value::Addr(_) => None,
        }
    }
    /// The value as text in the form of its field's type: what queries, CSV and the screen show.
    pub fn show(&self, ty: Type) -> String {
        match (self, ty) {
            (Value::Uint(n), Type::Proto) => u8::try_from(*n).map_or_else(|_| n.to_string(), proto::show),
            (Value::Uint(n), Type::Severity) => SEVERITIES.get(*n as usize).map_or_else(|| n.to_string(), |s| (*s).to_owned()),
            (Value::Uint(n), Type::Span) => time::show_span(*n as i64),
            _ => self.to_string(),
        }
    }
    /// Reads a value of a type. `None`: the text is not of that type.
    pub fn parse(text: &str, ty: Type) -> Option<Value> {
        Some(match ty {
            Type::Bool => Value::Bool(match text.to_ascii_lowercase().as_str() {
                "true" | "t" | "yes" | "1" => true,
                "false" | "f" | "no" | "0" => false,
                _ => return None,
            }),
            Type::Uint | Type::Port => Value::Uint(text.parse().ok()?),
            Type::Bytes => Value::Uint(parse_size(text)?),
            Type::Span => Value::Uint(u64::try_from(time::parse_span(text)?).ok()?),
            Type::Float => Value::Float(text.parse().ok()?),
            Type::Proto => Value::Uint(u64::from(proto::parse(text)?)),
            Type::Severity => {
                let lower = text.to_ascii_lowercase();
                let alias = match lower.as_str() {
                    "informational" | "none" | "unknown" => "info",
                    "moderate" | "warning" => "medium",
                    "serious" => "high",
                    other => other,
                };
                Value::Uint(SEVERITIES.iter().position(|s| *s == alias)? as u64)
            }
            Type::Addr => Value::Addr(text.parse().ok()?),
            Type::Time => Value::Time(Time::parse(text)?),
            Type::Text => Value::text(text),
        })
    }
}

/// A size with an optional unit: `1500`, `1.5kB`, `2MB` (powers of 10), `4KiB`, `1MiB` (powers of 2). Case does not matter, `B` may be left out.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    if digits == 0 {
        return None;
    }
    let unit = text[digits..].trim().to_ascii_lowercase();
    let factor: u64 = match unit.strip_suffix('b').unwrap_or(&unit) {
        "" => 1,
        "k" => 1_000,
        "m" => 1_000_000,
        "g" => 1_000_000_000,
        "t" => 1_000_000_000_000,
        "ki" => 1 << 10,
        "mi" => 1 << 20,
        "gi" => 1 << 30,
        "ti" => 1 << 40,
        _ => return None,
    };
    if let Ok(whole) = text[..digits].parse::<u64>() {
        return whole.checked_mul(factor);
    }
    let number: f64 = text[..digits].parse().ok()?;
    Some((number * factor as f64) as u64)
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(b) => write!(f, "{b}"),
            Value::Uint(n) => write!(f, "{n}"),
            Value::Float(x) => write!(f, "{x}"),
            Value::Text(t) => f.write_str(t),
            Value::Addr(a) => write!(f, "{a}"),
            Value::Time(t) => write!(f, "{t}"),
        }
    }
}

impl From<u64> for Value {
    fn from(n: u64) -> Value {
        Value::Uint(n)
    }
}
impl From<f64> for Value {
    fn from(x: f64) -> Value {
        Value::Float(x)
    }
}
impl From<IpAddr> for Value {
    fn from(a: IpAddr) -> Value {
        Value::Addr(a)
    }
}
impl From<&str> for Value {
    fn from(t: &str) -> Value {
        Value::text(t)
    }
}
impl From<String> for Value {
    fn from(t: String) -> Value {
        Value::Text(t.into())
    }
}
impl From<Time> for Value {
    fn from(t: Time) -> Value {
        Value::Time(t)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_powers_of_ten_and_of_two() {
        assert_eq!(parse_size("1MB"), Some(1_000_000));
        assert_eq!(parse_size("1MiB"), Some(1 << 20));
        assert_eq!(parse_size("1.5k"), Some(1_500));
        assert_eq!(parse_size("7"), Some(7));
        assert_eq!(parse_size("7x"), None);
    }

    #[test]
    fn values_read_back_what_they_show() {
        for (text, ty) in [("tcp", Type::Proto), ("high", Type::Severity), ("5m", Type::Span), ("10.0.0.1", Type::Addr)] {
            let value = Value::parse(text, ty);
            assert_eq!(value.map(|v| v.show(ty)).as_deref(), Some(text));
        }
    }
}
