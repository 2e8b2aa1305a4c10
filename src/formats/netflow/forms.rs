//! Forms of values: how their bytes are read and shown.

use super::bytes::{u32_at, u64_at, uint};
use super::times::{millis, ntp, seconds};
use crate::formats::json;
use crate::model::hex::{hex, mac};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How the bytes of a value are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Unsigned, 1 to 8 bytes, big-endian.
    Uint,
    /// Signed, 1 to 8 bytes.
    Int,
    /// IEEE 754, 4 or 8 bytes.
    Float,
    /// 1 true, 2 false.
    Bool,
    /// IPv4 or IPv6 address by its length.
    Addr,
    /// 6 bytes.
    Mac,
    /// UTF-8.
    Text,
    /// Bytes without a meaning known here, shown as hexadecimals.
    Octets,
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// 64 bits of NTP (RFC 7011, 6.1.9 and 6.1.10).
    Ntp,
    /// A list of one element (RFC 6313).
    BasicList,
    /// A list of records of one template.
    SubTemplateList,
    /// A list of records of several templates.
    SubTemplateMultiList,
    /// Bytes without content.
    Padding,
}

/// An address of 4 or 16 bytes.
pub(in crate::formats) fn addr(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::V4(Ipv4Addr::from(four)));
    }
    <[u8; 16]>::try_from(bytes).ok().map(|sixteen| IpAddr::V6(Ipv6Addr::from(sixteen)))
}

/// A text, without what fills its field up.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
}

/// A value as JSON.
pub(super) fn json_of(form: Form, bytes: &[u8]) -> Option<String> {
    let quoted = |text: &str| {
        let mut out = String::new();
        json::quote(text, &mut out);
        out
    };
    Some(match form {
        Form::Padding => return None,
        Form::Uint | Form::Seconds | Form::Millis => match uint(bytes) {
            Some(n) if form == Form::Seconds && n > 0 => quoted(&seconds(n).rfc3339()),
            Some(n) if form == Form::Millis && n > 0 => quoted(&millis(n).rfc3339()),
            Some(n) => n.to_string(),
            None => quoted(&hex(bytes)),
        },
        Form::Int => {
            let n = uint(bytes)?;
            let shift = 64 - bytes.len() * 8;
            ((n << shift) as i64 >> shift).to_string()
        }
        Form::Float => {
            let x = match bytes.len() {
                4 => f64::from(f32::from_bits(u32_at(bytes, 0)?)),
                _ => f64::from_bits(u64_at(bytes, 0)?),
            };
            if x.is_finite() { x.to_string() } else { quoted(&x.to_string()) }
        }
        Form::Bool => matches!(bytes, [1]).to_string(),
        Form::Addr => match addr(bytes) {
            Some(a) if a.is_unspecified() => return None,
            Some(a) => quoted(&a.to_string()),
            None => quoted(&hex(bytes)),
        },
        Form::Mac if bytes.iter().all(|b| *b == 0) => return None,
        Form::Mac => quoted(&mac(bytes)),
        Form::Text => quoted(&text(bytes)),
        Form::Ntp => quoted(&ntp(u64_at(bytes, 0)?).rfc3339()),
        Form::Octets | Form::BasicList | Form::SubTemplateList | Form::SubTemplateMultiList => {
            if bytes.iter().all(|b| *b == 0) {
                return None;
            }
            quoted(&hex(bytes))
        }
    })
}

/// An application's number: the registry that it is of, and its number there (RFC 6759, 4.1).
pub(super) fn application(bytes: &[u8]) -> Option<String> {
    let (engine, selector) = bytes.split_first()?;
    let number = uint(selector);
    Some(number.map_or_else(|| format!("{engine}:{}", hex(selector)), |n| format!("{engine}:{n}")))
}
