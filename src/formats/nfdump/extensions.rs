//! Extensions of an nfdump record (`nfxV3.h`), brought to the information elements that they were made from.
//!
//! Numbers are in the order of the machine that wrote the file; addresses are numbers too.

use super::Order;
use crate::formats::netflow::record::Reading;
use crate::formats::netflow::templates::Spec;
use crate::model::hex::hex;

const REVERSE: u32 = 29_305;

/// A fixed layout: width of each number and the element that it is.
type Layout = &'static [(usize, u16)];

const FLOW: Layout = &[(8, 152), (8, 153), (8, 258), (8, 2), (8, 1), (2, 7), (2, 11), (1, 4), (1, 6), (1, 89), (1, 5)];
const VLAN: Layout = &[(4, 58), (4, 59)];
const AS: Layout = &[(4, 16), (4, 17)];
const ADJACENT: Layout = &[(4, 128), (4, 129)];
const SAMPLER: Layout = &[(8, 302)];
const NSEL: Layout = &[(8, 323), (4, 148), (2, 33_002), (1, 233)];
const PORTS: Layout = &[(2, 227), (2, 228)];
const NEL: Layout = &[(8, 323), (4, 283), (1, 230)];
const NEL_OLD: Layout = &[(8, 323), (4, 235), (4, 234), (4, 283), (1, 230)];
const BLOCK: Layout = &[(2, 361), (2, 362), (2, 363), (2, 364)];
const POINT: Layout = &[(8, 138), (4, 149)];
const VRF: Layout = &[(4, 235), (4, 234)];

/// Gives an extension to a record. False: it is not known, or shorter than it should be.
pub(super) fn give(kind: u16, bytes: &[u8], order: Order, r: &mut Reading<'_>) -> bool {
    let all = |layout: Layout, r: &mut Reading<'_>| {
        let mut at = 0;
        for (width, element) in layout {
            let Some(n) = order.uint(bytes, at, *width) else { return false };
            // Zero is what is written where there is nothing; but a port may be 0.
            if n > 0 || matches!(element, 7 | 11 | 4) {
                r.number(*element, n);
            }
            at += width;
        }
        true
    };
    match kind {
        1 => all(FLOW, r),
        2 => address(r, 8, bytes, 4, order) && address(r, 12, bytes.get(4..).unwrap_or_default(), 4, order),
        3 => address(r, 27, bytes, 16, order) && address(r, 28, bytes.get(16..).unwrap_or_default(), 16, order),
        4 => misc(bytes, order, r),
        5 => {
            let [Some(flows), Some(packets), Some(octets)] = [0, 8, 16].map(|at| order.uint(bytes, at, 8)) else { return false };
            if flows > 1 {
                r.number(3, flows);
            }
            // What nfdump calls out is what came back.
            if packets > 0 {
                reverse(r, 2, packets);
            }
            if octets > 0 {
                reverse(r, 1, octets);
            }
            true
        }
        6 => all(VLAN, r),
        7 => all(AS, r),
        8 => address(r, 18, bytes, 4, order),
        9 => address(r, 63, bytes, 16, order),
        10 => address(r, 15, bytes, 4, order),
        11 => address(r, 62, bytes, 16, order),
        12 => address(r, 130, bytes, 4, order),
        13 => address(r, 131, bytes, 16, order),
        14 => {
            let labels: Vec<u64> = (0..10).filter_map(|n| order.uint(bytes, n * 4, 4)).filter(|l| *l > 0).collect();
            if !labels.is_empty() {
                // A label, 3 bits of experiment, the bottom's bit.
                let shown: Vec<String> = labels.iter().map(|l| format!("{}-{}-{}", l >> 4, l >> 1 & 7, l & 1)).collect();
                r.keep_text("mplsLabels", &shown.join(" "));
            }
            true
        }
        15 => {
            for (n, element) in [56, 57, 80, 81].into_iter().enumerate() {
                let Some(mac) = order.uint(bytes, n * 8, 8) else { return false };
                r.element(&spec(element, 6), mac.to_be_bytes().get(2..).unwrap_or_default());
            }
            true
        }
        16 => all(ADJACENT, r),
        17 => {
            for (n, name) in ["clientNetworkDelay", "serverNetworkDelay", "applicationLatency"].into_iter().enumerate() {
                let Some(micros) = order.uint(bytes, n * 8, 8) else { return false };
                if micros > 0 {
                    r.keep_text(name, &format!("{micros}us"));
                }
            }
            true
        }
        18 => all(SAMPLER, r),
        19 => all(NSEL, r),
        20 => address(r, 225, bytes, 4, order) && address(r, 226, bytes.get(4..).unwrap_or_default(), 4, order),
        21 => address(r, 281, bytes, 16, order) && address(r, 282, bytes.get(16..).unwrap_or_default(), 16, order),
        22 => all(PORTS, r),
        // These alone are as the exporter sent them.
        23 => {
            for (element, from) in [(33_000, 0), (33_001, 12)] {
                let Some(acl) = bytes.get(from..from + 12) else { return false };
                r.element(&spec(element, 12), acl);
            }
            true
        }
        24 => text(r, 40_000, bytes),
        25 if bytes.len() >= 24 => all(NEL_OLD, r),
        25 => all(NEL, r),
        26 => all(BLOCK, r),
        27 => {
            r.element(&spec(95, bytes.len() as u16), bytes);
            true
        }
        28 => {
            r.keep_text("label", String::from_utf8_lossy(bytes).trim_end_matches('\0'));
            true
        }
        29 | 30 => {
            r.keep_text(if kind == 29 { "payload.out.bytes" } else { "payload.in.bytes" }, &hex(bytes));
            true
        }
        31 | 32 => {
            let width = if kind == 31 { 4 } else { 16 };
            let protocol = order.uint(bytes, 2 * width, 4).unwrap_or(0);
            for (n, name) in ["tunnel.src.ip", "tunnel.dst.ip"].into_iter().enumerate() {
                let Some(ip) = ip(bytes.get(n * width..).unwrap_or_default(), width, order) else { return false };
                r.keep_text(name, &ip.to_string());
            }
            r.keep_text("tunnel.proto", &crate::model::proto::show(protocol as u8));
            true
        }
        33 => all(POINT, r),
        36 => all(VRF, r),
        37 => packet_filter(bytes, order, r),
        _ => false,
    }
}

fn spec(id: u16, length: u16) -> Spec {
    Spec { id, enterprise: 0, length, is_scope9: false }
}

fn reverse(r: &mut Reading<'_>, id: u16, n: u64) {
    r.element(&Spec { id, enterprise: REVERSE, length: 8, is_scope9: false }, &n.to_be_bytes());
}

fn text(r: &mut Reading<'_>, id: u16, bytes: &[u8]) -> bool {
    r.element(&spec(id, bytes.len() as u16), bytes);
    true
}

/// An address: one number, or two of 64 bits.
pub(super) fn ip(bytes: &[u8], width: usize, order: Order) -> Option<std::net::IpAddr> {
    if width == 4 {
        return Some(std::net::IpAddr::V4((order.uint(bytes, 0, 4)? as u32).into()));
    }
    let whole = u128::from(order.uint(bytes, 0, 8)?) << 64 | u128::from(order.uint(bytes, 8, 8)?);
    Some(std::net::IpAddr::V6(whole.into()))
}

fn address(r: &mut Reading<'_>, element: u16, bytes: &[u8], width: usize, order: Order) -> bool {
    match ip(bytes, width, order) {
        Some(std::net::IpAddr::V4(a)) => r.element(&spec(element, 4), &a.octets()),
        Some(std::net::IpAddr::V6(a)) => r.element(&spec(element, 16), &a.octets()),
        None => return false,
    }
    true
}

fn misc(bytes: &[u8], order: Order, r: &mut Reading<'_>) -> bool {
    let [Some(input), Some(output)] = [0, 4].map(|at| order.uint(bytes, at, 4)) else { return false };
    let Some([source, destination, direction, tos, biflow, reason, flags]) = bytes.get(8..15) else { return false };
    // Zero is also what is written where the exporter said nothing.
    for (element, n) in [
        (10, input),
        (14, output),
        (9, u64::from(*source)),
        (13, u64::from(*destination)),
        (61, u64::from(*direction)),
        (55, u64::from(*tos)),
        (239, u64::from(*biflow)),
        (136, u64::from(*reason)),
    ] {
        if n > 0 {
            r.number(element, n);
        }
    }
    if *flags > 0 {
        reverse(r, 6, u64::from(*flags));
    }
    true
}

/// OpenBSD's pflog.
fn packet_filter(bytes: &[u8], order: Order, r: &mut Reading<'_>) -> bool {
    let Some([action, reason, direction, rewritten]) = bytes.get(..4) else { return false };
    let numbers = ["pf.rule", "pf.subrule", "pf.uid", "pf.pid"];
    for (name, n) in [("pf.action", action), ("pf.reason", reason), ("pf.dir", direction), ("pf.rewritten", rewritten)] {
        r.keep_text(name, &n.to_string());
    }
    for (n, name) in numbers.into_iter().enumerate() {
        let Some(number) = order.uint(bytes, 4 + n * 4, 4) else { return false };
        r.keep_text(name, &number.to_string());
    }
    let name = bytes.get(20..).unwrap_or_default();
    r.keep_text("pf.interface", String::from_utf8_lossy(name).trim_end_matches('\0'));
    true
}
