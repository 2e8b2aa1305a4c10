//! Windows event log files: the sample is what the writer here makes, and what is damaged in it is said and nothing else is lost.

use backtrail::formats::{self, Context, Dates, Format, Out, Status, Unit, Zone, evtx, windows_event, windows_xml};
use backtrail::model::field;
use backtrail::model::origin::EvidenceKey;
use backtrail::model::record::Record;
use backtrail::model::time::Time;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sample-data/formats/evtx.evtx");
const CHUNK: usize = 65_536;
const HEADER: usize = 4096;

/// An event to be written: provider, channel, id, level, keywords, time, then names and values of its data.
struct Event {
    provider: &'static str,
    channel: &'static str,
    id: u16,
    level: u8,
    keywords: u64,
    time: &'static str,
    data: &'static [(&'static str, &'static str)],
}

const SECURITY: (&str, &str) = ("Microsoft-Windows-Security-Auditing", "Security");
const SYSMON: (&str, &str) = ("Microsoft-Windows-Sysmon", "Microsoft-Windows-Sysmon/Operational");
const HOST: &str = "WS07.corp.example";
const SUCCESS: u64 = 0x8020_0000_0000_0000;
const FAILURE: u64 = 0x8010_0000_0000_0000;

const fn event(
    of: (&'static str, &'static str),
    id: u16,
    time: &'static str,
    data: &'static [(&'static str, &'static str)],
) -> Event {
    let audit = matches!(of.1.as_bytes()[0], b'S');
    let keywords = if id == 4625 {
        FAILURE
    } else if audit {
        SUCCESS
    } else {
        0x8000_0000_0000_0000
    };
    Event { provider: of.0, channel: of.1, id, level: if audit { 0 } else { 4 }, keywords, time, data }
}

/// What the sample holds.
const EVENTS: &[Event] = &[
    event(
        SECURITY,
        4624,
        "2026-11-19T08:12:01.5Z",
        &[
            ("SubjectUserName", "-"),
            ("TargetUserName", "jdoe"),
            ("TargetDomainName", "CORP"),
            ("LogonType", "3"),
            ("AuthenticationPackageName", "NTLM"),
            ("WorkstationName", "WS03"),
            ("ProcessName", "-"),
            ("IpAddress", "10.8.21.5"),
            ("IpPort", "50123"),
        ],
    ),
    event(
        SECURITY,
        4625,
        "2026-11-19T08:12:00.2Z",
        &[
            ("TargetUserName", "admin"),
            ("Status", "0xc000006d"),
            ("SubStatus", "0xc000006a"),
            ("LogonType", "10"),
            ("AuthenticationPackageName", "Negotiate"),
            ("IpAddress", "::ffff:10.8.21.5"),
            ("IpPort", "0"),
        ],
    ),
    event(
        SECURITY,
        4648,
        "2026-11-19T08:12:02Z",
        &[
            ("SubjectUserName", "jdoe"),
            ("TargetUserName", "svc-backup"),
            ("TargetServerName", "dc01.corp.example"),
            ("ProcessName", "C:\\Windows\\System32\\runas.exe"),
            ("IpAddress", "10.8.1.10"),
            ("IpPort", "445"),
        ],
    ),
    event(
        SECURITY,
        4688,
        "2026-11-19T08:12:03Z",
        &[
            ("SubjectUserName", "jdoe"),
            ("NewProcessId", "0x1a2c"),
            ("NewProcessName", "C:\\Windows\\System32\\cmd.exe"),
            ("ProcessId", "0x9f0"),
            ("CommandLine", "cmd.exe /c whoami > c:\\t.txt & echo <done>"),
            ("ParentProcessName", "C:\\Windows\\explorer.exe"),
        ],
    ),
    event(
        SECURITY,
        5156,
        "2026-11-19T08:12:04Z",
        &[
            ("ProcessID", "6700"),
            ("Application", "\\device\\harddiskvolume2\\windows\\system32\\cmd.exe"),
            ("Direction", "%%14593"),
            ("SourceAddress", "10.8.21.7"),
            ("SourcePort", "50200"),
            ("DestAddress", "203.0.113.9"),
            ("DestPort", "443"),
            ("Protocol", "6"),
        ],
    ),
    event(
        SECURITY,
        5158,
        "2026-11-19T08:12:04Z",
        &[
            ("ProcessId", "6700"),
            ("Application", "\\device\\harddiskvolume2\\windows\\system32\\cmd.exe"),
            ("SourceAddress", "0.0.0.0"),
            ("SourcePort", "50200"),
            ("Protocol", "6"),
        ],
    ),
    event(
        SYSMON,
        1,
        "2026-11-19T08:12:03.9Z",
        &[
            ("UtcTime", "2026-11-19 08:12:03.114"),
            ("ProcessId", "6700"),
            ("Image", "C:\\Windows\\System32\\cmd.exe"),
            ("CommandLine", "cmd.exe /c whoami"),
            ("User", "CORP\\jdoe"),
            (
                "Hashes",
                "MD5=0123456789ABCDEF0123456789ABCDEF,SHA256=00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF",
            ),
            ("ParentProcessId", "2544"),
            ("ParentImage", "C:\\Windows\\explorer.exe"),
            ("ParentCommandLine", "explorer.exe"),
        ],
    ),
    event(
        SYSMON,
        3,
        "2026-11-19T08:12:05Z",
        &[
            ("UtcTime", "2026-11-19 08:12:04.002"),
            ("ProcessId", "6700"),
            ("Image", "C:\\Windows\\System32\\cmd.exe"),
            ("User", "CORP\\jdoe"),
            ("Protocol", "tcp"),
            ("Initiated", "true"),
            ("SourceIp", "10.8.21.7"),
            ("SourcePort", "50200"),
            ("DestinationIp", "203.0.113.9"),
            ("DestinationHostname", "evil.example"),
            ("DestinationPort", "443"),
        ],
    ),
    event(
        SYSMON,
        7,
        "2026-11-19T08:12:05Z",
        &[
            ("UtcTime", "2026-11-19 08:12:04.100"),
            ("ProcessId", "6700"),
            ("Image", "C:\\Windows\\System32\\cmd.exe"),
            ("ImageLoaded", "C:\\Users\\jdoe\\evil.dll"),
            ("Hashes", "SHA1=0123456789ABCDEF0123456789ABCDEF01234567"),
            ("Signed", "false"),
        ],
    ),
    event(
        SYSMON,
        11,
        "2026-11-19T08:12:05Z",
        &[
            ("UtcTime", "2026-11-19 08:12:04.200"),
            ("ProcessId", "6700"),
            ("Image", "C:\\Windows\\System32\\cmd.exe"),
            ("TargetFilename", "C:\\t.txt"),
            ("CreationUtcTime", "2026-11-19 08:12:04.199"),
        ],
    ),
    event(
        SYSMON,
        22,
        "2026-11-19T08:12:05Z",
        &[
            ("UtcTime", "2026-11-19 08:12:03.990"),
            ("ProcessId", "6700"),
            ("QueryName", "evil.example"),
            ("QueryStatus", "0"),
            ("QueryResults", "::ffff:203.0.113.9;"),
            ("Image", "C:\\Windows\\System32\\cmd.exe"),
        ],
    ),
    Event {
        provider: "Service Control Manager",
        channel: "System",
        id: 7036,
        level: 4,
        keywords: 0x8080_0000_0000_0000,
        time: "2026-11-19T08:13:00Z",
        data: &[("param1", "Windows Update"), ("param2", "stopped")],
    },
];

fn filetime(text: &str) -> u64 {
    (Time::parse(text).unwrap().0 / 100 + 116_444_736_000_000_000) as u64
}

/// CRC-32 of IEEE 802.3, bit by bit.
fn crc(parts: &[&[u8]]) -> u32 {
    let mut crc = !0u32;
    for b in parts.iter().flat_map(|p| p.iter()) {
        crc ^= u32::from(*b);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

/// A chunk being written; positions are those in the chunk.
struct Chunk {
    data: Vec<u8>,
    ids: Vec<u64>,
    last: usize,
}

/// A value of a substitution: its type and bytes.
type Value = (u8, Vec<u8>);

impl Chunk {
    fn new() -> Chunk {
        Chunk { data: vec![0; 512], ids: Vec::new(), last: 0 }
    }
    fn put(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
    }
    fn wide(&mut self, text: &str) {
        text.encode_utf16().for_each(|u| self.data.extend_from_slice(&u.to_le_bytes()));
    }
    /// A name where it is used: its offset, then the name itself.
    fn name(&mut self, name: &str) {
        let at = self.data.len() as u32 + 4;
        self.put(&at.to_le_bytes());
        self.put(&[0; 6]);
        self.put(&(name.len() as u16).to_le_bytes());
        self.wide(name);
        self.put(&[0, 0]);
    }
    /// A length that is known later; gives where it stands.
    fn gap(&mut self) -> usize {
        self.put(&[0; 4]);
        self.data.len()
    }
    fn close_gap(&mut self, from: usize) {
        let length = (self.data.len() - from) as u32;
        self.data[from - 4..from].copy_from_slice(&length.to_le_bytes());
    }
    /// An element with fixed or substituted attributes, and what is in it.
    fn element(&mut self, name: &str, attributes: &[(&str, Result<&str, u16>)], inside: impl FnOnce(&mut Chunk)) {
        self.put(&[if attributes.is_empty() { 0x01 } else { 0x41 }, 0xff, 0xff]);
        let size = self.gap();
        self.name(name);
        if !attributes.is_empty() {
            let list = self.gap();
            for (n, (key, value)) in attributes.iter().enumerate() {
                self.put(&[if n + 1 < attributes.len() { 0x46 } else { 0x06 }]);
                self.name(key);
                match value {
                    Ok(text) => {
                        self.put(&[0x05, 0x01]);
                        self.put(&(text.len() as u16).to_le_bytes());
                        self.wide(text);
                    }
                    Err(number) => self.substitution(*number, 0x01),
                }
            }
            self.close_gap(list);
        }
        self.put(&[0x02]);
        inside(self);
        self.put(&[0x04]);
        self.close_gap(size);
    }
    fn substitution(&mut self, number: u16, ty: u8) {
        self.put(&[0x0d]);
        self.put(&number.to_le_bytes());
        self.put(&[ty]);
    }
    fn record(&mut self, id: u64, event: &Event) {
        let start = self.data.len();
        self.put(b"**\0\0\0\0\0\0");
        self.put(&id.to_le_bytes());
        self.put(&filetime(event.time).to_le_bytes());
        self.put(&[0x0f, 1, 1, 0, 0x0c, 1]);
        self.put(&(id as u32).to_le_bytes());
        let at = self.data.len() as u32 + 4;
        self.put(&at.to_le_bytes());
        self.put(&[0; 4]);
        self.put(&[id as u8; 16]);
        let size = self.gap();
        let values = self.template(id, event);
        self.close_gap(size);
        self.put(&(values.len() as u32).to_le_bytes());
        for (ty, bytes) in &values {
            self.put(&(bytes.len() as u16).to_le_bytes());
            self.put(&[*ty, 0]);
        }
        values.iter().for_each(|(_, bytes)| self.data.extend_from_slice(bytes));
        self.put(&[0]);
        let length = (self.data.len() - start + 4) as u32;
        self.put(&length.to_le_bytes());
        self.data[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
        self.last = start;
        self.ids.push(id);
    }
    /// The template of an event; gives the values for it.
    fn template(&mut self, id: u64, event: &Event) -> Vec<Value> {
        let wide = |text: &str| (0x01, text.encode_utf16().flat_map(u16::to_le_bytes).collect());
        let mut values: Vec<Value> = vec![
            (0x06, event.id.to_le_bytes().to_vec()),
            (0x04, vec![event.level]),
            (0x15, event.keywords.to_le_bytes().to_vec()),
            (0x11, filetime(event.time).to_le_bytes().to_vec()),
            (0x0a, id.to_le_bytes().to_vec()),
        ];
        let system = values.clone();
        self.put(&[0x0f, 1, 1, 0]);
        self.element("Event", &[("xmlns", Ok("http://schemas.microsoft.com/win/2004/08/events/event"))], |c| {
            c.element("System", &[], |c| {
                c.element("Provider", &[("Name", Ok(event.provider))], |_| {});
                for (n, name) in [(0u16, "EventID"), (1, "Level"), (2, "Keywords")] {
                    c.element(name, &[], |c| c.substitution(n, system[usize::from(n)].0));
                }
                c.element("TimeCreated", &[("SystemTime", Err(3))], |_| {});
                c.element("EventRecordID", &[], |c| c.substitution(4, 0x0a));
                for (name, text) in [("Channel", event.channel), ("Computer", HOST)] {
                    values.push(wide(text));
                    c.element(name, &[], |c| c.substitution(values.len() as u16 - 1, 0x01));
                }
            });
            c.element("EventData", &[], |c| {
                for (name, text) in event.data {
                    values.push(wide(text));
                    c.element("Data", &[("Name", Ok(name))], |c| c.substitution(values.len() as u16 - 1, 0x01));
                }
            });
        });
        self.put(&[0]);
        values
    }
    fn finish(mut self) -> Vec<u8> {
        let free = self.data.len();
        assert!(free <= CHUNK);
        let (first, last) = (self.ids[0], self.ids[self.ids.len() - 1]);
        let mut header = b"ElfChnk\0".to_vec();
        [first, last, first, last].iter().for_each(|n| header.extend(n.to_le_bytes()));
        [128, self.last as u32, free as u32].iter().for_each(|n| header.extend(n.to_le_bytes()));
        header.extend(crc(&[&self.data[512..]]).to_le_bytes());
        self.data[..header.len()].copy_from_slice(&header);
        let sum = crc(&[&self.data[..120], &self.data[128..512]]);
        self.data[124..128].copy_from_slice(&sum.to_le_bytes());
        self.data.resize(CHUNK, 0);
        self.data
    }
}

/// A file of events, so many a chunk.
fn file(events: &[&Event], per_chunk: usize) -> Vec<u8> {
    let mut data = b"ElfFile\0".to_vec();
    let chunks = events.chunks(per_chunk);
    [0, chunks.len() as u64 - 1, events.len() as u64 + 1].iter().for_each(|n| data.extend(n.to_le_bytes()));
    data.extend(128u32.to_le_bytes());
    [1u16, 3, 4096, chunks.len() as u16].iter().for_each(|n| data.extend(n.to_le_bytes()));
    data.resize(HEADER, 0);
    let sum = crc(&[&data[..120]]);
    data[124..128].copy_from_slice(&sum.to_le_bytes());
    let mut id = 0;
    for part in chunks {
        let mut chunk = Chunk::new();
        for event in part {
            id += 1;
            chunk.record(id, event);
        }
        data.extend(chunk.finish());
    }
    data
}

fn sample() -> Vec<u8> {
    file(&EVENTS.iter().collect::<Vec<_>>(), EVENTS.len())
}

/// What is read of a file: records, counts of ok, partial, skipped, failed, oddities.
fn read(format: &dyn Format, data: &[u8]) -> (Vec<Record>, [u64; 4], Vec<String>) {
    let context = Context {
        evidence: EvidenceKey(1),
        stem: "sample".into(),
        zone: Zone::Fixed(0),
        year: None,
        dates: Dates::default(),
        modified: Time::parse("2026-11-20T12:00:00Z").unwrap(),
    };
    let (mut records, mut counts, mut oddities) = (Vec::new(), [0; 4], Vec::new());
    let mut input = data;
    formats::read(&mut input, format, &context, Unit { offset: 0, line: 1 }, &[], &mut |status: Status, out: Out| {
        counts[status as usize] += 1;
        records.extend(out.records.into_iter().map(|r| r.record));
        oddities.extend(out.oddities.iter().map(|o| format!("{} {}", o.what, o.place)));
        true
    })
    .unwrap();
    (records, counts, oddities)
}

#[test]
fn the_sample_is_what_the_writer_makes() {
    if std::env::var_os("BACKTRAIL_BLESS").is_some() {
        std::fs::write(SAMPLE, sample()).unwrap();
    }
    assert!(std::fs::read(SAMPLE).unwrap() == sample(), "BACKTRAIL_BLESS=1 writes it anew");
}

#[test]
fn every_event_is_read_with_its_offset_and_both_clocks_of_sysmon() {
    let data = sample();
    let (records, counts, oddities) = read(&evtx::FORMAT, &data);
    assert_eq!((records.len(), counts, oddities.as_slice()), (EVENTS.len(), [EVENTS.len() as u64, 0, 0, 0], &[][..]));
    for (record, event) in records.iter().zip(EVENTS) {
        let at = record.id.offset as usize;
        assert_eq!(&data[at..at + 4], b"**\0\0");
        assert_eq!(record.len, u32::from_le_bytes(data[at + 4..at + 8].try_into().unwrap()));
        assert_eq!(record.text(field::EVENT_CODE), Some(event.id.to_string().as_str()));
    }
    let sysmon = &records[6];
    assert_eq!(sysmon.start.to_string(), "2026-11-19T08:12:03.114Z");
    let extra = sysmon.text(field::EXTRA).unwrap();
    assert!(extra.contains("\"TimeCreated\":\"2026-11-19T08:12:03.900Z\"") && extra.contains("\"ParentImage\":"), "{extra}");
}

#[test]
fn the_binary_file_and_its_rendering_as_json_give_the_same_fields() {
    let (binary, ..) = read(&evtx::FORMAT, &sample());
    for (record, event) in binary.iter().zip(EVENTS) {
        let data: Vec<String> = event.data.iter().map(|(k, v)| format!("{}:{}", quoted(k), quoted(v))).collect();
        let line = format!(
            "{{\"@timestamp\":{time},\"winlog\":{{\"event_id\":{},\"channel\":{},\"provider_name\":{},\"computer_name\":{},\"keywords\":[],\
             \"event_data\":{{{}}}}},\"log\":{{\"level\":\"information\"}}}}\n",
            event.id,
            quoted(event.channel),
            quoted(event.provider),
            quoted(HOST),
            data.join(","),
            time = quoted(event.time),
        );
        let (json, ..) = read(&windows_event::FORMAT, line.as_bytes());
        let fields = |r: &Record| {
            let kept = r.fields.iter().filter(|(id, _)| *id != field::EXTRA);
            format!("{} {} {:?}", r.kind, r.start, kept.collect::<Vec<_>>())
        };
        assert_eq!(fields(record), fields(&json[0]), "event {}", event.id);
    }
}

#[test]
fn the_binary_file_and_its_rendering_as_xml_give_the_same_records() {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&apos;");
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"utf-8\" standalone=\"yes\"?>\r\n<Events>");
    for (n, event) in EVENTS.iter().enumerate() {
        let data: String = event.data.iter().map(|(k, v)| format!("<Data Name='{k}'>{}</Data>", escaped(v))).collect();
        text += &format!(
            "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='{}'/><EventID>{}</EventID>\
             <Level>{}</Level><Keywords>{:#x}</Keywords><TimeCreated SystemTime='{}'/><EventRecordID>{}</EventRecordID>\
             <Channel>{}</Channel><Computer>{HOST}</Computer></System><EventData>{data}</EventData></Event>",
            event.provider,
            event.id,
            event.level,
            event.keywords,
            event.time,
            n + 1,
            event.channel,
        );
    }
    text += "</Events>";
    let (binary, ..) = read(&evtx::FORMAT, &sample());
    let (xml, counts, oddities) = read(&windows_xml::FORMAT, text.as_bytes());
    assert_eq!((counts, oddities.as_slice()), ([EVENTS.len() as u64, 0, 0, 0], &[][..]));
    for ((a, b), event) in binary.iter().zip(&xml).zip(EVENTS) {
        let fields = |r: &Record| {
            let kept = r.fields.iter().filter(|(id, _)| *id != field::EXTRA);
            format!("{} {} {:?}", r.kind, r.start, kept.collect::<Vec<_>>())
        };
        assert_eq!(fields(a), fields(b), "event {}", event.id);
        let at = b.id.offset as usize;
        assert!(text[at..].starts_with("<Event ") && text[..at + b.len as usize].ends_with("</Event>"));
    }
    if std::env::var_os("BACKTRAIL_BLESS").is_some() {
        std::fs::write(SAMPLE.replace("evtx.evtx", "windows-xml.xml"), text.replace("><Event ", ">\r\n<Event ")).unwrap();
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[test]
fn a_damaged_chunk_is_said_and_the_others_are_read() {
    let events: Vec<&Event> = EVENTS.iter().collect();
    let whole = file(&events, 4);
    let flipped = |at: usize, to: u8| {
        let mut data = whole.clone();
        data[HEADER + CHUNK + at] = to;
        read(&evtx::FORMAT, &data)
    };
    // Its beginning: nothing of that chunk; its checksum alone: everything.
    let (records, counts, oddities) = flipped(0, b'X');
    assert_eq!((records.len(), counts[3], oddities.len()), (8, 1, 1), "{oddities:?}");
    assert!(oddities[0].starts_with("evtx_chunk_damaged chunk 1 at byte 69632"), "{oddities:?}");
    let (records, counts, oddities) = flipped(53, 0);
    assert_eq!((records.len(), counts[3]), (12, 0));
    assert!(oddities[0].starts_with("evtx_checksum_wrong chunk 1"), "{oddities:?}");
    // A record's beginning: that record.
    let at = whole[HEADER + CHUNK + 600..].windows(4).position(|w| w == b"**\0\0").unwrap() + 600;
    let (records, counts, oddities) = flipped(at, b'X');
    assert_eq!((records.len(), counts[3] > 0), (11, true), "{oddities:?}");
}

#[test]
fn a_file_that_was_not_closed_is_read_to_its_last_record() {
    let events: Vec<&Event> = EVENTS.iter().collect();
    let mut data = file(&events, 4);
    // Its header knows of one chunk only and says that it is open.
    data[16..24].fill(0);
    data[42..44].copy_from_slice(&1u16.to_le_bytes());
    data[120] = 1;
    let (records, ..) = read(&evtx::FORMAT, &data);
    assert_eq!(records.len(), 12);
    // Chunks that were laid out and never used are no failure.
    data.extend(vec![0; CHUNK]);
    assert_eq!(read(&evtx::FORMAT, &data).1, [12, 0, 1, 0]);
}

#[test]
fn records_left_over_behind_the_last_one_are_carved_and_marked() {
    let events: Vec<&Event> = EVENTS.iter().take(3).collect();
    let mut data = file(&events, 3);
    // The chunk was begun anew after its first record: what stood there before is behind the free space.
    let chunk = &mut data[HEADER..];
    let second = chunk[600..].windows(4).position(|w| w == b"**\0\0").unwrap() as u32 + 600;
    for at in [16, 32] {
        chunk[at..at + 8].copy_from_slice(&1u64.to_le_bytes());
    }
    chunk[44..48].copy_from_slice(&512u32.to_le_bytes());
    chunk[48..52].copy_from_slice(&second.to_le_bytes());
    let (records, counts, _) = read(&evtx::FORMAT, &data);
    assert_eq!((records.len(), counts[1]), (3, 2));
    assert!(records[2].text(field::EXTRA).unwrap().contains("\"carved\":\"true\""));
}

#[test]
fn a_file_cut_or_changed_anywhere_is_counted_and_never_a_panic() {
    let data = file(&[&EVENTS[0], &EVENTS[6]], 2);
    let end = HEADER + 8000;
    for cut in (0..end).step_by(61).chain([1, 8, HEADER - 1, HEADER, HEADER + 1, HEADER + 512]) {
        let (records, _, oddities) = read(&evtx::FORMAT, &data[..cut]);
        assert!(records.len() <= 2 && oddities.iter().all(|o| !o.contains("panicked")), "cut at {cut}: {oddities:?}");
        assert!(!oddities.is_empty() || cut == HEADER, "cut at {cut}");
    }
    for at in (HEADER..end).step_by(13) {
        for to in [0, 0x0c, 0x7f, 0xff] {
            let mut data = data.clone();
            data[at] = to;
            let (records, _, oddities) = read(&evtx::FORMAT, &data);
            assert!(records.len() <= 4, "byte {at} set to {to}");
            assert!(oddities.iter().all(|o| !o.contains("panicked")), "byte {at} set to {to}: {oddities:?}");
        }
    }
}
