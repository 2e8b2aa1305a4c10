//! What is read back from disk: frames, blocks' directories and columns, packet references, the journal. The first byte says which.
#![no_main]

use backtrail::store::{block, frame, journal::Journal, packets};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

fuzz_target!(init: backtrail_fuzz::strict(), |data: &[u8]| {
    let Some((which, rest)) = data.split_first() else { return };
    match which % 4 {
        0 => {
            if let Some(header) = frame::header(rest) {
                let _ = frame::intact(rest, rest, &header);
            }
            let _ = frame::split(rest);
        }
        1 => {
            let mut found = vec![Vec::new(); 2];
            let offset = rest.first().map_or(0, |b| u64::from(*b));
            let flows = packets::Wanted::from([((offset, 0), 0), ((offset.wrapping_add(1), 0), 1)]);
            let _ = packets::search(rest, &flows, &mut found);
        }
        2 => {
            let (head, body) = rest.split_at(rest.len().min(64));
            if let Ok(entries) = block::directory(head) {
                for entry in entries {
                    let _ = block::decode(&entry, body, 16, &Arc::new(vec![[10, 0, 0, 1].into()]));
                }
            }
        }
        _ => {
            let dir = std::env::temp_dir().join(format!("backtrail-fuzz-{}", std::process::id()));
            if std::fs::create_dir_all(&dir).is_ok() && std::fs::write(dir.join("journal.log"), rest).is_ok() {
                let mut notices = Vec::new();
                if let Ok(journal) = Journal::open(&dir, &mut notices) {
                    let before = journal.decisions().len();
                    drop(journal);
                    // What was repaired opens with the same decisions.
                    if let Ok(again) = Journal::open(&dir, &mut Vec::new()) {
                        assert_eq!(again.decisions().len(), before);
                    }
                }
                let _ = std::fs::remove_dir_all(&dir);
            }
        }
    }
});
