//! SMB2 conversations: negotiate, NTLM session setup, tree connect, one file read or written, farewell.

use crate::talk::{Dir, Msg, Talk};

/// What a session does with its file.
pub enum Work<'a> {
    /// Reads that many bytes of it.
    Read(usize),
    /// Writes these bytes.
    Write(&'a [u8]),
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

struct Buf(Vec<u8>);

impl Buf {
    fn n(mut self, size: usize, value: u64) -> Buf {
        self.0.extend_from_slice(&value.to_le_bytes()[..size]);
        self
    }
    fn b(mut self, bytes: &[u8]) -> Buf {
        self.0.extend_from_slice(bytes);
        self
    }
    fn zero(mut self, n: usize) -> Buf {
        self.0.resize(self.0.len() + n, 0);
        self
    }
}

fn new() -> Buf {
    Buf(Vec::new())
}

struct Smb<'a> {
    talk: &'a mut Talk,
    id: u64,
    session: u64,
    tree: u64,
}

impl Smb<'_> {
    fn frame(&self, command: u64, status: u64, answer: bool, body: &[u8]) -> Vec<u8> {
        let head = new()
            .b(b"\xfeSMB")
            .n(2, 64)
            .n(2, 1)
            .n(4, status)
            .n(2, command)
            .n(2, 31)
            .n(4, u64::from(answer))
            .n(4, 0)
            .n(8, self.id)
            .n(4, 0xfeff)
            .n(4, self.tree)
            .n(8, self.session)
            .zero(16);
        let len = head.0.len() + body.len();
        let mut out = vec![0, (len >> 16) as u8, (len >> 8) as u8, len as u8];
        out.extend_from_slice(&head.0);
        out.extend_from_slice(body);
        out
    }

    fn call(&mut self, command: u64, ask: Buf, status: u64, answer: Buf) {
        let frame = self.frame(command, 0, false, &ask.0);
        self.talk.send(Dir::Orig, Msg::real(frame));
        let frame = self.frame(command, status, true, &answer.0);
        self.talk.send(Dir::Resp, Msg::real(frame));
        self.id += 1;
    }
}

fn ntlm(kind: u64, flags: u64) -> Buf {
    new().b(b"NTLMSSP\0").n(4, kind).n(if kind == 1 { 4 } else { 0 }, flags)
}

fn field(len: usize, offset: usize) -> Buf {
    new().n(2, len as u64).n(2, len as u64).n(4, offset as u64)
}

fn authenticate(user: &str, host: &str, proof: &[u8]) -> Vec<u8> {
    let parts = [utf16("CORP"), utf16(user), utf16(host)];
    let mut at = 72;
    let mut fields = Vec::new();
    let mut payload = Vec::new();
    let mut put = |bytes: &[u8]| {
        let f = field(bytes.len(), at).0;
        at += bytes.len();
        payload.extend_from_slice(bytes);
        f
    };
    for part in [&[0u8; 24][..], proof] {
        fields.extend_from_slice(&put(part));
    }
    for part in &parts {
        fields.extend_from_slice(&put(part));
    }
    fields.extend_from_slice(&put(&[]));
    ntlm(3, 0).b(&fields).n(4, 0xe288_8215).b(&[10, 0, 0x61, 0x4a, 0, 0, 0, 15]).b(&payload).0
}

/// A session of `user` on `share`, which does `work` on `file`. The connection must be open.
pub fn session(talk: &mut Talk, user: &str, host: &str, share: &str, file: &str, work: &Work) {
    let guid = talk.rng().bytes(16);
    let handle = talk.rng().bytes(16);
    let challenge = talk.rng().bytes(8);
    let session = talk.rng().next() >> 16;
    talk.conn.service = "smb";
    let filetime = (talk.t as u64 + 11_644_473_600_000_000) * 10;
    let domain = utf16("CORP");
    let proof = new()
        .b(&talk.rng().bytes(16))
        .n(8, 0x101)
        .n(8, filetime)
        .b(&talk.rng().bytes(8))
        .n(4, 0)
        .n(2, 2)
        .n(2, domain.len() as u64)
        .b(&domain)
        .n(4, 0)
        .n(4, 0)
        .0;
    let mut smb = Smb { talk, id: 0, session: 0, tree: 0 };
    let ask = new().n(2, 36).n(2, 2).n(2, 1).zero(2).n(4, 0).b(&guid).zero(8).n(2, 0x0202).n(2, 0x0210);
    let answer = new()
        .n(2, 65)
        .n(2, 1)
        .n(2, 0x0210)
        .n(2, 0)
        .b(&handle)
        .n(4, 7)
        .n(4, 1 << 20)
        .n(4, 1 << 20)
        .n(4, 1 << 20)
        .n(8, filetime)
        .n(8, 0)
        .n(2, 128)
        .n(2, 0)
        .n(4, 0);
    smb.call(0, ask, 0, answer);
    let setup = |token: &[u8]| new().n(2, 25).n(1, 0).n(1, 1).n(4, 1).n(4, 0).n(2, 88).n(2, token.len() as u64).n(8, 0).b(token);
    let reply = |token: &[u8]| new().n(2, 9).n(2, 0).n(2, 72).n(2, token.len() as u64).b(token);
    let one = ntlm(1, 0xe208_8297).zero(16).b(&[10, 0, 0x61, 0x4a, 0, 0, 0, 15]).0;
    let target = utf16("CORP");
    let info = new().n(2, 2).n(2, target.len() as u64).b(&target).n(4, 0).0;
    let two = ntlm(2, 0)
        .b(&field(target.len(), 56).0)
        .n(4, 0xe289_8215)
        .b(&challenge)
        .zero(8)
        .b(&field(info.len(), 56 + target.len()).0)
        .b(&[10, 0, 0x63, 0x45, 0, 0, 0, 15])
        .b(&target)
        .b(&info)
        .0;
    let first = setup(&one);
    let frame = smb.frame(1, 0, false, &first.0);
    smb.talk.send(Dir::Orig, Msg::real(frame));
    smb.session = session;
    let frame = smb.frame(1, 0xc000_0016, true, &reply(&two).0);
    smb.talk.send(Dir::Resp, Msg::real(frame));
    smb.id += 1;
    smb.call(1, setup(&authenticate(user, host, &proof)), 0, reply(&[]));
    let path = utf16(share);
    let ask = new().n(2, 9).n(2, 0).n(2, 72).n(2, path.len() as u64).b(&path);
    let frame = smb.frame(3, 0, false, &ask.0);
    smb.talk.send(Dir::Orig, Msg::real(frame));
    smb.tree = 5;
    let frame = smb.frame(3, 0, true, &new().n(2, 16).n(1, 1).n(1, 0).n(4, 0x30).n(4, 0).n(4, 0x001f_01ff).0);
    smb.talk.send(Dir::Resp, Msg::real(frame));
    smb.id += 1;
    let name = utf16(file);
    let size = match work {
        Work::Read(n) => *n,
        Work::Write(b) => b.len(),
    };
    let (access, disposition) = if matches!(work, Work::Read(_)) { (0x0012_0089, 1) } else { (0x0012_0196, 5) };
    let ask = new()
        .n(2, 57)
        .n(1, 0)
        .n(1, 0)
        .n(4, 2)
        .zero(16)
        .n(4, access)
        .n(4, 0x80)
        .n(4, 1)
        .n(4, disposition)
        .n(4, 0x40)
        .n(2, 120)
        .n(2, name.len() as u64)
        .n(4, 0)
        .n(4, 0)
        .b(&name);
    let stored = if disposition == 1 { size as u64 } else { 0 };
    let answer = new()
        .n(2, 89)
        .n(1, 0)
        .n(1, 0)
        .n(4, if disposition == 1 { 1 } else { 2 })
        .n(8, filetime)
        .n(8, filetime)
        .n(8, filetime)
        .n(8, filetime)
        .n(8, stored)
        .n(8, stored)
        .n(4, 0x20)
        .n(4, 0)
        .b(&handle)
        .n(4, 0)
        .n(4, 0);
    smb.call(5, ask, 0, answer);
    let mut at = 0;
    while at < size {
        let n = (size - at).min(16_384);
        match work {
            Work::Read(_) => {
                let ask = new()
                    .n(2, 49)
                    .n(1, 80)
                    .n(1, 0)
                    .n(4, n as u64)
                    .n(8, at as u64)
                    .b(&handle)
                    .n(4, 0)
                    .n(4, 0)
                    .n(4, 0)
                    .n(4, 0)
                    .n(1, 0);
                let bytes = smb.talk.rng().bytes(n);
                let answer = new().n(2, 17).n(1, 80).n(1, 0).n(4, n as u64).n(4, 0).n(4, 0).b(&bytes);
                smb.call(8, ask, 0, answer);
            }
            Work::Write(b) => {
                let ask = new()
                    .n(2, 49)
                    .n(2, 112)
                    .n(4, n as u64)
                    .n(8, at as u64)
                    .b(&handle)
                    .n(4, 0)
                    .n(4, 0)
                    .n(4, 0)
                    .n(4, 0)
                    .b(&b[at..at + n]);
                smb.call(9, ask, 0, new().n(2, 17).n(2, 0).n(4, n as u64).n(4, 0).n(4, 0));
            }
        }
        at += n;
    }
    let done = new().n(2, 60).n(2, 0).n(4, 0).zero(32).n(8, 0).n(8, 0).n(4, 0);
    smb.call(6, new().n(2, 24).n(2, 0).n(4, 0).b(&handle), 0, done);
    smb.call(4, new().n(2, 4).n(2, 0), 0, new().n(2, 4).n(2, 0));
    smb.call(2, new().n(2, 4).n(2, 0), 0, new().n(2, 4).n(2, 0));
}
