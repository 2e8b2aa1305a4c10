//! Values that devices state under names of their own, given to a record: see `vendor_names`.
//!
//! Knows no format. A value that is not of the field's type gives nothing: `src=eth0` is no address. What was not given is kept if asked.

use super::draft::Draft;
use super::vendor_names::Means::{
    self, Action, Beside, End, Event, Hash, Host, Maybe, Message, Name, Of, Outcome, Proto, Severity, Signature, Url, User,
};
use super::vendor_names::{meaning, plain};
use super::{json_lines, lift, verdict_words};
use crate::model::field::{self, FieldId, Type};
use crate::model::record::Kind;
use crate::model::value::Value;
use std::net::{IpAddr, Ipv4Addr};

/// A value without quotes; nothing if it says that there is none.
fn stated(value: &str) -> &str {
    const NONE: [&str; 24] = [
        "-",
        "--",
        "n/a",
        "na",
        "none",
        "null",
        "(null)",
        "nil",
        "unknown",
        "undefined",
        "(empty)",
        "not available",
        "not applicable",
        "not set",
        "<none>",
        "unspecified",
        "0.0.0.0",
        "::",
        "[none]",
        "no authentication required",
        "\\n",
        "_",
        "(no user)",
        "unknown ip",
    ];
    let value = value.trim().trim_matches(['"', '\'', '\u{201c}', '\u{201d}']).trim();
    if NONE.iter().any(|n| n.eq_ignore_ascii_case(value)) { "" } else { value }
}

/// An address with its port: `192.0.2.1`, `192.0.2.1:80`, `192.0.2.1:80:X1`, `192.0.2.1#53`, `192.0.2.1(80)`, `[2001:db8::1]:443`,
/// `2001:db8::1/64`, `name(192.0.2.1)`; the first of several. `None` for unspecified ones.
pub(super) fn endpoint(text: &str) -> Option<(IpAddr, Option<u16>)> {
    let text = text.split([',', ' ', ';']).next()?;
    if let Some(ip) = super::draft::address(text) {
        return Some((ip, None)).filter(|_| !ip.is_unspecified());
    }
    let (ip, port) = if let Some(rest) = text.strip_prefix('[') {
        let (ip, port) = rest.split_once(']')?;
        (ip.parse().ok()?, port)
    } else if let Some((ip, after)) = text.find([':', '#', '(', '/']).map(|at| text.split_at(at))
        && let Ok(ip) = ip.parse::<Ipv4Addr>()
    {
        (IpAddr::from(ip), after)
    } else if let Some((ip, after)) = text.rfind(['/', '#']).map(|at| text.split_at(at)) {
        (ip.parse().ok()?, if after.starts_with('/') { "" } else { after })
    } else {
        let inside = text.split_once('(')?.1.strip_suffix(')')?;
        (inside.parse().ok()?, "")
    };
    // After a slash small numbers are lengths of networks.
    let digits = port.get(1..).unwrap_or("");
    let digits = &digits[..digits.bytes().take_while(u8::is_ascii_digit).count()];
    let port = digits.parse::<u16>().ok().filter(|p| !port.starts_with('/') || *p > 32);
    (!ip.is_unspecified()).then_some((ip, port))
}

/// Whether a pair says something that is surely meant: a known name with a value of its kind.
pub(super) fn is_known(name: &str, value: &str) -> bool {
    let value = stated(value);
    if value.is_empty() {
        return false;
    }
    match meaning(name) {
        Some(End(..) | Maybe(..)) => endpoint(value).is_some(),
        Some(Of(id)) => match field::get(id).map(|f| f.ty) {
            Some(Type::Text) => true,
            Some(Type::Port) => value.parse::<u16>().is_ok(),
            Some(Type::Addr) => super::draft::address(value).is_some(),
            _ => value.bytes().next().is_some_and(|b| b.is_ascii_digit()),
        },
        Some(Action) => verdict_words::known(value).is_some(),
        Some(Url) => value.contains("://") || value.starts_with('/'),
        Some(Hash) => hash(value).is_some(),
        Some(Severity) => rank(value).is_some(),
        Some(User | Name | Proto | Signature) => true,
        Some(Host | Event | Outcome | Message | Beside(_)) | None => false,
    }
}

/// Whether a pair is an address of one of the two ends.
pub(super) fn is_end(name: &str, value: &str) -> bool {
    matches!(meaning(name), Some(End(..) | Maybe(..))) && endpoint(stated(value)).is_some()
}

/// Whether a name is that of a record's text.
pub(super) fn is_message(name: &str) -> bool {
    matches!(meaning(name), Some(Message))
}

/// Rank of a severity's word. A number alone says nothing: makers count up or down, to 5, 10 or 100.
fn rank(value: &str) -> Option<u64> {
    json_lines::level(value).filter(|_| !value.bytes().all(|b| b.is_ascii_digit()))
}

fn hash(value: &str) -> Option<FieldId> {
    let hex = value.bytes().all(|b| b.is_ascii_hexdigit());
    match value.len() {
        32 if hex => Some(field::MD5),
        40 if hex => Some(field::SHA1),
        64 if hex => Some(field::SHA256),
        _ => None,
    }
}

/// Gives pairs to a record and keeps what has no field. `keep`: a pair that gave nothing goes to `extra`; else it is in the message.
pub(super) fn fill(pairs: &[(&str, &str)], keep: bool, d: &mut Draft) {
    let mut told = Told::default();
    // Of several names of what decided, that of the rule says most.
    let ruled =
        pairs.iter().any(|(name, value)| is_rule(name) && meaning(name) == Some(Of(field::RULE)) && !stated(value).is_empty());
    let near = near(pairs, d);
    let mut later: Vec<(&str, &str, Means)> = Vec::new();
    for (name, value) in pairs {
        let stated = stated(value);
        if stated.is_empty() || near.iter().any(|(n, _)| n == name) {
            continue;
        }
        match meaning(name) {
            Some(means @ (Maybe(..) | Beside(_))) => later.push((name, stated, means)),
            Some(Of(field::RULE)) if ruled && !is_rule(name) && plain(name).starts_with("polic") => {
                _ = keep.then(|| d.keep(name, stated));
            }
            // A text under the name of an id is one only if no name says what it is.
            Some(Signature) if plain(name).ends_with("id") && stated.parse::<u64>().is_err() => {
                later.push((name, stated, Signature))
            }
            Some(means) if !is_no_type(means, stated) && give(means, stated, d, &mut told) => {}
            _ if keep => d.keep(name, stated),
            _ => {}
        }
    }
    for (name, (ip, port)) in &near {
        let value = pairs.iter().find(|(n, _)| n == name).map_or("", |(_, v)| stated(v));
        if !value.is_empty() && !give(End(*ip, *port), value, d, &mut told) && !of(*port, value, d) && keep {
            d.keep(name, value);
        }
    }
    for (name, value, means) in later {
        let given = match means {
            // Where one end is stated by name, a weak name for the other is as good; an address that is there already is no other end.
            Maybe(ip, _) if d.has(ip) => false,
            Maybe(ip, port) => {
                let name_of = if ip == field::DST_IP { Name } else { Host };
                give(End(ip, port), value, d, &mut told) || ends_a_host(name) && give(name_of, value, d, &mut told)
            }
            Signature => !d.has(field::SIGNATURE) && give(Signature, value, d, &mut told),
            Beside(field::USER) => give(User, value, d, &mut told),
            Beside(field::SEVERITY) => give(Severity, value, d, &mut told),
            Beside(id) => {
                (d.has(field::SRC_IP) || d.has(field::DST_IP) || told.server.is_some()) && give(Of(id), value, d, &mut told)
            }
            _ => false,
        };
        if !given && keep {
            d.keep(name, value);
        }
    }
    // A name of the responder is better than what its URL says.
    if let Some((ip, port)) = told.server
        && (d.give(field::DST_IP, Value::Addr(ip)) || d.record.addr(field::DST_IP) == Some(ip))
    {
        port.map(|p| d.uint(field::DST_PORT, p));
    }
    told.finish(d);
    untranslated(d);
}

fn is_rule(name: &str) -> bool {
    plain(name).contains("rule")
}

/// An address field with that of its port.
type Side = (FieldId, FieldId);

/// Names of the near and the far end, `local_ip` and `remote_port`, with the end that each is. Where the record names an originator by other
/// names, near is the responder, and the other way round; else near began it, unless it came in. The far end alone is whoever came.
fn near<'a>(pairs: &[(&'a str, &str)], d: &Draft) -> Vec<(&'a str, Side)> {
    let (src, dst) = ((field::SRC_IP, field::SRC_PORT), (field::DST_IP, field::DST_PORT));
    let stem = |name: &str| {
        if !name.starts_with(['l', 'L', 'r', 'R']) {
            return None;
        }
        let name = plain(name);
        let (far, rest) = match name.strip_prefix("local") {
            Some(rest) => (false, rest.to_owned()),
            None => (true, name.strip_prefix("remote")?.to_owned()),
        };
        match rest.as_str() {
            "ip" | "addr" | "address" | "ipaddress" | "ipaddr" => Some((far, false)),
            "port" => Some((far, true)),
            _ => None,
        }
    };
    let known: Vec<(&'a str, bool, bool)> = pairs
        .iter()
        .filter(|(_, value)| !stated(value).is_empty())
        .filter_map(|(name, _)| stem(name).map(|(far, port)| (*name, far, port)))
        .collect();
    let has = |far: bool| known.iter().any(|(_, f, port)| *f == far && !port);
    let named = |ip: FieldId| {
        d.has(ip)
            || pairs
                .iter()
                .any(|(name, value)| matches!(meaning(name), Some(End(id, _)) if id == ip) && endpoint(stated(value)).is_some())
    };
    let inward = || {
        pairs.iter().any(|(name, value)| {
            meaning(name) == Some(Of(field::DIRECTION_STATED)) && value.to_ascii_lowercase().starts_with("in")
        })
    };
    if !has(false) && !has(true) {
        return Vec::new();
    }
    let near_began = match (named(field::SRC_IP), named(field::DST_IP)) {
        (true, false) => false,
        (false, true) => true,
        (true, true) => return Vec::new(),
        (false, false) => has(false) && !inward(),
    };
    known.iter().map(|(name, far, _)| (*name, if *far == near_began { dst } else { src })).collect()
}

/// An end that was translated into itself was not translated.
fn untranslated(d: &mut Draft) {
    for (ip, port, to, to_port) in [
        (field::SRC_IP, field::SRC_PORT, field::NAT_SRC_IP, field::NAT_SRC_PORT),
        (field::DST_IP, field::DST_PORT, field::NAT_DST_IP, field::NAT_DST_PORT),
    ] {
        let zero = d.record.uint(to_port) == Some(0);
        let same = d.has(to) && d.record.addr(to) == d.record.addr(ip);
        let same_port = zero || !d.has(to_port) || d.record.uint(to_port) == d.record.uint(port);
        let gone = |id: FieldId| same && same_port && (id == to || id == to_port) || id == to_port && (zero || !d.has(to));
        let drop: Vec<FieldId> = [to, to_port].into_iter().filter(|id| gone(*id)).collect();
        d.record.fields.retain(|(id, _)| !drop.contains(id));
    }
}

/// `shost`, `dhost`, `destinationHost`: a host by name or address.
fn ends_a_host(name: &str) -> bool {
    plain(name).ends_with("host")
}

/// What the pairs tell of an event and how it went.
#[derive(Default)]
struct Told<'a> {
    event: String,
    outcome: &'a str,
    /// Address and port of a URL.
    server: Option<(IpAddr, Option<u64>)>,
    /// The action is that something was made, in the source's word: of a connection it is its start.
    made: &'a str,
    /// The action is a login.
    done: bool,
}

impl Told<'_> {
    fn finish(self, d: &mut Draft) {
        http_status(self.outcome, d);
        let connected = d.has(field::SRC_IP) && d.has(field::DST_IP);
        if !self.made.is_empty() && !connected {
            d.record.fields.retain(|(id, _)| *id != field::ACTION);
            d.text(field::ACTION, self.made);
        }
        let action = d.record.text(field::ACTION).unwrap_or("").to_owned();
        let event = format!("{} {action}", self.event);
        let decided = verdict_words::known(&action).filter(|a| !matches!(*a, "allow" | "deny" | "start" | "close"));
        let done = (self.done && self.outcome.is_empty()).then_some("login_ok");
        if let Some(login) = verdict_words::login_action(&event, self.outcome).or(done).filter(|_| decided.is_none()) {
            let own = (!action.is_empty()).then_some(action);
            d.record.fields.retain(|(id, _)| *id != field::ACTION);
            d.text(field::ACTION, login);
            if let Some(own) = own.filter(|own| verdict_words::known(own) != Some(login)) {
                d.keep("action", &own);
            }
        } else if action.is_empty() && verdict_words::known(self.outcome).is_some_and(|a| matches!(a, "allow" | "deny" | "drop"))
        {
            d.text(field::ACTION, &verdict_words::action(self.outcome));
        }
    }
}

/// Gives a value; false: it is not what the name says, or the field has a value.
fn give<'a>(means: Means, value: &'a str, d: &mut Draft, told: &mut Told<'a>) -> bool {
    match means {
        End(ip, port) | Maybe(ip, port) => {
            let Some((address, number)) = endpoint(value) else { return false };
            let given = d.give(ip, Value::Addr(address));
            if let Some(number) = number.filter(|_| given) {
                d.uint(port, u64::from(number));
            }
            given && !value.contains([',', ' '])
        }
        Of(id) | Beside(id) => of(id, value, d),
        Action => {
            // An action that is a login by its name and has no outcome is one that was done.
            let login = ["login", "logon", "signin"].iter().any(|w| plain(value) == *w);
            let word = verdict_words::action(value);
            let given = d.text(field::ACTION, &word);
            told.done |= given && login;
            if given && ["create", "created"].iter().any(|w| value.eq_ignore_ascii_case(w)) {
                told.made = value;
            }
            given && (word == value || told.made == value)
        }
        Outcome => {
            if told.outcome.is_empty() {
                told.outcome = value;
            }
            http_status(value, d)
        }
        Event => {
            if told.event.len() < 512 {
                told.event.push_str(value);
                told.event.push(' ');
            }
            false
        }
        Proto => {
            let word = value.split(['/', ' ']).next().unwrap_or("");
            let word = word.strip_prefix("PROTOCOL_").unwrap_or(word);
            d.put(field::PROTO, word) || is_word(word) && d.text(field::APP, &word.to_ascii_lowercase())
        }
        Severity => rank(value).is_some_and(|rank| d.uint(field::SEVERITY, rank)),
        Url => url(value, d, told),
        Hash => hash(value).is_some_and(|id| d.text(id, value)),
        User => {
            // `joe (Joe Doe) using password`, `joe from 192.0.2.1`.
            let end = [" from ", " by ", " using ", " on ", " at ", " ("].iter().filter_map(|w| value.find(w)).min();
            let name = value[..end.unwrap_or(value.len())].trim_end();
            let bare = name.rsplit_once('\\').map_or(name, |(_, u)| u);
            let sound = value.len() <= 256 && super::draft::address(value).is_none();
            let given = sound && d.text(field::USER, bare);
            given && bare.len() == value.len()
        }
        Host => {
            super::draft::address(value).is_none() && value.len() <= 255 && !value.contains(' ') && d.text(field::HOSTNAME, value)
        }
        Name => {
            super::draft::address(value).is_none() && value.contains('.') && !value.contains(' ') && d.text(field::NAME, value)
        }
        Message => d.text(field::MESSAGE, value),
        Signature => match value.bytes().all(|b| b.is_ascii_digit()) {
            true => d.put(field::SIGNATURE_ID, value),
            false => d.text(field::SIGNATURE, value),
        },
    }
}

fn of(id: FieldId, value: &str, d: &mut Draft) -> bool {
    match (id, field::get(id).map(|f| f.ty)) {
        (field::SRC_MAC | field::DST_MAC, _) => lift::is_mac(value) && d.text(id, value),
        (field::CVE, _) => {
            value.split([',', ' ', ';']).filter(|c| c.to_ascii_uppercase().starts_with("CVE-")).fold(false, |_, c| d.text(id, c))
        }
        (field::HTTP_METHOD, _) => is_word(value) && d.text(id, &value.to_ascii_uppercase()),
        (field::APP, _) => value.len() <= 64 && d.text(id, value),
        (field::HTTP_HOST, _) => {
            let host = value.split(':').next().unwrap_or(value);
            if super::draft::address(host).is_none() && host.contains('.') {
                name(host, d);
            }
            d.text(id, value)
        }
        (field::MAIL_TO, _) => {
            value.split([',', ';']).map(str::trim).filter(|m| m.contains('@')).fold(false, |_, m| d.text(id, m))
        }
        (field::MAIL_FROM, _) => value.contains('@') && d.text(id, value),
        (field::PROCESS | field::RULE | field::REASON | field::CATEGORY, _) => value.len() <= 1024 && d.text(id, value),
        // Zero is no port, and a number may have its name beside it: `443 (https)`.
        (_, Some(Type::Port)) => {
            let digits = value.bytes().take_while(u8::is_ascii_digit).count();
            let ended = value.as_bytes().get(digits).is_none_or(|b| matches!(b, b' ' | b'(' | b'/'));
            ended && value[..digits].parse::<u16>().is_ok_and(|p| d.uint(id, u64::from(p)))
        }
        (_, Some(Type::Uint | Type::Bytes)) => {
            let digits = value.bytes().take_while(u8::is_ascii_digit).count();
            let ended = value.as_bytes().get(digits).is_none_or(|b| *b == b' ');
            ended && value[..digits].parse().is_ok_and(|n| d.uint(id, n))
        }
        _ => d.put(id, value),
    }
}

/// Gives a name, once.
fn name(host: &str, d: &mut Draft) {
    let host = host.trim_end_matches('.');
    if !d.record.fields.iter().any(|(id, v)| *id == field::NAME && v.to_string().eq_ignore_ascii_case(host)) {
        d.text(field::NAME, host);
    }
}

/// A status that can only be HTTP's.
fn http_status(value: &str, d: &mut Draft) -> bool {
    let web = d.has(field::URL) || d.has(field::HTTP_METHOD) || d.has(field::HTTP_HOST);
    web && value.parse::<u64>().is_ok_and(|n| (100..600).contains(&n) && d.uint(field::HTTP_STATUS, n))
}

fn is_word(text: &str) -> bool {
    (2..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn url(value: &str, d: &mut Draft, told: &mut Told<'_>) -> bool {
    let named = super::web::authority(value).filter(|(host, _)| host.contains('.') || host.contains(':'));
    let whole = value.contains("://");
    if !whole && value.starts_with('/') {
        return d.text(field::HTTP_URI, value);
    }
    let Some((host, port)) = named.filter(|_| !value.contains(' ') || whole) else { return false };
    if !d.text(field::URL, value) {
        return false;
    }
    match super::draft::address(host) {
        Some(ip) if whole => told.server = told.server.or(Some((ip, port))),
        Some(_) => {}
        None => name(host, d),
    }
    true
}

/// The kind of a record by what it has: a login, an alert, a DNS question, a request, a decision of a firewall; else a log.
pub(super) fn kind(d: &Draft) -> Kind {
    let action = d.record.text(field::ACTION).unwrap_or("");
    let decided = matches!(action, "allow" | "deny" | "drop" | "reset" | "start" | "close" | "timeout");
    if matches!(action, "login_ok" | "login_fail" | "logout") {
        Kind::Auth
    } else if d.has(field::SIGNATURE) || d.has(field::SIGNATURE_ID) {
        Kind::Alert
    } else if d.has(field::NAME) && d.has(field::DNS_TYPE) {
        Kind::Dns
    } else if (d.has(field::URL) || d.has(field::HTTP_URI)) && (d.has(field::HTTP_METHOD) || d.has(field::HTTP_STATUS) || decided)
        || d.has(field::HTTP_METHOD) && d.has(field::HTTP_HOST)
    {
        Kind::Http
    } else if d.has(field::SRC_IP) && d.has(field::DST_IP) && decided {
        Kind::Fw
    } else {
        Kind::Log
    }
}

/// `Recordtype=Tunnel Samples` is no type of DNS.
fn is_no_type(means: Means, stated: &str) -> bool {
    matches!(means, Of(field::DNS_TYPE)) && !super::dns_text::is_type(stated) && stated.contains(' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::line;
    use crate::formats::{Context, Out, Unit, Zone};
    use crate::model::origin::EvidenceKey;
    use crate::model::time::Time;

    fn filled(pairs: &[(&str, &str)]) -> String {
        let context = Context {
            evidence: EvidenceKey(1),
            stem: "x".into(),
            zone: Zone::Fixed(0),
            year: None,
            dates: crate::formats::Dates::default(),
            modified: Time(0),
        };
        let mut d = Draft::new(Kind::Log, &context, Unit::default(), 0, Time(0));
        fill(pairs, true, &mut d);
        d.record.kind = kind(&d);
        let mut out = Out::default();
        d.finish(None, &mut out);
        line(&out.records[0]).replace(" 1970-01-01T00:00:00Z", "")
    }

    #[test]
    fn names_of_many_makers_mean_the_same_fields() {
        let want = "fw src.ip=192.0.2.1 src.port=4312 dst.ip=198.51.100.7 dst.port=443 proto=tcp action=deny user=joe";
        for pairs in [
            [("srcip", "192.0.2.1"), ("src_port", "4312"), ("dstip", "198.51.100.7"), ("dst_port", "443")],
            [
                ("Source-Address", "192.0.2.1"),
                ("SourcePort", "4312"),
                ("destination-address", "198.51.100.7"),
                ("DestinationPort", "443"),
            ],
            [("client_ip", "192.0.2.1"), ("client_port", "4312"), ("server_ip", "198.51.100.7"), ("serverPort", "443 (https)")],
            [("src", "192.0.2.1:4312:X1"), ("x.dst", "198.51.100.7#443"), ("natsrcip", "0.0.0.0"), ("xlatedst", "-")],
        ] {
            let more = [("Protocol", "TCP/IP"), ("act", "deny"), ("suser", "joe")];
            assert_eq!(filled(&[pairs.as_slice(), &more].concat()), want);
        }
    }

    #[test]
    fn a_value_that_is_not_what_its_name_says_gives_nothing_and_is_kept() {
        assert_eq!(
            filled(&[("src", "eth0"), ("dpt", "70000"), ("mac", "x"), ("severity", "7"), ("user", "10.0.0.1"), ("hash", "zz")]),
            "log extra={\"src\":\"eth0\",\"dpt\":\"70000\",\"mac\":\"x\",\"severity\":\"7\",\"user\":\"10.0.0.1\",\"hash\":\"zz\"}"
        );
    }

    #[test]
    fn a_number_is_no_severity_and_a_subject_no_event() {
        assert_eq!(
            filled(&[("severity", "60"), ("subject", "Failed login"), ("src", "192.0.2.1")]),
            "log src.ip=192.0.2.1 extra={\"severity\":\"60\",\"subject\":\"Failed login\"}"
        );
    }

    #[test]
    fn a_stated_responder_is_better_than_that_of_a_url() {
        let url = ("url", "http://192.0.2.8:8080/x");
        assert_eq!(filled(&[url, ("dst", "192.0.2.9")]), "log dst.ip=192.0.2.9 url=http://192.0.2.8:8080/x");
        assert_eq!(filled(&[url]), "log dst.ip=192.0.2.8 dst.port=8080 url=http://192.0.2.8:8080/x");
    }

    #[test]
    fn logins_are_told_by_event_and_outcome() {
        for (pairs, want) in [
            (
                [("event", "login"), ("status", "success")],
                "auth action=login_ok extra={\"event\":\"login\",\"status\":\"success\"}",
            ),
            (
                [("event", "x"), ("description", "Failed login")],
                "auth action=login_fail extra={\"event\":\"x\",\"description\":\"Failed login\"}",
            ),
            ([("act", "Logon"), ("result", "ok")], "auth action=login_ok extra={\"result\":\"ok\",\"action\":\"Logon\"}"),
            ([("act", "logout"), ("x", "y")], "auth action=logout extra={\"x\":\"y\"}"),
            ([("act", "Logon"), ("suser", "joe")], "auth action=login_ok user=joe extra={\"action\":\"Logon\"}"),
            ([("act", "create"), ("suser", "joe")], "log action=create user=joe"),
        ] {
            assert_eq!(filled(&pairs), want);
        }
    }

    #[test]
    fn near_and_far_ends_are_those_that_the_others_leave() {
        let near = [("local_ip", "192.0.2.1"), ("local_port", "4312"), ("remote_ip", "198.51.100.7"), ("remote_port", "443")];
        let both = "src.ip=192.0.2.1 src.port=4312 dst.ip=198.51.100.7 dst.port=443";
        assert_eq!(filled(&near), format!("log {both}"));
        let came = "src.ip=198.51.100.7 src.port=443 dst.ip=192.0.2.1 dst.port=4312 direction.stated=inbound";
        assert_eq!(filled(&[near.as_slice(), &[("direction", "inbound")]].concat()), format!("log {came}"));
        assert_eq!(filled(&near[2..]), "log src.ip=198.51.100.7 src.port=443");
        let beside = [("Src-ip", "203.0.113.9"), ("Src-port", "5060"), ("Local-ip", "192.0.2.1"), ("Local-port", "26999")];
        assert_eq!(filled(&beside), "log src.ip=203.0.113.9 src.port=5060 dst.ip=192.0.2.1 dst.port=26999");
    }

    #[test]
    fn a_rule_is_better_named_by_its_own_name_than_by_its_policy() {
        let pairs = [("policy", "Edge"), ("AccessControlRuleName", "Block all"), ("src", "192.0.2.1")];
        assert_eq!(filled(&pairs), "log src.ip=192.0.2.1 rule=Block all extra={\"policy\":\"Edge\"}");
    }

    #[test]
    fn end_points_of_many_forms_are_read() {
        for (text, want) in [
            ("192.0.2.1", "192.0.2.1 None"),
            ("192.0.2.1:80", "192.0.2.1 Some(80)"),
            ("192.0.2.1:80:X1:name", "192.0.2.1 Some(80)"),
            ("192.0.2.1/24", "192.0.2.1 None"),
            ("192.0.2.1/443", "192.0.2.1 Some(443)"),
            ("192.0.2.1(443)", "192.0.2.1 Some(443)"),
            ("[2001:db8::1]:443", "2001:db8::1 Some(443)"),
            ("2001:db8::1/64", "2001:db8::1 None"),
            ("2001:db8::1#53", "2001:db8::1 Some(53)"),
            ("gw.example(192.0.2.1)", "192.0.2.1 None"),
            ("192.0.2.1, 192.0.2.2", "192.0.2.1 None"),
        ] {
            assert_eq!(endpoint(text).map(|(ip, port)| format!("{ip} {port:?}")).as_deref(), Some(want), "{text}");
        }
        for text in ["0.0.0.0", "::", "eth0", "1.2.3", "10:15:42", ""] {
            assert_eq!(endpoint(text), None, "{text}");
        }
    }
}
