//! One process holds the case, others join it: who may, what each sees of the others, what is left when the process that held it is killed, and that
//! nobody waits for a client that does nothing, or sends what no client sends.

use crate::both::Both;
use crate::story::story;
use backtrail::case::{Keeper, LocalKeeper};
use backtrail::model::decision::{About, What};
use backtrail::model::{Time, Window};
use backtrail::query::engine::{Cancel, Page};
use backtrail::query::{Engine, Question};
use backtrail::service::ask::{Ask, Hello, MAGIC, PROTOCOL};
use backtrail::service::frame::{self, Decoder, Frame, kind};
use backtrail::service::question::Carried;
use backtrail::service::{Client, RemoteEngine, RemoteKeeper, Starter};
use backtrail::store::{OpenOptions, Reserve, Store};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::Permissions;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_backtrail");
/// How long is waited for what must come.
const LIMIT: Duration = Duration::from_secs(60);

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data").join(name)
}

/// The program on the case `case` of a home.
fn program(home: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    for name in ["BACKTRAIL_CASE", "BACKTRAIL_WAIT", "SSH_CONNECTION", "SSH_CLIENT", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        command.env_remove(name);
    }
    command.env("HOME", home).env("TMPDIR", home).env("BACKTRAIL_USER", "ana").env("TERM", "dumb").current_dir(home);
    command.env("BACKTRAIL_LINGER", "300ms").args(["--case", "case"]).stdin(Stdio::null());
    command
}

fn ok(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A home with an empty case.
fn home() -> TempDir {
    let home = TempDir::with_prefix("backtrail-service-").unwrap();
    drop(store(&home.path().join("case")));
    home
}

fn store(dir: &Path) -> Store {
    let options = OpenOptions { create: true, ballast: 0, reserve: Reserve { percent: 0, bytes: 0 }, ..OpenOptions::default() };
    Store::open(dir, &options).unwrap()
}

/// A case with some records, served by this process.
fn served() -> (TempDir, Both) {
    let home = TempDir::with_prefix("backtrail-service-").unwrap();
    let both = Both::new(store(&home.path().join("case")));
    let paths = ["protocols/http.pcap", "protocols/dns.pcap", "formats/suricata-eve.json"].map(sample).to_vec();
    let request = backtrail::ingest::Request { paths, ..Default::default() };
    let watch = backtrail::ingest::Watch { stop: std::sync::Arc::new(|| false), progress: &|_| (), now: Time(0) };
    backtrail::ingest::ingest(both.store(), &request, &watch).unwrap();
    (home, both)
}

fn starter() -> Option<Starter> {
    Some(Starter { program: PROGRAM.into(), create: false, linger: Some("300ms".into()) })
}

fn named(name: &str) -> Hello {
    Hello { name: name.into(), session: name.into(), program: env!("CARGO_PKG_VERSION").into(), ssh: Some("192.0.2.7".into()) }
}

fn reach(dir: &Path, name: &str) -> Client {
    Client::reach_as(dir, named(name), starter(), LIMIT).unwrap()
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap()).unwrap()
}

fn note(text: &str) -> What {
    What::Note { about: About::Case, text: text.into() }
}

fn wait(what: &str, mut until: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !until() {
        assert!(begun.elapsed() < LIMIT, "waited for too long: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A process that ends with the test, whatever that does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that serves the case, in the foreground; once it serves.
fn serving(home: &Path) -> Running {
    let mut child = program(home).args(["serve", "--foreground"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut said = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut said).unwrap();
    assert!(said.starts_with(&format!("process {} serves", child.id())), "{said}");
    Running(child)
}

#[test]
fn bookmarks_and_notes_of_two_people_appear_to_each_other_with_author_and_time() {
    let home = home();
    let case = home.path().join("case");
    let _serving = serving(home.path());
    let (ana, bob) = (reach(&case, "Ana"), reach(&case, "Bob"));
    assert_eq!(ana.holder(), bob.holder());
    bob.follow();
    let (ana_keeps, bob_keeps) = (RemoteKeeper::new(ana), RemoteKeeper::new(bob.clone()));
    assert!(bob_keeps.decisions().is_empty());
    let before = backtrail::store::now();
    let written = ana_keeps.append(note("seen it")).unwrap();
    let mark = What::Bookmark {
        title: "beacon".into(),
        query: "sni = evil.example".into(),
        lens: "flows".into(),
        focus: "case".into(),
        rows: 3,
        seen: 1,
        node: None,
    };
    ana_keeps.append(mark.clone()).unwrap();
    wait("Bob is told", || bob.news().take().decisions);
    bob_keeps.append(note("so do I")).unwrap();
    let all = bob_keeps.decisions();
    assert_eq!(*all, *ana_keeps.decisions());
    let unix = backtrail::case::who().unix;
    let seen: Vec<_> = all.iter().map(|d| (d.who.name.as_str(), d.who.unix.as_str(), d.what.clone())).collect();
    assert_eq!(seen, [("Ana", &*unix, note("seen it")), ("Ana", &*unix, mark), ("Bob", &*unix, note("so do I"))]);
    assert_eq!(all[0], written);
    assert_eq!(all[0].who.ssh.as_deref(), Some("192.0.2.7"));
    assert!(all.iter().all(|d| d.at >= before.0 && d.at <= backtrail::store::now().0));
    // Places are one's own.
    ana_keeps.save_place("here").unwrap();
    assert_eq!(bob_keeps.place().as_deref(), Some("here"), "a place is of a Unix user, the newest of all sessions");
    let text = ana_keeps.keep_text("10.0.0.1\n").unwrap();
    assert_eq!(bob_keeps.kept_text(&text).as_deref(), Some("10.0.0.1\n"));
    assert_eq!((bob_keeps.name(), bob_keeps.dir()), ("case".to_owned(), case));
}

#[test]
fn killed_the_process_that_holds_the_case_is_replaced_within_two_seconds_and_nothing_acknowledged_is_lost() {
    let home = home();
    let case = home.path().join("case");
    ok(program(home.path()).arg("ingest").arg(sample("protocols/http.pcap")).output().unwrap());
    let clients: Vec<Client> = ["one", "two", "three"].iter().map(|name| reach(&case, name)).collect();
    let holder = clients[0].holder();
    assert!(clients.iter().all(|c| c.holder() == holder && holder != std::process::id()));
    let news = clients[2].news();
    clients[2].follow();
    let over = AtomicBool::new(false);
    let slowest = std::sync::Mutex::new(Duration::ZERO);
    let written: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let write = |n: usize| {
            let (client, over, slowest) = (clients[n].clone(), &over, &slowest);
            move || {
                let keeper = RemoteKeeper::new(client);
                let mut out = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    // All of it: also what was on its way when the process was killed.
                    out.push(keeper.append(note(&format!("{n}:{}", out.len()))).unwrap().sequence);
                    let mut slowest = slowest.lock().unwrap();
                    *slowest = begun.elapsed().max(*slowest);
                }
                out
            }
        };
        let writers: Vec<_> = [0, 1].map(|n| scope.spawn(write(n))).into();
        let engine = RemoteEngine::new(clients[2].clone());
        let count = |begun: Instant| {
            let question = engine.compile("").unwrap();
            let n = engine.counts(&[question], u64::MAX, &Cancel::default()).unwrap()[0].n;
            (n, begun.elapsed())
        };
        let (records, _) = count(Instant::now());
        assert!(records > 0);
        std::thread::sleep(Duration::from_millis(200));
        kill_process(pid(holder), Signal::KILL).unwrap();
        let (again, took) = count(Instant::now());
        assert_eq!(again, records);
        assert!(took < Duration::from_secs(2), "{took:?}");
        std::thread::sleep(Duration::from_millis(300));
        over.store(true, Ordering::Relaxed);
        writers.into_iter().map(|w| w.join().unwrap()).collect()
    });
    let slowest = *slowest.lock().unwrap();
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    assert!(clients.iter().all(|c| c.holder() == clients[0].holder() && c.holder() != holder));
    let said = news.take().said;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains(&format!("process {holder}, which held the case, ended")), "{said:?}");
    // Everything acknowledged is there, once; nothing else is.
    let all = RemoteKeeper::new(clients[0].clone()).decisions();
    let mut texts: Vec<String> =
        all.iter().filter_map(|d| if let What::Note { text, .. } = &d.what { Some(text.clone()) } else { None }).collect();
    let sequences: Vec<u64> = all.iter().map(|d| d.sequence).collect();
    assert!(written.iter().flatten().all(|s| sequences.contains(s)));
    let mut wanted: Vec<String> =
        written.iter().enumerate().flat_map(|(n, all)| (0..all.len()).map(move |i| format!("{n}:{i}"))).collect();
    texts.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(texts, wanted);
    assert!(ok(program(home.path()).args(["verify", "--quick"]).output().unwrap()).contains("all checksums hold"));
    // It ends by itself when the last has left.
    let holder = clients[0].holder();
    drop(clients);
    wait("it ends", || !Path::new(&format!("/proc/{holder}")).exists() || is_zombie(holder));
    assert!(!case.join("sock").exists());
}

fn is_zombie(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| s.contains(") Z "))
}

#[test]
fn the_story_through_the_service_is_the_story_without_it() {
    let (direct, through) = (home(), home());
    let ingest = |home: &Path| {
        std::os::unix::fs::symlink(story("."), home.join("story")).unwrap();
        let mut command = program(home);
        let done = command.args(["ingest", "story", "-o", "jsonl", "--from", "X"]).output().unwrap();
        // What explains the story is no evidence, and that is said.
        assert_eq!(done.status.code(), Some(2), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    };
    let reported = ingest(direct.path());
    let serving = serving(through.path());
    assert_eq!(ingest(through.path()), reported);
    let all = |home: &Path, args: &[&str]| ok(program(home).args(args).output().unwrap());
    for args in [
        &["query", "", "-o", "jsonl"][..],
        &["sources", "-o", "jsonl"],
        &["flows", "| top 20 host by bytes"],
        &["pivot", "10.8.21.5"],
        &["alerts", "-o", "csv"],
        &["dns", "-o", "cof"],
    ] {
        // When it was imported is not what was imported.
        let told = |home: &Path| {
            let text = all(home, args);
            let parts = text.split("\"imported\":\"").enumerate();
            parts.map(|(n, part)| if n == 0 { part } else { part.split_once('"').map_or("", |p| p.1) }).collect::<String>()
        };
        let (one, other) = (told(direct.path()), told(through.path()));
        assert!(one.len() > 100, "{args:?}");
        let apart = one.bytes().zip(other.bytes()).position(|(a, b)| a != b).unwrap_or(0).saturating_sub(80);
        let near = |text: &str| {
            String::from_utf8_lossy(&text.as_bytes()[apart.min(text.len())..(apart + 160).min(text.len())]).into_owned()
        };
        assert!(one == other, "{args:?}: {} and {} bytes: {} and {}", one.len(), other.len(), near(&one), near(&other));
    }
    drop(serving);
    // And so it is on disk, without any service.
    let rows = all(through.path(), &["query", "", "-o", "jsonl"]);
    assert!(rows == all(direct.path(), &["query", "", "-o", "jsonl"]));
}

#[test]
fn standard_input_is_handed_over_and_sets_that_are_files_are_read_where_they_were_typed() {
    let home = home();
    let _serving = serving(home.path());
    let log = std::fs::File::open(sample("formats/suricata-eve.json")).unwrap();
    let said = ok(program(home.path()).args(["ingest", "-", "--source", "piped", "-o", "jsonl"]).stdin(log).output().unwrap());
    assert!(said.contains("\"read\""), "{said}");
    let mut child =
        program(home.path()).args(["ingest", "-", "-o", "jsonl"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let text = std::fs::read(sample("formats/suricata-eve.json")).unwrap();
    child.stdin.take().unwrap().write_all(&text).unwrap();
    let said = ok(child.wait_with_output().unwrap());
    assert!(said.contains("\"read\""), "{said}");
    assert!(ok(program(home.path()).args(["sources"]).output().unwrap()).contains("piped"));
    std::fs::create_dir(home.path().join("sub")).unwrap();
    let all = ok(program(home.path()).args(["query", "src.ip", "-o", "jsonl"]).output().unwrap());
    let first: serde_json::Value = serde_json::from_str(all.lines().next().unwrap()).unwrap();
    std::fs::write(home.path().join("sub/list.txt"), first["src.ip"].as_str().unwrap()).unwrap();
    let mut command = program(home.path());
    command.args(["query", "host in @list.txt | count"]).current_dir(home.path().join("sub")).arg("--case").arg("../case");
    let n: Vec<String> = ok(command.output().unwrap()).split_whitespace().map(str::to_owned).collect();
    assert!(n.last().unwrap().parse::<u64>().unwrap() > 0, "{n:?}");
    let failed = program(home.path()).args(["query", "host in @list.txt"]).output().unwrap();
    assert!(String::from_utf8_lossy(&failed.stderr).contains("no set @list.txt"), "{failed:?}");
    // What is wrong with an order is said as it is without the service.
    let failed = program(home.path()).args(["ingest", "x", "--format", "nonsense"]).output().unwrap();
    assert!(String::from_utf8_lossy(&failed.stderr).contains("no format is called"), "{failed:?}");
}

#[test]
fn a_service_is_started_once_whoever_asks_and_leaves_nothing() {
    let home = home();
    let said: Vec<String> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| ok(program(home.path()).args(["serve", "--linger", "2s"]).output().unwrap())))
            .collect();
        starts.into_iter().map(|s| s.join().unwrap()).collect()
    });
    assert!(said.iter().all(|s| *s == said[0] && s.starts_with("process ")), "{said:?}");
    let holder: u32 = said[0].split(' ').nth(1).unwrap().parse().unwrap();
    let mode = |name: &str| std::fs::symlink_metadata(home.path().join("case").join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("sock"), mode(""), mode("service.log")), (0o600, 0o700, 0o600));
    // A mode that lets others in is said.
    std::fs::set_permissions(home.path().join("case"), Permissions::from_mode(0o755)).unwrap();
    wait("it ends", || !Path::new(&format!("/proc/{holder}")).exists());
    let wide = program(home.path()).arg("sources").output().unwrap();
    assert!(String::from_utf8_lossy(&wide.stderr).contains("mode 755"), "{wide:?}");
    std::fs::set_permissions(home.path().join("case"), Permissions::from_mode(0o700)).unwrap();
    let fine = program(home.path()).arg("sources").output().unwrap();
    assert!(fine.stderr.is_empty(), "{fine:?}");
    let said = ok(program(home.path()).args(["serve", "--linger", "1s"]).output().unwrap());
    let holder: u32 = said.split(' ').nth(1).unwrap().parse().unwrap();
    // Another that was to hold it says who does.
    let held = program(home.path()).args(["serve", "--foreground"]).output().unwrap();
    let text = String::from_utf8_lossy(&held.stderr).into_owned();
    assert!(!held.status.success() && text.contains(&format!("held by process {holder}")), "{text}");
    wait("it ends", || !Path::new(&format!("/proc/{holder}")).exists());
    assert!(!home.path().join("case/sock").exists());
    // One in the foreground ends when it is told to, and what a killed one left is no hindrance.
    let mut running = serving(home.path());
    kill_process(pid(running.0.id()), Signal::KILL).unwrap();
    running.0.wait().unwrap();
    assert!(home.path().join("case/sock").exists());
    let mut running = serving(home.path());
    kill_process(pid(running.0.id()), Signal::TERM).unwrap();
    assert!(running.0.wait().unwrap().success());
    assert!(!home.path().join("case/sock").exists());
    ok(program(home.path()).args(["sources"]).output().unwrap());
}

/// A connection on which anything can be sent.
struct Raw(UnixStream, Decoder);

impl Raw {
    fn to(case: &Path) -> Raw {
        let socket = UnixStream::connect(case.join("sock")).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        Raw(socket, Decoder::new(frame::MAX_ANSWER))
    }
    fn hello(case: &Path) -> Raw {
        let mut raw = Raw::to(case);
        raw.send(&hello(PROTOCOL, &named("raw")));
        assert_eq!(raw.read().unwrap().kind, kind::WELCOME);
        raw
    }
    fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes);
    }
    fn ask(&mut self, id: u64, ask: &Ask) {
        let bytes = frame::frame(kind::ASK, id, ask).unwrap();
        self.send(&bytes);
    }
    /// The next frame; none: the connection ended.
    fn read(&mut self) -> Option<Frame> {
        let mut bytes = [0; 4096];
        loop {
            if let Some(frame) = self.1.whole().unwrap() {
                return Some(frame);
            }
            match self.0.read(&mut bytes) {
                Ok(0) => return None,
                Ok(n) => self.1.feed(&bytes[..n]),
                Err(e) => {
                    assert_ne!(e.kind(), std::io::ErrorKind::WouldBlock, "nothing comes and nothing ends");
                    return None;
                }
            }
        }
    }
}

fn hello(version: u32, hello: &Hello) -> Vec<u8> {
    let mut out = frame::begin(kind::HELLO, 0);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&version.to_le_bytes());
    frame::put(hello, &mut out).unwrap();
    frame::seal(&mut out);
    out
}

#[test]
fn what_no_client_sends_is_refused_and_disturbs_nobody() {
    let (home, both) = served();
    let case = home.path().join("case");
    let question = both.compile("").unwrap();
    let count = || both.remote.counts(std::slice::from_ref(&question), u64::MAX, &Cancel::default()).unwrap()[0].n;
    let records = count();
    let refused = |bytes: &[u8], what: &str| {
        let mut raw = Raw::to(&case);
        raw.send(bytes);
        let answer = raw.read().unwrap_or_else(|| panic!("no reason for {what}"));
        assert_eq!(answer.kind, kind::REFUSED, "{what}");
        let why: backtrail::error::Error = frame::take(&answer.body).unwrap();
        assert!(why.what.contains(what), "{why}");
        assert_eq!(raw.read(), None);
    };
    refused(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "a frame of");
    refused(&[0xff; 64], "a frame of");
    refused(&[0; 64], "a frame of 0 bytes");
    refused(&frame::frame(kind::ASK, 1, &Ask::State).unwrap(), "no client of backtrail");
    refused(&hello(PROTOCOL + 1, &named("x")), "another version");
    refused(&hello(PROTOCOL, &Hello { program: "0.0.0".into(), ..named("x") }), "another version");
    let garbled = [&hello(PROTOCOL, &named("x"))[..], &[9, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
    let mut raw = Raw::to(&case);
    raw.send(&garbled);
    assert_eq!(raw.read().unwrap().kind, kind::WELCOME);
    assert_eq!(raw.read().unwrap().kind, kind::REFUSED);
    // Half a frame, and then nothing: it waits alone.
    let mut half = Raw::hello(&case);
    half.send(&frame::frame(kind::ASK, 1, &Ask::Sources).unwrap()[..10]);
    // Whole frames with bodies that are none, and what is out of proportion: each is answered with why.
    let mut raw = Raw::hello(&case);
    let failed = |raw: &mut Raw, frame: &[u8]| {
        raw.send(frame);
        let answer = raw.read().unwrap();
        assert_eq!(answer.kind, kind::FAILED);
        frame::take::<backtrail::error::Error>(&answer.body).unwrap().what
    };
    for body in [&b""[..], b"\xff\xff\xff\xff\xff\xff", b"\x00\xff\xff\xff\xff\x0f", &[1; 300]] {
        let mut bad = frame::begin(kind::ASK, 7);
        bad.extend_from_slice(body);
        frame::seal(&mut bad);
        assert!(!failed(&mut raw, &bad).is_empty());
    }
    let extreme = |ask: Ask| frame::frame(kind::ASK, 9, &ask).unwrap();
    let all = Carried::new(&Question::all(Window::ALL));
    assert!(failed(&mut raw, &extreme(Ask::Timeline(all.clone(), u64::MAX, None))).contains("bins"));
    assert!(failed(&mut raw, &extreme(Ask::Counts(vec![all.clone(); 5000], 1))).contains("questions"));
    assert!(failed(&mut raw, &extreme(Ask::Append("m".into(), "{}".into()))).contains("decision"));
    for (n, ask) in [
        Ask::Coverage(Window::new(Time::MAX, Time::MIN)),
        Ask::Raw(backtrail::model::Origin { evidence: backtrail::model::EvidenceKey(1), offset: u64::MAX, len: u32::MAX }),
        Ask::Decisions(u64::MAX),
        Ask::ChangesSince(all.clone(), u64::MAX),
        Ask::Values(backtrail::model::FieldId(u16::MAX), String::new(), u64::MAX),
        Ask::PacketBytes(
            both.evidence()[0].key,
            vec![backtrail::model::packet::PacketRef { offset: u64::MAX, number: 0, time: Time(0), inbound: false }; 3],
        ),
        Ask::Visit(all.clone(), vec![backtrail::model::FieldId(u16::MAX)]),
    ]
    .into_iter()
    .enumerate()
    {
        let id = 100 + n as u64;
        raw.ask(id, &ask);
        // Answered, with whatever it is.
        loop {
            let answer = raw.read().unwrap_or_else(|| panic!("{ask:?} ended the connection"));
            assert_eq!(answer.id, id);
            if matches!(answer.kind, kind::DONE | kind::FAILED) {
                break;
            }
        }
    }
    // Two requests with one number end the connection.
    raw.ask(1, &Ask::Watch);
    raw.ask(1, &Ask::Watch);
    while raw.read().is_some_and(|f| f.kind != kind::REFUSED) {}
    assert_eq!(count(), records);
    drop(half);
}

#[test]
fn random_frames_never_end_the_service() {
    let (home, both) = served();
    let case = home.path().join("case");
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for round in 0..60 {
        let mut raw = Raw::hello(&case);
        for _ in 0..20 {
            let kind = if next() % 4 == 0 { (next() % 6) as u8 } else { kind::ASK };
            let mut bytes = frame::begin(kind, next() % 8);
            // Requests that nearly are some: a true one, with some of its bytes changed.
            let ask = match next() % 6 {
                0 => Ask::Compile("host 10.0.0.5 and sni ~ /x/".into(), Vec::new()),
                1 => Ask::Select(Carried::new(&both.local.compile("port 80 or not tls").unwrap()), Page::default()),
                2 => Ask::Counts(vec![Carried::new(&both.local.compile("host in {10.0.0.1, 10.0.0.0/8}").unwrap())], 9),
                3 => Ask::Table(Carried::new(&both.local.compile("| top 10 host by bytes").unwrap())),
                4 => Ask::PacketsOf(vec![backtrail::model::RecordId::default()]),
                _ => Ask::Sites,
            };
            frame::put(&ask, &mut bytes).unwrap();
            for _ in 0..next() % 4 {
                let at = frame::HEAD + (next() as usize) % (bytes.len() - frame::HEAD).max(1);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = next() as u8;
                }
            }
            frame::seal(&mut bytes);
            if round % 10 == 9 {
                bytes[0] = next() as u8;
            }
            raw.send(&bytes);
        }
        let _ = raw.0.shutdown(std::net::Shutdown::Write);
        while raw.read().is_some() {}
    }
    assert!(both.count() > 0);
}

impl Both {
    fn count(&self) -> u64 {
        let question = self.remote.compile("").unwrap();
        self.remote.counts(&[question], u64::MAX, &Cancel::default()).unwrap()[0].n
    }
}

/// The slowest of some questions, each of which goes to a worker.
fn slowest(engine: &RemoteEngine) -> Duration {
    let ask = || {
        let begun = Instant::now();
        let question = engine.compile("kind = flow").unwrap();
        engine.counts(&[question], u64::MAX, &Cancel::default()).unwrap();
        begun.elapsed()
    };
    (0..50).map(|_| ask()).max().unwrap()
}

#[test]
fn clients_that_are_stopped_hang_or_do_not_read_delay_nobody() {
    let home = home();
    let case = home.path().join("case");
    // Enough rows that they fit into no socket.
    let line = std::fs::read_to_string(sample("formats/suricata-eve.json")).unwrap().lines().next().unwrap().to_owned();
    let text: String = (0..40_000).map(|n| line.replacen(':', &format!(":{}", " ".repeat(n % 7)), 1) + "\n").collect();
    std::fs::write(home.path().join("eve.json"), text).unwrap();
    ok(program(home.path()).args(["ingest", "eve.json"]).output().unwrap());
    let _serving = serving(home.path());
    let engine = RemoteEngine::new(reach(&case, "quick"));
    slowest(&engine);
    // One whose output nobody takes, one that is stopped, and two that ask for everything and read nothing.
    let mut blocked = Running(
        program(home.path()).args(["query", "", "-o", "jsonl"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap(),
    );
    let stopped = Running(
        program(home.path()).args(["query", "", "-o", "jsonl"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap(),
    );
    let mut first = [0; 1];
    blocked.0.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    kill_process(pid(stopped.0.id()), Signal::STOP).unwrap();
    let mut deaf = [Raw::hello(&case), Raw::hello(&case)];
    let everything = Carried::new(&engine.compile("").unwrap());
    for raw in &mut deaf {
        // More requests than it has threads, and more answers than it has credit for.
        for id in 1..=40 {
            raw.ask(id, &Ask::Select(everything.clone(), Page::default()));
        }
        raw.ask(41, &Ask::Watch);
    }
    std::thread::sleep(Duration::from_millis(300));
    let with = slowest(&engine);
    assert!(with < Duration::from_secs(1), "{with:?}");
    let keeper = RemoteKeeper::new(reach(&case, "quick"));
    let begun = Instant::now();
    keeper.append(note("meanwhile")).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1));
    // The stopped one goes on where it was.
    kill_process(pid(stopped.0.id()), Signal::CONT).unwrap();
    for mut running in [blocked, stopped] {
        let mut rest = String::new();
        running.0.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
        assert!(running.0.wait().unwrap().success());
        assert!(rest.lines().count() >= 39_999, "{}", rest.lines().count());
    }
    // One of those that read nothing begins to: what comes is whole.
    let mut ended = 0;
    while ended < 41 {
        let frame = deaf[0].read().unwrap();
        let credit = (frame.body.len() + frame::HEAD) as u32;
        let mut more = frame::begin(kind::CREDIT, frame.id);
        more.extend_from_slice(&credit.to_le_bytes());
        frame::seal(&mut more);
        match frame.kind {
            kind::ROWS => deaf[0].send(&more),
            kind::DONE => ended += 1,
            kind::NOTE if ended == 40 => break,
            kind::NOTE => {}
            other => panic!("{other}"),
        }
        if ended == 2 {
            break;
        }
    }
}

#[test]
fn a_question_is_given_up_at_once_and_one_client_cancels_nobody_elses() {
    let (_home, both) = served();
    let question = both.compile("").unwrap();
    let cancel = Cancel::default();
    let mut rows = 0;
    let ended = both.remote.select(&question, &Page::default(), &cancel, &mut |_| {
        rows += 1;
        cancel.cancel();
        true
    });
    assert!(rows >= 1);
    assert!(ended.is_err() || rows as u64 == both.count());
    let mut rows = 0;
    let page = Page { limit: 3, ..Page::default() };
    let answered = both.remote.select(&question, &page, &Cancel::default(), &mut |_| {
        rows += 1;
        true
    });
    assert_eq!((rows, answered.unwrap().more), (3, true));
    // A watch ends when its client goes, and takes nothing with it.
    both.client.follow();
    let other = Client::reach(&both.store().dir(), None, LIMIT).unwrap();
    other.follow();
    drop(other);
    assert!(both.count() > 0);
}

#[test]
fn a_journal_longer_than_a_client_takes_at_once_is_read_and_delays_nothing() {
    let (_home, both) = served();
    let own = LocalKeeper::new(both.store().clone());
    let text = "long ".repeat(2_000);
    // Some megabytes: what is answered by whoever reads requests waits for no client.
    (0..400).for_each(|_| drop(own.append(note(&text)).unwrap()));
    let keeper = RemoteKeeper::new(both.client.clone());
    assert_eq!(keeper.decisions().len(), own.decisions().len());
    assert!(both.count() > 0);
    keeper.append(note("short")).unwrap();
    assert_eq!(keeper.decisions().len(), own.decisions().len());
}

/// The program as somebody else, who may not read this user's files.
fn as_other(home: &Path, program: &Path, group: u32) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", "/").env("TMPDIR", "/tmp").env("BACKTRAIL_USER", "Root Himself").current_dir("/");
    command.arg("--case").arg(home.join("case")).stdin(Stdio::null()).uid(65_534).gid(group);
    command
}

#[test]
fn a_case_is_for_its_user_for_root_and_for_its_group_if_it_is_shared() {
    if !rustix::process::geteuid().is_root() {
        let _ = writeln!(std::io::stderr(), "skipped: only root can be somebody else");
        return;
    }
    let home = home();
    let case = home.path().join("case");
    let mode = |path: &Path, mode: u32| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    // A copy where somebody else can run it.
    let program = home.path().join("backtrail");
    std::fs::copy(PROGRAM, &program).unwrap();
    mode(&program, 0o755);
    mode(home.path(), 0o755);
    let _serving = serving(home.path());
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    // The directory keeps others out.
    let refused = as_other(home.path(), &program, 65_534).arg("sources").output().unwrap();
    assert!(!refused.status.success(), "{refused:?}");
    // Were it open, their credentials would.
    mode(&case, 0o755);
    mode(&case.join("sock"), 0o666);
    let refused = as_other(home.path(), &program, 65_534).arg("sources").output().unwrap();
    assert!(!refused.status.success() && said(&refused).contains("the case is not shared"), "{refused:?}");
    assert!(std::fs::read_to_string(case.join("service.log")).unwrap().contains("refused"));
    drop(_serving);
    // Shared with a group.
    std::os::unix::fs::chown(&case, None, Some(4711)).unwrap();
    mode(&case, 0o2770);
    let _serving = serving(home.path());
    let socket = std::fs::metadata(case.join("sock")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o660);
    assert_eq!(std::os::unix::fs::MetadataExt::gid(&socket), 4711, "what is made in it is the group's");
    let stranger = as_other(home.path(), &program, 65_534).arg("sources").output().unwrap();
    assert!(!stranger.status.success(), "{stranger:?}");
    let member = |args: &[&str]| as_other(home.path(), &program, 4711).args(args).output().unwrap();
    ok(member(&["note", "from the group"]));
    let keeper = RemoteKeeper::new(reach(&case, "root"));
    let decisions = keeper.decisions();
    let who = &decisions.last().unwrap().who;
    // The name that is shown it says itself; who it is the kernel does.
    assert_eq!((who.name.as_str(), who.unix.as_str()), ("Root Himself", nobody().as_str()));
    // Files are read with the rights of who holds the case: not for others, who hand them over.
    let refused = member(&["ingest", "/etc/shadow"]);
    assert!(said(&refused).contains("with the rights of"), "{refused:?}");
    let log = std::fs::File::open(sample("formats/suricata-eve.json")).unwrap();
    ok(as_other(home.path(), &program, 4711).args(["ingest", "-"]).stdin(log).output().unwrap());
    drop(_serving);
    // Nobody serves it: who does not own it cannot.
    let alone = member(&["sources"]);
    assert!(said(&alone).contains("nobody serves"), "{alone:?}");
}

fn nobody() -> String {
    backtrail::case::user_name(65_534).unwrap_or_else(|| "65534".into())
}

#[test]
fn the_hold_of_a_short_command_is_shared_too() {
    let home = home();
    let case = home.path().join("case");
    // Its output is taken by nobody, its input comes from nowhere: it holds the case meanwhile, and others join it.
    let mut child = Running(
        program(home.path())
            .args(["ingest", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    wait("it serves", || UnixStream::connect(case.join("sock")).is_ok());
    let client = reach(&case, "other");
    assert_eq!(client.holder(), child.0.id());
    let keeper = RemoteKeeper::new(client.clone());
    keeper.append(note("beside an import")).unwrap();
    let text = std::fs::read(sample("formats/suricata-eve.json")).unwrap();
    child.0.stdin.take().unwrap().write_all(&text).unwrap();
    assert!(child.0.wait().unwrap().success());
    // It has left: another takes its place, and has everything.
    let engine = RemoteEngine::new(client.clone());
    let question = engine.compile("").unwrap();
    assert!(engine.counts(&[question], u64::MAX, &Cancel::default()).unwrap()[0].n > 0);
    assert_ne!(client.holder(), child.0.id());
    let notes = keeper.decisions().iter().filter(|d| matches!(d.what, What::Note { .. })).count();
    assert_eq!(notes, 1);
}
