//! The journal: everything that people entered, append-only. One line a decision: crc32c of the rest, SHA-256 of (hash of the line before,
//! JSON), JSON. A torn last line was never acknowledged and is cut off; a damaged line before it is kept, skipped and reported.

use super::segment::write_error;
use crate::error::{Error, Result};
use crate::model::Time;
use crate::model::decision::{Decision, What, Who};
use crate::model::hex::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The journal of an open case.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    len: u64,
    hash: [u8; 32],
    next: u64,
    decisions: Arc<Vec<Decision>>,
    /// How many decisions change clocks.
    clocks: u64,
    /// Where the decisions with a mark are.
    marks: HashMap<String, usize>,
}

/// A decision as it is written.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    decision: &'a Decision,
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<&'a str>,
}

/// The mark of a line.
#[derive(Deserialize)]
struct Mark {
    mark: String,
}

impl Journal {
    /// Opens or creates `CASE/journal.log`; says what was wrong with it.
    pub fn open(dir: &Path, notices: &mut Vec<String>) -> Result<Journal> {
        let path = dir.join("journal.log");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| write_error(&e, &path))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|e| Error::store(format!("cannot read the journal: {e}")).at_path(&path))?;
        let read = read_lines(&bytes);
        if read.len < bytes.len() as u64 {
            file.set_len(read.len).and_then(|()| file.sync_data()).map_err(|e| write_error(&e, &path))?;
            notices
                .push(format!("the journal ended in a torn entry of {} bytes, which was cut off", bytes.len() as u64 - read.len));
        }
        notices.extend(read.damaged.iter().map(|n| format!("line {n} of the journal is damaged and was left out")));
        let next = read.decisions.iter().map(|d| d.sequence).max().unwrap_or(0).saturating_add(1);
        let clocks = read.decisions.iter().filter(|d| changes_clocks(&d.what, &read.decisions)).count() as u64;
        let state =
            State { file, len: read.len, hash: read.hash, next, decisions: Arc::new(read.decisions), clocks, marks: read.marks };
        super::segment::sync_dir(dir)?;
        Ok(Journal { path, state: Mutex::new(state) })
    }
    /// Reads the file again: how many entries it has, and the lines that are damaged or break the chain.
    pub fn check(&self) -> Result<(usize, Vec<usize>)> {
        let fail = |e: std::io::Error| Error::store(format!("cannot read the journal: {e}")).at_path(&self.path);
        let read = read_lines(&std::fs::read(&self.path).map_err(fail)?);
        Ok((read.decisions.len(), read.damaged))
    }
    /// Appends a decision; on disk when it returns.
    pub fn append(&self, what: What, who: Who) -> Result<Decision> {
        self.append_at(what, who, now())
    }
    /// Appends a decision that was made at a given instant.
    pub fn append_at(&self, what: What, who: Who, at: Time) -> Result<Decision> {
        self.append_marked(what, who, at, None)
    }
    /// Appends a decision that is known by a mark: given twice, by whoever could not know that it was written, it is written once. A mark is good
    /// for whoever made it.
    pub fn append_once(&self, what: What, who: Who, mark: &str) -> Result<Decision> {
        self.append_marked(what, who, now(), Some(mark))
    }
    fn append_marked(&self, what: What, who: Who, at: Time, mark: Option<&str>) -> Result<Decision> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let known = mark.and_then(|mark| state.marks.get(mark)).and_then(|at| state.decisions.get(*at));
        if let Some(known) = known.filter(|known| known.who.unix == who.unix) {
            return Ok(known.clone());
        }
        let decision = Decision { sequence: state.next, at: at.0, who, what };
        let json = serde_json::to_string(&Line { decision: &decision, mark })
            .map_err(|e| Error::internal(format!("a decision cannot be written: {e}")))?;
        let hash = chain(&state.hash, &json);
        let rest = format!("{} {json}", hex(&hash));
        let line = format!("{:08x} {rest}\n", crc32c::crc32c(rest.as_bytes()));
        let len = state.len;
        let done = state.file.write_all_at(line.as_bytes(), len).and_then(|()| state.file.sync_data());
        if let Err(e) = done {
            let _ = state.file.set_len(len);
            return Err(write_error(&e, &self.path));
        }
        state.len += line.len() as u64;
        state.hash = hash;
        state.next += 1;
        state.clocks += u64::from(changes_clocks(&decision.what, &state.decisions));
        if let Some(mark) = mark {
            let at = state.decisions.len();
            state.marks.insert(mark.to_owned(), at);
        }
        Arc::make_mut(&mut state.decisions).push(decision.clone());
        Ok(decision)
    }
    /// All decisions, oldest first.
    pub fn decisions(&self) -> Arc<Vec<Decision>> {
        Arc::clone(&self.state.lock().unwrap_or_else(PoisonError::into_inner).decisions)
    }
    /// A number that grows with every decision that may change a clock.
    pub fn clock_version(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clocks
    }
}

/// Whether a decision sets a clock, or takes back one of `before` that does.
fn changes_clocks(what: &What, before: &[Decision]) -> bool {
    match what {
        What::SourceSet { .. } => true,
        What::Remove { id } => before.iter().any(|d| d.sequence == *id && matches!(d.what, What::SourceSet { .. })),
        _ => false,
    }
}

/// Now, by the clock of this machine.
pub fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Time::from_parts(since.as_secs() as i64, since.subsec_nanos())
}

fn chain(before: &[u8; 32], json: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(json.as_bytes());
    hash.finalize().into()
}

struct Lines {
    decisions: Vec<Decision>,
    hash: [u8; 32],
    len: u64,
    damaged: Vec<usize>,
    marks: HashMap<String, usize>,
}

fn read_lines(bytes: &[u8]) -> Lines {
    let mut out = Lines { decisions: Vec::new(), hash: [0; 32], len: 0, damaged: Vec::new(), marks: HashMap::new() };
    let mut at = 0;
    let mut pending = Vec::new();
    for (number, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
        at += line.len() as u64;
        match read_line(line, &out.hash) {
            Some((decision, mark, hash, chained)) => {
                out.damaged.append(&mut pending);
                if !chained && !out.damaged.contains(&number) {
                    out.damaged.push(number + 1);
                }
                out.hash = hash;
                out.len = at;
                out.marks.extend(mark.map(|mark| (mark, out.decisions.len())));
                out.decisions.push(decision);
            }
            None => pending.push(number + 1),
        }
    }
    // Whole but damaged lines at the end stay in the file; only a line without its end was never acknowledged.
    if !pending.is_empty() {
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |p| p + 1) as u64;
        let torn = usize::from(whole < bytes.len() as u64);
        pending.truncate(pending.len() - torn);
        if !pending.is_empty() {
            out.damaged.append(&mut pending);
            out.len = whole;
        }
    }
    out
}

/// A line's decision, its mark, its hash, and whether it follows the line before.
fn read_line(line: &[u8], before: &[u8; 32]) -> Option<(Decision, Option<String>, [u8; 32], bool)> {
    let text = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (crc, rest) = text.split_once(' ')?;
    if u32::from_str_radix(crc, 16).ok()? != crc32c::crc32c(rest.as_bytes()) {
        return None;
    }
    let (hash, json) = rest.split_once(' ')?;
    let mut stated = [0u8; 32];
    for (i, b) in stated.iter_mut().enumerate() {
        *b = u8::from_str_radix(hash.get(i * 2..i * 2 + 2)?, 16).ok()?;
    }
    // A key of this name stands nowhere else in a line, and in no text without a backslash before its quote.
    let marked = json.contains(",\"mark\":").then(|| serde_json::from_str::<Mark>(json).ok()).flatten();
    Some((serde_json::from_str(json).ok()?, marked.map(|m| m.mark), stated, chain(before, json) == stated))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::decision::{About, Blocked, Ground, LeadChange, LeadState};

    fn note(n: usize) -> What {
        What::Note { about: About::Case, text: format!("note {n}\nwith a second line") }
    }

    #[test]
    fn a_journal_cut_at_any_byte_keeps_every_whole_entry_and_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), &mut Vec::new()).unwrap();
        let mut ends = vec![0];
        for n in 0..4 {
            assert_eq!(journal.append(note(n), Who::default()).unwrap().sequence, n as u64 + 1);
            ends.push(std::fs::metadata(dir.path().join("journal.log")).unwrap().len());
        }
        let bytes = std::fs::read(dir.path().join("journal.log")).unwrap();
        for cut in 0..=bytes.len() {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("journal.log"), &bytes[..cut]).unwrap();
            let mut notices = Vec::new();
            let journal = Journal::open(dir.path(), &mut notices).unwrap();
            let whole = ends.iter().filter(|e| **e > 0 && **e <= cut as u64).count();
            assert_eq!(journal.decisions().len(), whole, "cut at {cut}");
            assert_eq!(notices.is_empty(), ends.contains(&(cut as u64)), "cut at {cut}");
            journal.append(note(9), Who::default()).unwrap();
            let again = Journal::open(dir.path(), &mut notices).unwrap();
            assert_eq!(again.decisions().len(), whole + 1);
        }
    }

    #[test]
    fn only_what_sets_a_clock_or_takes_that_back_changes_clocks() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), &mut Vec::new()).unwrap();
        let set = What::SourceSet { source: "a".into(), offset: Some(1), zone: None, year: None, dates: None, site: None };
        let mut versions = Vec::new();
        for what in [note(1), set, What::Remove { id: 1 }, What::Remove { id: 2 }] {
            journal.append(what, Who::default()).unwrap();
            versions.push(journal.clock_version());
        }
        assert_eq!(versions, [0, 1, 1, 2]);
    }

    #[test]
    fn what_was_put_on_a_list_to_be_blocked_is_known_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let entry = |addr: &str, repeat| Blocked { addr: addr.into(), until: 1_795_161_600_000_000_000, repeat };
        let what =
            What::Block { asked: "net 203.0.113.0/24".into(), entries: vec![entry("203.0.113.9", 0), entry("2001:db8::/48", 3)] };
        Journal::open(dir.path(), &mut Vec::new()).unwrap().append(what.clone(), Who::default()).unwrap();
        let text = std::fs::read_to_string(dir.path().join("journal.log")).unwrap();
        assert!(text.contains(r#""type":"block""#), "{text}");
        let journal = Journal::open(dir.path(), &mut Vec::new()).unwrap();
        assert_eq!(journal.decisions()[0].what, what);
    }

    #[test]
    fn a_lead_and_what_changes_of_it_are_known_after_a_restart_and_a_step_of_an_older_program_still_is() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Journal::open(dir.path(), &mut Vec::new()).unwrap();
        let opened = LeadChange { text: Some("who else?".into()), owner: Some("ana".into()), ..LeadChange::default() };
        let changed = LeadChange {
            of: Some(1),
            supports: vec![Ground::Bookmark(7), Ground::Query("host 10.0.0.5".into())],
            state: Some(LeadState::Answered),
            ..LeadChange::default()
        };
        let journal = open();
        for change in [&opened, &changed] {
            journal.append(What::Lead(change.clone()), Who::default()).unwrap();
        }
        drop(journal);
        let text = std::fs::read_to_string(dir.path().join("journal.log")).unwrap();
        assert!(text.contains(r#"{"type":"lead","text":"who else?","owner":"ana"}"#), "{text}");
        assert_eq!(
            open().decisions().iter().map(|d| d.what.clone()).collect::<Vec<_>>(),
            [What::Lead(opened), What::Lead(changed)]
        );
        // A node as it was written before it said what had been imported.
        let older = r#"{"type":"trail","parent":null,"label":"a","query":"q","lens":"flows","focus":"","window":"","rows":3}"#;
        let What::Trail { rows: 3, seen: None, .. } = serde_json::from_str(older).unwrap() else { panic!("{older}") };
    }

    #[test]
    fn a_decision_with_a_mark_is_written_once_even_if_it_comes_again_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let who = |unix: &str| Who { name: "Ada".into(), unix: unix.into(), ssh: None };
        let open = || Journal::open(dir.path(), &mut Vec::new()).unwrap();
        let journal = open();
        journal.append(note(1), who("ada")).unwrap();
        let first = journal.append_once(note(2), who("ada"), "m,\"mark\":1").unwrap();
        assert_eq!(journal.append_once(note(2), who("ada"), "m,\"mark\":1").unwrap(), first);
        drop(journal);
        let journal = open();
        assert_eq!(journal.append_once(note(2), who("ada"), "m,\"mark\":1").unwrap(), first);
        // Nobody takes another's place by guessing a mark.
        assert_eq!(journal.append_once(note(3), who("bob"), "m,\"mark\":1").unwrap().sequence, 3);
        assert_eq!(journal.append_once(note(4), who("ada"), "other").unwrap().sequence, 4);
        assert_eq!((journal.decisions().len(), journal.check().unwrap()), (4, (4, vec![])));
    }

    #[test]
    fn a_damaged_or_forged_entry_is_noticed_and_the_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), &mut Vec::new()).unwrap();
        (0..3).for_each(|n| drop(journal.append(note(n), Who::default()).unwrap()));
        let path = dir.path().join("journal.log");
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.iter().position(|b| *b == b'{').unwrap() + 10;
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let mut notices = Vec::new();
        let journal = Journal::open(dir.path(), &mut notices).unwrap();
        assert_eq!(journal.decisions().len(), 2);
        assert!(!notices.is_empty());
        assert_eq!(journal.append(note(4), Who::default()).unwrap().sequence, 4);
    }
}
