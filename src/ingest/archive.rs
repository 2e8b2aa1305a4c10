//! An archive: each member is unpacked into the case's folder, imported as evidence of its own, and forgotten or kept there. The archive
//! itself is evidence too, without records: with its hash, and with what became of its members.

use super::Run;
use super::file::{Subject, ingest_file};
use super::report::{FileReport, Outcome};
use super::unpacked::Unpacked;
use crate::error::{Error, Result};
use crate::model::Time;
use crate::sources::archive::limits::{DEPTH, Metered};
use crate::sources::archive::{self, ArchiveKind, Budget, Bytes, Keys, MARK, Member, Nature, Refusal, Unpack, zip};
use crate::sources::compression::Compression;
use crate::sources::input::{Input, Probe};
use crate::store::{Begin, Done, NewEvidence};
use std::fs::File;
use std::rc::Rc;
use std::sync::Arc;

/// What is known of a member besides its bytes.
pub struct Inside {
    /// Its bytes while it is read.
    pub file: Unpacked,
    /// When it was changed, by the archive, or when that was.
    pub modified: Time,
    /// Bytes that have to be unpacked to read it again.
    pub cost: u64,
    /// It needs a password.
    pub encrypted: bool,
    /// Archives around it.
    pub depth: usize,
    budget: Budget,
}

/// Imports every member of an archive, with a row for the archive before theirs.
pub fn ingest_archive(
    run: &mut Run<'_>,
    keys: &Keys<'_>,
    subject: &Subject,
    probe: &Probe,
    kind: ArchiveKind,
    compression: Compression,
) -> Result<()> {
    let (depth, cost, encrypted) = subject.inside.as_ref().map_or((0, 0, false), |i| (i.depth, i.cost, i.encrypted));
    let mut row = FileReport::new(subject.shown.clone(), Outcome::Opened(String::new()));
    (row.format, row.size) = (kind.name().into(), probe.size);
    if depth >= DEPTH {
        let why = format!("archives nested more than {DEPTH} deep: unpack it and ingest what is in it");
        let row = FileReport { outcome: Outcome::NotRecognised(why), format: String::new(), ..row };
        run.refuse(&row, &subject.kept, Some((&subject.path, probe)))?;
        run.rows.push(row);
        return Ok(());
    }
    let new = NewEvidence {
        key: probe.key,
        path: subject.kept.clone(),
        size: probe.size,
        modified: subject.modified(probe),
        head_hash: probe.head_hash,
    };
    // Evidence is known from the moment that all of its members were met.
    if let Begin::Known(known) = run.store.begin(&new)? {
        let about = known.warnings.first().cloned();
        run.rows.push(FileReport { outcome: Outcome::Known, warnings: about.into_iter().collect(), ..row });
        return Ok(());
    }
    let at = run.rows.len();
    run.rows.push(row.clone());
    let stop = Arc::clone(&run.watch.stop);
    let budget = subject.inside.as_ref().map_or_else(|| Budget::of(probe.size, Rc::new(move || stop())), |i| i.budget.clone());
    let before = keys.enter(&subject.shown);
    let mut failure = None;
    let walked = walk(
        run,
        keys,
        subject,
        kind,
        compression,
        &Around { budget, modified: new.modified, depth, cost, encrypted },
        &mut failure,
    );
    keys.leave(before);
    if let Some(e) = failure {
        return Err(e);
    }
    let stopped = (run.watch.stop)();
    let members = &run.rows[at + 1..];
    let (account, trouble) = account(members, kind);
    let locked = members.iter().any(|m| m.outcome == Outcome::Locked);
    row.outcome = match &walked {
        Err(why) if members.is_empty() => Outcome::Failed(Error::input(why.clone())),
        Err(why) => Outcome::Damaged(format!("{why}; {account}")),
        Ok(Some(document)) => Outcome::Skipped(document.clone()),
        Ok(None) => Outcome::Opened(account.clone()),
    };
    if matches!(row.outcome, Outcome::Failed(_) | Outcome::Skipped(_)) {
        // It counts as a file that was not read, not as an archive.
        row.format.clear();
    }
    let met = walked.is_ok_and(|document| document.is_none()) && !members.is_empty();
    run.rows[at] = row.clone();
    if !stopped {
        let locked = locked.then(|| FileReport { outcome: Outcome::Locked, ..row.clone() });
        run.refuse(locked.as_ref().unwrap_or(&row), &subject.kept, Some((&subject.path, probe)))?;
    }
    if stopped || locked || !(met || matches!(row.outcome, Outcome::Damaged(_))) {
        return Ok(());
    }
    run.keep_refused()?;
    let Begin::Fresh(import) = run.store.begin(&new)? else { return Ok(()) };
    let trouble = trouble || matches!(row.outcome, Outcome::Damaged(_));
    let warnings: Vec<String> = trouble.then(|| row.note()).into_iter().collect();
    match Input::open(&subject.path).map(Input::finish) {
        Ok(Ok(summary)) => {
            let done = Done {
                sha256: summary.sha256,
                format: kind.name().into(),
                compression: compression.name().into(),
                warnings,
                custody: run.request.custody.clone(),
                ..Done::default()
            };
            import.finish(done).map(|_| ())
        }
        // It could be read a moment ago: its members are in, and it is met again with the next import.
        _ => Ok(()),
    }
}

/// What the members of an archive share.
struct Around {
    budget: Budget,
    /// When the archive was changed: for members that say nothing.
    modified: Time,
    depth: usize,
    cost: u64,
    encrypted: bool,
}

/// Imports the members. `Ok(Some)`: it is not an archive of evidence, but what is said.
fn walk(
    run: &mut Run<'_>,
    keys: &Keys<'_>,
    subject: &Subject,
    kind: ArchiveKind,
    compression: Compression,
    around: &Around,
    failure: &mut Option<Error>,
) -> std::result::Result<Option<String>, String> {
    let mut bytes = Bytes::File(subject.path.clone());
    let mut plain = compression;
    // A zip's list of members is at its end: a compressed one is unpacked first.
    let whole;
    let mut cost = around.cost;
    if kind == ArchiveKind::Zip && compression != Compression::None {
        let mut file = Unpacked::new(run.store).map_err(|e| e.what)?;
        let from = File::open(&subject.path).and_then(|f| compression.reader(f)).map_err(|e| e.to_string())?;
        cost += std::io::copy(&mut Metered::new(from, around.budget.clone()), &mut file).map_err(|e| e.to_string())?;
        whole = file;
        (bytes, plain) = (Bytes::File(whole.path().to_owned()), Compression::None);
    }
    if kind == ArchiveKind::Zip
        && let Some(what) = zip::document(&bytes)
    {
        return Ok(Some(format!("{what}, which is a zip but not opened as an archive: unpack it and ingest the folder")));
    }
    let mut each = |member: &Member, unpack: &mut Unpack<'_>| {
        run.progress.members += 1;
        match one(run, keys, subject, member, unpack, &Around { cost, budget: around.budget.clone(), ..*around }) {
            Ok(()) => !(run.watch.stop)(),
            Err(e) => {
                *failure = Some(e);
                false
            }
        }
    };
    archive::walk(kind, &bytes, plain, &around.budget, keys, &mut each).map(|()| None)
}

fn one(
    run: &mut Run<'_>,
    keys: &Keys<'_>,
    subject: &Subject,
    member: &Member,
    unpack: &mut Unpack<'_>,
    around: &Around,
) -> Result<()> {
    let named = |outer: &str| format!("{outer}{MARK}{}", member.name);
    let shown = named(&subject.shown);
    let refused = |run: &mut Run<'_>, outcome| {
        let row = FileReport::new(shown.clone(), outcome);
        // An archive is locked as a whole: it has one line for all that is in it.
        let noted = if row.outcome == Outcome::Locked { Ok(()) } else { run.refuse(&row, &named(&subject.kept), None) };
        run.rows.push(row);
        noted
    };
    match &member.nature {
        Nature::Folder => return Ok(()),
        Nature::Other(what) => {
            return refused(run, Outcome::Skipped(what.clone()));
        }
        Nature::File => {}
    }
    let mut file = Unpacked::new(run.store)?;
    match unpack(&mut file) {
        Ok(()) => {}
        Err(Refusal::Stopped) => return Ok(()),
        Err(Refusal::Password) => return refused(run, Outcome::Locked),
        Err(Refusal::Limit(why)) => return refused(run, Outcome::Failed(Error::input(why))),
        Err(Refusal::Damaged(why)) => {
            return refused(run, Outcome::Failed(Error::input(format!("cannot be unpacked: {why}"))));
        }
        Err(Refusal::Sink(e)) => {
            let failed = Error::io("cannot unpack into the case", file.path(), &e);
            return Err(file.failure.take().unwrap_or(failed));
        }
    }
    let basename = member.name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    let inner = Subject {
        path: file.path().to_owned(),
        kept: named(&subject.kept),
        shown,
        name: basename,
        gap: None,
        inside: Some(Inside {
            file,
            modified: member.modified.unwrap_or(around.modified),
            cost: around.cost.saturating_add(member.cost),
            encrypted: around.encrypted || member.encrypted,
            depth: around.depth + 1,
            budget: around.budget.clone(),
        }),
    };
    ingest_file(run, keys, inner)
}

/// What became of the members, in words, and whether any was not read. Archives inside are not counted themselves.
fn account(members: &[FileReport], kind: ArchiveKind) -> (String, bool) {
    let trouble = members.iter().any(FileReport::is_incomplete);
    let members: Vec<&FileReport> = members.iter().filter(|m| !m.is_archive()).collect();
    let count = |is: &dyn Fn(&Outcome) -> bool| members.iter().filter(|m| is(&m.outcome)).count();
    let parts = [
        (count(&|o| matches!(o, Outcome::Read | Outcome::Grown)), "read"),
        (count(&|o| *o == Outcome::Known), "in the case already"),
        (count(&|o| matches!(o, Outcome::Skipped(_))), "skipped"),
        (count(&|o| matches!(o, Outcome::NotRecognised(_))), "not recognised"),
        (count(&|o| matches!(o, Outcome::Damaged(_))), "damaged"),
        (count(&|o| *o == Outcome::Locked), "need a password"),
        (count(&|o| matches!(o, Outcome::Failed(_))), "failed"),
    ];
    let said: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    match members.len() {
        0 => (format!("{} archive without members", kind.name()), false),
        1 => (format!("1 member: {}", said.join(", ")), trouble),
        n => (format!("{n} members: {}", said.join(", ")), trouble),
    }
}
