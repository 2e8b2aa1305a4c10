//! The real program on a pseudo-terminal: keys cut in pieces, pastes, stops, a line that drops, a terminal that takes nothing. Everything
//! waits for what is on the screen or on the disk, never for a time.

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_backtrail");
/// How long is waited for what must come; a machine that is busy needs a fraction of it.
pub const LIMIT: Duration = Duration::from_secs(120);

fn sample(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data").join(name).display().to_string()
}

/// A small case, copied by each test.
static CASE: LazyLock<TempDir> = LazyLock::new(|| {
    let home = TempDir::with_prefix("backtrail-pty-").unwrap();
    let done = Command::new(PROGRAM)
        .arg("--case")
        .arg(home.path().join("case"))
        .args(["ingest", &sample("protocols/http.pcap"), &sample("formats/suricata-eve.json")])
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    home
});

fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::set_permissions(to, std::fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copied(&path, &target);
        } else if path.is_file() {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// A home with a case and settings of its own.
pub fn home(settings: &str) -> TempDir {
    let home = TempDir::with_prefix("backtrail-pty-").unwrap();
    copied(&CASE.path().join("case"), &home.path().join("case"));
    std::fs::create_dir_all(home.path().join(".config/backtrail")).unwrap();
    std::fs::write(home.path().join(".config/backtrail/config.toml"), settings).unwrap();
    home
}

/// The program on a terminal of 100x30, and what that shows.
pub struct Term {
    pub child: Box<dyn Child + Send + Sync>,
    writer: Box<dyn Write + Send>,
    pub screen: Arc<Mutex<vt100::Parser>>,
    /// The terminal takes nothing while this is set.
    stopped: Arc<AtomicBool>,
    /// Bytes that came.
    came: Arc<AtomicUsize>,
    _master: Box<dyn MasterPty + Send>,
}

impl Term {
    pub fn open(home: &Path) -> Term {
        let mut command = CommandBuilder::new(PROGRAM);
        command.arg("--case");
        command.arg(home.join("case"));
        Term::run(home, command)
    }
    fn run(home: &Path, mut command: CommandBuilder) -> Term {
        let size = PtySize { rows: 30, cols: 100, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        command.env_clear();
        for (name, value) in
            [("TERM", "xterm-256color"), ("LC_ALL", "C.UTF-8"), ("BACKTRAIL_USER", "ana"), ("PATH", "/usr/bin:/bin")]
        {
            command.env(name, value);
        }
        command.env("HOME", home);
        command.env("BACKTRAIL_LINGER", "300ms");
        command.cwd(home);
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let cells = |n| NonZeroU16::new(n).unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(cells(30), cells(100), 0)));
        let stopped = Arc::new(AtomicBool::new(false));
        let came = Arc::new(AtomicUsize::new(0));
        let (shown, still, count) = (screen.clone(), stopped.clone(), came.clone());
        let mut reader = pair.master.try_clone_reader().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0u8; 4096];
            loop {
                while still.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                match reader.read(&mut buffer) {
                    Ok(n) if n > 0 => {
                        count.fetch_add(n, Ordering::SeqCst);
                        shown.lock().unwrap().process(&buffer[..n]);
                    }
                    _ => return,
                }
            }
        });
        let writer = pair.master.take_writer().unwrap();
        Term { child, writer, screen, stopped, came, _master: pair.master }
    }
    pub fn send(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).unwrap();
        self.writer.flush().unwrap();
    }
    pub fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }
    /// Waits until something is so; says what the screen shows when it never is.
    pub fn until(&mut self, what: &str, so: impl Fn(&vt100::Screen) -> bool) -> String {
        let begun = Instant::now();
        loop {
            if so(self.screen.lock().unwrap().screen()) {
                return self.text();
            }
            assert!(begun.elapsed() < LIMIT, "{what}: never so; the screen:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    /// Waits for home, where a case opens, and goes on to the alerts.
    fn begins(&mut self) {
        self.shows("needs a decision");
        self.send(b"1");
        self.shows("Alerts");
    }
    fn shows(&mut self, text: &str) -> String {
        self.until(text, |screen| screen.contents().contains(text))
    }
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.process_id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }
    pub fn ends(&mut self) {
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < LIMIT, "it does not end; the screen:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    /// Presses `n`, whose answer is another message than that of the key before.
    fn calm(&mut self) {
        self.send(b"n");
        self.shows("nothing was looked for yet");
    }
}

impl Drop for Term {
    fn drop(&mut self) {
        self.stopped.store(false, Ordering::SeqCst);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a file of the case holds a text.
fn kept(path: &Path, text: &str) {
    let begun = Instant::now();
    let holds = || std::fs::read(path).is_ok_and(|bytes| memchr::memmem::find(&bytes, text.as_bytes()).is_some());
    while !holds() {
        assert!(begun.elapsed() < LIMIT, "{} never holds {text}", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_key_split_at_any_byte_is_one_key() {
    let home = home("escape_ms = 2000\n");
    let mut term = Term::open(home.path());
    term.begins();
    let keys: [(&[u8], &str); 4] = [
        (b"\x1b[15~", "f5 does nothing here"),
        (b"\x1bOQ", "f2 does nothing here"),
        (b"\x1b[3~", "del does nothing here"),
        (b"\x1b[1;5D", "this is where the trail begins"),
    ];
    for (bytes, said) in keys {
        for cut in 1..bytes.len() {
            term.calm();
            term.send(&bytes[..cut]);
            // The gap is what is tested.
            std::thread::sleep(Duration::from_millis(300));
            term.send(&bytes[cut..]);
            term.shows(said);
        }
    }
}

#[test]
fn a_lone_escape_is_a_key_after_its_time() {
    let home = home("escape_ms = 40\n");
    let mut term = Term::open(home.path());
    term.begins();
    term.send(b"?");
    term.shows("keys: ");
    term.send(b"\x1b");
    term.until("help closed", |screen| !screen.contents().contains("keys: "));
}

#[test]
fn pasted_text_is_never_keys() {
    let home = home("");
    let mut term = Term::open(home.path());
    term.begins();
    for paste in [&b"\x1b[200~qq:quit\rq\x1b[201~"[..], b"\x1b[200~qq\x1b[201~q:quit\rq\x1b[201~"] {
        term.send(paste);
        term.shows("qq");
        assert!(term.child.try_wait().unwrap().is_none());
        term.send(b"\x1b");
        term.until("finder closed", |screen| !screen.contents().contains("qq"));
    }
    term.calm();
}

#[test]
fn reserved_keys_do_nothing() {
    let home = home("");
    let mut term = Term::open(home.path());
    term.begins();
    for (byte, name) in [
        (0x01, "ctrl-a"),
        (0x02, "ctrl-b"),
        (0x13, "ctrl-s"),
        (0x11, "ctrl-q"),
        (0x1c, "ctrl-\\"),
        (0x00, "ctrl-space"),
        (0x17, "ctrl-w"),
        (0x14, "ctrl-t"),
        (0x0e, "ctrl-n"),
        (0x10, "ctrl-p"),
        (b'~', "~"),
    ] {
        term.send(&[byte]);
        term.shows(&format!("{name} does nothing here"));
    }
}

#[test]
fn after_a_hangup_the_workbench_opens_where_it_stood() {
    let home = home("");
    let mut term = Term::open(home.path());
    term.begins();
    term.send(b"2");
    term.shows("port name");
    term.send(b"/dst.port = 80\r");
    term.shows("2Flows 3");
    let before = term.shows("rows");
    term.signal(Signal::HUP);
    term.ends();
    let mut again = Term::open(home.path());
    again.shows("2Flows 3");
    let after = again.shows("rows");
    let rows =
        |text: &str| text.lines().filter(|l| l.contains(":80") || l.contains(" 80 ")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rows(&before), rows(&after));
}

#[test]
fn ctrl_z_gives_the_terminal_back_and_fg_draws_the_screen_again() {
    let home = home("");
    let mut command = CommandBuilder::new("sh");
    let script = "set -m; \"$1\" --case \"$2\"; echo STOPPED HERE; read line; fg >/dev/null; echo ENDED HERE; read line";
    command.args(["-c", script, "sh", PROGRAM]);
    command.arg(home.path().join("case"));
    let mut term = Term::run(home.path(), command);
    term.begins();
    assert!(term.screen.lock().unwrap().screen().bracketed_paste());
    term.send(b"\x1a");
    term.shows("STOPPED HERE");
    term.until("the terminal is as it was", |s| !s.alternate_screen() && !s.bracketed_paste() && !s.hide_cursor());
    term.send(b"\n");
    term.until("the screen is back", |s| s.alternate_screen() && s.contents().contains("Alerts"));
    term.calm();
    term.send(b"q");
    term.shows("ENDED HERE");
    term.until("the terminal is as it was", |s| !s.alternate_screen() && !s.hide_cursor());
}

#[test]
fn after_a_stop_from_outside_the_screen_is_drawn_anew() {
    let home = home("");
    let mut term = Term::open(home.path());
    term.begins();
    term.signal(Signal::STOP);
    // Somebody else writes over the screen meanwhile.
    term.screen.lock().unwrap().process(b"\x1b[2J\x1b[?2004l");
    term.signal(Signal::CONT);
    term.until("the screen is back", |s| s.bracketed_paste() && s.contents().contains("Alerts"));
    term.calm();
}

#[test]
fn a_terminal_that_takes_nothing_delays_neither_the_journal_nor_the_end() {
    let home = home("");
    let mut term = Term::open(home.path());
    term.begins();
    let journal = home.path().join("case/journal.log");
    term.stopped.store(true, Ordering::SeqCst);
    // More than the line holds: every Ctrl-l is a whole screen.
    for n in 0..60 {
        term.send(format!("\x0c;note {n}\r").as_bytes());
        kept(&journal, &format!("note {n}"));
    }
    term.stopped.store(false, Ordering::SeqCst);
    term.shows("noted on");
    term.stopped.store(true, Ordering::SeqCst);
    for n in 60..100 {
        term.send(format!("\x0c;note {n}\r").as_bytes());
        kept(&journal, &format!("note {n}"));
    }
    term.signal(Signal::HUP);
    term.ends();
}

/// The workbench on the sample incident, whose captures come in meanwhile, on its flows.
fn live(home: &Path) -> Term {
    let mut command = CommandBuilder::new(PROGRAM);
    command.args(["demo", "--live"]);
    command.env("TMPDIR", home);
    command.env("BACKTRAIL_LINGER", "300ms");
    let mut term = Term::run(home, command);
    term.shows("packets/s");
    term.send(b":query kind = flow and source = \"pcap:inside/eth1\"\r");
    term.until("flows come", |screen| flows(screen).is_some_and(|n| n > 30));
    term
}

/// How many rows the status line says there are.
fn flows(screen: &vt100::Screen) -> Option<u64> {
    let contents = screen.contents();
    let (before, _) = contents.split_once(" rows ")?;
    before.rsplit(' ').next()?.replace(',', "").parse().ok()
}

/// The line of the table with the cursor: where it stands, and who talks with whom.
fn under_cursor(screen: &vt100::Screen) -> Option<(usize, String)> {
    let contents = screen.contents();
    let lines = contents.lines().enumerate().filter_map(|(n, line)| Some((n, line.split_once('▸')?.1)));
    let mut rows = lines.filter(|(_, line)| line.chars().take(20).filter(|c| *c == ':').count() == 2);
    rows.next().map(|(n, line)| (n, line.chars().take(52).collect()))
}

/// Waits until more flows than now have come in, `times` times.
fn grows(term: &mut Term, times: usize) {
    for _ in 0..times {
        let before = flows(term.screen.lock().unwrap().screen());
        term.until("more flows", |screen| flows(screen) > before);
    }
}

#[test]
fn a_running_capture_grows_on_the_screen_is_followed_and_moves_nothing_that_is_read() {
    let home = TempDir::with_prefix("backtrail-pty-").unwrap();
    let mut term = live(home.path());
    term.send(b"gjjjj");
    term.until("the fifth row", |screen| under_cursor(screen).is_some() && screen.contents().contains("5 of "));
    let stands = under_cursor(term.screen.lock().unwrap().screen());
    let begun = Instant::now();
    grows(&mut term, 3);
    // At its pace each publication brings some flows: a second at most between them, and time for a busy machine.
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert_eq!(under_cursor(term.screen.lock().unwrap().screen()), stands);
    term.send(b"F");
    term.shows("following");
    let newest = |screen: &vt100::Screen| under_cursor(screen).filter(|at| Some(at) != stands.as_ref());
    term.until("the newest row", |screen| newest(screen).is_some());
    let then = under_cursor(term.screen.lock().unwrap().screen());
    term.until("a newer row", |screen| newest(screen).is_some_and(|now| Some(now) != then));
    term.send(b"kkk");
    term.until("it follows no longer", |screen| !screen.contents().contains("following"));
    term.send(b":capture\r");
    term.shows("dropped 0 kernel");
    // To leave is asked twice.
    term.send(b"q");
    term.shows("q again stops it and leaves");
    term.send(b"q");
    term.ends();
}

#[test]
fn a_capture_that_has_ended_costs_nothing_and_a_line_that_drops_ends_one() {
    let home = TempDir::with_prefix("backtrail-pty-").unwrap();
    let mut term = live(home.path());
    term.send(b":capture stop\r");
    term.shows("the capture has ended");
    let came = term.came.clone();
    term.until("it is quiet", |_| {
        let before = came.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(1500));
        came.load(Ordering::SeqCst) == before
    });
    let before = came.load(Ordering::SeqCst);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(came.load(Ordering::SeqCst), before, "{}", term.text());
    term.calm();
    drop(term);
    let term = &mut live(home.path());
    term.signal(Signal::HUP);
    term.ends();
}

/// The process that holds the case of a home.
pub fn holder(home: &Path) -> u32 {
    let text = std::fs::read_to_string(home.join("case/LOCK")).unwrap();
    text.lines().find_map(|l| l.strip_prefix("pid ")).unwrap().parse().unwrap()
}

#[test]
fn workbenches_on_one_case_see_what_others_enter_and_say_one_line_when_its_holder_is_killed() {
    let home = home("");
    let mut terms: Vec<Term> = (0..3).map(|_| Term::open(home.path())).collect();
    // All are home before one goes on: where that one stands is where a workbench that opens later begins.
    for term in &mut terms {
        term.shows("needs a decision");
    }
    terms.iter_mut().for_each(Term::begins);
    let held = holder(home.path());
    assert!(terms.iter().all(|t| t.child.process_id() != Some(held)), "a workbench never holds the case");
    terms[0].send(b"B");
    terms[0].shows("no bookmark yet");
    let command = |user: &str, args: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.arg("--case").arg(home.path().join("case")).args(args).env("BACKTRAIL_USER", user).env("HOME", home.path());
        let done = command.env("BACKTRAIL_LINGER", "300ms").stdin(Stdio::null()).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    };
    command("bob", &["bookmark", "add", "port 80", "--title", "what Bob found"]);
    // Nobody pressed a key here.
    let shown = terms[0].shows("what Bob found");
    let today = backtrail::store::now().utc().format("%Y-%m-%d").to_string();
    assert!(shown.contains("bob") && shown.contains(&today), "{shown}");
    kill_process(Pid::from_raw(i32::try_from(held).unwrap()).unwrap(), Signal::KILL).unwrap();
    for term in &mut terms {
        term.shows(&format!("process {held}, which held the case, ended"));
    }
    let now = holder(home.path());
    assert_ne!(now, held);
    // They go on, and so does what is entered.
    command("eve", &["bookmark", "add", "port 443", "--title", "what Eve found"]);
    let shown = terms[0].shows("what Eve found");
    assert!(shown.contains("what Bob found"), "{shown}");
    terms[1].send(b"2");
    terms[1].shows("Flows");
    assert!(command("ana", &["bookmark", "list"]).contains("what Eve found"));
    // The last to leave takes the holder along.
    for mut term in terms {
        term.signal(Signal::HUP);
        term.ends();
    }
    let begun = Instant::now();
    while home.path().join("case/sock").exists() {
        assert!(begun.elapsed() < LIMIT, "the case is still held");
        std::thread::sleep(Duration::from_millis(20));
    }
}
