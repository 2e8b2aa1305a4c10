//! SMB 1, 2 and 3 (MS-SMB, MS-SMB2) over TCP, direct or in NetBIOS sessions (RFC 1002): dialect, logins with their outcome, shares, and the
//! files that were opened, read and written, with their hashes, and what is called through pipes (DCE/RPC). Of encrypted sessions only the
//! login is in clear.

use super::common::fields::Fields;
use super::common::ntlm::Ntlm;
use super::common::rpc_calls::{self, Calls};
use super::common::smb_files::{Files, Target, is_pipes};
use super::common::smb_message::{self, Ask, Message, Opened, dialect_name, status_name};
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::TCP;
use crate::model::record::Kind;
use std::collections::{BTreeMap, VecDeque};

/// The protocol.
pub static PROTOCOL: Smb = Smb;

/// Bytes kept of one frame: what is longer carries file content, which goes on as it comes.
const MAX_FRAME: usize = 64 * 1024;
/// Requests that wait for their response.
const MAX_PENDING: usize = 1000;
/// Trees known by number.
const MAX_TREES: usize = 256;

/// Bytes of a frame before a gap that may say where the content in it stands.
const MIN_HEAD: usize = 116;

/// The answer will come later (STATUS_PENDING).
const LATER: u32 = 0x0000_0103;
const MORE_PROCESSING: u32 = 0xc000_0016;
const ACCESS_DENIED: u32 = 0xc000_0022;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Smb;

impl Protocol for Smb {
    fn name(&self) -> &'static str {
        "smb"
    }
    fn doc(&self) -> &'static str {
        "Server Message Block 1, 2 and 3 (MS-SMB, MS-SMB2)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, _side: Side, first: &[u8], ends: &Ends) -> Sniff {
        let netbios = ends.src_port == 139 || ends.dst_port == 139;
        match first {
            [0, _, _, _, magic @ ..] => {
                let known: [&[u8]; 4] = [b"\xffSMB", b"\xfeSMB", b"\xfdSMB", b"\xfcSMB"];
                match known.iter().find(|k| k.iter().zip(magic).all(|(a, b)| a == b)) {
                    Some(_) if magic.len() >= 4 => Sniff::Yes,
                    Some(_) => Sniff::More,
                    None => Sniff::No,
                }
            }
            // A session request names both hosts in 34 bytes each; its answers are bare.
            [0x81, 0, 0, 68, 32, ..] => Sniff::Yes,
            [0x82, 0, 0, 0, ..] | [0x83, 0, 0, 1, ..] if netbios => Sniff::Yes,
            [] | [0] | [0, _] | [0, _, _] => Sniff::More,
            [0x81] | [0x81, 0] | [0x81, 0, 0] | [0x81, 0, 0, 68] => Sniff::More,
            _ => Sniff::No,
        }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::<Conversation>::default()
    }
}

/// One side: the frame that is being read.
#[derive(Default)]
struct Half {
    head: Vec<u8>,
    /// Bytes of the frame that are still to come.
    left: u64,
    kept: Vec<u8>,
    /// What is kept was read already: the rest of the frame is content, or passes.
    read: bool,
    content: Option<Target>,
    first: Option<At>,
    lost: bool,
}

struct Pending {
    id: u64,
    side: Side,
    at: At,
    tree: u32,
    ask: Ask,
}

#[derive(Default)]
struct Conversation {
    halves: [Half; 2],
    pending: VecDeque<Pending>,
    trees: BTreeMap<u32, String>,
    seen: [bool; 2],
    server: Option<Ntlm>,
    told: bool,
    calls: Calls,
    files: Files,
}

impl Conversation {
    /// Reads what is kept of a frame. `whole`: it is all of it.
    fn frame(&mut self, side: Side, half: &mut Half, whole: bool, at: At, out: &mut Out) {
        half.read = true;
        if half.kept.is_empty() {
            return;
        }
        let first = half.first.unwrap_or(at);
        let mut messages = Vec::new();
        if let Err(what) = smb_message::read(&half.kept, whole, &mut messages) {
            out.oddities.push((Oddity::new(what), first.time, first.offset));
            if what == "smb_magic_unknown" && self.seen == [false, false] {
                out.violated = true;
            }
        } else if let Some(seen) = self.seen.get_mut(usize::from(side == Side::In)) {
            *seen = true;
        }
        out.confirmed |= self.seen == [true, true];
        for message in messages {
            match message {
                Message::Ask(id, tree, ask) => {
                    if self.pending.len() >= MAX_PENDING {
                        if !std::mem::replace(&mut self.told, true) {
                            out.partial = true;
                            out.oddities.push((Oddity::new("smb_many_outstanding"), first.time, first.offset));
                        }
                        self.pending.pop_front();
                    }
                    self.pending.push_back(Pending { id, side, at: first, tree, ask });
                }
                Message::Reply { status: LATER, .. } => {}
                Message::Reply { id, tree, status, dialect, opened, server } => {
                    self.server = server.or(self.server.take());
                    let asked = self.pending.iter().position(|p| p.id == id && p.side != side);
                    if let Some(pending) = asked.and_then(|i| self.pending.remove(i)) {
                        self.reply(pending, tree, status, dialect, opened, at, out);
                    }
                }
                Message::Rpc(file, tree, data) => self.pipe(side, file, tree, &data, (first, at), out),
                Message::Content(tree, content) => {
                    let share = self.trees.get(&tree).map(String::as_str);
                    let (start, length) = content.data();
                    let when = if length > 0 { first } else { at };
                    if let Some(mut target) = self.files.content(content, share, when, out) {
                        let kept = half.kept.get(start..).unwrap_or_default();
                        let now = usize::try_from(length).unwrap_or(usize::MAX).min(kept.len());
                        self.files.data(&mut target, kept.get(..now).unwrap_or_default(), at, out);
                        half.content = (start <= half.kept.len() && target.left > 0).then_some(target);
                    }
                }
                Message::Sealed => {}
            }
        }
    }

    /// What went through a pipe; of a tree whose name was not seen it is believed by its looks.
    fn pipe(&mut self, side: Side, file: u64, tree: u32, mut data: &[u8], when: (At, At), out: &mut Out) {
        if self.trees.get(&tree).is_some_and(|share| !share.to_ascii_uppercase().ends_with("IPC$")) {
            return;
        }
        out.also = Some("dcerpc");
        while let Some(length) = rpc_calls::length(data).filter(|n| *n >= 16) {
            let Some((fragment, rest)) = data.split_at_checked(length) else { return };
            self.calls.fragment(file, side, fragment, when.0, when.1, out);
            data = rest;
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn reply(
        &mut self,
        asked: Pending,
        tree: u32,
        status: u32,
        dialect: Option<u16>,
        opened: Option<Opened>,
        at: At,
        out: &mut Out,
    ) {
        let mut fields = Fields::default();
        fields.text(field::APP, "smb");
        let kind = match asked.ask {
            Ask::Negotiate(names) => {
                let smb1 = dialect.and_then(|d| names.get(usize::from(d))).map(|name| format!("SMB 1 {name}"));
                let named = if names.is_empty() { dialect.map(dialect_name) } else { smb1.or(dialect.map(dialect_name)) };
                if let Some(name) = named.filter(|_| dialect != Some(0xffff) && dialect != Some(0x02ff)) {
                    out.flow.push((field::VERSION, name.into()));
                }
                return;
            }
            Ask::Login(method, ntlm) => {
                if matches!(method, "ntlm" | "kerberos") {
                    out.flow.push((field::METHOD_AUTH, method.into()));
                }
                if status == MORE_PROCESSING || (method.is_empty() && status == 0) {
                    return;
                }
                fields.text(field::METHOD_AUTH, method);
                fields.text(field::USER, &ntlm.user);
                fields.text(field::HOSTNAME, &ntlm.host);
                fields.text(field::ACTION, if status == 0 { "login_ok" } else { "login_fail" });
                let anonymous = status == 0 && method == "ntlm" && ntlm.kind == 3 && ntlm.user.is_empty();
                fields.text(field::REASON, if anonymous { "anonymous" } else { "" });
                if status != 0 {
                    fields.text(field::REASON, &status_name(status));
                }
                let server = self.server.as_ref().map(|s| s.host.clone());
                let extra: serde_json::Map<String, serde_json::Value> = [("domain", Some(ntlm.domain)), ("server", server)]
                    .into_iter()
                    .filter_map(|(n, v)| Some((n.to_owned(), v.filter(|v| !v.is_empty())?.into())))
                    .collect();
                if !extra.is_empty() {
                    fields.text(field::EXTRA, &serde_json::Value::Object(extra).to_string());
                }
                if status == 0 && !ntlm.user.is_empty() {
                    out.flow.push((field::USER, ntlm.user.into()));
                }
                Kind::Auth
            }
            Ask::Tree(path) => {
                fields.text(field::SHARE, &path);
                fields.text(field::ACTION, if status == 0 { "allow" } else { "deny" });
                if status == 0 {
                    out.flow.push((field::SHARE, path.as_str().into()));
                    if self.trees.len() < MAX_TREES {
                        self.trees.insert(tree, path);
                    }
                } else {
                    fields.text(field::REASON, &status_name(status));
                }
                Kind::Log
            }
            Ask::Open(name) => {
                let share = self.trees.get(&asked.tree).map(String::as_str).unwrap_or_default();
                let pipe = is_pipes(share);
                match opened {
                    Some(opened) => self.files.opened(asked.id, opened, share, &name, pipe || opened.directory, out),
                    None => self.files.refused(asked.id),
                }
                // A file that is not there was only looked for; one that is refused was there.
                if !matches!(status, 0 | ACCESS_DENIED) {
                    return;
                }
                fields.text(field::SHARE, share);
                fields.text(field::FILE_NAME, if name.is_empty() { "\\" } else { &name });
                if pipe || opened.is_some_and(|o| o.directory) {
                    fields.text(field::FILE_TYPE, if pipe { "pipe" } else { "directory" });
                } else {
                    fields.maybe(field::FILE_SIZE, opened.map(|o| o.size));
                }
                let action = match opened.map(|o| o.action) {
                    _ if status != 0 => "deny",
                    Some(0) => "superseded",
                    Some(2) => "created",
                    Some(3) => "overwritten",
                    _ => "opened",
                };
                fields.text(field::ACTION, action);
                Kind::File
            }
        };
        out.events.push(fields.event(kind, asked.at, at));
    }

    fn feed(&mut self, side: Side, half: &mut Half, mut bytes: &[u8], at: At, out: &mut Out) {
        while !bytes.is_empty() {
            if half.left == 0 {
                let (now, rest) = bytes.split_at(4usize.saturating_sub(half.head.len()).min(bytes.len()));
                if half.head.is_empty() {
                    half.first = Some(at);
                }
                half.head.extend_from_slice(now);
                bytes = rest;
                let [kind, a, b, c] = half.head.as_slice() else { return };
                if !matches!(kind, 0 | 0x81..=0x85) {
                    out.oddities.push((Oddity::at("smb_frame_malformed", format!("type 0x{kind:02x}")), at.time, at.offset));
                    out.violated |= self.seen == [false, false];
                    half.lost = true;
                    return;
                }
                half.left = u64::from(u32::from_be_bytes([0, *a, *b, *c]));
                half.read = false;
                half.content = None;
                // Other frames than messages are passed over.
                half.lost = *kind != 0;
                half.head.clear();
                half.kept.clear();
            }
            let now = usize::try_from(half.left).unwrap_or(usize::MAX).min(bytes.len());
            let (now, rest) = bytes.split_at(now);
            let room = if half.read || half.lost { 0 } else { MAX_FRAME.saturating_sub(half.kept.len()) };
            let (head, more) = now.split_at(room.min(now.len()));
            half.kept.extend_from_slice(head);
            half.left = half.left.saturating_sub(now.len() as u64);
            bytes = rest;
            let over = half.left == 0;
            if !(half.read || half.lost) && (over || half.kept.len() >= MAX_FRAME) {
                self.frame(side, half, over && more.is_empty(), at, out);
                half.kept = Vec::new();
            }
            if let Some(target) = half.content.as_mut().filter(|_| !more.is_empty()) {
                let now = usize::try_from(target.left).unwrap_or(usize::MAX).min(more.len());
                self.files.data(target, more.get(..now).unwrap_or_default(), at, out);
            }
            if over {
                half.kept.clear();
                half.content = None;
                half.lost = false;
            }
        }
    }
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        let index = usize::from(side == Side::In);
        let Some(mut half) = self.halves.get_mut(index).map(std::mem::take) else { return };
        if half.lost && half.left == 0 {
            // Frames begin with segments often enough: wait for one that looks like a message.
            let looks = bytes.first() == Some(&0) && bytes.get(5..8) == Some(b"SMB");
            half.lost = !looks;
            half.head.clear();
        }
        if !(half.lost && half.left == 0) {
            self.feed(side, &mut half, bytes, at, out);
        }
        if let Some(slot) = self.halves.get_mut(index) {
            *slot = half;
        }
    }
    fn gap(&mut self, side: Side, missing: u64, at: At, out: &mut Out) {
        let index = usize::from(side == Side::In);
        let Some(mut half) = self.halves.get_mut(index).map(std::mem::take) else { return };
        // What is kept before the hole may say whose content the rest is.
        if half.left > 0 && !half.read && !half.lost && half.kept.len() >= MIN_HEAD {
            self.frame(side, &mut half, false, at, out);
            half.kept = Vec::new();
        }
        if half.left > missing {
            // Inside the content of a file: the frame's end is known.
            half.left = half.left.saturating_sub(missing);
            half.lost |= !half.read;
            if let Some(target) = &mut half.content {
                target.skip(missing);
            }
        } else {
            half = Half { lost: true, ..Half::default() };
        }
        if let Some(slot) = self.halves.get_mut(index) {
            *slot = half;
        }
    }
    fn end(&mut self, out: &mut Out) {
        self.files.end(out);
    }
    fn held(&self) -> usize {
        self.files.held()
    }
    fn relieve(&mut self) {
        self.files.relieve();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }
    fn smb2(command: u8, reply: bool, status: u32, tree: u8, id: u8, body: &[u8]) -> Vec<u8> {
        let mut m = b"\xfeSMB\x40\0\0\0".to_vec();
        m.extend(status.to_le_bytes());
        m.extend([command, 0, 0, 0, u8::from(reply), 0, 0, 0, 0, 0, 0, 0, id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, tree, 0, 0, 0]);
        m.extend([0; 24]);
        m.extend(body);
        let mut frame = (m.len() as u32).to_be_bytes().to_vec();
        frame.extend(m);
        frame
    }
    fn tree(path: &str) -> Vec<u8> {
        let path = wide(path);
        let mut body = vec![9, 0, 0, 0, 72, 0, path.len() as u8, 0];
        body.extend(path);
        smb2(3, false, 0, 0, 1, &body)
    }
    fn create(name: &str) -> Vec<u8> {
        let name = wide(name);
        let mut body = vec![57, 0];
        body.resize(44, 0);
        body.extend([120, 0, name.len() as u8, 0]);
        body.resize(56, 0);
        body.extend(name);
        smb2(5, false, 0, 7, 2, &body)
    }
    fn created() -> Vec<u8> {
        let mut body = vec![89, 0, 0, 0, 2, 0, 0, 0];
        body.resize(48, 0);
        body.extend(99u64.to_le_bytes());
        body.resize(88, 0);
        smb2(5, true, 0, 7, 2, &body)
    }
    fn shown(out: &Out) -> Vec<String> {
        out.events.iter().map(|e| e.fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect()).collect()
    }

    #[test]
    fn a_file_has_the_name_of_its_share() {
        let at = At { time: Time(1), offset: 1 };
        let (mut c, mut out) = (Conversation::default(), Out::default());
        for (side, bytes) in [
            (Side::Out, tree("\\\\srv\\data")),
            (Side::In, smb2(3, true, 0, 7, 1, &[16, 0, 1, 0])),
            (Side::Out, create("a\\b.exe")),
            (Side::In, created()),
        ] {
            bytes.iter().for_each(|b| c.data(side, &[*b], at, &mut out));
        }
        let expected = [
            "app=smb action=allow share=\\\\srv\\data ",
            "app=smb action=created file.name=a\\b.exe file.size=99 share=\\\\srv\\data ",
        ];
        assert_eq!(shown(&out), expected);
        assert!(out.confirmed && out.oddities.is_empty());
    }

    #[test]
    fn what_is_called_through_a_pipe_is_named_but_the_content_of_a_file_is_not() {
        let number = [0x81, 0xbb, 0x7a, 0x36, 0x44, 0x98, 0xf1, 0x35, 0xad, 0x32, 0x98, 0xf0, 0x38, 0, 0x10, 3];
        let pdu = |kind: u8, body: &[u8]| {
            [&[5, 0, kind, 3, 0x10, 0, 0, 0, (16 + body.len()) as u8, 0, 0, 0, 1, 0, 0, 0], body].concat()
        };
        let bind = pdu(11, &[&[0; 8][..], &[1, 0, 0, 0], &[0, 0, 1, 0], &number, &[2, 0, 0, 0], &[0; 20]].concat());
        let call = pdu(0, &[0, 0, 0, 0, 0, 0, 12, 0]);
        let write = |data: &[u8]| {
            let head = [&[49, 0, 112, 0, data.len() as u8, 0, 0, 0][..], &[0; 8], &[9; 16], &[0; 16]].concat();
            smb2(9, false, 0, 7, 3, &[&head, data].concat())
        };
        let transceive = |data: &[u8]| {
            let head = [&[57, 0, 0, 0, 0x17, 0xc0, 0x11, 0][..], &[9; 16], &[120, 0, 0, 0, data.len() as u8, 0, 0, 0], &[0; 24]];
            smb2(11, false, 0, 7, 4, &[&head.concat(), data].concat())
        };
        for (share, expected) in [("\\\\srv\\IPC$", vec!["bind svcctl", "svcctl CreateServiceW"]), ("\\\\srv\\data", vec![])] {
            let at = At { time: Time(1), offset: 1 };
            let (mut c, mut out) = (Conversation::default(), Out::default());
            c.data(Side::Out, &tree(share), at, &mut out);
            c.data(Side::In, &smb2(3, true, 0, 7, 1, &[16, 0, 1, 0]), at, &mut out);
            c.data(Side::Out, &write(&bind), at, &mut out);
            c.data(Side::Out, &transceive(&call), at, &mut out);
            let said: Vec<String> = out
                .events
                .iter()
                .filter_map(|e| e.fields.iter().find(|f| f.0 == field::MESSAGE).map(|f| f.1.to_string()))
                .collect();
            assert_eq!((said, out.also.is_some()), (expected.iter().map(|s| (*s).to_owned()).collect(), !expected.is_empty()));
        }
    }

    #[test]
    fn long_frames_pass_unread_and_a_hole_in_them_does_no_harm() {
        let at = At { time: Time(1), offset: 1 };
        let (mut c, mut out) = (Conversation::default(), Out::default());
        let mut write = smb2(9, false, 0, 7, 3, &[]);
        write[1..4].copy_from_slice(&[0x10, 0, 0]);
        write.resize(4 + 1000, 0);
        c.data(Side::Out, &write, at, &mut out);
        c.gap(Side::Out, 0x0f_0000, at, &mut out);
        c.data(Side::Out, &vec![0; 0x10_0000 - 0x0f_0000 - 1000], at, &mut out);
        c.data(Side::Out, &tree("\\\\a\\b"), at, &mut out);
        assert_eq!(c.pending.len(), 1);
        assert!(out.oddities.is_empty(), "{:?}", out.oddities);
    }

    #[test]
    fn a_chain_that_does_not_advance_ends() {
        let mut out = Vec::new();
        let mut m = smb2(3, false, 0, 0, 1, &[0; 16])[4..].to_vec();
        m[20] = 64;
        assert!(smb_message::read(&m, true, &mut out).is_err());
        m[20] = 1;
        assert_eq!(smb_message::read(&m, true, &mut out), Err("smb_chain_malformed"));
    }

    fn hash(bytes: &[u8]) -> String {
        use sha2::Digest as _;
        crate::model::hex::hex(&sha2::Sha256::digest(bytes))
    }
    fn content(n: usize) -> Vec<u8> {
        (0..n).map(|i| (i * 31 % 251) as u8).collect()
    }
    /// A write of SMB 2 to the file that `created` opens.
    fn write_to(file: u8, id: u8, offset: u64, data: &[u8]) -> Vec<u8> {
        let head = [&[49, 0, 112, 0][..], &(data.len() as u32).to_le_bytes(), &offset.to_le_bytes(), &[file; 16], &[0; 16]];
        smb2(9, false, 0, 7, id, &[&head.concat(), data].concat())
    }
    fn close(file: u8, id: u8) -> Vec<u8> {
        smb2(6, false, 0, 7, id, &[&[24, 0, 0, 0, 0, 0, 0, 0], &[file; 16][..]].concat())
    }
    fn asked_and_closed() -> [(Side, Vec<u8>); 4] {
        [
            (Side::Out, tree("\\\\srv\\data")),
            (Side::In, smb2(3, true, 0, 7, 1, &[16, 0, 1, 0])),
            (Side::Out, create("a.exe")),
            (Side::In, created()),
        ]
    }

    #[test]
    fn a_file_written_in_long_frames_is_hashed_whatever_the_segments() {
        let at = At { time: Time(1), offset: 1 };
        let data = content(300_000);
        for size in [777, 1460, 65_536, usize::MAX] {
            let (mut c, mut out) = (Conversation::default(), Out::default());
            let writes = [write_to(0, 3, 0, &data[..200_000]), write_to(0, 4, 200_000, &data[200_000..]), close(0, 5)].concat();
            for (side, bytes) in asked_and_closed() {
                c.data(side, &bytes, at, &mut out);
            }
            writes.chunks(size.min(writes.len())).for_each(|b| c.data(Side::Out, b, at, &mut out));
            assert!(c.halves.iter().all(|h| h.kept.capacity() <= 2 * MAX_FRAME));
            c.data(Side::In, &smb2(6, true, 0, 7, 5, &[60, 0]), at, &mut out);
            let said = shown(&out).pop().unwrap();
            assert!(said.contains(&format!("sha256={} ", hash(&data))) && said.contains("action=written"), "{said}");
            assert!(said.contains("file.name=a.exe file.size=300000") && out.oddities.is_empty(), "{said} {:?}", out.oddities);
        }
    }

    #[test]
    fn a_hole_in_a_long_frame_leaves_a_file_without_a_hash_and_the_next_one_whole() {
        let at = At { time: Time(1), offset: 1 };
        let data = content(200_000);
        for from in [150, 5_000, 100_000] {
            let (mut c, mut out) = (Conversation::default(), Out::default());
            for (side, bytes) in asked_and_closed() {
                c.data(side, &bytes, at, &mut out);
            }
            let frame = write_to(0, 3, 0, &data);
            c.data(Side::Out, &frame[..from], at, &mut out);
            c.gap(Side::Out, 1_000, at, &mut out);
            c.data(Side::Out, &frame[from + 1_000..], at, &mut out);
            c.data(Side::Out, &close(0, 4), at, &mut out);
            c.data(Side::In, &smb2(6, true, 0, 7, 4, &[60, 0]), at, &mut out);
            let said = shown(&out).pop().unwrap();
            assert!(said.contains("file.size=199000") && said.contains("partial") && !said.contains("sha256"), "{from}: {said}");
            c.data(Side::Out, &create("b"), at, &mut out);
            c.data(Side::In, &created(), at, &mut out);
            c.data(Side::Out, &[write_to(0, 5, 0, b"abc"), close(0, 6)].concat(), at, &mut out);
            c.data(Side::In, &smb2(6, true, 0, 7, 6, &[60, 0]), at, &mut out);
            assert!(shown(&out).pop().unwrap().contains(&hash(b"abc")));
        }
    }

    #[test]
    fn requests_in_one_chain_mean_the_file_that_the_first_opens() {
        let at = At { time: Time(1), offset: 1 };
        let chain = |messages: Vec<Vec<u8>>| {
            let last = messages.len() - 1;
            let mut all = Vec::new();
            for (n, frame) in messages.into_iter().enumerate() {
                let mut m = frame[4..].to_vec();
                m.resize(m.len().next_multiple_of(8), 0);
                if n < last {
                    let length = (m.len() as u32).to_le_bytes();
                    m[20..24].copy_from_slice(&length);
                }
                all.extend(m);
            }
            let mut frame = (all.len() as u32).to_be_bytes().to_vec();
            frame.extend(all);
            frame
        };
        let (mut c, mut out) = (Conversation::default(), Out::default());
        for (side, bytes) in asked_and_closed().into_iter().take(2) {
            c.data(side, &bytes, at, &mut out);
        }
        c.data(Side::Out, &chain(vec![create("c"), write_to(0xff, 3, 0, b"abc"), close(0xff, 4)]), at, &mut out);
        c.data(
            Side::In,
            &chain(vec![created(), smb2(9, true, 0, 7, 3, &[17, 0]), smb2(6, true, 0, 7, 4, &[60, 0])]),
            at,
            &mut out,
        );
        let said = shown(&out).pop().unwrap();
        assert!(said.contains("file.name=c") && said.contains(&hash(b"abc")), "{said}");
    }
}
