//! What people enter: bookmarks, notes, tags, verdicts, leads, manual clocks, sites, trail nodes. `store/journal.rs` writes and reads it; layers
//! above read the newest state from it. A decision is never edited: a later one with the same `id` replaces or removes it.

use super::origin::RecordId;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Sequence number within the journal, from 1; 0 until it is written.
    #[serde(default)]
    pub sequence: u64,
    /// When, nanoseconds UTC.
    pub at: i64,
    /// Who: `$BACKTRAIL_USER`, else the Unix user; with the SSH client's address if there is one.
    pub who: Who,
    /// What.
    pub what: What,
}

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Who {
    /// `$BACKTRAIL_USER`, else the Unix user's name.
    pub name: String,
    /// Unix user.
    pub unix: String,
    /// Client of `$SSH_CONNECTION`, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<String>,
}

/// Judgement of a record, entity or set of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// Explained and harmless; needs a reason.
    Benign,
    /// Not decided, worth following.
    Suspicious,
    /// Part of the attack.
    Malicious,
}

impl Judgement {
    /// Every judgement, the least first.
    pub const ALL: [Judgement; 3] = [Judgement::Benign, Judgement::Suspicious, Judgement::Malicious];
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Judgement::Benign => "benign",
            Judgement::Suspicious => "suspicious",
            Judgement::Malicious => "malicious",
        }
    }
    /// The judgement that a word means.
    pub fn parse(word: &str) -> Option<Judgement> {
        Judgement::ALL.into_iter().find(|j| j.name().eq_ignore_ascii_case(word))
    }
}

/// The decisions that were not taken back, oldest first.
pub fn standing(decisions: &[Decision]) -> impl Iterator<Item = &Decision> {
    let gone: HashSet<u64> =
        decisions.iter().filter_map(|d| if let What::Remove { id } = d.what { Some(id) } else { None }).collect();
    decisions.iter().filter(move |d| !gone.contains(&d.sequence))
}

/// What a decision is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// Records, by id text ([`RecordId`]).
    Records(Vec<String>),
    /// A value of a field: field name, value as shown.
    Value(String, String),
    /// A query.
    Query(String),
    /// A bookmark, by its id.
    Bookmark(u64),
    /// The case as a whole.
    Case,
}

impl About {
    /// About these records.
    pub fn records(ids: impl IntoIterator<Item = RecordId>) -> About {
        About::Records(ids.into_iter().map(|id| id.to_string()).collect())
    }
}

/// How far a lead is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeadState {
    /// Not settled.
    #[default]
    Open,
    /// Settled: the reason says how.
    Answered,
    /// Not followed any more: the reason says why.
    Dropped,
}

impl LeadState {
    /// Every state.
    pub const ALL: [LeadState; 3] = [LeadState::Open, LeadState::Answered, LeadState::Dropped];
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            LeadState::Open => "open",
            LeadState::Answered => "answered",
            LeadState::Dropped => "dropped",
        }
    }
    /// The state that a word means.
    pub fn parse(word: &str) -> Option<LeadState> {
        LeadState::ALL.into_iter().find(|s| s.name().eq_ignore_ascii_case(word))
    }
}

/// What supports or contradicts a lead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ground {
    /// A bookmark, by its id.
    Bookmark(u64),
    /// A verdict, by its id.
    Verdict(u64),
    /// A query, with absolute times.
    Query(String),
}

/// A lead that is opened, or what changes of one: an open question (its text ends in `?`) or a hypothesis. What is `None` stays as it is;
/// grounds come to those that there are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeadChange {
    /// The decision that opened the lead that is changed; none: this one opens it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
    /// The question or hypothesis; whoever opens a lead gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What supports it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supports: Vec<Ground>,
    /// What contradicts it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contradicts: Vec<Ground>,
    /// What does neither any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withdrawn: Vec<Ground>,
    /// What is to be done next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Who does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<LeadState>,
    /// Why it is answered or dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A file that was rebuilt from packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// Name that it was written under.
    pub written: String,
    /// Name that it had.
    pub name: String,
    /// Bytes written.
    pub size: u64,
    /// SHA-256 of what was written, hexadecimal.
    pub sha256: String,
    /// Flow, by id text ([`RecordId`]).
    pub flow: String,
    /// Nothing of it is missing.
    pub sound: bool,
}

/// An address on a list to be blocked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// Address or network.
    pub addr: String,
    /// Until when, nanoseconds UTC: there is always an end.
    pub until: i64,
    /// How often it had been on the list before.
    #[serde(default)]
    pub repeat: u32,
}

/// What a feed is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedKind {
    /// Indicators of what is bad.
    #[default]
    Indicators,
    /// What is known to be harmless: its entries keep a score low.
    Allow,
    /// What explains an address or name and is neither good nor bad: clouds, dynamic DNS, scanners.
    Context,
    /// Who registered and announces addresses.
    Registration,
}

impl FeedKind {
    /// Every kind.
    pub const ALL: [FeedKind; 4] = [FeedKind::Indicators, FeedKind::Allow, FeedKind::Context, FeedKind::Registration];
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            FeedKind::Indicators => "indicators",
            FeedKind::Allow => "allow",
            FeedKind::Context => "context",
            FeedKind::Registration => "registration",
        }
    }
    /// The kind that a word means.
    pub fn parse(word: &str) -> Option<FeedKind> {
        FeedKind::ALL.into_iter().find(|k| k.name().eq_ignore_ascii_case(word))
    }
}

/// How the entries of a feed count. Percents are whole numbers so that the same settings are the same text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FeedSettings {
    /// What it is for.
    #[serde(default)]
    pub kind: FeedKind,
    /// Class of entries that state none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub category: String,
    /// Confidence of entries that state none, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<u8>,
    /// What the whole feed is worth, percent; none: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u8>,
    /// After how many nanoseconds an entry says half as much; 0: never; none: by the class of the entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_life: Option<i64>,
    /// Feeds of one lineage are copies of each other and count once.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub lineage: String,
}

/// What was decided. Ids are the sequence number of the decision that created the thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum What {
    /// A kept question: re-runs, and shows what has changed since.
    Bookmark {
        /// Title.
        title: String,
        /// Query text with absolute times.
        query: String,
        /// Lens or screen it was taken in.
        lens: String,
        /// Focus (entity text), if any.
        focus: String,
        /// Number of rows it had.
        rows: u64,
        /// Number of the newest import when it was taken or last accepted.
        seen: u64,
        /// The trail node that it keeps.
        node: Option<u64>,
    },
    /// A note in Markdown.
    Note {
        /// What it is about.
        about: About,
        /// Text.
        text: String,
    },
    /// A tag.
    Tag {
        /// What it is about.
        about: About,
        /// The tag.
        tag: String,
    },
    /// A verdict.
    Verdict {
        /// What it is about.
        about: About,
        /// Judgement.
        judgement: Judgement,
        /// Why.
        reason: String,
        /// Until when it is applied, nanoseconds UTC by the clock of whoever asks; none: for good.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires: Option<i64>,
    },
    /// Entries were put into a named set, or what is known of them was renewed. The part of the name before `-` says what it is for:
    /// `allow` is what may be left out of sight, `watch` is checked against every import, `home` is one's own networks, `mission` what
    /// matters most; any other name is as its makers mean it.
    SetAdd {
        /// Name, without `@`.
        set: String,
        /// Addresses, networks, names, URLs, hashes, users, or any other text, refanged.
        entries: Vec<String>,
        /// Why they are in it.
        #[serde(default)]
        reason: String,
        /// When they leave it by themselves, nanoseconds UTC; none: never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires: Option<i64>,
    },
    /// Entries were taken out of a named set; without entries the whole set.
    SetRemove {
        /// Name, without `@`.
        set: String,
        /// What is taken out.
        entries: Vec<String>,
    },
    /// A site of one's own: confirmed, changed, or (without networks) removed. All networks of all sites are home.
    Site {
        /// Name.
        name: String,
        /// Its networks.
        networks: Vec<String>,
        /// Zone that its people and its zone-less logs live in, if known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zone: Option<String>,
    },
    /// The mission of a host or service, or how critical it is, was said by hand, or (with an empty value) is no longer. The last word on a
    /// host's field counts.
    Inventory {
        /// Address, or address and port of one service.
        host: String,
        /// `mission` or `criticality`.
        field: String,
        /// What it is.
        value: String,
    },
    /// A feed was added or renewed, or (without a hash) removed. The last word on a name counts; its table is a file of the case.
    Feed {
        /// Name.
        name: String,
        /// SHA-256 of the file that its table was made of, hexadecimal; empty: it is removed.
        sha256: String,
        /// Where that file was.
        #[serde(default)]
        path: String,
        /// What it is for.
        #[serde(default)]
        settings: FeedSettings,
        /// Format it was read as.
        #[serde(default)]
        format: String,
        /// Its entries.
        #[serde(default)]
        entries: u64,
    },
    /// A source's clock, zone, year, order of dates or site was set by hand. `None` fields stay as they are.
    SourceSet {
        /// Name of the source.
        source: String,
        /// Nanoseconds to add to its times.
        offset: Option<i64>,
        /// IANA zone or fixed offset that its zone-less times are in.
        zone: Option<String>,
        /// Year of its year-less times.
        year: Option<i32>,
        /// Order of dates that may be read either way: `month-first` or `day-first`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dates: Option<String>,
        /// Site.
        site: Option<String>,
    },
    /// A node of the trail: a question that was asked by moving there.
    Trail {
        /// Parent node (sequence), none for a root.
        parent: Option<u64>,
        /// Label on screen.
        label: String,
        /// Query text.
        query: String,
        /// Lens.
        lens: String,
        /// Focus (entity text).
        focus: String,
        /// Window, RFC 3339 start and end; empty for the whole case.
        window: String,
        /// Rows that it returned.
        rows: u64,
        /// Number of the newest import when it was walked; none: an older program walked it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seen: Option<u64>,
    },
    /// Active lookups were permitted for this case, or (without a resolver) are no longer. The last word counts.
    Lookups {
        /// Address and port of the resolver that is asked, and no other.
        #[serde(default)]
        resolver: String,
        /// SOCKS5 proxy through which it is reached, address and port; empty: directly.
        #[serde(default)]
        proxy: String,
        /// Why that may be told to whoever answers.
        reason: String,
    },
    /// A name or address was looked up: what nobody but the resolver said, and is never counted as evidence.
    Lookup {
        /// The name that was asked for; of an address its name below `arpa`.
        name: String,
        /// Type of record, e.g. `A`.
        kind: String,
        /// Whom it was asked of.
        resolver: String,
        /// Response code, e.g. `NOERROR`; what went wrong, if there was no answer.
        outcome: String,
        /// Records of the answer, `NAME TYPE DATA` each.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        answer: Vec<String>,
    },
    /// A lead was opened, or one was changed.
    Lead(LeadChange),
    /// Two records were said to be one thing, or not to be, by hand. The last word on a pair counts.
    LinkJudged {
        /// The two records, by id text ([`RecordId`]), the lesser id first.
        records: (String, String),
        /// They are one thing; else they are not.
        accepted: bool,
        /// Why.
        reason: String,
    },
    /// Takes back an earlier decision.
    Remove {
        /// Sequence of what is taken back.
        id: u64,
    },
    /// Changes the text of a note, title of a bookmark or label of a trail node.
    Edit {
        /// Sequence of what is changed.
        id: u64,
        /// New text.
        text: String,
    },
    /// An import began: custody.
    Import {
        /// Paths as given.
        paths: Vec<String>,
        /// From whom.
        from: String,
        /// How it was obtained.
        how: String,
        /// Ticket.
        ticket: String,
    },
    /// Files were rebuilt from packets and written.
    Extract {
        /// Question that selected their flows.
        query: String,
        /// Folder or archive.
        path: String,
        /// The files; of very many each entry has a part.
        files: Vec<Carried>,
    },
    /// Days were dropped for good, or are about to be: it is written before.
    Prune {
        /// What was asked for, in words: older than what, beyond what size.
        why: String,
        /// Days of which something goes, with the kinds that go where not all do; and how many files beside.
        days: Vec<String>,
        /// Bytes, about.
        bytes: u64,
    },
    /// Addresses were put on a list to be blocked, which somebody may have applied elsewhere: nothing is blocked from here.
    Block {
        /// What was asked for: a query, a finding, addresses.
        asked: String,
        /// What is on the list from then on; of very many each decision has a part.
        entries: Vec<Blocked>,
    },
    /// Something left the case: a report, an export, packets.
    Export {
        /// What.
        what: String,
        /// Where to.
        path: String,
        /// SHA-256 of what was written.
        sha256: String,
    },
}
