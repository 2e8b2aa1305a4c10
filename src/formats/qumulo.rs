//! Qumulo Core's audit log in syslog (Qumulo, "Using Qumulo Core Audit Logs", CSV format): `192.0.2.9,"CORP\joe",smb2,fs_write_data,ok,123,"/path",""`.
//!
//! Client, account, protocol, operation, status, id of the file, path and second path (of a rename). The operation is the action, in Qumulo's
//! words; a status other than `ok` the reason why it was not done.

use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::{Context, Out, draft, draft::Draft};
use crate::model::field;

/// The format.
pub static FORMAT: Layout = Layout {
    name: "qumulo",
    doc: "Qumulo Core audit log in syslog: operations on files and of the interface, with client and account.",
    is,
    read,
};

/// The eight cells of a message; those in quotes may hold commas, and `""` for a quote.
fn cells(message: &str) -> Option<Vec<String>> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut letters = message.trim_end().chars().peekable();
    while let Some(c) = letters.next() {
        match c {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cells.last_mut()?.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => {
                cells.push(String::new());
                if cells.len() > 12 {
                    return None;
                }
            }
            c => cells.last_mut()?.push(c),
        }
    }
    let word = |n: usize| {
        cells.get(n).is_some_and(|w: &String| {
            !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        })
    };
    let sound =
        (7..=9).contains(&cells.len()) && draft::address(&cells[0]).is_some() && word(2) && word(3) && cells[3].contains('_');
    sound.then_some(cells)
}

fn is(envelope: &Envelope<'_>) -> bool {
    envelope.message.bytes().next().is_some_and(|b| b.is_ascii_hexdigit() || b == b':')
        && memchr::memchr_iter(b',', envelope.message.as_bytes()).nth(5).is_some()
        && cells(envelope.message).is_some()
}

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, _: &Context, _: &mut Out) -> Said<'a> {
    let Some(cells) = cells(envelope.message) else { return Said::default() };
    let at = |n: usize| cells.get(n).map_or("", String::as_str);
    d.addr(field::SRC_IP, at(0));
    let name = at(1).trim_matches('-');
    let bare = name.rsplit_once('\\').map_or(name, |(_, u)| u);
    d.text(field::USER, bare);
    if bare.len() != name.len() {
        d.keep("user", name);
    }
    d.text(field::APP, at(2));
    d.text(field::ACTION, at(3));
    if at(4) != "ok" {
        d.text(field::REASON, at(4));
    }
    d.keep("status", at(4));
    d.keep("file.id", at(5));
    d.text(field::FILE_NAME, at(6));
    d.keep("path.second", at(7));
    d.text(field::MESSAGE, envelope.message);
    d.lifts = false;
    Said::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn who_did_what_to_which_file() {
        for (message, want) in [
            (
                r#"192.0.2.9,"CORP\joe",smb2,fs_rename,ok,1000004,"/home/a, b.txt","/home/c.txt""#,
                "log 2026-11-20T08:12:01Z src.ip=192.0.2.9 app=smb2 severity=info action=fs_rename user=joe hostname=nas1 process=qumulo",
            ),
            (
                r#"2001:db8::9,"joe",nfs3,fs_write_data,access_denied,7,"/x","""#,
                "log 2026-11-20T08:12:01Z src.ip=2001:db8::9 app=nfs3 severity=info action=fs_write_data reason=access_denied user=joe",
            ),
        ] {
            let shown = show(&FORMAT, &format!("<134>1 2026-11-20T08:12:01Z nas1 qumulo - - - {message}"));
            assert!(shown.starts_with(want), "{shown}");
        }
        assert!(cells("192.0.2.1,4711,198.51.100.7,443,tcp,1,2").is_none());
    }
}
