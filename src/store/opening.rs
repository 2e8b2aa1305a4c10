//! The catalog of a case that is opened: as it stands if it can be trusted, else set aside and made anew from the segments.

use super::catalog::{self, Catalog};
use super::contents::Contents;
use super::{OpenOptions, journal, memory_catalog, recover, segment, sled_catalog};
use crate::error::{Error, Result};
use std::path::Path;

/// Opens the catalog; in doubt sets it aside and rebuilds it from the segments.
pub(super) fn open_catalog(
    dir: &Path,
    options: &OpenOptions,
    segments: &segment::Segments,
    notices: &mut Vec<String>,
) -> Result<(Box<dyn Catalog>, Contents)> {
    let path = dir.join("catalog");
    let mut lost = false;
    if !options.forget && path.exists() {
        let loaded = sled_catalog::SledCatalog::open(&path).and_then(|mut catalog| {
            let contents = recover::load(segments, &mut catalog, &mut lost, notices)?;
            Ok((Box::new(catalog) as Box<dyn Catalog>, contents))
        });
        match loaded {
            Ok(loaded) => return Ok(loaded),
            Err(doubt) => {
                let aside = set_aside(&path)?;
                notices.push(format!("{}; it was set aside as {aside} and rebuilt from the segments", doubt.what));
            }
        }
    }
    let (contents, changes) = recover::rebuild(segments, lost, notices)?;
    let mut catalog: Box<dyn Catalog> = if options.forget {
        Box::new(memory_catalog::MemoryCatalog::default())
    } else {
        Box::new(sled_catalog::SledCatalog::open(&path)?)
    };
    // The entry that says that it is complete is the last.
    catalog::commit_all(catalog.as_mut(), changes)?;
    Ok((catalog, contents))
}

fn set_aside(path: &Path) -> Result<String> {
    let stamp = journal::now().utc().format("%Y%m%dT%H%M%S").to_string();
    for n in 0..1000 {
        let name = if n == 0 { format!("catalog.bad-{stamp}") } else { format!("catalog.bad-{stamp}-{n}") };
        let aside = path.with_file_name(&name);
        if !aside.exists() {
            std::fs::rename(path, &aside).map_err(|e| segment::write_error(&e, path))?;
            return Ok(name);
        }
    }
    Err(Error::store("the catalog cannot be set aside").at_path(path))
}
