//! Tables of Windows events: what an event id means, which name of event data is which field, logon types, why a logon failed.
//!
//! Sources: Microsoft Learn, "Audit events" and "NTSTATUS values"; RFC 4120, 7.5.9 (Kerberos errors); Sysmon's manual.

use crate::model::field::{self, FieldId};
use crate::model::record::Kind;

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meaning {
    pub kind: Kind,
    action: &'static str,
    /// Action when its status is an error.
    failed: &'static str,
    /// The user is the account that it is about, not the one that acts.
    pub target: bool,
}

impl Meaning {
    /// Nothing is known of it.
    pub fn is_other(&self) -> bool {
        self.kind == Kind::Log && self.action.is_empty()
    }
    pub fn action_of(&self, status: &str, failed: bool) -> &'static str {
        let digits = status.strip_prefix("0x").unwrap_or(status);
        let error = digits.bytes().any(|b| b != b'0') || failed;
        if error && !self.failed.is_empty() { self.failed } else { self.action }
    }
}

const fn is(kind: Kind, action: &'static str) -> Meaning {
    Meaning { kind, action, failed: "", target: false }
}

const fn login(action: &'static str, failed: &'static str) -> Meaning {
    Meaning { kind: Kind::Auth, action, failed, target: true }
}

/// What an event id of Sysmon, or of any other provider, means; others are log records.
pub(super) fn meaning(sysmon: bool, code: &str) -> Meaning {
    use Kind::{Auth, Dns, File, Log};
    if sysmon {
        return match code {
            "1" => is(Log, "start"),
            "2" => is(File, "time_changed"),
            "3" => is(Log, "connect"),
            "5" => is(Log, "exit"),
            "6" | "7" => is(Log, "load"),
            "8" => is(Log, "remote_thread"),
            "9" => is(Log, "raw_read"),
            "10" => is(Log, "access"),
            "11" | "15" | "29" => is(File, "create"),
            "12" | "13" | "14" => is(Log, "registry"),
            "17" => is(Log, "pipe_create"),
            "18" => is(Log, "pipe_connect"),
            "19" | "20" | "21" => is(Log, "wmi"),
            "22" => is(Dns, ""),
            "23" | "26" => is(File, "delete"),
            "24" => is(Log, "clipboard"),
            "25" => is(Log, "tamper"),
            "27" | "28" => is(File, "deny"),
            _ => is(Log, ""),
        };
    }
    match code {
        "4624" => login("login_ok", ""),
        "4625" => login("login_fail", ""),
        "4634" | "4647" => login("logout", ""),
        "4648" => login("login_explicit", ""),
        "4672" => is(Auth, "privileges"),
        "4768" | "4776" => login("login_ok", "login_fail"),
        "4769" | "4770" => login("ticket", "ticket_fail"),
        "4771" | "4777" => login("login_fail", ""),
        "4740" => login("lockout", ""),
        "4778" => login("reconnect", ""),
        "4779" => login("disconnect", ""),
        "4688" => is(Log, "start"),
        "4689" => is(Log, "exit"),
        "4697" | "7045" => is(Log, "install"),
        "4698" => is(Log, "task_create"),
        "4699" => is(Log, "task_delete"),
        "4702" => is(Log, "task_change"),
        "4103" | "4104" | "800" => is(Log, "script"),
        "4656" | "4663" | "5140" | "5145" => is(Log, "access"),
        "5156" => is(Log, "connect"),
        "5152" | "5157" => is(Log, "deny"),
        "5154" => is(Log, "listen"),
        "5158" => is(Log, "bind"),
        "1102" | "104" => is(Log, "clear"),
        _ => is(Log, ""),
    }
}

/// The field that a name of event data, in lower case, means in every event.
pub(super) fn field(name: &str) -> Option<FieldId> {
    Some(match name {
        "sourceip" | "sourceaddress" | "ipaddress" | "clientaddress" | "sourcenetworkaddress" => field::SRC_IP,
        "sourceport" | "ipport" | "clientport" => field::SRC_PORT,
        "destinationip" | "destaddress" | "destinationaddress" => field::DST_IP,
        "destinationport" | "destport" => field::DST_PORT,
        "image" | "newprocessname" | "processname" | "application" | "sourceimage" => field::PROCESS,
        "targetfilename" | "imageloaded" | "relativetargetname" => field::FILE_NAME,
        "sharename" => field::SHARE,
        "destinationhostname" | "workstationname" | "workstation" | "targetservername" => field::NAME,
        "category" | "taskcategory" => field::CATEGORY,
        _ => return None,
    })
}

/// Severity rank of a level's number or word.
pub(super) fn level(level: &str) -> Option<u64> {
    Some(match level.to_ascii_lowercase().as_str() {
        "1" | "critical" => 4,
        "2" | "error" => 3,
        "3" | "warning" | "warn" => 2,
        "0" | "4" | "5" | "info" | "information" | "verbose" | "debug" => 0,
        _ => return None,
    })
}

/// The word for a logon type.
pub(super) fn logon_type(number: &str) -> &'static str {
    match number {
        "2" => "interactive",
        "3" => "network",
        "4" => "batch",
        "5" => "service",
        "7" => "unlock",
        "8" => "network cleartext",
        "9" => "new credentials",
        "10" => "remote interactive",
        "11" => "cached interactive",
        "12" => "cached remote interactive",
        "13" => "cached unlock",
        _ => "",
    }
}

/// Why a logon failed: NTSTATUS of 4625 and 4776, error code of Kerberos.
pub(super) fn why(code: &str) -> Option<&'static str> {
    let hex = code.to_ascii_lowercase();
    let hex = hex.strip_prefix("0x")?;
    Some(match hex {
        "c0000064" | "6" => "no such account",
        "c000006a" | "18" => "wrong password",
        "c000006d" => "bad user name or password",
        "c000006e" => "account restriction",
        "c000006f" => "outside its hours",
        "c0000070" => "not from this workstation",
        "c0000071" | "17" => "password expired",
        "c0000072" => "account disabled",
        "c0000133" | "25" => "clocks differ",
        "c000015b" => "logon type not granted",
        "c0000193" => "account expired",
        "c0000224" => "password must change",
        "c0000234" => "account locked out",
        "12" => "account disabled, expired or locked out",
        "7" => "no such service",
        "c" => "not from this workstation or not now",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_is_not_zero_is_a_failure() {
        let request = meaning(false, "4768");
        assert_eq!((request.action_of("0x0", false), request.action_of("0x18", false)), ("login_ok", "login_fail"));
        assert_eq!(meaning(false, "4625").action_of("0xc000006d", false), "login_fail");
        assert_eq!((meaning(true, "22").kind, meaning(false, "22").kind), (Kind::Dns, Kind::Log));
    }
}
