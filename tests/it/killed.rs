//! The workbench killed at any moment of a session: what one has read to be entered is there, and it opens again where it stood. Eight moments;
//! fifty where `BACKTRAIL_TORTURE_ROUNDS` is set, of another seed with `BACKTRAIL_TORTURE_SEED`.

use crate::pty::{LIMIT, PROGRAM, Term, holder, home};
use crate::screens::{Bench, LARGE};
use crate::support::{Notebook, story};
use backtrail::case::Keeper;
use backtrail::model::decision::What;
use backtrail::model::synthetic::Random;
use backtrail::tui::Options;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long after a frame the place that it shows may still be on its way to the disk: frames do not wait for it.
const ON_ITS_WAY: Duration = Duration::from_millis(250);

/// One thing that a responder does; its number makes it another than all before.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Note(u64),
    Bookmark(u64),
    Lead(u64),
    Focus(u64),
    Filter(u64),
    Lens(&'static str),
    Detail(u64),
}

/// Where one stands.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    focus: String,
    lens: String,
    filters: Vec<String>,
    detail: Option<u64>,
}

impl Step {
    fn keys(self) -> String {
        match self {
            Step::Note(n) => format!(";note {n}\r"),
            Step::Bookmark(n) => format!(":bookmark mark {n}\r"),
            Step::Lead(n) => format!(":lead who was {n}?\r"),
            Step::Focus(n) => format!(":focus 10.9.{}.{}\r", n / 250, n % 250),
            Step::Filter(n) => format!("/dst.port != {n}\r"),
            Step::Lens(name) => format!(":lens {name}\r"),
            Step::Detail(n) => format!(":resize detail {n}\r"),
        }
    }
    /// Whether a screen says that it is done.
    fn is_shown(self, screen: &str) -> bool {
        let first = screen.lines().next().unwrap_or_default();
        let has = |text: String| screen.lines().any(|l| l.contains(&text) && !l.contains("filter "));
        match self {
            Step::Note(_) => screen.contains("noted on"),
            Step::Bookmark(n) => has(format!("bookmarked: mark {n} ")),
            Step::Lead(n) => has(format!("lead opened: who was {n}?")),
            Step::Focus(n) => first.contains(&format!("10.9.{}.{}", n / 250, n % 250)),
            Step::Filter(n) => has(format!("dst.port != {n}")),
            // What follows a lens says nothing of its own: the tab is another, and the line that was typed is gone.
            Step::Lens(_) => !screen.contains(":lens"),
            Step::Detail(n) => has(format!("detail: {n} lines")),
        }
    }
    /// What it enters: the command that lists such things, the field that has it, the text.
    fn enters(self) -> Option<(usize, String)> {
        match self {
            Step::Note(n) => Some((0, format!("note {n}"))),
            Step::Bookmark(n) => Some((1, format!("mark {n}"))),
            Step::Lead(n) => Some((2, format!("who was {n}?"))),
            _ => None,
        }
    }
    fn moves(self, place: &mut Place) {
        match self {
            Step::Focus(n) => {
                place.focus = format!("host=10.9.{}.{}", n / 250, n % 250);
                (place.lens, place.filters) = ("flows".into(), Vec::new());
            }
            Step::Filter(n) => place.filters.push(format!("dst.port != {n}")),
            Step::Lens(name) => place.lens = name.into(),
            Step::Detail(n) => place.detail = Some(n),
            _ => {}
        }
    }
}

/// What is listed: the command and the field.
const LISTS: [([&str; 3], &str); 3] =
    [(["note", "--json", ""], "text"), (["bookmark", "list", "--json"], "title"), (["lead", "list", "--json"], "text")];

/// What the command line lists of what was entered.
fn listed(home: &Path) -> [Vec<String>; 3] {
    LISTS.map(|(args, field)| {
        let mut command = Command::new(PROGRAM);
        command.arg("--case").arg(home.join("case")).args(args.iter().filter(|a| !a.is_empty()));
        command.env("HOME", home).env("BACKTRAIL_USER", "ana").env("BACKTRAIL_LINGER", "300ms");
        let done = command.stdin(Stdio::null()).output().unwrap();
        assert!(done.status.success(), "{args:?}: {done:?}");
        let rows = String::from_utf8(done.stdout).unwrap();
        rows.lines().map(|l| serde_json::from_str::<Json>(l).unwrap()[field].as_str().unwrap().to_owned()).collect()
    })
}

/// The place as the case has it now.
fn kept_place(home: &Path) -> Place {
    let files = std::fs::read_dir(home.join("case/place")).unwrap().flatten().filter(|f| f.path().is_file());
    let whole = files.filter(|f| !f.file_name().to_string_lossy().ends_with(".new"));
    let newest = whole.max_by_key(|f| f.metadata().unwrap().modified().unwrap()).unwrap().path();
    let place: Json = serde_json::from_slice(&std::fs::read(&newest).unwrap()).unwrap();
    let node = &place["nodes"][place["at"].as_u64().unwrap() as usize];
    let text = |value: &Json| value.as_str().unwrap().to_owned();
    let filters = node["filters"].as_array().map(|f| f.iter().map(|c| text(&c["text"])).collect());
    Place {
        focus: text(&node["focus"]),
        lens: text(&node["lens"]),
        filters: filters.unwrap_or_default(),
        detail: place["looks"]["detail"].as_u64(),
    }
}

/// The next step: another kind than the last, so that what it says is not what was said before.
fn next(random: &mut Random, n: u64, last: Step, place: &Place) -> Step {
    loop {
        let step = match random.below(7) {
            0 => Step::Note(n),
            1 => Step::Bookmark(n),
            2 => Step::Lead(n),
            3 => Step::Focus(n),
            // More are cut in eighty columns, and could not be read there.
            4 if place.filters.len() < 2 => Step::Filter(n),
            5 => Step::Lens(if place.lens == "flows" { "alerts" } else { "flows" }),
            6 => Step::Detail(2 + n % 9),
            _ => continue,
        };
        if std::mem::discriminant(&step) != std::mem::discriminant(&last) {
            return step;
        }
    }
}

/// Whether a screen is of a place.
fn shows(screen: &str, place: &Place) -> bool {
    let first = screen.lines().next().unwrap_or_default();
    let focus = place.focus.strip_prefix("host=").is_none_or(|address| first.contains(address));
    let last = place.filters.last().is_none_or(|filter| screen.contains(filter.as_str()));
    focus && last && (place.lens == "home") == screen.contains("needs a decision")
}

#[test]
fn a_workbench_killed_at_any_moment_keeps_what_was_entered_and_opens_where_it_stood() {
    let long = std::env::var_os("BACKTRAIL_TORTURE_ROUNDS").is_some();
    let seed = std::env::var("BACKTRAIL_TORTURE_SEED").ok().and_then(|v| v.parse().ok()).unwrap_or(20_261_130);
    let rounds = if long { 50 } else { 8 };
    let (home, mut random) = (home(""), Random::new(seed));
    let mut entered: [BTreeSet<String>; 3] = Default::default();
    // Where it may stand: at first nowhere yet.
    let mut places = vec![Place { focus: String::new(), lens: "home".into(), filters: Vec::new(), detail: None }];
    let (mut n, mut last, mut under_way, mut behind) = (0, Step::Lens(""), 0, 0);
    for round in 0..rounds {
        let mut term = Term::open(home.path());
        // Now and then it is killed while it opens.
        let early = random.below(8) == 0;
        let at = format!("seed {seed} round {round}");
        let opened = Instant::now();
        let mut deadline = opened + Duration::from_millis(random.below(400));
        if !early {
            let possible = places.clone();
            let screen = term.until("it opens where it stood", |s| possible.iter().any(|p| shows(&s.contents(), p)));
            deadline = Instant::now() + Duration::from_millis(random.below(1_500));
            if let Some(place) = (round > 0).then(|| kept_place(home.path())) {
                assert!(places.contains(&place), "{at}: stands at {place:?} of {places:?}\n{screen}");
                assert!(shows(&screen, &place), "{at}: not {place:?}\n{screen}");
                places = vec![place];
            }
        }
        // What was sent and not seen, and when the last that was seen came.
        let (mut sent, mut came) = (None, Instant::now());
        while !early && Instant::now() < deadline {
            let here = places.last().unwrap().clone();
            let step = next(&mut random, n, last, &here);
            (n, last) = (n + 1, step);
            let mut there = here.clone();
            step.moves(&mut there);
            term.send(step.keys().as_bytes());
            // A lens leaves nothing to be read: the place is what says that it is there.
            let mut done = false;
            while !done && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
                done = step.is_shown(&term.text()) && (!matches!(step, Step::Lens(_)) || kept_place(home.path()) == there);
            }
            places.push(there);
            if !done {
                sent = Some(step);
                break;
            }
            came = Instant::now();
            if let Some((list, text)) = step.enters() {
                entered[list].insert(text);
            }
        }
        let with_holder = random.below(2) == 0 && home.path().join("case/sock").exists();
        if with_holder {
            let pid = i32::try_from(holder(home.path())).unwrap();
            let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
        }
        term.signal(Signal::KILL);
        let killed = Instant::now();
        term.ends();
        // What the terminal had got may say that the last step was done.
        std::thread::sleep(Duration::from_millis(20));
        if let Some(step) = sent.filter(|s| s.is_shown(&term.text()))
            && let Some((list, text)) = step.enters()
        {
            entered[list].insert(text);
        }
        under_way += usize::from(sent.is_some());
        let found = listed(home.path());
        for ((had, have), (args, _)) in entered.iter_mut().zip(&found).zip(LISTS) {
            let all: BTreeSet<String> = have.iter().cloned().collect();
            assert_eq!(all.len(), have.len(), "{at}: {args:?} has something twice: {have:?}");
            let lost: Vec<&String> = had.difference(&all).collect();
            assert!(lost.is_empty(), "{at}, {step:?} under way: {args:?} lost {lost:?}\n{}", term.text(), step = sent);
            let more: Vec<String> = all.difference(had).cloned().collect();
            let may = sent.and_then(Step::enters).map(|(_, text)| text);
            assert!(more.iter().all(|text| Some(text) == may.as_ref()), "{at}: {args:?} has {more:?}");
            had.extend(more);
        }
        if early {
            continue;
        }
        let place = kept_place(home.path());
        let stood = places.iter().rposition(|p| *p == place);
        let stood = stood.unwrap_or_else(|| panic!("{at}: it stands at {place:?}, and never was there: {places:?}"));
        // The last that was seen, or what was under way; or the one before, if the frame came this moment.
        let seen = places.len() - 1 - usize::from(sent.is_some());
        let moved = places[stood..=seen.max(stood)].windows(2).filter(|w| w[0] != w[1]).count();
        let late = killed.duration_since(came) < ON_ITS_WAY;
        assert!(moved == 0 || moved == 1 && late, "{at}: it stands {moved} moves behind: {place:?} of {places:?}");
        behind += moved;
        places = vec![place];
    }
    println!(
        "seed {seed}: {rounds} kills, {under_way} with a step under way, {behind} a move behind; {n} steps, entered {:?}",
        { entered.each_ref().map(BTreeSet::len) }
    );
    assert!(n > rounds, "nothing was done: {n} steps");
    assert!(LIMIT > ON_ITS_WAY);
}

/// Steps of the trail that a notebook has.
fn walked(keeper: &Notebook) -> Vec<(u64, Option<u64>, String)> {
    let all = keeper.decisions();
    let step = |d: &backtrail::model::decision::Decision| match &d.what {
        What::Trail { parent, label, .. } => Some((d.sequence, *parent, label.clone())),
        _ => None,
    };
    all.iter().filter_map(step).collect()
}

#[test]
fn a_step_that_the_journal_got_and_the_place_did_not_is_not_walked_twice() {
    let keeper = Arc::new(Notebook::default());
    let mut bench = Bench::with(story(), keeper.clone(), LARGE, Options::default());
    bench.keys(": focus <space> 10.8.21.5 <enter> : focus <space> 203.0.113.9 <enter>");
    let before = keeper.place().unwrap();
    bench.keys(": focus <space> 10.8.21.7 <enter>");
    let steps = walked(&keeper);
    let (at, above, _) = steps.iter().find(|(_, _, label)| label == "203.0.113.9").unwrap().clone();
    assert!(above.is_some());
    // As the place was when the kill came: the journal has the step, it does not know that.
    let mut place: Json = serde_json::from_str(&before).unwrap();
    let nodes = place["nodes"].as_array_mut().unwrap();
    assert_eq!(nodes.len(), 3);
    nodes[2]["sequence"] = Json::Null;
    nodes[2]["written"] = "".into();
    keeper.save_place(&place.to_string()).unwrap();
    let mut again = Bench::with(story(), keeper.clone(), LARGE, Options::default());
    again.keys(": focus <space> 10.8.20.1 <enter> : focus <space> 10.8.21.7 <enter>");
    let now = walked(&keeper);
    let named = |label: &str| now.iter().filter(|(_, _, l)| l == label).cloned().collect::<Vec<_>>();
    assert_eq!(named("203.0.113.9").len(), 1, "{now:?}");
    assert_eq!(named("10.8.20.1")[0].1, Some(at), "what is reached from it hangs on it: {now:?}");
}
