//! Where rebuilt files go: a folder that only its owner can enter, or a zip with a password, so that nothing on the way opens or quarantines
//! them. Names are neutral; the manifests say which is which, and `sha256sum -c MANIFEST.sha256` checks them without this program.

use super::spool::Limits;
use super::{Extracted, Extraction, extract};
use crate::case::Keeper;
use crate::error::{Error, Result};
use crate::model::decision::{Carried, What};
use crate::model::{FieldId, Record, field};
use crate::query::Engine;
use crate::query::engine::Cancel;
use serde_json::{Map, Value as Json, json};
use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{AesMode, CompressionMethod, ZipWriter};

/// Checked by `sha256sum -c`.
pub const SUMS: &str = "MANIFEST.sha256";
/// One JSON object a file: flow, name, size, type, gaps, evidence.
pub const LIST: &str = "MANIFEST.jsonl";
/// The password that analysts give to archives of what may be malicious.
pub const PASSWORD: &str = "infected";
/// Files that one entry of the journal names.
const FILES_PER_ENTRY: usize = 500;

/// What is asked for.
pub struct Request<'a> {
    /// Question that selects flows, or `file` events.
    pub text: &'a str,
    /// Folder to make, or a file that ends in `.zip`.
    pub to: &'a Path,
    /// Password of the zip.
    pub password: &'a str,
    /// Bounds.
    pub limits: Limits,
}

/// Rebuilds files, writes them where they are asked for, and journals their hashes. Nothing is written where there is no file.
pub fn extract_to(engine: &dyn Engine, keeper: &dyn Keeper, request: &Request<'_>, cancel: &Cancel) -> Result<Extraction> {
    let to = request.to;
    let zipped = to.extension().is_some_and(|e| e.eq_ignore_ascii_case("zip"));
    let failed = |e: std::io::Error| Error::io("cannot write", to, &e);
    let empty = to.is_dir() && std::fs::read_dir(to).map_err(failed)?.next().is_none();
    if to.exists() && (zipped || !empty) {
        let what = if to.is_dir() { "the folder is not empty" } else { "the file is there already" };
        return Err(Error::user(format!("cannot extract: {what}")).at_path(to).hint("-w a name that is not taken"));
    }
    let beside = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Only its owner can enter it, and it goes with whatever is left in it.
    let parts = tempfile::Builder::new().prefix(".backtrail-extract-").tempdir_in(beside).map_err(failed)?;
    let out = extract(engine, request.text, parts.path(), request.limits, cancel)?;
    if out.files.is_empty() {
        return Ok(out);
    }
    let manifests = [(SUMS, sums(&out.files)), (LIST, list(&out.files, engine))];
    if zipped {
        zip(&out.files, &manifests, request, parts.path(), cancel)?;
    } else {
        folder(&out.files, &manifests, to).map_err(failed)?;
    }
    for files in out.files.chunks(FILES_PER_ENTRY) {
        let carried = |f: &Extracted| Carried {
            written: f.written.clone(),
            name: f.record.text(field::FILE_NAME).unwrap_or_default().to_owned(),
            size: f.size,
            sha256: f.sha256.clone(),
            flow: f.flow.to_string(),
            sound: f.sound,
        };
        let files = files.iter().map(carried).collect();
        keeper.append(What::Extract { query: request.text.to_owned(), path: to.display().to_string(), files })?;
    }
    Ok(out)
}

fn sums(files: &[Extracted]) -> Vec<u8> {
    files.iter().map(|f| format!("{}  {}\n", f.sha256, f.written)).collect::<String>().into_bytes()
}

fn list(files: &[Extracted], engine: &dyn Engine) -> Vec<u8> {
    files.iter().map(|f| format!("{}\n", Json::Object(object(f, engine)))).collect::<String>().into_bytes()
}

/// What is known of a file, as one flat object.
pub fn object(file: &Extracted, engine: &dyn Engine) -> Map<String, Json> {
    let record = &file.record;
    let text = |id| record.text(id).map(Json::from);
    let end = |ip, port| Some(Json::from(place(record, ip, port))).filter(|v| v != "");
    let all = [
        ("schema", Some(json!("backtrail.extracted/1"))),
        ("file", Some(json!(file.written))),
        ("sha256", Some(json!(file.sha256))),
        ("size", Some(json!(file.size))),
        ("sound", Some(json!(file.sound))),
        ("gaps", Some(json!(file.gaps))),
        ("note", Some(json!(file.note)).filter(|n| n != "")),
        ("file.name", text(field::FILE_NAME)),
        ("file.type", text(field::FILE_TYPE)),
        ("share", text(field::SHARE)),
        ("url", text(field::URL)),
        ("app", text(field::APP)),
        ("start", Some(json!(record.start.rfc3339()))),
        ("src", end(field::SRC_IP, field::SRC_PORT)),
        ("dst", end(field::DST_IP, field::DST_PORT)),
        ("direction.stated", text(field::DIRECTION_STATED)),
        ("id", Some(json!(record.id.to_string()))),
        ("flow", Some(json!(file.flow.to_string()))),
        ("evidence", Some(json!(engine.evidence_path(record.id.evidence)))),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Address and port of one end.
pub fn place(record: &Record, ip: FieldId, port: FieldId) -> String {
    match (record.addr(ip), record.uint(port)) {
        (Some(ip), Some(port)) => std::net::SocketAddr::new(ip, port as u16).to_string(),
        (Some(ip), None) => ip.to_string(),
        _ => String::new(),
    }
}

fn folder(files: &[Extracted], manifests: &[(&str, Vec<u8>)], to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    std::fs::set_permissions(to, Permissions::from_mode(0o700))?;
    let read_only = |path: &PathBuf| std::fs::set_permissions(path, Permissions::from_mode(0o400));
    for file in files {
        let path = to.join(&file.written);
        std::fs::rename(&file.part, &path)?;
        read_only(&path)?;
    }
    for (name, bytes) in manifests {
        let path = to.join(name);
        let mut file = File::create_new(&path)?;
        read_only(&path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
    }
    Ok(())
}

fn zip(files: &[Extracted], manifests: &[(&str, Vec<u8>)], request: &Request<'_>, parts: &Path, cancel: &Cancel) -> Result<()> {
    let to = request.to;
    let failed = |e: std::io::Error| Error::io("cannot write", to, &e);
    let refused = |e: zip::result::ZipError| Error::input(format!("cannot write the archive: {e}")).at_path(to);
    let part = parts.join("archive");
    let mut archive = ZipWriter::new(File::create_new(&part).map_err(failed)?);
    let options = |size: u64| {
        SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .unix_permissions(0o400)
            .large_file(size >= u64::from(u32::MAX))
            .with_aes_encryption(AesMode::Aes256, request.password)
    };
    for (name, bytes) in manifests {
        archive.start_file(*name, options(bytes.len() as u64)).map_err(refused)?;
        archive.write_all(bytes).map_err(failed)?;
    }
    for file in files {
        cancel.check()?;
        archive.start_file(file.written.as_str(), options(file.size)).map_err(refused)?;
        let mut content = File::open(&file.part).map_err(failed)?;
        std::io::copy(&mut content, &mut archive).map_err(failed)?;
    }
    let written = archive.finish().map_err(refused)?;
    written.sync_all().map_err(failed)?;
    std::fs::set_permissions(&part, Permissions::from_mode(0o400)).map_err(failed)?;
    std::fs::rename(&part, to).map_err(failed)
}
