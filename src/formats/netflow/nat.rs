//! Events of translators and firewalls: `natEvent` in the numbering of RFC 8158 and in that of the draft which Juniper's MX and NFX follow
//! (draft-ietf-behave-ipfix-nat-logging-02), `firewallEvent` and the extended events of Cisco's NSEL.
//!
//! The two numberings overlap. Which of them an exporter uses shows by its events: 1 and 2 are only in the draft (and in Cisco's logs of
//! translations, which have no others), and of 4 to 7 the family of the source's address says which is meant.

/// Which numbering an exporter uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::formats) enum Numbering {
    /// Not seen yet: read as RFC 8158.
    #[default]
    Unknown,
    /// RFC 8158, 4.2.
    Rfc,
    /// The draft.
    Draft,
}

/// What a record shows besides the number of its event.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::formats) struct Shown {
    /// The source's address is IPv6.
    pub v6: bool,
    /// There is a source's address.
    pub source: bool,
    /// There is a range of ports.
    pub range: bool,
}

impl Numbering {
    /// What the event says of the numbering.
    pub fn learn(self, event: u64, shown: Shown) -> Numbering {
        match event {
            1 | 2 => Numbering::Draft,
            4 | 5 if shown.source => {
                if shown.v6 {
                    Numbering::Draft
                } else {
                    self.or(Numbering::Rfc)
                }
            }
            6 | 7 if shown.source => {
                if shown.v6 {
                    self.or(Numbering::Rfc)
                } else {
                    Numbering::Draft
                }
            }
            14 | 15 if self == Numbering::Unknown && shown.range => Numbering::Draft,
            16..=18 => Numbering::Rfc,
            _ => self,
        }
    }
    fn or(self, other: Numbering) -> Numbering {
        if self == Numbering::Unknown { other } else { self }
    }
}

const RFC: [&str; 19] = [
    "reserved",
    "NAT translation create",
    "NAT translation delete",
    "NAT addresses exhausted",
    "NAT44 session create",
    "NAT44 session delete",
    "NAT64 session create",
    "NAT64 session delete",
    "NAT44 BIB create",
    "NAT44 BIB delete",
    "NAT64 BIB create",
    "NAT64 BIB delete",
    "NAT ports exhausted",
    "quota exceeded",
    "address binding create",
    "address binding delete",
    "port block allocation",
    "port block deallocation",
    "threshold reached",
];
const DRAFT: [&str; 16] = [
    "reserved",
    "NAT44 session create",
    "NAT44 session delete",
    "NAT addresses exhausted",
    "NAT64 session create",
    "NAT64 session delete",
    "NAT44 BIB create",
    "NAT44 BIB delete",
    "NAT64 BIB create",
    "NAT64 BIB delete",
    "NAT ports exhausted",
    "quota exceeded",
    "address binding create",
    "address binding delete",
    "port block allocation",
    "port block deallocation",
];

/// The action and the words for an event of a translator.
pub(in crate::formats) fn nat(event: u64, numbering: Numbering) -> Option<(&'static str, &'static str)> {
    let names: &[&str] = if numbering == Numbering::Draft { &DRAFT } else { &RFC };
    let name = usize::try_from(event).ok().filter(|n| *n > 0).and_then(|n| names.get(n))?;
    let action = match name.rsplit(' ').next() {
        Some("create" | "allocation") => "start",
        Some("delete" | "deallocation") => "close",
        _ => "alert",
    };
    Some((action, name))
}

/// The action of `firewallEvent` (IANA; Cisco's NSEL has the same numbers in `NF_F_FW_EVENT`).
pub(in crate::formats) fn firewall(event: u64) -> Option<&'static str> {
    Some(match event {
        1 => "start",
        2 => "close",
        3 => "deny",
        4 => "alert",
        5 => "update",
        _ => return None,
    })
}

/// Why a flow was denied or deleted (Cisco ASA NetFlow Implementation Guide, `NF_F_FW_EXT_EVENT`).
pub(in crate::formats) fn extended(event: u64) -> Option<&'static str> {
    Some(match event {
        1001 => "denied by an ingress ACL",
        1002 => "denied by an egress ACL",
        1003 => "denied: connection to an interface of the firewall, or ICMP to it",
        1004 => "denied: first packet of TCP was not a SYN",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbering_follows_from_the_events() {
        let v4 = Shown { source: true, ..Shown::default() };
        let v6 = Shown { v6: true, ..v4 };
        let juniper = Numbering::default().learn(1, v4);
        assert_eq!(juniper.learn(5, v6), Numbering::Draft);
        assert_eq!(nat(2, juniper), Some(("close", "NAT44 session delete")));
        assert_eq!(nat(15, juniper), Some(("close", "port block deallocation")));
        let rfc = Numbering::default().learn(4, v4);
        assert_eq!((rfc, nat(4, rfc)), (Numbering::Rfc, Some(("start", "NAT44 session create"))));
        assert_eq!(rfc.learn(6, v6), Numbering::Rfc);
        assert_eq!(Numbering::default().learn(4, v6), Numbering::Draft);
        assert_eq!(Numbering::default().learn(6, v4), Numbering::Draft);
        assert_eq!(Numbering::default().learn(14, Shown { range: true, ..v4 }), Numbering::Draft);
        assert_eq!(nat(16, Numbering::Rfc), Some(("start", "port block allocation")));
        assert_eq!(nat(13, Numbering::Rfc), Some(("alert", "quota exceeded")));
        assert_eq!((nat(0, rfc), nat(99, rfc)), (None, None));
    }
}
