//! Gives every privilege away once the interface is open: user, capabilities, new privileges, files (Landlock), system calls (seccomp).

use super::Failure;
use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use rustix::process::{Gid, Uid, geteuid, getgid, getuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs, set_thread_gid, set_thread_groups, set_thread_uid,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

/// System calls that the loop needs: to wait, write, read counters, ask the time, handle memory and signals, and end.
const CALLS: &[i64] = &[
    libc::SYS_ppoll,
    libc::SYS_write,
    libc::SYS_pread64,
    libc::SYS_getsockopt,
    libc::SYS_clock_gettime,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_sigaltstack,
    libc::SYS_brk,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

/// Does it; gives what this kernel or this user does not have. What could be given away and was not is an error.
pub fn confine() -> Result<Vec<String>, Failure> {
    let mut notes = Vec::new();
    bounding_set();
    user(&mut notes)?;
    let failed = |what: &str, e: rustix::io::Errno| Failure::new(format!("{what} cannot be given away: {e}"), "");
    let _ = clear_ambient_capability_set();
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .map_err(|e| failed("capabilities", e))?;
    set_no_new_privs(true).map_err(|e| failed("new privileges", e))?;
    files(&mut notes);
    calls(&mut notes);
    Ok(notes)
}

/// Empties the bounding set where that is allowed; elsewhere the ban on new privileges does the same.
fn bounding_set() {
    for capability in CapabilitySet::all().iter() {
        let _ = remove_capability_from_bounding_set(capability);
    }
}

/// Becomes the user who ran it, where root is so by `sudo` or by the file's own mode. Root by itself stays, without capabilities.
fn user(notes: &mut Vec<String>) -> Result<(), Failure> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let number =
        |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok()).filter(|n| *n != 0 && *n != u32::MAX);
    let real = (getuid(), getgid());
    let (uid, gid) = match (number("SUDO_UID"), number("SUDO_GID")) {
        _ if !real.0.is_root() => real,
        (Some(uid), Some(gid)) => {
            let said =
                "sudo: this program is the user again, but what parses is root: give this one cap_net_raw, and leave sudo out";
            notes.push(said.to_owned());
            (Uid::from_raw(uid), Gid::from_raw(gid))
        }
        _ => {
            notes.push("it runs as root, without capabilities: give the program cap_net_raw and run it as a user".to_owned());
            return Ok(());
        }
    };
    let failed = |e: rustix::io::Errno| Failure::new(format!("root cannot be given away: {e}"), "");
    set_thread_groups(&[]).map_err(failed)?;
    set_thread_gid(gid).map_err(failed)?;
    set_thread_uid(uid).map_err(failed)
}

/// No files, no connections, no signals to others, as far as the kernel knows of it.
fn files(notes: &mut Vec<String>) {
    let done = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V6))
        .and_then(|r| r.handle_access(AccessNet::from_all(ABI::V6)))
        .and_then(|r| r.scope(Scope::from_all(ABI::V6)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    match done.map(|status| status.ruleset) {
        Ok(RulesetStatus::FullyEnforced) => {}
        Ok(RulesetStatus::PartiallyEnforced) => {
            notes.push("this kernel's Landlock knows only some of what is to be denied".to_owned())
        }
        Ok(RulesetStatus::NotEnforced) => notes.push("this kernel has no Landlock: files are not denied by it".to_owned()),
        Err(e) => notes.push(format!("Landlock cannot be used: {e}")),
    }
}

/// Every other system call fails.
fn calls(notes: &mut Vec<String>) {
    if let Err(why) = filter().and_then(|program| seccompiler::apply_filter(&program).map_err(|e| e.to_string())) {
        notes.push(format!("system calls are not restricted: {why}"));
    }
}

fn filter() -> Result<BpfProgram, String> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = CALLS.iter().map(|call| (*call, Vec::new())).collect();
    // Memory, but none that can be executed.
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        let no_code = SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64), 0);
        let rule = no_code.and_then(|condition| SeccompRule::new(vec![condition])).map_err(|e| e.to_string())?;
        rules.insert(call, vec![rule]);
    }
    // libpcap asks why an interface went silent.
    let flags = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, 0x8913); // SIOCGIFFLAGS
    let rule = flags.and_then(|condition| SeccompRule::new(vec![condition])).map_err(|e| e.to_string())?;
    rules.insert(libc::SYS_ioctl, vec![rule]);
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| e.to_string())?;
    // Refused, not killed: libpcap asks for files of statistics that it can do without.
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    let filter = SeccompFilter::new(rules, refuse, SeccompAction::Allow, arch).map_err(|e| e.to_string())?;
    filter.try_into().map_err(|e: seccompiler::BackendError| e.to_string())
}
