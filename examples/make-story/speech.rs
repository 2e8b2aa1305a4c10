//! The other protocols of the story: SSH, SMTP, PostgreSQL, NTP, DHCP, mDNS, printing.

use crate::rng::Rng;
use crate::talk::{App, Dir, Msg, Talk};
use std::net::Ipv4Addr;

fn text(talk: &mut Talk, dir: Dir, line: &str) -> usize {
    talk.send(dir, Msg::real(format!("{line}\r\n").into_bytes()))
}

fn ssh_packet(body: &[u8]) -> Vec<u8> {
    let pad = 8 - (body.len() + 5) % 8;
    let pad = if pad < 4 { pad + 8 } else { pad };
    let mut out = ((body.len() + pad + 1) as u32).to_be_bytes().to_vec();
    out.push(pad as u8);
    out.extend_from_slice(body);
    out.resize(out.len() + pad, 0);
    out
}

fn kexinit(rng: &mut Rng, server: bool) -> Vec<u8> {
    let mut body = vec![20];
    body.extend_from_slice(&rng.bytes(16));
    let macs = "umac-64-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256";
    let ciphers = if server {
        "chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com"
    } else {
        "aes128-ctr,aes192-ctr,aes256-ctr,chacha20-poly1305@openssh.com"
    };
    let lists = [
        "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,diffie-hellman-group14-sha256",
        if server {
            "rsa-sha2-512,rsa-sha2-256,ecdsa-sha2-nistp256,ssh-ed25519"
        } else {
            "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512"
        },
        ciphers,
        ciphers,
        macs,
        macs,
        "none",
        "none",
        "",
        "",
    ];
    for list in lists {
        body.extend_from_slice(&(list.len() as u32).to_be_bytes());
        body.extend_from_slice(list.as_bytes());
    }
    body.extend_from_slice(&[0; 5]);
    ssh_packet(&body)
}

/// An SSH connection on an open one: `client` names the software, `talked` are the sizes of what follows the login.
pub fn ssh(talk: &mut Talk, client: &str, failed: bool, talked: &[(Dir, usize)]) {
    talk.conn.service = "ssh";
    text(talk, Dir::Orig, &format!("SSH-2.0-{client}"));
    text(talk, Dir::Resp, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3");
    let k = kexinit(talk.rng(), false);
    talk.send(Dir::Orig, Msg::real(k));
    let k = kexinit(talk.rng(), true);
    talk.send(Dir::Resp, Msg::real(k));
    let mut init = vec![30, 0, 0, 0, 32];
    init.extend_from_slice(&talk.rng().bytes(32));
    talk.send(Dir::Orig, Msg::real(ssh_packet(&init)));
    let mut reply = vec![31, 0, 0, 0, 51, 0, 0, 0, 11];
    reply.extend_from_slice(b"ssh-ed25519");
    reply.extend_from_slice(&[0, 0, 0, 32]);
    reply.extend_from_slice(&talk.rng().bytes(32));
    reply.extend_from_slice(&[0, 0, 0, 32]);
    reply.extend_from_slice(&talk.rng().bytes(32));
    reply.extend_from_slice(&[0, 0, 0, 83, 0, 0, 0, 11]);
    reply.extend_from_slice(b"ssh-ed25519");
    reply.extend_from_slice(&[0, 0, 0, 64]);
    reply.extend_from_slice(&talk.rng().bytes(64));
    let mut flight = ssh_packet(&reply);
    flight.extend_from_slice(&ssh_packet(&[21]));
    talk.send(Dir::Resp, Msg::real(flight));
    talk.send(Dir::Orig, Msg::real(ssh_packet(&[21])));
    let secret = |talk: &mut Talk, dir: Dir, n: usize| {
        let bytes = talk.rng().bytes(n.min(64));
        let seed = talk.rng().next();
        talk.send(dir, Msg::opaque(bytes, n.saturating_sub(64), seed));
    };
    for (dir, n) in [(Dir::Orig, 44), (Dir::Resp, 44), (Dir::Orig, 60), (Dir::Resp, 52), (Dir::Orig, 148)] {
        secret(talk, dir, n);
    }
    talk.pause(if failed { 1_900_000 } else { 60_000 });
    secret(talk, Dir::Resp, if failed { 52 } else { 28 });
    for &(dir, n) in talked {
        secret(talk, dir, n);
        if talk.rng().chance(0.4) {
            let wait = talk.rng().range(50_000, 1_500_000);
            talk.pause(wait);
        }
    }
}

/// One mail over SMTP on an open connection; `refuse` ends it with 550 after RCPT.
pub fn smtp(talk: &mut Talk, banner: &str, helo: &str, from: &str, to: &str, mail: &str, refuse: bool) -> usize {
    talk.conn.service = "smtp";
    talk.conn.app = App::Smtp;
    let wait = talk.rng().range(9_000, 60_000);
    talk.pause(wait);
    text(talk, Dir::Resp, &format!("220 {banner} ESMTP"));
    text(talk, Dir::Orig, &format!("EHLO {helo}"));
    text(talk, Dir::Resp, &format!("250-{banner}\r\n250-SIZE 26214400\r\n250 8BITMIME"));
    text(talk, Dir::Orig, &format!("MAIL FROM:<{from}>"));
    text(talk, Dir::Resp, "250 2.1.0 Ok");
    text(talk, Dir::Orig, &format!("RCPT TO:<{to}>"));
    let mut last;
    if refuse {
        last = text(talk, Dir::Resp, "550 5.7.1 Service unavailable; client host blocked");
    } else {
        text(talk, Dir::Resp, "250 2.1.5 Ok");
        text(talk, Dir::Orig, "DATA");
        text(talk, Dir::Resp, "354 End data with <CR><LF>.<CR><LF>");
        last = text(talk, Dir::Orig, &format!("{mail}\r\n."));
        text(talk, Dir::Resp, "250 2.0.0 Ok: queued as 4Q1x7kTz");
    }
    text(talk, Dir::Orig, "QUIT");
    text(talk, Dir::Resp, "221 2.0.0 Bye");
    last = last.min(talk.conn.pkts.len() - 1);
    last
}

/// A PostgreSQL session with some queries on an open connection.
pub fn postgres(talk: &mut Talk, queries: usize) {
    talk.conn.service = "postgresql";
    let mut hello = vec![0, 3, 0, 0];
    hello.extend_from_slice(b"user\0shop\0database\0shop\0application_name\0www1\0\0");
    let mut start = ((hello.len() + 4) as u32).to_be_bytes().to_vec();
    start.extend_from_slice(&hello);
    talk.send(Dir::Orig, Msg::real(start));
    talk.send(Dir::Resp, Msg::real(vec![b'R', 0, 0, 0, 8, 0, 0, 0, 0, b'Z', 0, 0, 0, 5, b'I']));
    for _ in 0..queries {
        let n = talk.rng().range(1, 900);
        let sql = format!("SELECT id, title, price FROM item WHERE category = {n} ORDER BY id LIMIT 20\0");
        let mut q = vec![b'Q'];
        q.extend_from_slice(&((sql.len() + 4) as u32).to_be_bytes());
        q.extend_from_slice(sql.as_bytes());
        talk.send(Dir::Orig, Msg::real(q));
        let mut answer = Vec::new();
        for _ in 0..talk.rng().range(1, 12) {
            let row = format!("item {:06} {:04}.99", talk.rng().range(1, 999_999), talk.rng().range(1, 2000));
            answer.push(b'D');
            answer.extend_from_slice(&((row.len() + 10) as u32).to_be_bytes());
            answer.extend_from_slice(&[0, 1]);
            answer.extend_from_slice(&(row.len() as u32).to_be_bytes());
            answer.extend_from_slice(row.as_bytes());
        }
        answer.extend_from_slice(b"C\0\0\0\x0dSELECT 9\0Z\0\0\0\x05I");
        talk.send(Dir::Resp, Msg::real(answer));
        let wait = talk.rng().range(50_000, 4_000_000);
        talk.pause(wait);
    }
    talk.send(Dir::Orig, Msg::real(vec![b'X', 0, 0, 0, 4]));
}

/// A print job.
pub fn print(talk: &mut Talk, n: usize) {
    let seed = talk.rng().next();
    let head = b"\x1b%-12345X@PJL JOB NAME=\"document\"\r\n@PJL ENTER LANGUAGE=PCL\r\n".to_vec();
    talk.send(Dir::Orig, Msg::opaque(head, n, seed));
    talk.send(Dir::Resp, Msg::real(b"@PJL USTATUS JOB\r\nEND\r\n\x0c".to_vec()));
}

/// Question and answer of NTP.
pub fn ntp(t: i64, rng: &mut Rng) -> (Vec<u8>, Vec<u8>) {
    let stamp = |t: i64| {
        let seconds = (t / 1_000_000 + 2_208_988_800) as u32;
        let part = (((t % 1_000_000) << 32) / 1_000_000) as u32;
        [seconds.to_be_bytes(), part.to_be_bytes()].concat()
    };
    let mut ask = vec![0x23, 0, 6, 0xec];
    ask.resize(40, 0);
    ask.extend_from_slice(&stamp(t));
    let mut answer = vec![0x24, 2, 6, 0xe9, 0, 0, 1, 2, 0, 0, 2, 9, 192, 0, 2, 1];
    answer.extend_from_slice(&stamp(t - 40_000_000));
    answer.extend_from_slice(&stamp(t));
    answer.extend_from_slice(&stamp(t + 900 + rng.range(0, 300)));
    answer.extend_from_slice(&stamp(t + 1300));
    (ask, answer)
}

/// A DHCP request for renewal and its acknowledgement.
pub fn dhcp(id: u32, client: Ipv4Addr, server: Ipv4Addr, name: &str) -> (Vec<u8>, Vec<u8>) {
    let frame = |op: u8, options: &[u8]| {
        let mut out = vec![op, 1, 6, 0];
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&client.octets());
        out.extend_from_slice(&if op == 2 { client.octets() } else { [0; 4] });
        out.extend_from_slice(&if op == 2 { server.octets() } else { [0; 4] });
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&crate::world::mac(client));
        out.resize(236, 0);
        out.extend_from_slice(&[0x63, 0x82, 0x53, 0x63]);
        out.extend_from_slice(options);
        out.push(255);
        out.resize(300, 0);
        out
    };
    let mut ask = vec![53, 1, 3, 12, name.len() as u8];
    ask.extend_from_slice(name.as_bytes());
    ask.extend_from_slice(&[55, 6, 1, 3, 6, 15, 31, 33, 60, 8]);
    ask.extend_from_slice(b"MSFT 5.0");
    let mut answer = vec![53, 1, 5, 54, 4];
    answer.extend_from_slice(&server.octets());
    answer.extend_from_slice(&[51, 4, 0, 0, 0xa8, 0xc0, 1, 4, 255, 255, 255, 0, 6, 4]);
    answer.extend_from_slice(&server.octets());
    (frame(1, &ask), frame(2, &answer))
}

/// A multicast DNS question.
pub fn mdns(service: &str) -> Vec<u8> {
    let tx = crate::dns::Tx { id: 0, name: service.to_string(), qtype: 12, ..Default::default() };
    let mut out = crate::dns::question(&tx);
    out[2] = 0;
    out
}
