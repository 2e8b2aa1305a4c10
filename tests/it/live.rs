//! Live capture: the real programs in a network namespace of their own, on veth pairs whose other end this test sends on. Nothing leaves it.
//!
//! It is skipped, and says so, where the programs were not built with `--features live`, or where namespaces cannot be made.

use std::path::Path;
use std::process::Command;

/// Set in the child that runs inside the namespace: a folder for cases.
const INSIDE: &str = "BACKTRAIL_TEST_LIVE";

fn skip(why: &str) {
    eprintln!("live capture is not tested: {why}");
}

#[test]
fn interfaces_are_captured_as_their_files_would_be_read() {
    if cfg!(not(feature = "live")) {
        return skip("built without --features live");
    }
    let works = |program: &str, args: &[&str]| Command::new(program).args(args).output().is_ok_and(|o| o.status.success());
    if !works("unshare", &["-n", "-m", "ip", "link", "add", "va", "type", "veth", "peer", "name", "vb"]) {
        return skip("no network namespace with a veth pair can be made (unshare -n -m, ip link: needs root)");
    }
    let dir = tempfile::tempdir().unwrap();
    let ran = Command::new("unshare")
        .args(["-n", "-m"])
        .arg(std::env::current_exe().unwrap())
        .args(["live::inside_of_the_namespace", "--exact", "--nocapture"])
        .env(INSIDE, dir.path())
        .output()
        .unwrap();
    let said = [ran.stdout, ran.stderr].map(|b| String::from_utf8_lossy(&b).into_owned()).concat();
    assert!(ran.status.success() && said.contains("all of it was tested"), "{said}");
}

/// Not a test by itself: what the test above runs inside of the namespace.
#[test]
fn inside_of_the_namespace() {
    let Some(dir) = std::env::var_os(INSIDE) else { return };
    #[cfg(feature = "live")]
    inside::all(Path::new(&dir));
    #[cfg(not(feature = "live"))]
    let _: &Path = dir.as_ref();
    println!("all of it was tested");
}

#[cfg(feature = "live")]
mod inside {
    use backtrail::case::Keeper;
    use backtrail::flow::{Checksums, Profile};
    use backtrail::ingest::Live as Running;
    use backtrail::ingest::live::{InHead, Packets, Request, Watch, capture};
    use backtrail::model::decision::{About, What};
    use backtrail::model::{Filter, Record, field};
    use backtrail::query::Engine;
    use backtrail::query::engine::Cancel;
    use backtrail::service::{Client, RemoteEngine, RemoteKeeper};
    use backtrail::sources::live::Wanted;
    use backtrail::sources::ring::Limits;
    use backtrail::store::{Ask, OpenOptions, Reserve, Snapshot, Store};
    use serde_json::Value;
    use std::collections::BTreeSet;
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Output, Stdio};
    use std::time::{Duration, Instant};

    const PROGRAM: &str = env!("CARGO_BIN_EXE_backtrail");
    const CAPTURE: &str = env!("CARGO_BIN_EXE_backtrail-capture");

    pub fn all(dir: &Path) {
        links();
        let frames = frames();
        assert!(frames.len() > 500, "{}", frames.len());
        what_cannot_be_is_said(dir);
        flows_are_those_of_the_file(&dir.join("file"), &frames);
        a_kill_takes_only_what_was_not_committed(&dir.join("kill"), &frames);
        several_interfaces_and_a_filter(&dir.join("many"), &frames);
        packets_of_concern_in_a_bounded_ring(&dir.join("ring"), dir, &frames);
        a_capture_beside_workbenches_and_questions(&dir.join("beside"), &frames);
        a_late_reader_is_told_from_a_late_kernel();
        open_flows_are_seen_and_stay_until_they_are_committed(&dir.join("open"));
        a_disk_that_fills_ends_it_and_what_was_committed_is_kept(&dir.join("almost"), &dir.join("full"), &frames);
        a_user_with_the_capability_alone_captures(dir, &frames);
    }

    fn run(program: &str, args: &[&str]) -> Output {
        Command::new(program).args(args).output().unwrap()
    }

    fn sh(line: &str) {
        let ran = run("sh", &["-c", line]);
        assert!(ran.status.success(), "{line}: {}", String::from_utf8_lossy(&ran.stderr));
    }

    fn links() {
        // Without IPv6 the system itself sends nothing.
        sh("for f in all default; do echo 1 > /proc/sys/net/ipv6/conf/$f/disable_ipv6 || :; done 2> /dev/null");
        for (a, b) in [("va", "vb"), ("vc", "vd")] {
            sh(&format!("ip link add {a} type veth peer name {b} && ip link set {a} up && ip link set {b} up"));
        }
    }

    /// The Ethernet frames of the sample captures of protocols.
    fn frames() -> Vec<Vec<u8>> {
        use backtrail::sources::capture::{CaptureKind, Item, read};
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data/protocols");
        let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().flatten().map(|e| e.path()).collect();
        paths.sort();
        let mut out = Vec::new();
        for path in paths {
            let bytes = std::fs::read(&path).unwrap();
            let Some(kind) = CaptureKind::of(&bytes) else { continue };
            read(kind, &mut &bytes[..], &mut |item| {
                if let Item::Packet(p) = item
                    && p.link.0 == 1
                    && (14..=1514).contains(&p.data.len())
                {
                    out.push(p.data.to_vec());
                }
                true
            });
        }
        out
    }

    fn send<'a>(interface: &str, frames: impl IntoIterator<Item = &'a Vec<u8>>) {
        send_with(interface, frames, Duration::from_micros(200));
    }

    fn send_with<'a>(interface: &str, frames: impl IntoIterator<Item = &'a Vec<u8>>, pause: Duration) {
        let mut to = pcap::Capture::from_device(interface).unwrap().open().unwrap();
        for (n, frame) in frames.into_iter().enumerate() {
            to.sendpacket(frame.as_slice()).unwrap();
            // In small pieces: nothing here is about being fast.
            if n.is_multiple_of(32) {
                std::thread::sleep(pause);
            }
        }
    }

    struct Capturing(Child);

    impl Capturing {
        /// Starts one, and waits until its interfaces are open.
        fn start(case: &Path, args: &[&str]) -> Capturing {
            let before = programs().len();
            let child = Command::new(PROGRAM)
                .arg("--case")
                .arg(case)
                .args(["capture", "-o", "jsonl", "--buffer", "8MiB"])
                .args(args)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let wanted = args.iter().filter(|a| **a == "-i").count();
            wait("the interfaces open", || programs().len() == before + wanted && programs().iter().all(|p| is_confined(*p)));
            Capturing(child)
        }
        fn end(self, signal: &str) -> (Output, Vec<Value>) {
            sh(&format!("kill -{signal} {}", self.0.id()));
            let out = self.0.wait_with_output().unwrap();
            wait("the capture programs end", || programs().is_empty());
            let rows = json(&out.stdout);
            (out, rows)
        }
    }

    /// The capture programs that run in this namespace.
    fn programs() -> Vec<u32> {
        let out = run("pgrep", &["--ns", &std::process::id().to_string(), "--nslist", "net", "-f", CAPTURE]);
        String::from_utf8_lossy(&out.stdout).lines().filter_map(|l| l.parse().ok()).collect()
    }

    /// Whether a capture program has given everything away: then its interface is open.
    fn is_confined(pid: u32) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).map(str::trim).unwrap_or_default().to_owned();
        field("CapEff:") == "0000000000000000" && field("NoNewPrivs:") == "1" && field("Seccomp:") == "2"
    }

    fn wait(what: &str, mut until: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !until() {
            assert!(begun.elapsed() < Duration::from_secs(20), "waited for too long: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn json(bytes: &[u8]) -> Vec<Value> {
        String::from_utf8_lossy(bytes).lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    fn ask(case: &Path, args: &[&str]) -> Vec<Value> {
        let out = Command::new(PROGRAM).arg("--case").arg(case).args(args).args(["-o", "jsonl"]).output().unwrap();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        json(&out.stdout)
    }

    /// Rows without what names the evidence that they are from.
    fn plain(rows: Vec<Value>) -> BTreeSet<String> {
        let without = |mut row: Value| {
            for name in ["id", "flow", "tunnel", "source", "evidence", "offset"] {
                row.as_object_mut().unwrap().remove(name);
            }
            row.to_string()
        };
        rows.into_iter().map(without).collect()
    }

    /// It runs where the case is held; everybody sees it before it is committed, and it ends with the one who asked for it.
    fn a_capture_beside_workbenches_and_questions(case: &Path, frames: &[Vec<u8>]) {
        let options =
            OpenOptions { create: true, ballast: 0, reserve: Reserve { percent: 0, bytes: 0 }, ..OpenOptions::default() };
        drop(Store::open(case, &options).unwrap());
        let mut serving = Command::new(PROGRAM);
        serving.arg("--case").arg(case).args(["serve", "--foreground"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut serving = serving.spawn().unwrap();
        wait("it serves", || Client::join(case, None).is_ok_and(|c| c.is_some()));
        let capturing = Capturing::start(case, &["-i", "vb", "--commit", "30s"]);
        let clients: Vec<Client> = (0..3).map(|_| Client::join(case, None).unwrap().unwrap()).collect();
        clients.iter().for_each(Client::follow);
        send("va", frames);
        for (n, client) in clients.iter().enumerate() {
            assert_eq!(client.holder(), serving.id());
            let engine = RemoteEngine::new(client.clone());
            let question = engine.compile("kind = flow").unwrap();
            let count = || engine.counts(std::slice::from_ref(&question), u64::MAX, &Cancel::default()).unwrap()[0].n;
            wait("flows are seen before they are committed", || count() > 20);
            assert!(engine.head_sequence() > 0);
            wait("it is told how it does", || client.news().take().capture.is_some_and(|c| c.total().packets > 0));
            let note = What::Note { about: About::Case, text: format!("{n}") };
            RemoteKeeper::new(client.clone()).append(note).unwrap();
        }
        assert!(ask(case, &["flows"]).len() > 20);
        let (out, rows) = capturing.end("TERM");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        assert_eq!((rows.len(), rows[0]["packets"].as_u64()), (1, Some(frames.len() as u64)), "{rows:?}");
        wait("its end is told", || clients.iter().all(|c| c.news().take().capture.is_none()));
        // Whoever asked for one is gone: so is it.
        let mut capturing = Capturing::start(case, &["-i", "vb"]);
        capturing.0.kill().unwrap();
        capturing.0.wait().unwrap();
        wait("the capture programs end", || programs().is_empty());
        drop(clients);
        sh(&format!("kill -TERM {}", serving.id()));
        assert!(serving.wait().unwrap().success());
        assert!(ask(case, &["flows"]).len() > 20);
    }

    fn ring(case: &Path) -> Vec<PathBuf> {
        let folders = std::fs::read_dir(case.join("capture")).into_iter().flatten().flatten();
        let files = folders.flat_map(|f| std::fs::read_dir(f.path()).unwrap().flatten());
        files.map(|f| f.path()).filter(|p| p.extension().is_some_and(|e| e == "pcapng")).collect()
    }

    fn what_cannot_be_is_said(dir: &Path) {
        let failed = |args: &[&str], want: &[&str]| {
            let out = Command::new(PROGRAM).arg("--case").arg(dir.join("none")).arg("capture").args(args).output().unwrap();
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            assert_eq!(out.status.code(), Some(1), "{said}");
            assert!(want.iter().all(|w| said.contains(w)), "{said}");
        };
        failed(&["-i", "nope"], &["no interface `nope`", "at nope", "one of:", "va"]);
        failed(&["-i", "vb", "-f", "tcp prt 80"], &["filter `tcp prt 80`", "pcap-filter"]);
        // The one that opens ends with the one that does not.
        failed(&["-i", "vb", "-i", "nope"], &["no interface `nope`"]);
        failed(&["-i", "vb", "--packets", "sni = evil.example"], &["`sni`", "@concern"]);
        assert!(programs().is_empty());
        // Who may not capture is told what would allow it, in one line.
        let own = dir.join("backtrail-capture");
        std::fs::copy(CAPTURE, &own).unwrap();
        sh(&format!("chmod 755 {} {}", dir.display(), own.display()));
        let out = Command::new(&own).args(["-i", "vb"]).uid(65_534).gid(65_534).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!((out.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.contains("no permission to capture on vb") && said.contains("setcap cap_net_raw=ep"), "{said}");
    }

    fn flows_are_those_of_the_file(case: &Path, frames: &[Vec<u8>]) {
        let capturing = Capturing::start(case, &["-i", "vb", "--packets", "--commit", "1s"]);
        send("va", frames);
        std::thread::sleep(Duration::from_millis(400));
        let (out, rows) = capturing.end("TERM");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        assert_eq!((rows.len(), rows[0]["packets"].as_u64()), (1, Some(frames.len() as u64)), "{rows:?}");
        assert_eq!((&rows[0]["drops.kernel"], &rows[0]["drops.pipeline"]), (&0.into(), &0.into()));
        let files = ring(case);
        assert_eq!(files.len(), 1);
        let file = files[0].to_str().unwrap();
        for command in ["flows", "events"] {
            let live = plain(ask(case, &[command]));
            let read = plain(ask(case, &[command, "-r", file]));
            assert!(live.len() > 50 && live == read, "{command}: {:?}", live.symmetric_difference(&read).collect::<Vec<_>>());
        }
        // Packets of a flow are found in the ring.
        let out_file = case.join("dns.pcapng");
        let cut = run(PROGRAM, &["--case", case.to_str().unwrap(), "packets", "port 53", "-w", out_file.to_str().unwrap()]);
        assert!(cut.status.success(), "{}", String::from_utf8_lossy(&cut.stderr));
        assert_eq!(plain(ask(case, &["flows", "port 53"])), plain(ask(case, &["flows", "-r", out_file.to_str().unwrap()])));
        // What was received and dropped stands with the source; the evidence is one, however many parts it came in.
        let sources = ask(case, &["sources"]);
        assert!(sources[0]["warnings"][0].as_str().unwrap().contains(&format!("live on vb: {} packets came", frames.len())));
        assert_eq!((sources.len(), sources[1]["format"].as_str()), (2, Some("live")), "{sources:?}");
        // Dropped from the ring: said, not empty.
        files.iter().for_each(|f| std::fs::remove_file(f).unwrap());
        let gone = run(PROGRAM, &["--case", case.to_str().unwrap(), "packets", "port 53", "-w", out_file.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&gone.stderr).into_owned();
        assert!(gone.status.code() == Some(1) && said.contains("dropped from the ring"), "{said}");
    }

    fn a_kill_takes_only_what_was_not_committed(case: &Path, frames: &[Vec<u8>]) {
        let capturing = Capturing::start(case, &["-i", "vb", "--commit", "1s"]);
        send("va", frames);
        // Half-open flows end after 5 s of the clock, others when the next packet comes.
        std::thread::sleep(Duration::from_millis(9500));
        let (out, _) = capturing.end("KILL");
        assert_eq!(out.status.signal(), Some(9));
        let flows = ask(case, &["flows"]);
        assert!(!flows.is_empty() && !ask(case, &["events"]).is_empty());
        // It goes on in the same case, as evidence of its own.
        let capturing = Capturing::start(case, &["-i", "vb"]);
        send("va", &frames[..100]);
        std::thread::sleep(Duration::from_millis(400));
        let (out, rows) = capturing.end("HUP");
        assert!(out.status.success() && rows[0]["packets"] == 100, "{rows:?}");
        let sources = ask(case, &["sources"]);
        assert_eq!(sources.iter().filter(|s| s["format"] == "live").count(), 2, "{sources:?}");
        assert!(ask(case, &["flows"]).len() > flows.len());
    }

    fn several_interfaces_and_a_filter(case: &Path, frames: &[Vec<u8>]) {
        let capturing = Capturing::start(case, &["-i", "vb", "-i", "vd", "-f", "udp", "--for", "4s"]);
        send("va", frames);
        send("vc", &frames[..frames.len() / 2]);
        let out = capturing.0.wait_with_output().unwrap();
        let rows = json(&out.stdout);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        assert!(rows.len() == 2 && rows.iter().all(|r| r["packets"].as_u64().unwrap() > 20), "{rows:?}");
        let flows = ask(case, &["flows"]);
        // Inside of tunnels there is what the filter does not see.
        let outer = |f: &&Value| f.get("tunnel").is_none();
        assert!(flows.iter().filter(outer).all(|f| f["proto"] == "udp"), "{flows:?}");
        let sources: BTreeSet<&str> = flows.iter().filter_map(|f| f["source"].as_str()).collect();
        assert_eq!(sources, ["pcap:vb", "pcap:vd"].into());
        assert!(programs().is_empty());
    }

    fn packets_of_concern_in_a_bounded_ring(case: &Path, dir: &Path, frames: &[Vec<u8>]) {
        // A set that is a file changes while the capture runs.
        let set = dir.join("concern.txt");
        std::fs::write(&set, "192.0.2.1\n").unwrap();
        let text = format!("host in @{} or port 53", set.display());
        let capturing = Capturing::start(case, &["-i", "vb", "--packets", &text, "--ring-size", "1MiB"]);
        let udp = |last: u8, port: u16| {
            let mut frame = Vec::new();
            let packet = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
                .ipv4([10, 0, 0, last], [10, 0, 1, last], 64)
                .udp(40_000, port);
            packet.write(&mut frame, &[last; 1200]).unwrap();
            frame
        };
        send("va", [&udp(1, 9), &udp(2, 53), &udp(3, 9)]);
        std::fs::write(&set, "10.0.0.3\n").unwrap();
        std::thread::sleep(Duration::from_secs(5));
        send("va", [&udp(1, 9), &udp(3, 9), &udp(4, 9)]);
        std::thread::sleep(Duration::from_millis(1500));
        let kept = |query: &str, file: &Path| {
            run(PROGRAM, &["--case", case.to_str().unwrap(), "packets", query, "-w", file.to_str().unwrap()])
        };
        let many = vec![udp(3, 10); 3000];
        send("va", &many);
        std::thread::sleep(Duration::from_millis(1500));
        let (out, rows) = capturing.end("INT");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        assert!(rows[0]["ring.dropped"].as_u64().unwrap() > 0 && rows[0]["ring.bytes"].as_u64().unwrap() < 3 << 19, "{rows:?}");
        let file = dir.join("kept.pcapng");
        // Flows of everything, packets of what is of concern.
        assert_eq!(ask(case, &["flows"]).len(), 5);
        for (query, said) in
            [("host 10.0.0.1", "no capture in the case holds"), ("host 10.0.0.4", "no capture in the case holds")]
        {
            let out = kept(query, &file);
            let text = String::from_utf8_lossy(&out.stderr).into_owned();
            assert!(out.status.code() == Some(1) && text.contains(said), "{text}");
        }
        let out = kept("host 10.0.0.3 and port 10", &file);
        let text = [out.stdout, out.stderr].map(|b| String::from_utf8_lossy(&b).into_owned()).concat();
        assert!(out.status.success() && text.contains("dropped from the ring"), "{text}");
        let found = ask(case, &["flows", "-r", file.to_str().unwrap()]);
        let packets = found[0]["packets.out"].as_u64().unwrap();
        assert!((200..2900).contains(&packets), "{packets}");
        // The oldest are gone.
        let out = kept("port 53", &file);
        assert!(String::from_utf8_lossy(&out.stderr).contains("dropped from the ring"), "{out:?}");
        let _ = frames;
    }

    /// A capture of `vb` in this process, into a case that may fill its disk.
    fn here(dir: &Path) -> (Store, Running) {
        let options =
            OpenOptions { create: true, reserve: Reserve { percent: 0, bytes: 0 }, ballast: 0, ..OpenOptions::default() };
        let store = Store::open(dir, &options).unwrap();
        let wanted = Wanted { interface: "vb".into(), filter: String::new(), snaplen: None, promiscuous: true, buffer: Some(8) };
        let request = Request {
            program: CAPTURE.into(),
            interfaces: vec![wanted],
            packets: Packets::None,
            ring: Limits { size: 1 << 20, age: None },
            prune: None,
            length: None,
            commit: Duration::from_secs(1),
            source: None,
            timeouts: Profile::Zeek,
            checksums: Checksums::Auto,
            custody: Default::default(),
        };
        let into = store.clone();
        let work = move |feeder: &backtrail::ingest::Feeder| {
            let publish = InHead { store: into.clone(), feeder: feeder.clone() };
            let tell = |status: &backtrail::model::LiveStatus| feeder.tell(status.clone());
            let watch = Watch { stop: feeder.stop(), tell: &tell, publish: Some(Box::new(publish)) };
            capture(&into, &request, watch).map(|summary| summary.said())
        };
        let running = Running::start("capture", work).unwrap();
        wait("it runs", || !running.status().sources.is_empty() || running.ended().is_some());
        (store, running)
    }

    fn rows(snapshot: &Snapshot, filter: &Filter) -> Vec<Record> {
        let mut out = Vec::new();
        let each = &mut |r| {
            out.push(r);
            true
        };
        snapshot.select(&Ask::new(filter), &|| false, each).unwrap();
        out
    }

    fn datagram(port: u16) -> Vec<u8> {
        let mut frame = Vec::new();
        let packet = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        packet.ipv4([10, 0, 0, 9], [10, 0, 1, 9], 64).udp(port, 9_999).write(&mut frame, &[7; 90]).unwrap();
        frame
    }

    fn open_flows_are_seen_and_stay_until_they_are_committed(dir: &Path) {
        let (store, running) = here(dir);
        let mut took = Vec::new();
        for n in 0..8u16 {
            // At another moment between two publications each time.
            std::thread::sleep(Duration::from_millis(u64::from(n) * 130));
            let (filter, sent) = (Filter::is(field::SRC_PORT, u64::from(40_000 + n)), Instant::now());
            send("va", [&datagram(40_000 + n)]);
            let seen = loop {
                // Whoever looks is woken: nothing here looks by the clock.
                running.changes().recv_timeout(Duration::from_secs(20)).expect("it is told that there is something new");
                let all = rows(&store.snapshot(), &Filter::All);
                assert!(sent.elapsed() < Duration::from_secs(20), "flow {n} was never seen: {:?}; {all:#?}", running.status());
                if let [flow] = &rows(&store.snapshot(), &filter)[..] {
                    break flow.clone();
                }
            };
            took.push(sent.elapsed());
            assert!(seen.is_open() && seen.uint(field::PACKETS_OUT) == Some(1), "{seen:?}");
        }
        took.sort();
        println!("an open flow was seen {:?} after its first packet, {:?} at most", took[took.len() / 2], took[took.len() - 1]);
        // From open to committed none is missing at any moment, and none is there twice.
        running.stop();
        let all = Filter::is(field::KIND, "flow");
        let mut ended = false;
        while !ended {
            ended = running.ended().is_some();
            assert_eq!(rows(&store.snapshot(), &all).len(), 8);
        }
        running.ended().unwrap().unwrap();
        let snapshot = store.snapshot();
        assert!(!snapshot.has_head() && rows(&snapshot, &all).iter().all(|r| !r.is_open()));
        // A capture that has ended is one import.
        assert_eq!(store.evidence().len(), 1);
    }

    /// Takes all the room that there is, or so much.
    fn fill(file: &Path, bytes: Option<usize>) {
        use std::io::Write;
        let mut to = std::fs::File::create(file).unwrap();
        let block = vec![0; 1 << 20];
        let mut left = bytes.unwrap_or(usize::MAX);
        while left > 0 && to.write_all(&block[..block.len().min(left)]).is_ok() {
            left = left.saturating_sub(block.len());
        }
        // To the last page.
        while bytes.is_none() && to.write_all(&block[..64]).is_ok() {}
    }

    fn a_disk_that_fills_ends_it_and_what_was_committed_is_kept(almost: &Path, full: &Path, frames: &[Vec<u8>]) {
        for (dir, size) in [(almost, "760m"), (full, "96m")] {
            std::fs::create_dir_all(dir).unwrap();
            let args = ["-t", "tmpfs", "-o", &format!("size={size}"), "none", dir.to_str().unwrap()];
            if !run("mount", &args).status.success() {
                return super::skip("no file system can be mounted: a full disk is not tested");
            }
        }
        // It ends before the disk is full.
        let case = almost.join("case");
        let mut capturing = Capturing::start(&case, &["-i", "vb", "--commit", "1s"]);
        send("va", frames);
        fill(&almost.join("other"), Some(150 << 20));
        wait("it ends by itself", || capturing.0.try_wait().unwrap().is_some());
        let out = capturing.0.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(said.contains("the disk is almost full: the capture was ended, what it had is kept"), "{said}");
        assert_eq!((out.status.code(), json(&out.stdout)[0]["packets"].as_u64()), (Some(2), Some(frames.len() as u64)));
        assert!(ask(&case, &["flows"]).len() > 50);
        wait("the capture programs end", || programs().is_empty());

        // It is full at once.
        let (store, running) = here(&full.join("case"));
        send("va", frames);
        let all = || rows(&store.snapshot().committed(), &Filter::All).len();
        wait("some is committed", || all() > 20);
        let before = all();
        fill(&full.join("other"), None);
        send("va", frames);
        let error = running.wait(Duration::from_secs(30)).expect("it ends").unwrap_err();
        assert!(error.what.contains("cannot write") || error.what.contains("full"), "{error}");
        assert!(error.hint.contains("what was committed before is kept"), "{error}");
        assert!(!store.snapshot().has_head());
        wait("the capture programs end", || programs().is_empty());
        std::fs::remove_file(full.join("other")).unwrap();
        let kept = all();
        drop((store, running));
        let options = OpenOptions { reserve: Reserve { percent: 0, bytes: 0 }, ballast: 0, ..OpenOptions::default() };
        let store = Store::open(&full.join("case"), &options).unwrap();
        let again = rows(&store.snapshot(), &Filter::All).len();
        assert!(kept >= before && again >= kept, "{before}, {kept}, then {again}: {:?}", store.notices());
        assert!(store.verify().unwrap().damage.is_empty());
    }

    fn a_user_with_the_capability_alone_captures(dir: &Path, frames: &[Vec<u8>]) {
        let own = dir.join("bin");
        std::fs::create_dir_all(&own).unwrap();
        let (main, helper) = (own.join("backtrail"), own.join("backtrail-capture"));
        std::fs::copy(PROGRAM, &main).unwrap();
        std::fs::copy(CAPTURE, &helper).unwrap();
        let user = dir.join("nobody");
        std::fs::create_dir_all(&user).unwrap();
        sh(&format!("chmod 755 {0} {0}/bin {0}/bin/*; chown 65534:65534 {1}", dir.display(), user.display()));
        if !run("setcap", &["cap_net_raw=ep", helper.to_str().unwrap()]).status.success() {
            return super::skip("setcap does not work here: a user with the capability is not tested");
        }
        let capture = |interface: &str| {
            let mut command = Command::new(&main);
            command.arg("--case").arg(user.join("case")).args(["capture", "-o", "jsonl", "--for", "3s", "-i", interface]);
            command.uid(65_534).gid(65_534).env("HOME", &user).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        };
        let running = capture("vb");
        let of = helper.to_str().unwrap();
        let pid = || {
            let out = run("pgrep", &["-f", of]);
            String::from_utf8_lossy(&out.stdout).lines().find_map(|l| l.parse::<u32>().ok())
        };
        wait("its interface opens", || pid().is_some_and(is_confined));
        let status = std::fs::read_to_string(format!("/proc/{}/status", pid().unwrap())).unwrap();
        assert!(status.contains("Uid:\t65534\t65534\t65534\t65534"), "{status}");
        send("va", frames);
        let out = running.wait_with_output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        assert_eq!(json(&out.stdout)[0]["packets"], frames.len());
        // Without it: what would allow it, and nothing is left behind.
        sh(&format!("setcap -r {}", helper.display()));
        let out = capture("vb").wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(1) && said.contains("setcap cap_net_raw"), "{said}");
    }

    fn a_late_reader_is_told_from_a_late_kernel() {
        use backtrail::sources::live::{Live, Said, Wanted};
        let wanted = Wanted { interface: "vb".into(), filter: String::new(), snaplen: None, promiscuous: true, buffer: Some(8) };
        let mut live = Live::start(Path::new(CAPTURE), &[wanted]).unwrap();
        // Nobody takes anything until far more was sent than batches, pipe and the kernel's buffer hold.
        let frame = vec![0xee; 1500];
        send_with("va", std::iter::repeat_n(&frame, 40_000), Duration::from_millis(1));
        let (mut packets, mut last, mut ended) = (0, None, false);
        let begun = Instant::now();
        while !ended && begun.elapsed() < Duration::from_secs(20) {
            match live.next(Duration::from_millis(100)) {
                Some(Said::Packets(_, batch)) => packets += batch.len() as u64,
                Some(Said::Counted(_, missed)) => last = Some(missed),
                Some(Said::Ended(_, ending)) => {
                    assert_eq!(ending.error, None);
                    ended = true;
                }
                _ => {}
            }
            if begun.elapsed() > Duration::from_secs(2) {
                live.stop();
            }
        }
        let last = last.unwrap();
        assert!(ended && last.dropped > 0 && last.late > last.dropped / 2, "{last:?}");
        assert_eq!(packets + last.dropped, 40_000, "{last:?}");
        assert_eq!(last.received, Some(40_000));
    }
}
