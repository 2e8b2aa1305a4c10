//! Which packets are of concern: a condition on addresses, ports and protocol, decided packet by packet before anything else is known of its flow.

use crate::error::{Error, Result};
use crate::flow::key::Key;
use crate::model::filter::Test;
use crate::model::packet::Packet;
use crate::model::{FieldId, Filter, Kind, Value, field};
use crate::protocols::layers::{self, Conversation};
use std::collections::HashMap;
use std::net::IpAddr;

/// Conversations whose answer is kept.
const KNOWN: usize = 1 << 16;
/// Fields that can be asked for.
const FIELDS: &[FieldId] =
    &[field::HOST, field::SRC_IP, field::DST_IP, field::PORT, field::SRC_PORT, field::DST_PORT, field::PROTO, field::KIND];

/// A condition on packets.
#[derive(Debug)]
pub struct Concern {
    filter: Filter,
    known: HashMap<Key, bool>,
}

impl Concern {
    /// Of a filter; refused where the first packet of a flow does not decide it.
    pub fn new(filter: Filter) -> Result<Concern> {
        check(&filter)?;
        Ok(Concern { filter, known: HashMap::new() })
    }
    /// Whether a packet is to be kept: it holds for one of its conversations, in the direction of the packet or the other one, since a packet alone
    /// does not say who began. What a fragment does not say (ports) may hold.
    pub fn keeps(&mut self, packet: &Packet<'_>) -> bool {
        let walk = layers::decode(packet.link, packet.data);
        walk.found.iter().any(|c| self.conversation(c))
    }
    fn conversation(&mut self, c: &Conversation<'_>) -> bool {
        let (key, _) = Key::of_conversation(c, false);
        let (low, high) = (key.end(true), key.end(false));
        if c.fragment.is_some() {
            return self.of(low.0, None, high.0, None, key.proto);
        }
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let keep = self.of(low.0, Some(low.1), high.0, Some(high.1), key.proto);
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        self.known.insert(key, keep);
        keep
    }
    fn of(&self, a: IpAddr, a_port: Option<u16>, b: IpAddr, b_port: Option<u16>, proto: u8) -> bool {
        let port = |p: Option<u16>| p.map(|p| Value::Uint(u64::from(p)));
        let ends = |src, src_port, dst, dst_port| Ends {
            src: Value::Addr(src),
            src_port: port(src_port),
            dst: Value::Addr(dst),
            dst_port: port(dst_port),
            proto: Value::Uint(u64::from(proto)),
        };
        can(&self.filter, &ends(a, a_port, b, b_port)).0 || can(&self.filter, &ends(b, b_port, a, a_port)).0
    }
}

/// The values of a conversation; none: not known.
struct Ends {
    src: Value,
    src_port: Option<Value>,
    dst: Value,
    dst_port: Option<Value>,
    proto: Value,
}

/// Whether a condition can hold, and whether it can fail.
fn can(filter: &Filter, ends: &Ends) -> (bool, bool) {
    match filter {
        Filter::All => (true, false),
        Filter::And(all) => all.iter().map(|f| can(f, ends)).fold((true, false), |a, b| (a.0 && b.0, a.1 || b.1)),
        Filter::Or(any) => any.iter().map(|f| can(f, ends)).fold((false, true), |a, b| (a.0 || b.0, a.1 && b.1)),
        Filter::Not(f) => {
            let (holds, fails) = can(f, ends);
            (fails, holds)
        }
        Filter::Test(id, test) => one(*id, test, ends),
        // What a host was elsewhere at times that are over says nothing of packets to come.
        Filter::Elsewhere(..) => (false, true),
    }
}

fn one(id: FieldId, test: &Test, ends: &Ends) -> (bool, bool) {
    let Some(ty) = field::get(id).map(|f| f.ty) else { return (false, true) };
    let flow = Value::text(Kind::Flow.name());
    let values: [Option<&Value>; 2] = match id {
        field::HOST => [Some(&ends.src), Some(&ends.dst)],
        field::SRC_IP => [Some(&ends.src); 2],
        field::DST_IP => [Some(&ends.dst); 2],
        field::PORT => [ends.src_port.as_ref(), ends.dst_port.as_ref()],
        field::SRC_PORT => [ends.src_port.as_ref(); 2],
        field::DST_PORT => [ends.dst_port.as_ref(); 2],
        field::PROTO => [Some(&ends.proto); 2],
        _ => [Some(&flow); 2],
    };
    if values.iter().flatten().any(|v| test.holds(v, ty)) {
        return (true, false);
    }
    // What is not known may hold as well as fail.
    (values.iter().any(Option::is_none), true)
}

fn check(filter: &Filter) -> Result<()> {
    match filter {
        Filter::All | Filter::Elsewhere(..) => Ok(()),
        Filter::And(list) | Filter::Or(list) => list.iter().try_for_each(check),
        Filter::Not(f) => check(f),
        Filter::Test(id, _) if FIELDS.contains(id) => Ok(()),
        Filter::Test(id, _) => {
            let name = field::get(*id).map_or("?", |f| f.name);
            Err(Error::user(format!("`{name}` is not known when a packet is kept or not")).hint(
                "packets are chosen by host, src.ip, dst.ip, port, src.port, dst.port and proto, also of sets: host in @concern",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;
    use crate::model::filter::Members;
    use crate::model::packet::LinkType;
    use etherparse::PacketBuilder;
    use std::sync::Arc;

    fn keeps(concern: &mut Concern, data: &[u8]) -> bool {
        let packet =
            Packet { time: Time(0), link: LinkType::RAW, data, wire_len: data.len() as u32, offset: 0, number: 1, interface: 0 };
        concern.keeps(&packet)
    }

    fn tcp(src: [u8; 4], src_port: u16, dst: [u8; 4], dst_port: u16) -> Vec<u8> {
        let mut out = Vec::new();
        PacketBuilder::ipv4(src, dst, 64).tcp(src_port, dst_port, 0, 100).write(&mut out, b"x").unwrap();
        out
    }

    const A: [u8; 4] = [10, 0, 0, 5];
    const B: [u8; 4] = [192, 0, 2, 9];

    fn is(id: FieldId, n: u64) -> Filter {
        Filter::is(id, n)
    }

    #[test]
    fn both_directions_of_a_conversation_are_kept_or_neither() {
        let addr = |a: [u8; 4]| Value::Addr(IpAddr::from(a));
        let there = tcp(A, 40_000, B, 443);
        let back = tcp(B, 443, A, 40_000);
        for (filter, keep) in [
            (Filter::All, true),
            (Filter::is(field::HOST, addr(A)), true),
            (Filter::is(field::HOST, addr([10, 0, 0, 6])), false),
            (Filter::is(field::SRC_IP, addr(A)).and(is(field::DST_PORT, 443)), true),
            (Filter::is(field::SRC_IP, addr(A)).and(is(field::DST_PORT, 40_000)), false),
            (is(field::PROTO, 6), true),
            (is(field::PROTO, 17), false),
            (Filter::Not(Box::new(is(field::PORT, 443))), false),
            (Filter::is(field::KIND, "flow"), true),
            (Filter::Test(field::HOST, Test::Net("192.0.2.0/24".parse().unwrap())), true),
        ] {
            let mut concern = Concern::new(filter.clone()).unwrap();
            // Twice: the second time from memory.
            for packet in [&there, &back, &there, &back] {
                assert_eq!(keeps(&mut concern, packet), keep, "{filter:?}");
            }
        }
        let members = Members { addrs: [IpAddr::from(B)].into(), ..Members::default() };
        let mut concern = Concern::new(Filter::Test(field::HOST, Test::Set(Arc::new(members)))).unwrap();
        assert!(keeps(&mut concern, &back) && !keeps(&mut concern, &tcp(A, 1, A, 2)));
    }

    #[test]
    fn a_fragment_without_ports_is_kept_where_its_ports_would_decide() {
        let mut fragment = tcp(A, 40_000, B, 443);
        // Not the first fragment: offset 8.
        fragment[7] = 1;
        for (filter, keep) in [
            (is(field::PORT, 22), true),
            (Filter::Not(Box::new(is(field::PORT, 22))), true),
            (is(field::PORT, 22).and(is(field::PROTO, 17)), false),
        ] {
            let mut concern = Concern::new(filter).unwrap();
            assert_eq!(keeps(&mut concern, &fragment), keep);
        }
    }

    #[test]
    fn what_a_packet_does_not_say_is_refused() {
        let error = Concern::new(Filter::is(field::SNI, "evil.example").and(is(field::PORT, 443))).err().unwrap();
        assert!(error.what.contains("`sni`") && error.hint.contains("@concern"), "{error}");
        let mut concern = Concern::new(Filter::All).unwrap();
        assert!(!keeps(&mut concern, b"no IP"));
    }
}
