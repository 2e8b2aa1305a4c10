//! Squid's native access log: `time elapsed client result/status bytes method URL user hierarchy/peer type` (squid.conf,
//! `logformat squid`), with or without syslog envelope.
//!
//! A line is written when the request ends: the record begins `elapsed` milliseconds before. Denied is a result with `DENIED`, or status 403 or
//! 407. The peer is the destination only where Squid went there directly.

use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, cisco_wsa, draft::Draft, envelope, head, web};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::Time;

/// The format.
pub static FORMAT: Squid = Squid;

/// Squid's access log.
pub struct Squid;

impl Format for Squid {
    fn name(&self) -> &'static str {
        "squid"
    }
    fn doc(&self) -> &'static str {
        "Squid proxy's native access log (squid.conf, logformat squid)."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 1 << 20 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let squid = |l: &str| parse(l).is_some() && !cisco_wsa::is_request(l);
        if head::most(head, 50, |l| squid(l) || squid(envelope::open(l).message)) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Lines { context: context.clone() })
    }
}

struct Parts<'a> {
    time: Time,
    elapsed: u64,
    /// client, result/status, bytes, method, URL, user, hierarchy/peer, type
    words: [&'a str; 8],
    rest: &'a str,
}

fn parse(line: &str) -> Option<Parts<'_>> {
    let mut rest = line.trim_start();
    let mut next = || {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = after.trim_start();
        word
    };
    let time = next();
    let time = Time::parse_epoch(time).filter(|_| time.len() > 10 && time.contains('.'))?;
    // Clock steps make it negative.
    let elapsed = next().parse::<i64>().ok()?.max(0).unsigned_abs();
    let mut words = [""; 8];
    for word in &mut words {
        *word = next();
    }
    let (_, status) = words[1].split_once('/')?;
    let sound = status.len() == 3 && words[2].bytes().all(|b| b.is_ascii_digit()) && !words[4].is_empty();
    sound.then_some(Parts { time, elapsed, words, rest })
}

struct Lines {
    context: Context,
}

impl Reader for Lines {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        if line.trim_ascii().is_empty() {
            return Status::Skipped;
        }
        let text = String::from_utf8_lossy(line);
        let mut host = "";
        let parts = parse(&text).or_else(|| {
            let envelope = envelope::open(&text);
            host = envelope.host;
            parse(envelope.message)
        });
        let Some(parts) = parts else {
            out.oddities.push(Oddity::at("squid_line_malformed", format!("line {}", unit.line)));
            return Status::Failed;
        };
        let elapsed = parts.elapsed.saturating_mul(1_000_000);
        let start = parts.time.plus(-i64::try_from(elapsed).unwrap_or(i64::MAX));
        let mut d = Draft::new(Kind::Proxy, &self.context, unit, line.len(), start);
        d.record.end = parts.time;
        d.uint(field::ELAPSED, elapsed);
        parts.fill(&mut d);
        d.finish(Some(host), out)
    }
}

impl Parts<'_> {
    fn fill(&self, d: &mut Draft) {
        let [client, result, bytes, method, url, user, hierarchy, mime] = self.words;
        if !d.addr(field::SRC_IP, client) && client != "-" {
            d.text(field::HOSTNAME, client);
        }
        let (result, status) = result.split_once('/').unwrap_or((result, ""));
        d.text(field::REASON, result);
        if status != "000" {
            d.put_or_keep(field::HTTP_STATUS, "status", status);
        }
        let denied = web::denied(result, status.parse().ok());
        d.text(field::ACTION, if denied { "deny" } else { "allow" });
        d.put_or_keep(field::BYTES_IN, "bytes", bytes);
        d.text(field::URL, url);
        for (id, text) in [(field::HTTP_METHOD, method), (field::USER, user), (field::HTTP_TYPE, mime)] {
            if text != "-" {
                d.text(id, text);
            }
        }
        let (way, peer) = hierarchy.split_once('/').unwrap_or((hierarchy, "-"));
        if !matches!(way, "NONE" | "HIER_NONE" | "-" | "") {
            d.keep("hierarchy", way);
        }
        let direct = way.ends_with("DIRECT") || way.ends_with("ORIGINAL_DST");
        if peer != "-" && !(direct && d.addr(field::DST_IP, peer)) {
            d.keep("peer", peer);
        }
        let named = url.contains("://") || method == "CONNECT";
        if let Some((host, port)) = web::authority(url).filter(|_| named) {
            if super::draft::address(host).is_none() {
                d.text(field::NAME, host);
                d.text(field::HTTP_HOST, host);
            } else {
                d.addr(field::DST_IP, host);
            }
            if let Some(port) = port {
                d.uint(field::DST_PORT, port);
            }
        }
        d.text(field::APP, if method == "CONNECT" { "tls" } else { "http" });
        d.keep("headers", self.rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn a_request_lasts_until_its_line_was_written() {
        assert_eq!(
            show(
                &FORMAT,
                "1157689312.049   5006 10.105.21.199 TCP_MISS/200 19763 CONNECT login.yahoo.com:443 badeyek DIRECT/175.16.199.115 -"
            ),
            "proxy 2006-09-08T04:21:47.043Z..2006-09-08T04:21:52.049Z src.ip=10.105.21.199 dst.ip=175.16.199.115 dst.port=443 app=tls \
             bytes.in=19763 name=login.yahoo.com url=login.yahoo.com:443 http.method=CONNECT http.host=login.yahoo.com http.status=200 \
             action=allow reason=TCP_MISS user=badeyek elapsed=5s6ms extra={\"hierarchy\":\"DIRECT\"}"
        );
    }

    #[test]
    fn what_the_proxy_refused_is_denied() {
        assert_eq!(
            show(&FORMAT, "1157689337.481      4 10.105.47.218 TCP_DENIED/407 1661 GET http://hi5.com/ - NONE/- text/html"),
            "proxy 2006-09-08T04:22:17.477Z..2006-09-08T04:22:17.481Z src.ip=10.105.47.218 dst.port=80 app=http bytes.in=1661 name=hi5.com \
             url=http://hi5.com/ http.method=GET http.host=hi5.com http.status=407 http.type=text/html action=deny reason=TCP_DENIED elapsed=4ms"
        );
    }
}
