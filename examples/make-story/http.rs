//! HTTP/1.1 requests and answers, and what the logs say of them.

use crate::talk::{App, Dir, Msg, Talk};

/// One transaction.
#[derive(Clone, Default)]
pub struct Tx {
    /// GET, POST, ...
    pub method: &'static str,
    /// The Host header.
    pub host: String,
    /// The path with its query.
    pub path: String,
    /// The User-Agent header.
    pub agent: &'static str,
    /// The Referer header, or empty.
    pub referer: String,
    /// The status.
    pub status: u16,
    /// The type of the body.
    pub mime: &'static str,
    /// The length of the body.
    pub length: usize,
    /// The body when it matters.
    pub body: Vec<u8>,
    /// A Location header, or empty.
    pub location: String,
    /// When the request was seen.
    pub asked: i64,
    /// The packet with the request.
    pub request: usize,
    /// The last packet of the answer.
    pub packet: usize,
}

/// A browser's name for itself.
pub const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; rv:132.0) Gecko/20100101 Firefox/132.0";
/// Another browser's.
pub const BROWSER_B: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0";
/// The injector's tool.
pub const SQLMAP: &str = "sqlmap/1.8.9#stable (https://sqlmap.org)";

/// The words of a status.
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        302 => "Found",
        304 => "Not Modified",
        403 => "Forbidden",
        404 => "Not Found",
        500 => "Internal Server Error",
        _ => "Unknown",
    }
}

/// Sends the request of `tx` and, after `think` microseconds, its answer; notes it on the connection.
pub fn exchange(talk: &mut Talk, mut tx: Tx, server: &str, think: i64) {
    let mut ask =
        format!("{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {}\r\nAccept: */*\r\n", tx.method, tx.path, tx.host, tx.agent);
    if !tx.referer.is_empty() {
        ask.push_str(&format!("Referer: {}\r\n", tx.referer));
    }
    ask.push_str("\r\n");
    tx.request = talk.send(Dir::Orig, Msg::real(ask.into_bytes()));
    tx.asked = talk.t;
    if think > 0 {
        talk.pause(think);
    }
    let seconds = crate::clock::date(talk.t).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let mut head = format!("HTTP/1.1 {} {}\r\nDate: {seconds}\r\nServer: {server}\r\n", tx.status, reason(tx.status));
    if !tx.location.is_empty() {
        head.push_str(&format!("Location: {}\r\n", tx.location));
    }
    if !tx.mime.is_empty() {
        head.push_str(&format!("Content-Type: {}\r\n", tx.mime));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", tx.length.max(tx.body.len())));
    let mut bytes = head.into_bytes();
    let msg = if tx.body.is_empty() {
        Msg::real([bytes, filler(tx.length)].concat())
    } else {
        tx.length = tx.body.len();
        bytes.extend_from_slice(&tx.body);
        Msg::real(bytes)
    };
    tx.packet = talk.send(Dir::Resp, msg);
    tx.body.clear();
    talk.conn.service = "http";
    match &mut talk.conn.app {
        App::Http(list) => list.push(tx),
        app => *app = App::Http(vec![tx]),
    }
}

fn filler(n: usize) -> Vec<u8> {
    b"<p>The quick brown fox jumps over the lazy dog near the river bank.</p>\n".iter().copied().cycle().take(n).collect()
}
