//! Microsoft Defender Antivirus's support log, `MPLog-*.log` (Microsoft, "Microsoft Defender Antivirus: performance and support logs").
//!
//! A line that begins with a time in UTC begins a record. A detection (`DETECTION`, `DETECTIONEVENT`, `DETECTION_ADD`) is an alert with the threat and the file;
//! others are log records in which process, file and hashes are found. Lines before the first time are the log's header.

use super::blocks::Blocks;
use super::each_line::Line;
use super::{Status, clock, lift};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Blocks = Blocks {
    name: "defender-mplog",
    doc: "Microsoft Defender Antivirus support log, MPLog (Microsoft, Defender Antivirus support logs).",
    begins,
    skips: |l| !begins(l),
    read,
};

/// What lines of this log say, and those of others do not.
const MARKS: [&str; 20] = [
    "DETECTION",
    "ProcessImageName: ",
    "[Mini-filter]",
    "MPSOURCE_",
    "SDN:",
    "BM ",
    "EMS ",
    "Engine:",
    "MpEngine",
    "Mp",
    "Task(",
    "Service ",
    "Lowfi",
    "Product Version:",
    "Signature",
    "AutoPurge",
    "Verifying ",
    "Threat Name:",
    "[RTP]",
    "Dynamic Signature",
];

fn begins(line: &str) -> bool {
    let Some(stamp) = clock::iso(line.as_bytes()).filter(|s| s.east == Some(0) && s.len == 24) else { return false };
    line.get(stamp.len..)
        .and_then(|r| r.strip_prefix(' '))
        .is_some_and(|rest| MARKS.iter().any(|m| rest.trim_start().starts_with(m)))
}

fn read(text: &str, line: &mut Line<'_>) -> Option<Status> {
    let stamp = clock::iso(text.as_bytes())?;
    let message = text.get(stamp.len..)?.trim();
    let time = stamp.time(line.context, line.out);
    let mut d = line.draft(Kind::Log, time);
    d.text(field::PRODUCT, "Microsoft Defender Antivirus");
    if message.starts_with("DETECTION") {
        d.record.kind = Kind::Alert;
        d.text(field::ACTION, "alert");
        // `DETECTIONEVENT MPSOURCE_REALTIME Trojan:Win32/X file:C:\a b.exe;...`
        let threat = message.split(' ').find(|w| {
            w.contains(":Win")
                || w.contains(":Script")
                || w.contains(":HTML")
                || w.contains('/') && w.contains(':') && !w.starts_with("file:")
        });
        d.text(field::SIGNATURE, threat.unwrap_or(""));
        if let Some((_, file)) = message.split_once("file:") {
            d.text(field::FILE_NAME, file.split([';', '\n']).next().unwrap_or("").trim_end_matches(" PropBag"));
        }
    }
    let after = |key: &str| message.split_once(key).map_or("", |(_, v)| v.split([',', '\n']).next().unwrap_or("").trim());
    d.text(field::PROCESS, after("ProcessImageName: "));
    d.put(field::PID, after(" Pid: "));
    d.text(field::FILE_NAME, after("MaxTimeFile: "));
    for (key, id) in [("(sha1=", field::SHA1), ("sha2=", field::SHA256)] {
        let hash: String = after(key).chars().take_while(char::is_ascii_hexdigit).collect();
        if matches!(hash.len(), 40 | 64) {
            d.text(id, &hash);
        }
    }
    if d.record.kind == Kind::Log {
        lift::lift(message, &mut d);
    }
    d.text(field::MESSAGE, message);
    line.finish(d, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn detections_are_alerts() {
        let text = "Microsoft Antimalware log\n2026-11-20T08:00:00.123Z DETECTIONEVENT MPSOURCE_REALTIME Trojan:Win32/Wacatac.B file:C:\\Users\\a b\\x.exe;process:pid:77\n2026-11-20T08:00:01.000Z ProcessImageName: x.exe, Pid: 77, TotalTime: 10, Count: 2, MaxTime: 5, MaxTimeFile: \\Device\\a.dll, EstimatedImpact: 2%\n2026-11-20T08:00:02.000Z SDN:Issuing SDN query for \\\\?\\C:\\x.exe (sha1=0123456789abcdef0123456789abcdef01234567, sha2=00)\n  more\n";
        let read = read_all(&FORMAT, text);
        assert_eq!(read.counts, [4, 0, 1, 0]);
        let r = |n: usize| &read.records[n].record;
        assert_eq!(
            (r(0).kind, r(0).text(field::SIGNATURE), r(0).text(field::FILE_NAME)),
            (Kind::Alert, Some("Trojan:Win32/Wacatac.B"), Some("C:\\Users\\a b\\x.exe"))
        );
        assert_eq!(
            (r(1).text(field::PROCESS), r(1).uint(field::PID), r(1).text(field::FILE_NAME)),
            (Some("x.exe"), Some(77), Some("\\Device\\a.dll"))
        );
        assert_eq!(r(2).text(field::SHA1), Some("0123456789abcdef0123456789abcdef01234567"));
    }
}
