//! Keys and pastes out of bytes, however they are cut.

use super::*;

const NAMED: &[(&[u8], &str)] = &[
    (b"\x1b[A", "up"),
    (b"\x1bOA", "up"),
    (b"\x1b[B", "down"),
    (b"\x1b[C", "right"),
    (b"\x1bOD", "left"),
    (b"\x1b[H", "home"),
    (b"\x1b[1~", "home"),
    (b"\x1b[7~", "home"),
    (b"\x1b[F", "end"),
    (b"\x1b[4~", "end"),
    (b"\x1b[5~", "pgup"),
    (b"\x1b[6~", "pgdn"),
    (b"\x1b[2~", "ins"),
    (b"\x1b[3~", "del"),
    (b"\x1b[Z", "shift-tab"),
    (b"\x1b[1;5A", "ctrl-up"),
    (b"\x1b[1;3D", "alt-left"),
    (b"\x1b[1;2F", "shift-end"),
    (b"\x1b[6;5~", "ctrl-pgdn"),
    (b"\x1bOP", "f1"),
    (b"\x1b[11~", "f1"),
    (b"\x1b[[A", "f1"),
    (b"\x1b[15~", "f5"),
    (b"\x1b[[E", "f5"),
    (b"\x1b[17~", "f6"),
    (b"\x1b[24~", "f12"),
    (b"\x1b[1;2R", "shift-f3"),
    (b"\x1b[107;5u", "ctrl-k"),
    (b"\x1b[27;5;107~", "ctrl-k"),
    (b"\x1bx", "alt-x"),
    (b"\r", "enter"),
    (b"\t", "tab"),
    (b"\x7f", "backspace"),
    (b"\x08", "backspace"),
    (b" ", "space"),
    (b"\x0b", "ctrl-k"),
    (b"\x1c", "ctrl-\\"),
    (b"\0", "ctrl-space"),
    (b"~", "~"),
    ("é".as_bytes(), "é"),
    ("語".as_bytes(), "語"),
    ("𝄞".as_bytes(), "𝄞"),
];

fn key(text: &str) -> InputEvent {
    InputEvent::Key(Key::parse(text).unwrap_or_else(|| panic!("{text}")))
}

fn fed(pieces: &[&[u8]]) -> Vec<InputEvent> {
    let (mut decoder, mut out) = (Decoder::new(30), Vec::new());
    for piece in pieces {
        decoder.feed(piece, &mut out);
    }
    // Nothing comes behind a paste.
    if decoder.wait() == Some(PASTE_SETTLES) {
        decoder.timeout(&mut out);
    }
    assert!(decoder.wait().is_none(), "{pieces:?} left the decoder waiting");
    out
}

#[test]
fn every_named_key_split_at_every_byte_is_one_key() {
    for (bytes, name) in NAMED {
        for cut in 0..bytes.len() {
            assert_eq!(fed(&[&bytes[..cut], &bytes[cut..]]), [key(name)], "{name} cut at {cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(fed(&single), [key(name)], "{name} byte by byte");
    }
}

#[test]
fn two_keys_in_one_read_are_two_keys() {
    for (a, a_name) in NAMED {
        for (b, b_name) in NAMED {
            assert_eq!(fed(&[&[*a, *b].concat()]), [key(a_name), key(b_name)]);
        }
    }
}

#[test]
fn a_lone_escape_is_a_key_only_after_its_time() {
    let (mut decoder, mut out) = (Decoder::new(150), Vec::new());
    decoder.feed(b"\x1b", &mut out);
    assert_eq!((out.len(), decoder.wait()), (0, Some(Duration::from_millis(150))));
    decoder.timeout(&mut out);
    assert_eq!(out, [key("esc")]);
    decoder.feed(b"j", &mut out);
    assert_eq!(out, [key("esc"), key("j")]);
}

#[test]
fn the_rest_of_a_key_that_comes_after_the_escape_was_given_runs_no_other_keys() {
    for tail in [&b"[A"[..], b"OA", b"[1;5A", b"[5~"] {
        let (mut decoder, mut out) = (Decoder::new(30), Vec::new());
        decoder.feed(b"\x1b", &mut out);
        decoder.timeout(&mut out);
        decoder.feed(tail, &mut out);
        assert_eq!(out.len(), 2, "{out:?}");
        assert!(!out.contains(&key("A")) && !out.contains(&key("[")));
    }
}

#[test]
fn pasted_text_never_is_keys_however_it_is_cut() {
    let bytes = b"\x1b[200~q:quit\r\n\x1b[A \x1b\x1b[20 x\x1b[201~j";
    let want = [InputEvent::Paste("q:quit\n\x1b[A \x1b\x1b[20 x".into()), key("j")];
    for cut in 0..bytes.len() {
        assert_eq!(fed(&[&bytes[..cut], &bytes[cut..]]), want, "cut at {cut}");
    }
}

#[test]
fn a_paste_is_bounded() {
    let (mut decoder, mut out) = (Decoder::new(30), Vec::new());
    decoder.feed(b"\x1b[200~", &mut out);
    for _ in 0..3 {
        decoder.feed(&vec![b'x'; PASTE_MAX / 2], &mut out);
    }
    decoder.feed(b"\x1b[201~", &mut out);
    decoder.timeout(&mut out);
    assert!(matches!(&out[..], [InputEvent::Paste(text)] if text.len() == PASTE_MAX));
}

#[test]
fn unknown_sequences_and_replies_of_the_terminal_are_swallowed() {
    for bytes in [
        &b"\x1b[?62;c"[..],
        b"\x1b[I",
        b"\x1b[O",
        b"\x1b[<0;10;5M",
        b"\x1b[M !!",
        b"\x1b[99~",
        b"\x1b]52;c;aGk=\x07",
        b"\x1bP1$r0m\x1b\\",
        b"\x1b[24;80R",
        b"\xff\xfe",
        b"\xc2\x85",
    ] {
        let mut all = bytes.to_vec();
        all.push(b'j');
        assert_eq!(fed(&[&all]), [key("j")], "{bytes:?}");
    }
}

#[test]
fn no_bytes_whatever_stop_the_decoder() {
    let mut seed = 7u32;
    let (mut decoder, mut out) = (Decoder::new(30), Vec::new());
    for _ in 0..20_000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        decoder.feed(&[(seed >> 24) as u8], &mut out);
    }
    while decoder.wait().is_some() {
        decoder.timeout(&mut out);
    }
    out.clear();
    decoder.feed(b"j", &mut out);
    assert_eq!(out, [key("j")]);
}

#[test]
fn an_end_of_paste_within_pasted_text_runs_nothing_of_what_follows() {
    let bytes = b"\x1b[200~harmless\x1b[201~:quit\rq\x1b[A\x1b[201~";
    let want = [InputEvent::Paste("harmless:quit\nq\x1b[A".into())];
    for cut in 0..bytes.len() {
        assert_eq!(fed(&[&bytes[..cut], &bytes[cut..]]), want, "cut at {cut}");
    }
    let two = b"\x1b[200~a\x1b[201~\x1b[200~b\x1b[201~";
    assert_eq!(fed(&[two]), [InputEvent::Paste("a".into()), InputEvent::Paste("b".into())]);
}

#[test]
fn a_paste_that_never_ends_is_ended_by_a_lone_escape() {
    let (mut decoder, mut out) = (Decoder::new(30), Vec::new());
    decoder.feed(b"\x1b[200~some text", &mut out);
    assert_eq!(decoder.wait(), Some(UNFINISHED));
    decoder.feed(b"\x1b", &mut out);
    assert_eq!(decoder.wait(), Some(PASTE_ESCAPE));
    decoder.timeout(&mut out);
    decoder.feed(b"j", &mut out);
    assert_eq!(out, [InputEvent::Paste("some text".into()), key("j")]);
}
