//! Histories of shells that note when a command was entered: bash with `HISTTIMEFORMAT` (`#1763625600`, then the command), tcsh (`#+1763625600`), zsh
//! with `EXTENDED_HISTORY` (`: 1763625600:0;command`), fish (`- cmd: command`, then `  when: 1763625600`). Manuals of these shells.
//!
//! A record is a command with all its lines; whose it is the file's name may say. Commands before the first time stand at that and are partial.
//! Addresses, URLs and names in them are fields.

use super::draft::{Draft, TEXT_MAX};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, head, lift};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::Time;

/// The format.
pub static FORMAT: ShellHistory = ShellHistory;

/// Histories of shells.
pub struct ShellHistory;

impl Format for ShellHistory {
    fn name(&self) -> &'static str {
        "shell-history"
    }
    fn doc(&self) -> &'static str {
        "Histories of bash, tcsh, zsh and fish that note when a command was entered."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 256 << 10 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let timed = head::most(head, 20, |l| bash(l).is_some()) || head::most(head, 50, |l| zsh(l).is_some());
        let fish = head::most(head, 20, |l| l.starts_with("- cmd: ")) && head::most(head, 20, |l| fish(l).is_some());
        if timed || fish { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Lines { context: context.clone(), first: None, next: None, held: None })
    }
}

/// An epoch of nine or ten digits.
fn epoch(digits: &str) -> Option<Time> {
    let sound = matches!(digits.len(), 9 | 10) && digits.bytes().all(|b| b.is_ascii_digit());
    clock::epoch(digits).filter(|_| sound)
}

fn bash(line: &str) -> Option<Time> {
    let digits = line.strip_prefix('#')?;
    epoch(digits.strip_prefix('+').unwrap_or(digits).trim_end())
}

/// Time, how long it ran, command.
fn zsh(line: &str) -> Option<(Time, u64, &str)> {
    let (time, rest) = line.strip_prefix(": ")?.split_once(':')?;
    let (ran, command) = rest.split_once(';')?;
    Some((epoch(time)?, ran.parse().ok()?, command))
}

fn fish(line: &str) -> Option<Time> {
    epoch(line.strip_prefix("  when: ")?.trim_end())
}

struct Lines {
    context: Context,
    /// The first time of the file.
    first: Option<Time>,
    /// The time of the command that comes next.
    next: Option<Time>,
    held: Option<Held>,
}

/// A command that further lines may belong to.
struct Held {
    unit: Unit,
    len: usize,
    time: Option<Time>,
    ran: u64,
    command: String,
    /// Its time comes after it.
    fish: bool,
}

impl Lines {
    fn give(&mut self, out: &mut Out) {
        let Some(held) = self.held.take() else { return };
        let time = held.time.or(self.first);
        let mut d = Draft::timed(Kind::Log, &self.context, held.unit, held.len, time, out);
        if held.time.is_none() && time.is_some() {
            d.partial = true;
            clock::assume(out, "first time assumed");
        }
        if held.ran > 0 {
            d.lasting(held.ran.saturating_mul(1_000_000_000));
        }
        d.text(field::MESSAGE, &held.command);
        lift::lift(&held.command, &mut d);
        // What a command names is where it goes.
        if d.has(field::SRC_IP) && !d.has(field::DST_IP) {
            d.turn();
        }
        d.finish(None, out);
    }

    fn hold(&mut self, command: &str, unit: Unit, len: usize, time: Option<Time>, ran: u64, out: &mut Out) -> Status {
        self.give(out);
        self.held = Some(Held { unit, len, time, ran, command: command.to_owned(), fish: false });
        if time.is_none() { Status::Partial } else { Status::Ok }
    }
}

impl Reader for Lines {
    fn begin(&mut self, head: &[u8]) {
        let time = |line: &[u8]| {
            let line = String::from_utf8_lossy(line);
            bash(&line).or_else(|| zsh(&line).map(|(t, ..)| t)).or_else(|| fish(&line))
        };
        self.first = head.split(|b| *b == b'\n').find_map(time);
    }
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        if text.is_empty() {
            return Status::Skipped;
        }
        if let Some(time) = bash(text) {
            self.give(out);
            self.next = Some(time);
            return Status::Skipped;
        }
        if let Some((time, ran, command)) = zsh(text) {
            return self.hold(command, unit, line.len(), Some(time), ran, out);
        }
        if let Some(command) = text.strip_prefix("- cmd: ") {
            self.hold(command, unit, line.len(), None, 0, out);
            self.held.iter_mut().for_each(|h| h.fish = true);
            return Status::Ok;
        }
        let end = unit.offset.saturating_add(line.len() as u64);
        if let Some(held) = self.held.as_mut() {
            let more = usize::try_from(end.saturating_sub(held.unit.offset)).unwrap_or(held.len);
            if held.fish {
                (held.time, held.len) = (held.time.or(fish(text)), more);
                return Status::Skipped;
            }
            // Of a command with a time the lines up to the next time.
            if held.time.is_some() && held.command.len() + text.len() < TEXT_MAX {
                held.command.push('\n');
                held.command.push_str(text);
                held.len = more;
                return Status::Ok;
            }
        }
        let time = self.next.take();
        if time.or(self.first).is_none() {
            out.oddities.push(Oddity::at("time_missing", format!("line {}", unit.line)));
            return Status::Failed;
        }
        self.hold(text, unit, line.len(), time, 0, out)
    }
    fn go_on(&mut self) {
        self.held = None;
    }
    fn end(&mut self, out: &mut Out) {
        self.give(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn commands_of_four_shells_have_their_times() {
        for (text, want) in [
            (
                "ls\n#1763625600\nfor i in 1 2; do\n  echo $i\ndone\n#1763625601\ncurl http://192.0.2.9/x\n",
                "log 2025-11-20T08:00:00Z message=ls\nlog 2025-11-20T08:00:00Z message=for i in 1 2; do\n  echo $i\ndone\n\
                 log 2025-11-20T08:00:01Z dst.ip=192.0.2.9 url=http://192.0.2.9/x message=curl http://192.0.2.9/x\n",
            ),
            ("#+1763625600\nexit\n", "log 2025-11-20T08:00:00Z message=exit\n"),
            (": 1763625600:2;ssh joe\\\nmore\n", "log 2025-11-20T08:00:00Z..2025-11-20T08:00:02Z message=ssh joe\\\nmore\n"),
            ("- cmd: ls /tmp\n  when: 1763625600\n  paths:\n    - /tmp\n", "log 2025-11-20T08:00:00Z message=ls /tmp\n"),
        ] {
            assert_eq!(FORMAT.sniff(text.as_bytes()), Sniff::Yes, "{text}");
            assert_eq!(read_all(&FORMAT, text).shown(), want);
        }
        assert_eq!(FORMAT.sniff(b"# a comment\nls\n"), Sniff::No);
    }
}
