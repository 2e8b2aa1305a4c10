//! The feeds of a case: which stand by its decisions, and what their tables say.
//!
//! A feed is a local file that people added: it is compiled into a table of the case, under its hash, and read from there; nothing is fetched.

use super::registrations::{self, Form};
use super::tables::{self, Description, Table, indicators, ranges};
use crate::error::{Error, Result};
use crate::formats::{self, Context, Dates, Format, Unit, Zone};
use crate::model::decision::{Decision, FeedKind, FeedSettings, What, standing};
use crate::model::filter::{Members, Test};
use crate::model::{EvidenceKey, FieldId, Filter, Time, Value, field};
use crate::sources::input::Input;
use ranges::Registered;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Bytes at the beginning of a file by which it is recognised, and at its end.
const HEAD: usize = 64 << 10;
const TAIL: u64 = 128 << 10;
/// Most filters of registrations that are kept.
const KEPT: usize = 64;

/// A feed that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// Name.
    pub name: String,
    /// SHA-256 of the file that its table was made of.
    pub sha256: String,
    /// Where that file was.
    pub path: String,
    /// How it counts.
    pub settings: FeedSettings,
    /// Format it was read as.
    pub format: String,
    /// Its entries.
    pub entries: u64,
    /// When it was added or renewed, and by whom.
    pub at: Time,
    /// By whom.
    pub who: String,
}

/// The feeds that stand, in order of name; the last word on a name counts.
pub fn feeds(decisions: &[Decision]) -> Vec<Feed> {
    let mut feeds: BTreeMap<&str, Feed> = BTreeMap::new();
    for decision in standing(decisions) {
        let What::Feed { name, sha256, path, settings, format, entries } = &decision.what else { continue };
        if sha256.is_empty() {
            feeds.remove(name.as_str());
            continue;
        }
        let feed = Feed {
            name: name.clone(),
            sha256: sha256.clone(),
            path: path.clone(),
            settings: settings.clone(),
            format: format.clone(),
            entries: *entries,
            at: Time(decision.at),
            who: decision.who.name.clone(),
        };
        feeds.insert(name, feed);
    }
    feeds.into_values().collect()
}

/// A feed with its table, or why there is none.
pub struct Open {
    /// The feed.
    pub feed: Feed,
    /// Its table.
    pub table: Result<Table>,
    values: OnceLock<Vec<Registered>>,
}

impl Open {
    /// Its registrations, number 1 first.
    fn values(&self) -> &[Registered] {
        self.values.get_or_init(|| self.table.as_ref().ok().and_then(|t| t.values().ok()).unwrap_or_default())
    }
    /// What it says of an address.
    fn says(&self, addr: IpAddr) -> Option<&Registered> {
        let n = self.table.as_ref().ok()?.value_of(addr).ok()?;
        self.values().get((n as usize).checked_sub(1)?)
    }
}

/// Every feed that stands, open.
#[derive(Default)]
pub struct Feeds {
    /// In order of name.
    pub all: Vec<Open>,
    /// Conditions on addresses that conditions on registrations were made of.
    made: Mutex<HashMap<String, Arc<Members>>>,
}

impl std::fmt::Debug for Feeds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.all.iter().map(|o| &o.feed)).finish()
    }
}

impl Feeds {
    /// Opens the tables of a case.
    pub fn open(case: &Path, decisions: &[Decision]) -> Feeds {
        let open = |feed: Feed| Open { table: Table::open(&tables::path(case, &feed.sha256)), feed, values: OnceLock::new() };
        Feeds { all: feeds(decisions).into_iter().map(open).collect(), made: Mutex::default() }
    }
    /// Whether any says who registered addresses.
    pub fn has_registrations(&self) -> bool {
        self.all.iter().any(|o| o.feed.settings.kind == FeedKind::Registration && o.table.is_ok())
    }
    /// Feeds of a kind whose tables can be read.
    pub fn of(&self, kind: FeedKind) -> impl Iterator<Item = (&Feed, &Table)> {
        self.all.iter().filter(move |o| o.feed.settings.kind == kind).filter_map(|o| Some((&o.feed, o.table.as_ref().ok()?)))
    }
    /// What each registration feed says of an address, in order; those that say nothing are left out.
    fn of_each(&self, addr: IpAddr) -> impl Iterator<Item = &Registered> {
        self.all.iter().filter(|o| o.feed.settings.kind == FeedKind::Registration).filter_map(move |open| open.says(addr))
    }
    /// What every registration feed says of an address, put together: the first that knows something counts.
    pub fn registered(&self, addr: IpAddr) -> Registered {
        let mut out = Registered::default();
        for found in self.of_each(addr) {
            if out.country.is_empty() {
                out.country.clone_from(&found.country);
            }
            if out.number == 0 {
                (out.number, out.name) = (found.number, found.name.clone());
            }
            if out.registry.is_empty() {
                (out.registry, out.allocated) = (found.registry.clone(), found.allocated.clone());
            }
        }
        out
    }
    /// Whether a registry states that an address was given to nobody, and none that it was given to somebody. That no statistics list it says
    /// nothing: those of its registry may not be there.
    pub fn is_unallocated(&self, addr: IpAddr) -> bool {
        let mut stated = false;
        for found in self.all.iter().filter(|o| o.feed.format == Form::Delegated.name()).filter_map(|o| o.says(addr)) {
            if !found.nobody {
                return false;
            }
            stated = true;
        }
        stated
    }
    /// Country and autonomous system of an address.
    fn country_and_system(&self, addr: IpAddr) -> (Option<Value>, Option<Value>) {
        let (mut country, mut system) = (None, None);
        for found in self.of_each(addr) {
            if country.is_none() && !found.country.is_empty() {
                country = Some(Value::text(&found.country));
            }
            if system.is_none() && found.number > 0 {
                system = Some(Value::Uint(u64::from(found.number)));
            }
        }
        (country, system)
    }
    /// The value of a registration field for an address.
    fn value(&self, id: FieldId, addr: IpAddr) -> Option<Value> {
        let (country, system) = self.country_and_system(addr);
        if matches!(id, field::COUNTRY | field::SRC_COUNTRY | field::DST_COUNTRY) { country } else { system }
    }
    /// The values of [`field::REGISTRATION`], in its order, of a record with these ends. Each end is looked up once.
    pub fn values_of(
        &self,
        src: Option<IpAddr>,
        dst: Option<IpAddr>,
        home: &dyn Fn(IpAddr) -> bool,
    ) -> [(FieldId, Option<Value>); 6] {
        let of = |addr: Option<IpAddr>| addr.map_or((None, None), |a| self.country_and_system(a));
        let ((src_country, src_system), (dst_country, dst_system)) = (of(src), of(dst));
        let (country, system) = match outside(src, dst, home) {
            Some(addr) if Some(addr) == dst => (dst_country.clone(), dst_system.clone()),
            _ => (src_country.clone(), src_system.clone()),
        };
        [
            (field::COUNTRY, country),
            (field::SRC_COUNTRY, src_country),
            (field::DST_COUNTRY, dst_country),
            (field::AS, system),
            (field::SRC_AS, src_system),
            (field::DST_AS, dst_system),
        ]
    }
    /// The value of a registration field of a record with these ends; `home` says whether an address is one's own.
    pub fn value_of(
        &self,
        id: FieldId,
        src: Option<IpAddr>,
        dst: Option<IpAddr>,
        home: &dyn Fn(IpAddr) -> bool,
    ) -> Option<Value> {
        match id {
            field::SRC_COUNTRY | field::SRC_AS => self.value(id, src?),
            field::DST_COUNTRY | field::DST_AS => self.value(id, dst?),
            _ => self.value(id, outside(src, dst, home)?),
        }
    }
    /// The same filter with tests of registrations as tests of addresses, which postings can answer.
    pub fn expand(&self, filter: Filter) -> Result<Filter> {
        Ok(match filter {
            Filter::And(list) => Filter::And(list.into_iter().map(|f| self.expand(f)).collect::<Result<_>>()?),
            Filter::Or(list) => Filter::Or(list.into_iter().map(|f| self.expand(f)).collect::<Result<_>>()?),
            Filter::Not(inner) => Filter::Not(Box::new(self.expand(*inner)?)),
            Filter::Test(id, test) if field::is_registration(id) => {
                if !self.has_registrations() {
                    let name = field::name(id);
                    return Err(Error::user(format!("`{name}` needs a registration feed, and the case has none"))
                        .hint("backtrail feeds add FILE: a MaxMind-format file, RIR delegated-extended statistics, or pfx2as"));
                }
                let set = self.members(id, &test)?;
                let ends: &[FieldId] = match id {
                    field::SRC_COUNTRY | field::SRC_AS => &[field::SRC_IP],
                    field::DST_COUNTRY | field::DST_AS => &[field::DST_IP],
                    _ => &[field::SRC_IP, field::DST_IP],
                };
                let mut any: Vec<Filter> = ends.iter().map(|id| Filter::Test(*id, Test::Set(Arc::clone(&set)))).collect();
                if any.len() == 1 { any.remove(0) } else { Filter::Or(any) }
            }
            other => other,
        })
    }
    fn members(&self, id: FieldId, test: &Test) -> Result<Arc<Members>> {
        let country = matches!(id, field::COUNTRY | field::SRC_COUNTRY | field::DST_COUNTRY);
        let ty = field::get(id).map_or(field::Type::Text, |f| f.ty);
        let key = format!("{country} {test:?}");
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = made.get(&key) {
            return Ok(Arc::clone(set));
        }
        let passes = |found: &Registered| match country {
            true => !found.country.is_empty() && test.holds(&Value::text(&found.country), ty),
            false => found.number > 0 && test.holds(&Value::Uint(u64::from(found.number)), ty),
        };
        let says = |found: &Registered| if country { !found.country.is_empty() } else { found.number > 0 };
        // Of several feeds the first that knows an address counts: what it knows is taken out of the later ones.
        let (mut nets, mut known): (Vec<ipnet::IpNet>, Vec<ipnet::IpNet>) = (Vec::new(), Vec::new());
        for open in self.all.iter().filter(|o| o.feed.settings.kind == FeedKind::Registration) {
            let Ok(table) = &open.table else { continue };
            let values = open.values();
            let of = |n: u32, test: &dyn Fn(&Registered) -> bool| {
                (n as usize).checked_sub(1).and_then(|n| values.get(n)).is_some_and(test)
            };
            let found = table.networks(&|n| of(n, &passes))?;
            nets.extend(without(found, &known));
            if self.all.len() > 1 {
                known.extend(table.networks(&|n| of(n, &says))?);
                known = ipnet::IpNet::aggregate(&known);
                known.sort_unstable();
            }
        }
        let mut nets = ipnet::IpNet::aggregate(&nets);
        nets.sort_unstable();
        let set = Arc::new(Members { name: field::name(id), nets, ..Members::default() });
        if made.len() >= KEPT {
            made.clear();
        }
        made.insert(key, Arc::clone(&set));
        Ok(set)
    }
}

/// The end of a record that is not one's own; the destination where both are, or neither.
fn outside(src: Option<IpAddr>, dst: Option<IpAddr>, home: &dyn Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let ends = || [dst, src].into_iter().flatten();
    ends().find(|a| !home(*a)).or_else(|| ends().next())
}

/// Networks without what lies in others, which are in order and none inside another.
fn without(nets: Vec<ipnet::IpNet>, others: &[ipnet::IpNet]) -> Vec<ipnet::IpNet> {
    let mut out = Vec::with_capacity(nets.len());
    let mut rest = nets;
    while let Some(net) = rest.pop() {
        let after = others.partition_point(|o| o.network() <= net.network());
        if after.checked_sub(1).is_some_and(|n| others[n].contains(&net)) {
            continue;
        }
        match others.get(after).is_some_and(|o| net.contains(o)) || after.checked_sub(1).is_some_and(|n| net.contains(&others[n]))
        {
            true => rest.extend(net.subnets(net.prefix_len() + 1).into_iter().flatten()),
            false => out.push(net),
        }
    }
    out
}

/// Keeps what stands open until something is decided.
#[derive(Default)]
pub struct Keeping(Mutex<Option<(usize, Arc<Feeds>)>>);

impl Keeping {
    /// The feeds of a case by its decisions.
    pub fn of(&self, case: &Path, decisions: &[Decision]) -> Arc<Feeds> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((seen, kept)) = slot.as_mut() {
            let news = decisions.get(*seen..).unwrap_or(decisions);
            let same =
                decisions.len() >= *seen && !news.iter().any(|d| matches!(d.what, What::Feed { .. } | What::Remove { .. }));
            if same {
                *seen = decisions.len();
                return Arc::clone(kept);
            }
        }
        let feeds = Arc::new(Feeds::open(case, decisions));
        *slot = Some((decisions.len(), Arc::clone(&feeds)));
        feeds
    }
}

/// What a file became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// What the table says of itself.
    pub about: Description,
    /// Whether it is of registrations.
    pub registration: bool,
    /// What the content says that it is for.
    pub kind: Option<FeedKind>,
}

/// The SHA-256 of a file, hexadecimal.
pub fn hash(path: &Path) -> Result<String> {
    let mut file = std::fs::File::open(path).map_err(|e| Error::io("cannot read", path, &e))?;
    let mut hasher = Sha256::new();
    let mut bytes = vec![0; HEAD];
    loop {
        match file.read(&mut bytes).map_err(|e| Error::io("cannot read", path, &e))? {
            0 => break,
            n => hasher.update(&bytes[..n]),
        }
    }
    Ok(crate::model::hex::hex(&hasher.finalize()))
}

/// Compiles a file into a table of a case. `format`: what it is read as; none: by its content. A table that is there is taken as it is.
pub fn compile(case: &Path, path: &Path, format: Option<&'static dyn Format>) -> Result<Compiled> {
    let sha256 = hash(path)?;
    if let Ok(table) = Table::open(&tables::path(case, &sha256))
        && format.is_none_or(|f| f.name() == table.about.format)
    {
        let kind = kind_of(&table.about.format);
        return Ok(Compiled { registration: table.about.ranges.is_some(), about: table.about.clone(), kind });
    }
    let fail = |e: std::io::Error| Error::io("cannot read", path, &e);
    let mut tail = Vec::new();
    let mut file = std::fs::File::open(path).map_err(fail)?;
    let size = file.metadata().map_err(fail)?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL))).map_err(fail)?;
    file.take(TAIL).read_to_end(&mut tail).map_err(fail)?;
    if format.is_none() && Form::of(&[], &tail) == Some(Form::MaxMind) {
        if size > registrations::MAXMIND_MAX {
            return Err(Error::user("the file is larger than 512 MiB").at_path(path));
        }
        // It is read once: a file of this size is not held twice.
        let mut data = std::fs::read(path).map_err(fail)?;
        return registration(case, sha256, Form::MaxMind, &mut |maker| registrations::maxmind(std::mem::take(&mut data), maker));
    }
    let mut input = Input::open(path)?;
    let mut reader = BufReader::with_capacity(HEAD, input.read());
    let head = reader.fill_buf().map_err(fail)?.to_vec();
    let modified = std::fs::metadata(path).and_then(|m| m.modified()).ok();
    let modified = modified.and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    let modified = Time(modified.map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(0)));
    if format.is_none()
        && let Some(form) = Form::of(&head, &[])
    {
        return registration(case, sha256, form, &mut |maker| registrations::lines(form, &mut reader, maker));
    }
    let Some(format) = format.or_else(|| formats::recognise(&head)) else {
        return Err(Error::input("not recognised as a list of indicators or registrations")
            .at_path(path)
            .hint("--format reputation-list reads one indicator a line"));
    };
    let stem = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let context = Context { evidence: EvidenceKey(0), stem, zone: Zone::Fixed(0), year: None, dates: Dates::default(), modified };
    let mut maker = indicators::Maker::new(case)?;
    let mut failed = 0;
    let mut error = None;
    let start = Unit { offset: 0, line: 1 };
    formats::read(&mut reader, format, &context, start, &head, &mut |status, out| {
        failed += u64::from(status == formats::Status::Failed);
        for read in out.records {
            match maker.add(&read.record) {
                Ok(true) => {}
                Ok(false) => failed += 1,
                Err(e) => error = Some(e),
            }
        }
        error.is_none()
    })
    .map_err(fail)?;
    if let Some(e) = error {
        return Err(e.at_path(path));
    }
    if maker.rows() == 0 {
        return Err(Error::input(format!("read as {}, it lists no indicators", format.name()))
            .at_path(path)
            .hint("--format reputation-list reads one indicator a line"));
    }
    let about = Description { sha256, format: format.name().to_owned(), failed, ..Description::default() };
    Ok(Compiled { about: maker.end(about)?, registration: false, kind: kind_of(format.name()) })
}

/// What a format's lists are for, where the format says it.
fn kind_of(format: &str) -> Option<FeedKind> {
    (format == "misp-warninglist").then_some(FeedKind::Allow)
}

fn registration(
    case: &Path,
    sha256: String,
    form: Form,
    read: &mut dyn FnMut(&mut ranges::Maker) -> Result<registrations::Counts>,
) -> Result<Compiled> {
    let mut maker = ranges::Maker::default();
    let counts = read(&mut maker)?;
    if maker.is_empty() {
        return Err(Error::input(format!("read as {}, it says nothing of country or autonomous system", form.name())));
    }
    let about = Description { sha256, format: form.name().to_owned(), failed: counts.failed, ..Description::default() };
    Ok(Compiled { about: maker.end(case, about)?, registration: true, kind: Some(FeedKind::Registration) })
}

/// Removes the tables that no standing feed uses; gives how many went.
pub fn tidy(case: &Path, decisions: &[Decision]) -> usize {
    let used: Vec<PathBuf> = feeds(decisions).iter().map(|f| tables::path(case, &f.sha256)).collect();
    let Ok(entries) = std::fs::read_dir(tables::folder(case)) else { return 0 };
    let unused = |p: &PathBuf| p.extension().is_some_and(|e| e == "tbl") && !used.contains(p);
    entries.flatten().map(|e| e.path()).filter(unused).filter(|p| std::fs::remove_file(p).is_ok()).count()
}
