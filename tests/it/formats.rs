//! Every format: it has a sample, knows it and no other's, and reads it as the snapshot says; hostile input is counted, never a panic.

use backtrail::formats::{self, ALL, Context, Dates, Format, Framing, Out, Sniff, Status, Unit, Zone};
use backtrail::model::field::{self, Type};
use backtrail::model::origin::EvidenceKey;
use backtrail::model::time::Time;
use std::path::PathBuf;

/// Bytes that mean something to some format.
const SPECIAL: &[u8] = b"\"\\[]{}<>=:;, \t\n\0-9\xff";
const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sample-data/formats");

fn sample(format: &dyn Format) -> Vec<u8> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(SAMPLES).unwrap().map(|e| e.unwrap().path()).collect();
    found.retain(|p| p.file_stem().is_some_and(|s| s.to_str() == Some(format.name())));
    assert_eq!(found.len(), 1, "{} needs one sample in sample-data/formats", format.name());
    std::fs::read(&found[0]).unwrap()
}

/// What became of a text: counts of ok, partial, skipped, failed; records and oddities as lines.
#[derive(Default)]
struct Told {
    counts: [u64; 4],
    records: Vec<String>,
    oddities: Vec<String>,
    assumed: Vec<&'static str>,
}

fn read_from(format: &dyn Format, data: &[u8], start: Unit, head: &[u8]) -> Told {
    let context = Context {
        evidence: EvidenceKey(1),
        stem: "sample".into(),
        zone: Zone::Fixed(0),
        year: None,
        dates: Dates::default(),
        modified: Time::parse("2026-11-20T12:00:00Z").unwrap(),
    };
    let mut told = Told::default();
    let mut input = data;
    formats::read(&mut input, format, &context, start, head, &mut |status, out| {
        told.add(status, &out);
        true
    })
    .unwrap();
    told
}

fn read(format: &dyn Format, data: &[u8]) -> Told {
    read_from(format, data, Unit { offset: 0, line: 1 }, data)
}

impl Told {
    fn add(&mut self, status: Status, out: &Out) {
        self.counts[status as usize] += 1;
        for read in &out.records {
            let r = &read.record;
            assert!(r.fields.windows(2).all(|w| w[0].0 <= w[1].0), "fields out of order");
            assert!(r.end >= r.start, "ends before it begins");
            let mut line = format!("@{}+{}.{} {} {}", r.id.offset, r.len, r.id.ordinal, r.kind, r.start);
            if r.end != r.start {
                line += &format!("..{}", r.end);
            }
            for (id, value) in &r.fields {
                let ty = field::get(*id).map_or(Type::Text, |f| f.ty);
                line += &format!("\n    {} = {}", field::name(*id), value.show(ty).replace('\n', "\\n"));
            }
            read.sensor.iter().for_each(|s| line += &format!("\n    (sensor {s})"));
            self.records.push(line);
        }
        self.oddities.extend(out.oddities.iter().map(|o| format!("{} {}", o.what, o.place)));
        for phrase in &out.assumed {
            if !self.assumed.contains(phrase) {
                self.assumed.push(phrase);
            }
        }
    }
}

fn lines(data: &[u8]) -> u64 {
    data.split_inclusive(|b| *b == b'\n').count() as u64
}

#[test]
fn every_format_reads_its_sample_as_the_snapshot_says() {
    for format in ALL {
        let data = sample(*format);
        let told = read(*format, &data);
        let [ok, partial, skipped, failed] = told.counts;
        if let Framing::Lines { .. } = format.framing() {
            assert_eq!(told.counts.iter().sum::<u64>(), lines(&data), "{}", format.name());
        }
        let text = format!(
            "ok {ok}, partial {partial}, skipped {skipped}, failed {failed}\nassumed: {}\noddities: {}\n\n{}\n",
            told.assumed.join(", "),
            told.oddities.join("; "),
            told.records.join("\n")
        );
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("format-{}", format.name()), text);
        });
    }
}

#[test]
fn every_format_knows_its_own_sample_and_no_other() {
    let mut wrong = Vec::new();
    for of in ALL {
        let data = sample(*of);
        for format in ALL {
            let general = matches!(format.name(), "json-lines" | "json-document" | "csv-lines" | "text-lines");
            let want = match (of.name() == format.name(), general) {
                (true, false) => Sniff::Yes,
                (true, true) => Sniff::Maybe,
                (false, _) => Sniff::No,
            };
            if format.sniff(&data) != want {
                wrong.push(format!("{} of the sample of {}: {:?}, not {want:?}", format.name(), of.name(), format.sniff(&data)));
            }
        }
        let mut known = |data: &[u8], how: &str| {
            let found = formats::recognise(data).map(|f| f.name());
            if found != Some(of.name()) {
                wrong.push(format!("the sample of {}{how} is taken for {found:?}", of.name()));
            }
        };
        known(&data, "");
        // What is not text has no byte order mark and no line ends.
        if matches!(of.framing(), Framing::Document) && data.contains(&0) {
            continue;
        }
        let marked = [b"\xef\xbb\xbf", data.as_slice()].concat();
        known(&marked, " after a byte order mark");
        let dos = String::from_utf8_lossy(&data).replace('\n', "\r\n");
        known(dos.as_bytes(), " with CR LF");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn names_are_unique_and_every_format_is_documented() {
    for (n, format) in ALL.iter().enumerate() {
        assert!(format.doc().ends_with('.'), "{}", format.name());
        assert!(ALL[..n].iter().all(|f| f.name() != format.name()));
        assert!(formats::find(format.name()).is_some());
    }
    assert!(formats::find("no such format").is_none());
}

#[test]
fn junk_is_of_no_format() {
    let junk: Vec<u8> = (0..4096u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let prose: &[u8] = b"Dear reader,\n\nthis is a letter. It has no times.\nYours,\nJ.\n";
    for data in [&junk[..], prose, b"", b"\n\n\n", b"{}\n", b"<html><body/></html>", b"a,b,c\n1,2,3\n"] {
        assert_eq!(
            formats::recognise(data).map(|f| f.name()),
            None,
            "{:?}",
            String::from_utf8_lossy(&data[..data.len().min(20)])
        );
    }
}

#[test]
fn a_grown_file_continues_as_if_read_whole() {
    for format in ALL.iter().filter(|f| matches!(f.framing(), Framing::Lines { .. })) {
        let data = sample(*format);
        let whole = read(*format, &data);
        // After the headers, where a record begins: what continues a record after the file grew is one of its own.
        let starts = whole.records.iter().map(|r| r[1..].split('+').next().unwrap().parse::<usize>().unwrap());
        let cut = starts.filter(|at| *at > data.len() / 3 && data[at - 1] == b'\n').min().unwrap();
        let line = lines(&data[..cut]) + 1;
        let first = read(*format, &data[..cut]);
        let second = read_from(*format, &data[cut..], Unit { offset: cut as u64, line }, &data);
        let sum: Vec<u64> = first.counts.iter().zip(second.counts).map(|(a, b)| a + b).collect();
        assert_eq!(sum, whole.counts, "{}", format.name());
        let both: Vec<_> = first.records.iter().chain(&second.records).collect();
        assert_eq!(both, whole.records.iter().collect::<Vec<_>>(), "{}", format.name());
    }
}

#[test]
fn samples_cut_anywhere_are_counted_and_never_a_panic() {
    for format in ALL {
        let data = sample(*format);
        let step = 1 + data.len() / 1500;
        for end in (0..=data.len()).step_by(step) {
            let cut = &data[..end];
            let _ = formats::recognise(cut);
            let told = read(*format, cut);
            if let Framing::Lines { .. } = format.framing() {
                assert_eq!(told.counts.iter().sum::<u64>(), lines(cut), "{} cut at {end}", format.name());
            }
        }
    }
}

#[test]
fn samples_with_changed_bytes_are_counted_and_never_a_panic() {
    let mut seed = 7u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize
    };
    for format in ALL {
        let data = sample(*format);
        for _ in 0..400 {
            let mut bad = data.clone();
            for _ in 0..1 + random() % 8 {
                let at = random() % bad.len();
                match random() % 4 {
                    0 => bad[at] = random() as u8,
                    1 => bad[at] ^= 1 << (random() % 8),
                    2 => bad[at] = *SPECIAL.iter().cycle().nth(random() % 64).unwrap(),
                    _ => _ = bad.remove(at),
                }
            }
            let _ = formats::recognise(&bad);
            let told = read(*format, &bad);
            if let Framing::Lines { .. } = format.framing() {
                assert_eq!(told.counts.iter().sum::<u64>(), lines(&bad), "{}", format.name());
            }
        }
    }
}

#[test]
fn long_lines_and_deep_nests_are_counted_and_never_a_panic() {
    let deep = |open: &str, close: &str| {
        format!(
            "{{\"timestamp\":\"2026-11-20T08:00:00Z\",\"event_type\":\"alert\",\"ts\":1,\"_path\":\"dns\",\"answers\":{}1{},\"alert\":{}1{}}}\n",
            open.repeat(100_000),
            close.repeat(100_000),
            open.repeat(50_000),
            close.repeat(50_000)
        )
    };
    let inputs = [
        "a".repeat(1 << 20) + "\n",
        " ".repeat(1 << 20) + "\n",
        "\"".repeat(1 << 20) + "\n",
        "[".repeat(1 << 20) + "\n",
        "<a b='".repeat(1 << 16) + "\n",
        "<host>".repeat(1 << 16) + "\n",
        "1=2 ".repeat(1 << 18) + "\n",
        "Nov 20 08:12:03 h kernel: IN=e OUT= SRC=1.1.1.1 DST=2.2.2.2 ".to_owned() + &"A ".repeat(100_000) + "\n",
        "{\"ts\":1,".to_owned() + &(0..50_000).map(|n| format!("\"k{n}\":{n},")).collect::<String>() + "\"z\":0}\n",
        deep("[", "]"),
        deep("{\"a\":", "}"),
    ];
    for format in ALL {
        for input in &inputs {
            let _ = formats::recognise(input.as_bytes());
            let told = read(*format, input.as_bytes());
            if let Framing::Lines { .. } = format.framing() {
                assert_eq!(told.counts.iter().sum::<u64>(), 1, "{}", format.name());
            }
            let read: usize = told.records.iter().map(String::len).sum();
            assert!(read < 8 << 20, "{} keeps {read} bytes", format.name());
        }
    }
}
