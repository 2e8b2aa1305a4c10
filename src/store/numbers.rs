//! Lists of numbers and addresses as bytes, in the smallest of a few forms. Knows nothing of rows.

use super::column::MAX_VALUES;
use super::encode::{Take, damaged, put_signed, put_varint, unzigzag};
use crate::error::Result;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Forms of a list of unsigned numbers.
const CONSTANT: u8 = 0;
const BYTES: u8 = 1;
const SHORTS: u8 = 2;
const VARINTS: u8 = 3;

/// Writes unsigned numbers.
pub fn encode_uints(v: &[u64], out: &mut Vec<u8>) {
    let max = v.iter().copied().max().unwrap_or(0);
    if v.iter().all(|n| *n == max) {
        out.push(CONSTANT);
        put_varint(out, max);
    } else if max < 1 << 8 {
        out.push(BYTES);
        out.extend(v.iter().map(|n| *n as u8));
    } else if max < 1 << 16 {
        out.push(SHORTS);
        v.iter().for_each(|n| out.extend_from_slice(&(*n as u16).to_le_bytes()));
    } else {
        out.push(VARINTS);
        let (power, scale) = scale(|unit| v.iter().all(|n| n.is_multiple_of(unit)));
        out.push(power);
        v.iter().for_each(|n| put_varint(out, n / scale));
    }
}

/// Reads `n` unsigned numbers.
pub fn decode_uints(take: &mut Take<'_>, n: usize) -> Result<Vec<u64>> {
    match take.u8()? {
        CONSTANT => {
            let value = take.varint()?;
            Ok(vec![value; n])
        }
        BYTES => Ok(take.bytes(n)?.iter().map(|b| u64::from(*b)).collect()),
        SHORTS => Ok(take.bytes(n * 2)?.chunks_exact(2).map(|b| u64::from(u16::from_le_bytes([b[0], b[1]]))).collect()),
        VARINTS => {
            let scale = unit(take.u8()?)?;
            let mut v = Vec::with_capacity(n);
            take.varints(n, &mut |n| v.push(n.wrapping_mul(scale)))?;
            Ok(v)
        }
        _ => Err(damaged("column")),
    }
}

/// Of `n` unsigned numbers those at some places, which are in order.
pub fn pick_uints(take: &mut Take<'_>, n: usize, places: &[usize]) -> Result<Vec<u64>> {
    let whole = |bytes: &[u8], len: usize| -> Result<()> {
        if bytes.len() < n * len || places.last().is_some_and(|at| *at >= n) { Err(damaged("column")) } else { Ok(()) }
    };
    match take.rest.first() {
        Some(&BYTES) => {
            let bytes = &take.rest[1..];
            whole(bytes, 1)?;
            Ok(places.iter().map(|at| u64::from(bytes[*at])).collect())
        }
        Some(&SHORTS) => {
            let bytes = &take.rest[1..];
            whole(bytes, 2)?;
            Ok(places.iter().map(|at| u64::from(bytes[at * 2]) | u64::from(bytes[at * 2 + 1]) << 8).collect())
        }
        Some(&VARINTS) => {
            take.u8()?;
            let scale = unit(take.u8()?)?;
            let mut out = Vec::with_capacity(places.len());
            pick(take, n, places, &mut |n| out.push(n.wrapping_mul(scale)), &mut |_| {})?;
            Ok(out)
        }
        _ => {
            let all = decode_uints(take, n.min(1))?;
            whole(&[], 0)?;
            Ok(places.iter().filter_map(|_| all.first().copied()).collect())
        }
    }
}

/// Of `n` signed numbers those at some places, which are in order.
pub fn pick_deltas(take: &mut Take<'_>, n: usize, places: &[usize]) -> Result<Vec<i64>> {
    let scale = unit(take.u8()?)? as i64;
    let mut out = Vec::with_capacity(places.len());
    let before = std::cell::Cell::new(0i64);
    let mut pass = |n: u64| before.set(before.get().wrapping_add(unzigzag(n)));
    pick(take, n, places, &mut |_| out.push(before.get().wrapping_mul(scale)), &mut pass)?;
    Ok(out)
}

/// Gives the varints at some places to `each`, after all up to each were given to `pass`.
fn pick(take: &mut Take<'_>, n: usize, places: &[usize], each: &mut impl FnMut(u64), pass: &mut impl FnMut(u64)) -> Result<()> {
    let mut at = 0;
    for place in places {
        if *place < at || *place >= n {
            return Err(damaged("column"));
        }
        take.varints(place - at, pass)?;
        take.varints(1, &mut |n| {
            pass(n);
            each(n);
        })?;
        at = place + 1;
    }
    Ok(())
}

/// Writes signed numbers as differences.
pub fn encode_deltas(v: &[i64], out: &mut Vec<u8>) {
    let (power, scale) = scale(|unit| v.iter().all(|n| n.rem_euclid(unit as i64) == 0));
    out.push(power);
    let mut before = 0i64;
    for n in v {
        let n = n.div_euclid(scale as i64);
        put_signed(out, n.wrapping_sub(before));
        before = n;
    }
}

/// Reads `n` signed numbers.
pub fn decode_deltas(take: &mut Take<'_>, n: usize) -> Result<Vec<i64>> {
    let scale = unit(take.u8()?)? as i64;
    let mut v = Vec::with_capacity(n);
    let mut before = 0i64;
    take.varints(n, &mut |n| {
        before = before.wrapping_add(unzigzag(n));
        v.push(before.wrapping_mul(scale));
    })?;
    Ok(v)
}

/// The largest power of 1000 (up to seconds in nanoseconds) that divides all.
fn scale(divides: impl Fn(u64) -> bool) -> (u8, u64) {
    [(9, 1_000_000_000), (6, 1_000_000), (3, 1_000)].into_iter().find(|(_, unit)| divides(*unit)).unwrap_or((0, 1))
}

fn unit(power: u8) -> Result<u64> {
    match power {
        0 => Ok(1),
        3 => Ok(1_000),
        6 => Ok(1_000_000),
        9 => Ok(1_000_000_000),
        _ => Err(damaged("column")),
    }
}

/// Writes a sorted dictionary of addresses: IPv4 as deltas, IPv6 whole.
pub fn encode_addrs(addrs: &[IpAddr], out: &mut Vec<u8>) {
    let v4 = addrs.iter().take_while(|a| a.is_ipv4()).count();
    put_varint(out, v4 as u64);
    put_varint(out, (addrs.len() - v4) as u64);
    let mut before = 0u32;
    for addr in addrs {
        match addr {
            IpAddr::V4(a) => {
                put_varint(out, u64::from(a.to_bits().wrapping_sub(before)));
                before = a.to_bits();
            }
            IpAddr::V6(a) => out.extend_from_slice(&a.octets()),
        }
    }
}

/// Reads what [`encode_addrs`] wrote.
pub fn decode_addrs(bytes: &[u8]) -> Result<Vec<IpAddr>> {
    let mut take = Take::new(bytes);
    let v4 = take.size(MAX_VALUES + 1)?;
    let v6 = take.size(MAX_VALUES + 1)?;
    let mut out = Vec::with_capacity(v4 + v6);
    let mut before = 0u32;
    take.varints(v4, &mut |n| {
        before = before.wrapping_add(n as u32);
        out.push(IpAddr::V4(Ipv4Addr::from_bits(before)));
    })?;
    for _ in 0..v6 {
        let mut octets = [0; 16];
        octets.copy_from_slice(take.bytes(16)?);
        out.push(IpAddr::V6(Ipv6Addr::from(octets)));
    }
    Ok(out)
}
