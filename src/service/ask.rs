//! What a client asks for. Answers are plain data of the type that is named beside each request; of those that stream, what streams comes first.

use super::order::{CaptureOrder, ImportOrder, PruneOrder};
use super::question::{Carried, Set};
use crate::error::{Error, Result};
use crate::links::nat::AskedEnd;
use crate::model::indicator::Indicator;
use crate::model::live::LiveStatus;
use crate::model::origin::{EvidenceKey, Origin, RecordId};
use crate::model::packet::PacketRef;
use crate::model::record::Record;
use crate::model::{Entity, FieldId, SourceId, Time, Window};
use crate::query::Order;
use crate::query::engine::Page;
use crate::store::verify::How;
use serde::{Deserialize, Serialize};

/// Version of this protocol: of frames, requests, answers and everything in them. It grows with every change of any of them.
pub const PROTOCOL: u32 = 8;
/// What a connection begins with, so that whatever else speaks on a socket is known at once.
pub const MAGIC: [u8; 8] = *b"BACKTRL\0";

/// Who a client is, beside what its credentials prove.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Name to be shown; empty: the Unix user's.
    pub name: String,
    /// Address of the SSH client, if there is one.
    pub ssh: Option<String>,
    /// The terminal or pane, by which its place is kept.
    pub session: String,
    /// Version of its program.
    pub program: String,
}

/// What a client is told when it is taken in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Process that holds the case.
    pub pid: u32,
    /// Name of the case.
    pub case: String,
    /// Unix user as whom it is known here.
    pub unix: String,
    /// What was repaired when the case was opened: told to the first client only.
    pub notices: Vec<String>,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    /// [`Carried`]. With the sets that are files on the client's side.
    Compile(String, Vec<(String, Set)>),
    /// Rows, then `Answered`.
    Select(Carried, Page),
    /// Rows, then nothing.
    Visit(Carried, Vec<FieldId>),
    /// `Vec<Count>`.
    Counts(Vec<Carried>, u64),
    /// `Table`.
    Table(Carried),
    /// `Sorted`.
    Sorted(Carried, Order, u64),
    /// `Timeline`.
    Timeline(Carried, u64, Option<FieldId>),
    /// `Vec<(Value, u64)>`.
    Values(FieldId, String, u64),
    /// `Passive`.
    Passive(Carried),
    /// `Option<Record>`.
    Record(RecordId),
    /// `Vec<Vec<PacketRef>>`.
    PacketsOf(Vec<RecordId>),
    /// `Vec<PacketBytes>`.
    PacketBytes(EvidenceKey, Vec<PacketRef>),
    /// `Raw`.
    Raw(Origin),
    /// `Vec<SourceInfo>`.
    Sources,
    /// `Vec<SourceInfo>`. The source of which the clock is compared; none: of all.
    MeasureClocks(Option<SourceId>),
    /// `Vec<EvidenceInfo>`.
    Evidence,
    /// `String`.
    SourceName(SourceId),
    /// `String`.
    EvidencePath(EvidenceKey),
    /// `Option<Window>`.
    Span,
    /// `Vec<Coverage>`.
    Coverage(Window),
    /// `Linked`.
    Links(Record),
    /// `Option<Why>`.
    Why(Record, RecordId),
    /// `Option<NameUsed>`.
    NameUsed(Record),
    /// `Bound`.
    Bindings(AskedEnd),
    /// `Vec<Fact>`.
    Facts(Entity, Option<Time>),
    /// `Vec<Fact>`, of reputation alone.
    Listed(Entity, Option<Time>),
    /// `Sightings`.
    Sweep(Vec<Indicator>, Window, u64, Vec<Time>),
    /// `Sites`.
    Sites,
    /// Networks of `@home`, and whether they are guessed.
    Home,
    /// `Sayings`.
    Sayings,
    /// `u64`.
    ChangesSince(Carried, u64),
    /// [`State`].
    State,
    /// A decision as the journal has it. With the mark by which it is known if it comes twice, and what was decided, as JSON.
    Append(String, String),
    /// The decisions after so many, as JSON: they are written as the journal writes them.
    Decisions(u64),
    /// Nothing.
    SavePlace(String),
    /// `String`.
    KeepText(String),
    /// `Option<String>`.
    KeptText(String),
    /// `Option<String>`.
    Place,
    /// Notes of [`ImportNote`], then `Report`. Standard input is handed over with it if it is read.
    Import(ImportOrder),
    /// Notes of `LiveStatus`, then `Summary`. With the sets that are files on the client's side.
    Capture(CaptureOrder, Vec<(String, Set)>),
    /// Notes of [`State`] whenever something is new, until it is cancelled.
    Watch,
    /// `Check`.
    Verify(How),
    /// `Vec<Size>`, and records.
    Sizes,
    /// [`Outcome`](super::pruned::Outcome). What is to go, and whether it is only listed.
    Prune(PruneOrder, bool),
    /// `Report`. Absolute paths of an export's files.
    ImportExport(Vec<Vec<u8>>),
}

/// What changes while one looks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Number of the newest import.
    pub sequence: u64,
    /// How often what is not committed was shown anew.
    pub head: u64,
    /// Number of decisions.
    pub decisions: u64,
    /// How captures that run do.
    pub capture: Option<LiveStatus>,
}

/// What an import says while it runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ImportNote {
    /// How far it is.
    Progress(crate::ingest::Progress),
    /// The password of an archive is asked for; goes back as `Option<String>`.
    Password(String),
}

/// Most bins of a timeline.
const BINS: u64 = 1 << 16;
/// Most rows that are put in an order.
const ROWS: u64 = 100_000;
/// Most packets that are read at once: more are asked for again.
const PACKETS: usize = 1 << 20;
/// Most flows whose packets are asked for at once.
const LIST: usize = 1 << 20;

impl Ask {
    /// Refuses numbers that no program of ours would send and that would take memory or time out of proportion.
    pub fn check(&self) -> Result<()> {
        let most = |what: &str, n: u64, most: u64| {
            if n <= most {
                return Ok(());
            }
            Err(Error::user(format!("{n} {what} are more than are answered at once")).hint(format!("ask for at most {most}")))
        };
        match self {
            Ask::Timeline(_, bins, _) => most("bins", *bins, BINS),
            Ask::Sorted(_, _, rows) => most("rows", *rows, ROWS),
            Ask::PacketBytes(_, refs) => most("packets", refs.len() as u64, PACKETS as u64),
            Ask::PacketsOf(flows) => most("flows", flows.len() as u64, LIST as u64),
            Ask::Counts(questions, _) => most("questions", questions.len() as u64, 4096),
            _ => Ok(()),
        }
    }
    /// Whether it is answered from memory at once, by whoever read it.
    pub fn is_quick(&self) -> bool {
        matches!(self, Ask::SourceName(_) | Ask::EvidencePath(_) | Ask::State | Ask::Decisions(_) | Ask::Span)
    }
    /// Whether it goes on and on: it gets a thread of its own.
    pub fn is_long(&self) -> bool {
        matches!(self, Ask::Import(_) | Ask::Capture(..) | Ask::Watch | Ask::Verify(_) | Ask::Prune(..) | Ask::ImportExport(_))
    }
}
