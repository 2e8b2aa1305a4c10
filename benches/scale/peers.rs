//! The same flows in two peers: `nfdump` on files that its collector wrote of our IPFIX, one folder a day, and DuckDB (its Python package) on our
//! Parquet, sorted by time. Each answers as a process of its own, and DuckDB within one as well. Whoever is not on this machine is left out, and that is said.

use backtrail::model::synthetic::{self, Shape};
use backtrail::model::time::{DAY, SECOND};
use std::fmt::Write as _;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_backtrail");
/// Runs of each, of which the middle one counts.
const RUNS: usize = 5;

/// One question in the words of each.
struct Asked {
    what: &'static str,
    /// Arguments of `backtrail`.
    ours: Vec<String>,
    /// Arguments of `nfdump` behind the choice of files.
    nfdump: Vec<String>,
    /// A statement over the view `flows`.
    sql: String,
}

fn words(of: &[&str]) -> Vec<String> {
    of.iter().map(|w| (*w).to_owned()).collect()
}

fn asked(shape: Shape) -> Vec<Asked> {
    let heavy = synthetic::outside(1);
    let medium = synthetic::outside((shape.flows as f64 * 0.62 / 13.2 / 5_000.0).clamp(1.0, 299_000.0) as usize);
    let from = shape.from.plus(i64::from(shape.days / 2) * DAY + 10 * 3600 * SECOND);
    let to = from.plus(300 * SECOND);
    let of_nfdump = |at: backtrail::model::Time| at.utc().format("%Y/%m/%d.%H:%M:%S").to_string();
    let of_sql = |at: backtrail::model::Time| at.utc().format("TIMESTAMP '%Y-%m-%d %H:%M:%S'").to_string();
    let either = |host| format!("(\"src.ip\" = '{host}' or \"dst.ip\" = '{host}')");
    vec![
        Asked {
            what: "200 rows of a host",
            ours: vec!["query".into(), format!("host {medium}"), "-n".into(), "200".into()],
            nfdump: words(&["-o", "line", "-q", "-c", "200", &format!("host {medium}")]),
            sql: format!("select * from flows where {} order by start limit 200", either(medium)),
        },
        Asked {
            what: "flows of a busy host",
            ours: vec!["query".into(), format!("host {heavy} | count")],
            nfdump: words(&["-o", "null", &format!("host {heavy}")]),
            sql: format!("select count(*) from flows where {}", either(heavy)),
        },
        Asked {
            what: "top 20 hosts by bytes",
            ours: words(&["query", "| top 20 host by bytes"]),
            nfdump: words(&["-s", "ip/bytes", "-n", "20", "-q"]),
            sql: "select host, sum(bytes) b from (select \"src.ip\" host, bytes from flows union all select \"dst.ip\", bytes from flows) \
                  group by host order by b desc limit 20"
                .into(),
        },
        Asked {
            what: "five minutes",
            ours: vec!["query".into(), format!("between {from} and {to} | count")],
            nfdump: words(&["-o", "null", "-t", &format!("{}-{}", of_nfdump(from), of_nfdump(to))]),
            sql: format!("select count(*) from flows where start < {} and \"end\" >= {}", of_sql(to), of_sql(from)),
        },
        Asked {
            what: "port 445, more than 1 MB",
            ours: words(&["query", "dst.port = 445 and bytes > 1MB | count"]),
            nfdump: words(&["-o", "null", "dst port 445 and bytes > 1000000"]),
            sql: "select count(*) from flows where \"dst.port\" = 445 and bytes > 1000000".into(),
        },
    ]
}

fn here(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// The middle of some runs, milliseconds; none where it fails.
fn timed(mut command: impl FnMut() -> Command) -> Option<f64> {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let begun = Instant::now();
        let done = command().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        done.success().then_some(())?;
    }
    times.sort_by(f64::total_cmp);
    Some(times[RUNS / 2])
}

fn ours(case: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    // What holds the case ends with each question: each is a process that opens it.
    command.arg("--case").arg(case).args(args).env("BACKTRAIL_LINGER", "0ms");
    command
}

/// Sends the messages of an IPFIX file to a collector that listens, no faster than that takes them.
fn send(file: &Path, to: u16) {
    let messages = std::fs::read(file).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (mut at, mut sent) = (0, 0);
    while let Some(head) = messages.get(at..at + 4) {
        let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
        socket.send_to(&messages[at..at + len], ("127.0.0.1", to)).unwrap();
        (at, sent) = (at + len, sent + len);
        if sent > 256 << 10 {
            sent = 0;
            std::thread::sleep(Duration::from_millis(4));
        }
    }
}

/// Files of the peer's collector, a folder a day.
fn collected(case: &Path, shape: Shape, dir: &Path) -> PathBuf {
    let all = dir.join("nfdump");
    for day in 0..shape.days {
        let (from, to) = (shape.from.plus(i64::from(day) * DAY), shape.from.plus(i64::from(day + 1) * DAY));
        let (file, own) = (dir.join("ipfix"), all.join(format!("day{day:03}")));
        std::fs::create_dir_all(&own).unwrap();
        let question = format!("start >= {from} and start < {to}");
        let done = ours(case, &["export", &question, "--ipfix", file.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(done.success(), "export of day {day}");
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut collector = Command::new("nfcapd");
        collector.args(["-b", "127.0.0.1", "-p", &port.to_string(), "-t", "3600", "-B", "64000000", "-w"]).arg(&own);
        let mut collector = collector.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(500));
        send(&file, port);
        std::thread::sleep(Duration::from_millis(500));
        let id = rustix::process::Pid::from_raw(i32::try_from(collector.id()).unwrap()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        collector.wait().unwrap();
        std::fs::remove_file(&file).unwrap();
    }
    all
}

/// Sorts the export, then answers each statement, and says how long each took: the middle of some, in milliseconds, and what came.
const DUCKDB: &str = r#"
import duckdb, json, sys, time
source, sorted_file, runs, statements = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
import os
db = duckdb.connect()
db.execute("set threads = 2; set TimeZone = 'UTC'; set enable_progress_bar = false")
if not os.path.exists(sorted_file):
    db.execute(f"copy (select * from read_parquet('{source}') order by start) to '{sorted_file}' (format parquet, compression zstd)")
total = '"bytes.out" + "bytes.in"'
db.execute(f"create view flows as select *, {total} as bytes from read_parquet('{sorted_file}')")
for statement in statements:
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        rows = db.execute(statement).fetchall()
        times.append((time.perf_counter() - begun) * 1e3)
    print(sorted(times)[runs // 2], rows[0][0] if len(rows) == 1 else f"{len(rows)} rows")
"#;

/// How long each statement takes within one process of DuckDB, with what came; and its file.
fn duckdb(case: &Path, dir: &Path, statements: &[&str]) -> Option<(PathBuf, Vec<String>)> {
    if !here("python3", &["-c", "import duckdb"]) {
        println!("DuckDB is not here (python3 with its package): left out");
        return None;
    }
    let parquet = dir.join("parquet");
    let done =
        ours(case, &["export", "--parquet", parquet.to_str()?]).stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    assert!(done.success(), "export as Parquet");
    let sorted = dir.join("sorted.parquet");
    let (source, file) = (parquet.join("flows.parquet"), sorted.clone());
    let mut json = String::from("[");
    for (n, statement) in statements.iter().enumerate() {
        let _ = write!(json, "{}\"{}\"", if n > 0 { "," } else { "" }, statement.replace('"', "\\\""));
    }
    json.push(']');
    let done =
        Command::new("python3").args(["-c", DUCKDB]).arg(source).arg(file).arg(RUNS.to_string()).arg(json).output().ok()?;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some((sorted, String::from_utf8(done.stdout).ok()?.lines().map(str::to_owned).collect()))
}

/// Asks all three the same.
pub fn compare(case: &Path, shape: Shape, dir: &Path) {
    let asked = asked(shape);
    let nfdump = here("nfdump", &["-V"]).then(|| collected(case, shape, dir));
    if nfdump.is_none() {
        println!("nfdump is not here: left out");
    }
    let statements: Vec<&str> = asked.iter().map(|a| a.sql.as_str()).collect();
    let duckdb = duckdb(case, dir, &statements);
    let bytes = |path: &Path| if path.is_dir() { super::machine::size(path) } else { path.metadata().map_or(0, |m| m.len()) };
    let each = |path: &Path| bytes(path) as f64 / shape.flows as f64;
    println!(
        "bytes a flow: here {:.1}, nfdump {:.1}, Parquet by DuckDB {:.1}",
        each(case) - each(&case.join("ballast")),
        nfdump.as_deref().map_or(f64::NAN, each),
        duckdb.as_ref().map_or(f64::NAN, |(file, _)| each(file)),
    );
    println!(
        "{:26} {:>10} {:>10} {:>10}   (ms, the middle of {RUNS}; here and nfdump whole processes, DuckDB within one)",
        "question", "here", "nfdump", "DuckDB"
    );
    for (n, question) in asked.iter().enumerate() {
        let args: Vec<&str> = question.ours.iter().map(String::as_str).collect();
        let own = timed(|| ours(case, &args));
        let theirs = nfdump.as_deref().and_then(|files| {
            timed(|| {
                let mut command = Command::new("nfdump");
                command.arg("-R").arg(files).args(&question.nfdump);
                command
            })
        });
        let (own, theirs) = (own.unwrap_or(f64::NAN), theirs.unwrap_or(f64::NAN));
        let (took, came) = duckdb.as_ref().and_then(|(_, all)| all.get(n)?.split_once(' ')).unwrap_or(("NaN", ""));
        let took: f64 = took.parse().unwrap_or(f64::NAN);
        println!(
            "{:26} {own:10.1} {theirs:10.1} {took:10.1}   (nfdump takes {:.2} of here, DuckDB {:.2}; it found {came})",
            question.what,
            theirs / own,
            took / own
        );
    }
}
