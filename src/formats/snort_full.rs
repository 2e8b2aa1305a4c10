//! Snort's `alert_full`: a block of lines an alert (Snort Users Manual, 2.6.2).
//!
//! A block begins with `[**] [gid:sid:rev] message [**]` and ends where the next begins or at a blank line. Its time stands in the line of its
//! packet. Lines of the IP and transport headers are kept; links to references are kept as `xref`.

use super::draft::Draft;
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, head, snort_fast, snort_text};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::Time;

/// The format.
pub static FORMAT: SnortFull = SnortFull;

/// Snort's full alerts.
pub struct SnortFull;

impl Format for SnortFull {
    fn name(&self) -> &'static str {
        "snort-full"
    }
    fn doc(&self) -> &'static str {
        "Snort alert_full, a block of lines an alert (Snort Users Manual, Output Modules)."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 64 << 10 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let first = head::lines(head).first().is_some_and(|l| title(&String::from_utf8_lossy(l)).is_some());
        if first { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Blocks { context: context.clone(), held: None })
    }
}

/// Most lines of a block.
const LINES_MAX: u32 = 64;

/// Rule and message of the first line of a block.
fn title(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix("[**] [")?;
    let (rule, message) = rest.split_once("] ")?;
    let numbers = rule.split(':').count() == 3 && rule.bytes().all(|b| b.is_ascii_digit() || b == b':');
    // A line of `alert_fast` goes on with the ends of its packet.
    (numbers && !message.contains(" -> ")).then_some((rule, message))
}

struct Blocks {
    context: Context,
    held: Option<Block>,
}

/// An alert that further lines may continue.
struct Block {
    draft: Draft,
    /// Time and ends of its packet.
    time: Option<Time>,
    ends: Option<(String, String)>,
    lines: u32,
}

impl Reader for Blocks {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        if text.is_empty() {
            self.end(out);
            return Status::Skipped;
        }
        if let Some((rule, message)) = title(text) {
            self.end(out);
            let mut draft = Draft::new(Kind::Alert, &self.context, unit, line.len(), self.context.modified);
            snort_text::rule(rule, &mut draft);
            snort_text::action("alert", &mut draft);
            snort_fast::message(message, &mut draft);
            self.held = Some(Block { draft, time: None, ends: None, lines: 1 });
            return Status::Ok;
        }
        let Some(block) = self.held.as_mut().filter(|b| b.lines < LINES_MAX) else {
            self.end(out);
            out.oddities.push(Oddity::at("line_malformed", format!("line {}", unit.line)));
            return Status::Failed;
        };
        let end = unit.offset.saturating_add(line.len() as u64);
        block.draft.record.len = u32::try_from(end.saturating_sub(block.draft.record.id.offset)).unwrap_or(u32::MAX);
        block.take(text, &self.context, out);
        Status::Ok
    }
    fn go_on(&mut self) {
        self.held = None;
    }
    fn end(&mut self, out: &mut Out) {
        if let Some(block) = self.held.take() {
            block.give(out);
        }
    }
}

impl Block {
    fn take(&mut self, text: &str, context: &Context, out: &mut Out) {
        self.lines += 1;
        let d = &mut self.draft;
        if text.starts_with("[Classification: ") || text.starts_with("[Priority: ") {
            return snort_fast::message(&format!(" {text}"), d);
        }
        if let Some(link) = text.strip_prefix("[Xref => ") {
            return d.keep("xref", link.trim_end_matches(']'));
        }
        let stamp = snort_text::stamp(text);
        let rest = stamp.map_or(text, |s| text.get(s.len..).unwrap_or("").trim());
        if let Some(stamp) = stamp {
            self.time = stamp.time(context, out);
        }
        if let Some((from, to)) = rest.split_once(" -> ") {
            // With `-e` the hardware addresses come first, in a line with the type of the frame.
            match to.split_once(" type:") {
                Some((mac, frame)) => {
                    d.text(field::SRC_MAC, &snort_text::padded(from));
                    d.text(field::DST_MAC, &snort_text::padded(mac));
                    d.keep("frame", frame);
                }
                None => {
                    // After hardware addresses the header stands in the same line.
                    let (to, header) = to.split_once(' ').unwrap_or((to, ""));
                    self.ends = Some((from.to_owned(), to.to_owned()));
                    if let Some((proto, header)) = header.split_once(" TTL:") {
                        d.put_or_keep(field::PROTO, "protocol", &proto.to_ascii_lowercase());
                        d.keep("ip", &format!("TTL:{header}"));
                    }
                }
            }
            return;
        }
        if let Some((proto, header)) = text.split_once(" TTL:") {
            d.put_or_keep(field::PROTO, "protocol", &proto.to_ascii_lowercase());
            d.keep("ip", &format!("TTL:{header}"));
        } else if let Some((flags, header)) = text.split_once(" Seq: ").filter(|(f, _)| f.trim().len() == 8) {
            d.text(field::TCP_FLAGS, &flags.replace('*', ""));
            d.keep("tcp", &format!("Seq: {header}"));
        } else if let Some(rest) = text.strip_prefix("Type:") {
            let number = |text: &str| text.split_ascii_whitespace().next().and_then(|n| n.parse::<u64>().ok());
            let code = rest.split_once("Code:").and_then(|(_, c)| number(c));
            if let Some(kind) = number(rest) {
                d.icmp(kind, code.unwrap_or(0));
            }
            d.keep("icmp", text);
        } else {
            d.keep("header", text);
        }
    }
    fn give(mut self, out: &mut Out) -> Status {
        match self.time {
            Some(time) => (self.draft.record.start, self.draft.record.end) = (time, time),
            None => {
                self.draft.partial = true;
                out.oddities.push(Oddity::new("time_missing"));
            }
        }
        if let Some((from, to)) = &self.ends {
            // The protocol comes in a later line than the ends: now it is known.
            snort_text::ends(from, to, &mut self.draft);
        }
        self.draft.orient();
        self.draft.finish(None, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn blocks_are_alerts() {
        let text = "[**] [1:2012811:2] ET DNS Query [**]\n[Classification: Potentially Bad Traffic] [Priority: 2] \n05/30-19:09:28.472094 192.168.88.10:1029 -> 4.2.2.3:53\nUDP TTL:128 TOS:0x0 ID:1234 IpLen:20 DgmLen:58\nLen: 30\n[Xref => http://www.example.com/x]\n\n\
            [**] [1:2:3] scan [**]\n[Priority: 0] \n05/30-19:09:29.000001 0:1A:2:3:4:5 -> 0:10:20:30:40:50 type:0x800 len:0x3C\n2001:db8::5:51000 -> 2001:db8::6:80 TCP TTL:64 TOS:0x0 ID:1 IpLen:20 DgmLen:40\n******S* Seq: 0x1  Ack: 0x0  Win: 0x10  TcpLen: 20\nnonsense\n";
        let read = read_all(&FORMAT, text);
        assert_eq!(read.counts, [12, 0, 1, 0]);
        assert_eq!(
            read.shown(),
            "alert 2026-05-30T19:09:28.472094Z src.ip=192.168.88.10 src.port=1029 dst.ip=4.2.2.3 dst.port=53 proto=udp signature=ET DNS Query \
             signature.id=2012811 signature.gid=1 signature.rev=2 severity=medium category=Potentially Bad Traffic action=alert \
             extra={\"ip\":\"TTL:128 TOS:0x0 ID:1234 IpLen:20 DgmLen:58\",\"header\":\"Len: 30\",\"xref\":\"http://www.example.com/x\"}\n\
             alert 2026-05-30T19:09:29.000001Z src.ip=2001:db8::5 src.port=51000 dst.ip=2001:db8::6 dst.port=80 proto=tcp \
             src.mac=00:1a:02:03:04:05 dst.mac=00:10:20:30:40:50 signature=scan signature.id=2 signature.gid=1 signature.rev=3 severity=info \
             action=alert tcp.flags=S extra={\"frame\":\"0x800 len:0x3C\",\"ip\":\"TTL:64 TOS:0x0 ID:1 IpLen:20 DgmLen:40\",\"tcp\":\"Seq: 0x1  Ack: 0x0  Win: 0x10  TcpLen: 20\",\"header\":\"nonsense\"}\n"
        );
    }

    #[test]
    fn a_block_without_a_packet_is_partial_and_lines_outside_fail() {
        let read = read_all(&FORMAT, "[**] [1:2:3] x [**]\n\nstray\n");
        assert_eq!((read.counts, read.oddities.join(", ")), ([1, 0, 1, 1], "time_missing , line_malformed line 3".to_owned()));
    }
}
