//! Active lookups: of a resolver that the test made, on loopback, and of nobody else.

use crate::story::Case;
use backtrail::case::lookup::{forbid, look_up, permit};
use backtrail::case::{Keeper, LocalKeeper};
use backtrail::context::lookups::{LABEL, Lookup, lookups};
use backtrail::model::answer::Cancel;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// What is answered to a question: 203.0.113.9 to A, nothing to any other.
fn answer(query: &[u8], cut: bool) -> Vec<u8> {
    let end = query.len();
    let is_a = query[end - 4..end - 2] == [0, 1] && !cut;
    let mut out = query[..2].to_vec();
    out.extend([if cut { 0x83 } else { 0x81 }, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    out.extend(&query[12..]);
    if is_a {
        out.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 9]);
    }
    out
}

/// A resolver on UDP, and on TCP at the same port; how often it was asked. `cut`: over UDP it gives nothing whole.
fn resolver(cut: bool) -> (SocketAddr, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
            break (udp, tcp);
        }
    };
    let (at, counted) = (udp.local_addr().unwrap(), Arc::clone(&asked));
    std::thread::spawn(move || {
        let mut bytes = [0; 512];
        while let Ok((n, from)) = udp.recv_from(&mut bytes) {
            counted.fetch_add(1, Ordering::SeqCst);
            // Before the answer comes what is none of this question.
            let mut other = answer(&bytes[..n], cut);
            other[0] ^= 1;
            udp.send_to(&other, from).unwrap();
            udp.send_to(b"?", from).unwrap();
            udp.send_to(&answer(&bytes[..n], cut), from).unwrap();
        }
    });
    std::thread::spawn(move || {
        for stream in tcp.incoming().flatten() {
            over_tcp(stream);
        }
    });
    (at, asked)
}

fn over_tcp(mut stream: TcpStream) {
    let mut length = [0; 2];
    if stream.read_exact(&mut length).is_ok() {
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut query).unwrap();
        let said = answer(&query, false);
        stream.write_all(&(said.len() as u16).to_be_bytes()).unwrap();
        stream.write_all(&said).unwrap();
    }
}

fn keeper(case: &Case) -> LocalKeeper {
    LocalKeeper::new(case.engine.store().clone())
}

fn asked(keeper: &dyn Keeper, text: &str) -> Vec<Lookup> {
    let made = look_up(keeper, text, None, false, &Cancel::default()).unwrap();
    lookups(&made).collect()
}

#[test]
fn nothing_is_asked_until_it_is_permitted_with_a_reason_and_what_is_asked_is_kept_apart() {
    let case = Case::new();
    let keeper = keeper(&case);
    let (at, counted) = resolver(false);
    let refused = |text: &str| look_up(&keeper, text, None, false, &Cancel::default()).unwrap_err().what;
    assert!(refused("evil.example").contains("not permitted"));
    assert!(permit(&keeper, &at.to_string(), "", " ").is_err(), "without a reason");
    permit(&keeper, &at.to_string(), "", "ticket 7").unwrap();
    assert!(refused("q7x3k9d2m5v8b1z4.evil.example").contains("token"));
    assert_eq!(counted.load(Ordering::SeqCst), 0);

    let begun = Instant::now();
    let made = asked(&keeper, "evil.example");
    let said: Vec<_> = made.iter().map(|l| (l.kind.as_str(), l.outcome.as_str(), l.answer.join(" "))).collect();
    assert_eq!(said, [("A", "NOERROR", "evil.example A 203.0.113.9".into()), ("AAAA", "NOERROR", String::new())]);
    assert_eq!(counted.load(Ordering::SeqCst), 2);
    asked(&keeper, "192.0.2.7");
    assert!(begun.elapsed().as_millis() >= 400, "at most five a second");

    // It is said on the card as what it is, and counts nowhere as seen.
    let facts = case.facts("evil.example", None);
    assert!(facts.iter().any(|f| f.starts_with(&format!("{LABEL}: A evil.example A 203.0.113.9 (asked of {at}"))), "{facts:?}");
    assert_eq!(case.count("any contains evil.example"), 0);
    assert!(case.facts("203.0.113.9", None).iter().all(|f| !f.contains("evil.example")));

    forbid(&keeper, "done").unwrap();
    assert!(refused("evil.example").contains("not permitted"));
    assert_eq!(counted.load(Ordering::SeqCst), 3);
}

#[test]
fn what_was_cut_is_asked_again_over_tcp_and_a_proxy_stands_between() {
    let case = Case::new();
    let keeper = keeper(&case);
    let (at, counted) = resolver(true);
    permit(&keeper, &at.to_string(), "", "ticket 7").unwrap();
    assert_eq!(asked(&keeper, "evil.example")[0].answer, ["evil.example A 203.0.113.9"]);
    assert_eq!(counted.load(Ordering::SeqCst), 2, "A and AAAA");

    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let through = proxy.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in proxy.incoming().flatten() {
            let mut hello = [0; 3];
            stream.read_exact(&mut hello).unwrap();
            stream.write_all(&[5, 0]).unwrap();
            let mut request = [0; 10];
            stream.read_exact(&mut request).unwrap();
            assert_eq!(request[..8], [5, 1, 0, 1, 127, 0, 0, 1]);
            stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).unwrap();
            over_tcp(stream);
        }
    });
    permit(&keeper, "127.0.0.1:1", &through, "ticket 7").unwrap();
    assert_eq!(asked(&keeper, "evil.example")[0].answer, ["evil.example A 203.0.113.9"]);
    assert_eq!(counted.load(Ordering::SeqCst), 2, "nothing goes past the proxy");

    // Who does not answer is entered too: it was asked.
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = nobody.local_addr().unwrap();
    drop(nobody);
    permit(&keeper, &at.to_string(), "", "ticket 7").unwrap();
    assert!(asked(&keeper, "192.0.2.7")[0].outcome.contains("was not reached"));
}
