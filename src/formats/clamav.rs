//! ClamAV: what clamd and freshclam log (clamd.conf(5)) and what clamscan prints (clamscan(1)), with or without syslog envelope.
//!
//! A `FOUND` is an alert: signature, file, hash where it is logged (`ExtendedDetectionInfo`); of a stream its peer is the originator. What clamscan
//! prints has no times: its records stand at the file's modification time.

use super::clock::{self, Stamp};
use super::draft::Draft;
use super::envelope::Envelope;
use super::services::Service;
use super::{Context, Out};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Service = Service {
    name: "clamav",
    doc: "ClamAV: clamd, freshclam and clamscan (clamd.conf(5), clamscan(1)).",
    is: |e| matches!(e.process, "clamd" | "freshclam" | "clamav-milter" | "clamonacc"),
    own,
    stamp,
    read,
};

fn own(line: &str) -> Option<Envelope<'_>> {
    let stamp = stamp(line);
    let printed = line.ends_with(" FOUND") && line.starts_with(['/', 'C', 'D', 'E', 'i']) && line.contains(": ");
    (stamp.is_some() || printed).then_some(Envelope { stamp, message: line, ..Envelope::default() })
}

/// `Fri Nov 20 08:00:00 2026 -> message`.
fn stamp(line: &str) -> Option<Stamp> {
    let stamp = clock::asctime(line.as_bytes())?;
    line.get(stamp.len..)?.starts_with(" -> ").then_some(stamp)
}

fn read(envelope: &Envelope<'_>, d: &mut Draft, _: &Context, _: &mut Out) {
    let message = match stamp(envelope.message) {
        Some(stamp) => envelope.message.get(stamp.len + 4..).unwrap_or(""),
        None => envelope.message,
    };
    d.text(field::PRODUCT, "ClamAV");
    let Some(found) = message.trim_end().strip_suffix(" FOUND") else { return };
    let Some((file, signature)) = found.rsplit_once(": ") else { return };
    d.record.kind = Kind::Alert;
    d.text(field::ACTION, "alert");
    d.text(field::MESSAGE, message);
    // `instream(192.0.2.5@51000)` of what came over a socket.
    match file.strip_prefix("instream(").and_then(|p| p.strip_suffix(')')) {
        Some(peer) => {
            let (ip, port) = peer.split_once('@').unwrap_or((peer, ""));
            if d.addr(field::SRC_IP, ip) {
                d.put(field::SRC_PORT, port);
            } else {
                d.keep("stream", peer);
            }
        }
        None => _ = d.text(field::FILE_NAME, file),
    }
    // `Eicar-Signature(44d88612fea8a8f36de82e1278abb02f:68)`
    let (name, hash) = signature.split_once('(').unwrap_or((signature, ""));
    d.text(field::SIGNATURE, name);
    if let Some((hash, size)) = hash.trim_end_matches(')').split_once(':') {
        let id = match hash.len() {
            32 => field::MD5,
            40 => field::SHA1,
            _ => field::SHA256,
        };
        d.text(id, hash);
        d.put(field::FILE_SIZE, size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::draft;
    use crate::formats::tests::{read_one, show};

    #[test]
    fn what_was_found() {
        assert_eq!(
            show(&FORMAT, "Fri Nov 20 08:00:00 2026 -> /tmp/a b: Eicar-Signature(44d88612fea8a8f36de82e1278abb02f:68) FOUND"),
            "alert 2026-11-20T08:00:00Z signature=Eicar-Signature action=alert message=/tmp/a b: Eicar-Signature(44d88612fea8a8f36de82e1278abb02f:68) FOUND \
             file.name=/tmp/a b file.size=68 md5=44d88612fea8a8f36de82e1278abb02f product=ClamAV"
        );
        let stream =
            read_one(&FORMAT, "Nov 20 08:00:00 mx clamd[7]: instream(192.0.2.5@51000): Win.Test.EICAR_HDB-1 FOUND").record;
        assert_eq!(
            (stream.addr(field::SRC_IP), stream.uint(field::SRC_PORT), stream.kind),
            (draft::address("192.0.2.5"), Some(51_000), Kind::Alert)
        );
        let printed = read_one(&FORMAT, "/srv/x.exe: Win.Malware-1 FOUND");
        assert_eq!((printed.record.kind, printed.record.text(field::FILE_NAME)), (Kind::Alert, Some("/srv/x.exe")));
    }
}
