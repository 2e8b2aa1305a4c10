//! What comes over the socket of a case, before anybody answers it: frames however they are cut, requests, and the questions in them. The first byte
//! says how many bytes come at once; 0: the rest is the body of one request.
#![no_main]

use backtrail::service::ask::{Ask, Hello};
use backtrail::service::frame::{Decoder, MAX_ASK, frame, put, take};
use backtrail::service::question::Carried;
use libfuzzer_sys::fuzz_target;

fn request(body: &[u8]) {
    let _ = take::<Hello>(body);
    let Ok(ask) = take::<Ask>(body) else { return };
    if ask.check().is_err() {
        return;
    }
    // What was understood says the same when it is sent on.
    let mut again = Vec::new();
    put(&ask, &mut again).unwrap();
    assert_eq!(format!("{:?}", take::<Ask>(&again).unwrap()), format!("{ask:?}"));
    let carried = match ask {
        Ask::Select(q, _) | Ask::Visit(q, _) | Ask::Table(q) | Ask::Timeline(q, ..) | Ask::Passive(q) | Ask::ChangesSince(q, _) => vec![q],
        Ask::Counts(all, _) => all,
        _ => return,
    };
    for question in carried.into_iter().filter_map(|q| q.question().ok()) {
        // A question that was taken arrives at the next one as it is.
        let sent = Carried::new(&question);
        let arrived = Carried::new(&sent.clone().question().unwrap());
        assert_eq!(format!("{arrived:?}"), format!("{sent:?}"));
    }
}

fuzz_target!(init: backtrail_fuzz::strict(), |data: &[u8]| {
    let Some((step, rest)) = data.split_first() else { return };
    if *step == 0 {
        return request(rest);
    }
    let mut decoder = Decoder::new(MAX_ASK);
    for piece in rest.chunks(usize::from(*step)) {
        decoder.feed(piece);
        loop {
            match decoder.whole() {
                Ok(Some(got)) => {
                    // Written again, a frame is read as the same.
                    let mut bytes = frame(got.kind, got.id, &()).unwrap();
                    bytes.extend_from_slice(&got.body);
                    backtrail::service::frame::seal(&mut bytes);
                    let mut again = Decoder::new(MAX_ASK);
                    again.feed(&bytes);
                    assert_eq!(again.whole().unwrap(), Some(got.clone()));
                    request(&got.body);
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
});
