//! zip: the list of members at the end of the file says what there is; members are read in its order. Stored, deflate, deflate64, bzip2, LZMA,
//! xz, PPMd, zstd; ZipCrypto and AES. Members whose bytes overlap are the mark of a bomb: such an archive is refused whole.

use super::limits::{bomb, most};
use super::{Anywhere, Budget, Bytes, Each, Keys, Member, Nature, Refusal, Sink, copy, locals, shown};
use crate::model::{Time, guard};
use ::zip::read::{Config, OwnedZipFileEntry, ZipReadOptions};
use ::zip::result::ZipError;
use ::zip::unstable::read::ZipIterable;
use ::zip::{CompressionMethod, ExtraField, HasZipMetadata};

/// Uncompressed bytes of an LZMA or xz member: its dictionary, which the reader keeps in memory, is as large at most.
const MAX_DICTIONARY: u64 = 256 << 20;
/// Members that are looked at to tell a document or program from an archive of evidence.
const GLANCE: usize = 64;

/// What a zip is that is not handed over as an archive: a document or program; none: an archive.
pub fn document(bytes: &Bytes) -> Option<&'static str> {
    let names = guard::quietly(|| {
        let mut listing = ZipIterable::try_new(bytes.open().ok()?, Config::default()).ok()?;
        let entries = listing.files().ok()?.take(GLANCE).map_while(Result::ok);
        Some(entries.map(|e| String::from_utf8_lossy(e.name_raw()).into_owned()).collect::<Vec<_>>())
    });
    let names = names.flatten()?;
    let has = |name: &str| names.iter().any(|n| n == name);
    if names.first().is_some_and(|n| n == "mimetype") {
        return Some("an OpenDocument or EPUB document");
    }
    [
        ("[Content_Types].xml", "an Office document (docx, xlsx, pptx)"),
        ("AndroidManifest.xml", "an Android program (apk)"),
        ("META-INF/MANIFEST.MF", "a Java program (jar, war)"),
    ]
    .into_iter()
    .find(|(name, _)| has(name))
    .map(|(_, what)| what)
}

fn words(e: &ZipError) -> String {
    match e {
        ZipError::InvalidArchive(what) if what.contains("end of central") || what.contains("Could not find EOCD") => {
            "its list of members, at its end, is missing: it was cut short; fetch it again, or mend it with zip -FF".into()
        }
        ZipError::CompressionMethodNotSupported(n) => format!("packed by method {n}, which is not read: unpack it and ingest it"),
        ZipError::Io(e) => e.to_string(),
        e => e.to_string(),
    }
}

/// Shows every member; of an archive whose list is cut off, those that are whole by their own headers.
pub fn walk(bytes: &Bytes, budget: &Budget, keys: &Keys<'_>, each: &mut Each<'_>) -> Result<(), String> {
    let listed = guard::quietly(|| ZipIterable::try_new(bytes.open()?, Config::default()).map(|_| ()));
    if let Some(Err(ZipError::InvalidArchive(_))) = listed
        && let Some(mended) = guard::quietly(|| locals::mend(bytes)).flatten()
    {
        list(&mended.bytes, budget, keys, each)?;
        let lost = if mended.lost.is_empty() { String::new() } else { format!("; {}", mended.lost) };
        return Err(format!(
            "its list of members, at its end, is missing: it was cut short, and {} whole members were found by their own headers{lost}; what came \
             after is lost: fetch it again",
            mended.members
        ));
    }
    list(bytes, budget, keys, each)
}

/// Shows every member of the list.
fn list(bytes: &Bytes, budget: &Budget, keys: &Keys<'_>, each: &mut Each<'_>) -> Result<(), String> {
    let opened = guard::quietly(|| {
        let from = bytes.open()?;
        ZipIterable::try_new(from, Config::default())
    });
    let mut listing = opened.ok_or("its list of members is not understood")?.map_err(|e| words(&e))?;
    if listing.len() as u64 > budget.members_left() {
        return Err(format!("it lists {} members, which is too many: unpack it and ingest the folder", listing.len()));
    }
    overlaps(&mut listing)?;
    let mut body = bytes.open().map_err(|e| e.to_string())?;
    let mut shown = 0u64;
    let damaged = |n: u64, why: &str| Err(format!("its list of members is damaged after {n} of them: {why}"));
    let Some(Ok(files)) = guard::quietly(|| listing.files()) else { return damaged(0, "it cannot be read") };
    loop {
        let entry = match guard::quietly(|| files.next()) {
            None => return damaged(shown, "it is not understood"),
            Some(None) => return Ok(()),
            Some(Some(Err(e))) => return damaged(shown, &words(&e)),
            Some(Some(Ok(entry))) => OwnedZipFileEntry::from(entry),
        };
        budget.member()?;
        shown += 1;
        let member = describe(&entry, body.as_mut());
        if !each(&member, &mut |sink| unpack(&entry, body.as_mut(), budget, keys, sink)) {
            return Ok(());
        }
    }
}

/// Refuses a list whose members share bytes. A member takes at least its header, its name and its packed bytes.
fn overlaps(listing: &mut ZipIterable<Box<dyn Anywhere>>) -> Result<(), String> {
    let Some(Ok(files)) = guard::quietly(|| listing.files()) else { return Ok(()) };
    let mut ranges = Vec::new();
    // Damage in the list is met again where the members are shown.
    while let Some(Some(Ok(entry))) = guard::quietly(|| files.next()) {
        let start = entry.header_start();
        let takes = 30u64.saturating_add(entry.name_raw().len() as u64).saturating_add(entry.compressed_size());
        ranges.push((start, start.saturating_add(takes)));
    }
    ranges.sort_unstable();
    if ranges.windows(2).any(|w| w[0].1 > w[1].0) {
        return Err(
            "its members overlap, as those of a zip bomb do: refused; if it is not one, unpack it and ingest the folder".into()
        );
    }
    Ok(())
}

fn describe(entry: &OwnedZipFileEntry, body: &mut dyn Anywhere) -> Member {
    let name = match entry.name() {
        Ok(name) => shown(&name),
        Err(_) => shown(&String::from_utf8_lossy(entry.name_raw())),
    };
    let nature = match entry.unix_mode().unwrap_or(0) & 0o170_000 {
        0o120_000 => Nature::Other("a symbolic link".into()),
        0o010_000 | 0o020_000 | 0o060_000 | 0o140_000 => Nature::Other("a device, pipe or socket".into()),
        _ if entry.is_dir() => Nature::Folder,
        _ => Nature::File,
    };
    Member { modified: modified(entry, body), nature, encrypted: entry.encrypted(), cost: entry.size(), name }
}

/// The time with a zone, if the archive has one; else the one without, taken as UTC.
fn modified(entry: &OwnedZipFileEntry, mut body: &mut dyn Anywhere) -> Option<Time> {
    let exact = guard::quietly(|| {
        let options = ZipReadOptions::new().ignore_encryption_flag(true);
        let file = entry.as_ref().with_reader(&mut body, options).ok()?;
        let stamp = |field: &ExtraField| match field {
            ExtraField::ExtendedTimestamp(stamp) => stamp.mod_time(),
            _ => None,
        };
        let seconds = file.extra_data_fields().find_map(stamp)?;
        Some(Time::from_parts(i64::from(seconds), 0))
    });
    exact.flatten().or_else(|| {
        let t = entry.last_modified()?;
        let day = chrono::NaiveDate::from_ymd_opt(t.year().into(), t.month().into(), t.day().into())?;
        let time = day.and_hms_opt(t.hour().into(), t.minute().into(), t.second().into())?;
        Some(Time::from_parts(time.and_utc().timestamp(), 0))
    })
}

fn unpack(
    entry: &OwnedZipFileEntry,
    body: &mut dyn Anywhere,
    budget: &Budget,
    keys: &Keys<'_>,
    sink: &mut dyn Sink,
) -> Result<(), Refusal> {
    if entry.size() > most(entry.compressed_size()) {
        return Err(Refusal::Limit(format!("says that it {}", bomb())));
    }
    let large = matches!(entry.compression(), CompressionMethod::LZMA | CompressionMethod::XZ) && entry.size() > MAX_DICTIONARY;
    if large {
        return Err(Refusal::Limit("packed with LZMA or xz and larger than 256 MiB: unpack it and ingest it".into()));
    }
    if !entry.encrypted() {
        return attempt(entry, body, None, budget, sink);
    }
    let mut n = 0;
    let mut damage = None;
    loop {
        while let Some(key) = keys.get(n) {
            match attempt(entry, body, Some(&key), budget, sink) {
                Ok(()) => {
                    keys.opened(n);
                    return Ok(());
                }
                Err(Refusal::Password) => {}
                // One byte says whether a ZipCrypto password is right: a wrong one in 256 gives garbage.
                Err(Refusal::Damaged(what)) => damage = Some(what),
                Err(other) => return Err(other),
            }
            sink.restart().map_err(Refusal::Sink)?;
            n += 1;
        }
        if !keys.ask() {
            return Err(damage.filter(|_| !is_weak(entry)).map_or(Refusal::Password, Refusal::Damaged));
        }
    }
}

/// Whether a wrong password may pass for a right one.
fn is_weak(entry: &OwnedZipFileEntry) -> bool {
    entry.encrypted() && entry.get_metadata().aes_settings().is_none()
}

fn attempt(
    entry: &OwnedZipFileEntry,
    mut body: &mut dyn Anywhere,
    key: Option<&str>,
    budget: &Budget,
    sink: &mut dyn Sink,
) -> Result<(), Refusal> {
    let options = ZipReadOptions::new().password(key.map(str::as_bytes));
    let limit = most(entry.compressed_size());
    let done = guard::quietly(|| match entry.as_ref().with_reader(&mut body, options) {
        Ok(mut file) => copy(&mut file, sink, budget, limit).map(|_| ()),
        Err(ZipError::InvalidPassword | ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED)) => Err(Refusal::Password),
        Err(e) => Err(Refusal::Damaged(words(&e))),
    });
    done.unwrap_or_else(|| Err(Refusal::Damaged("its packed bytes are not understood".into())))
}
