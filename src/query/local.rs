//! The engine over a store on this machine. Texts of queries and stages are given to `query`; rows come from `store`; bytes are read again
//! through `sources`. What belongs together and what is known besides traffic is asked of [`Knowledge`].

use super::applied::Applied;
use super::check::Scope;
use super::elsewhere::{self, Answered as Wide, Marks};
use super::engine::{Answered, Count, Engine, PacketBytes, Page, Passive, Raw, Table, Timeline};
pub use super::knowledge::{Knowledge, Nothing};
use super::question::{Question, Stage, fields_of};
use super::sorted::{self, Order, Sorted};
use super::stages::Tally;
use super::standing::{Current, Standing};
use super::views::Views;
use super::{Cancel, check, passive, sets, summed};
use crate::context::by_hand::{self as said, Sayings};
use crate::context::feeds::{Feeds, Keeping};
use crate::context::{Given, sites as own};
use crate::error::{Error, Result};
use crate::links::by_hand;
use crate::links::clocks;
use crate::links::nat::{AskedEnd, Bound};
use crate::model::answer::{Coverage, Fact, Linked, NameUsed, Why};
use crate::model::evidence::EvidenceInfo;
use crate::model::filter::Members;
use crate::model::indicator::{Indicator, Over, Sightings as Found};
use crate::model::packet::PacketRef;
use crate::model::site::{self, Direction, Home, Sites};
use crate::model::source::SourceInfo;
use crate::model::{Entity, EvidenceKey, FieldId, Filter, Kind, Origin, Record, RecordId, SourceId, Time, Value, Window, field};
use crate::sources::reread::{self, Place};
use crate::store::{Ask, Snapshot, Store, Wanted, now, parallel};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

/// The engine over a [`Store`].
pub struct LocalEngine {
    store: Store,
    knowledge: Box<dyn Knowledge>,
    views: Views,
    standing: Standing,
    feeds: Keeping,
    judged: by_hand::Keeping,
}

impl LocalEngine {
    /// An engine over a store.
    pub fn new(store: Store, knowledge: Box<dyn Knowledge>) -> LocalEngine {
        let (views, standing, feeds) = (Views::default(), Standing::default(), Keeping::default());
        LocalEngine { store, knowledge, views, standing, feeds, judged: by_hand::Keeping::default() }
    }
    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }
    /// The newest view, with its sightings.
    pub fn view(&self, cancel: &Cancel) -> Result<Arc<Snapshot>> {
        self.views.of(self.store.snapshot(), &*self.knowledge, cancel)
    }
    /// The directions that records of the case have, with their number.
    fn directions(&self, prefix: &str, limit: usize, cancel: &Cancel) -> Result<Vec<(Value, u64)>> {
        let words = Direction::ALL.map(Direction::name).into_iter().filter(|w| w.starts_with(&prefix.to_lowercase()));
        let questions: Vec<Question> = words.clone().map(|w| self.compile(&format!("direction = {w}"))).collect::<Result<_>>()?;
        let counts = self.counts(&questions, u64::MAX, cancel)?;
        let mut out: Vec<_> = words.zip(counts).filter(|(_, c)| c.n > 0).map(|(w, c)| (Value::text(w), c.n)).collect();
        out.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        out.truncate(limit);
        Ok(out)
    }
    /// What people decided and stands now: home, sets, verdicts.
    fn standing(&self, snapshot: &Arc<Snapshot>, cancel: &Cancel) -> Result<Arc<Current>> {
        let decisions = self.store.journal().decisions();
        let guess = self.knowledge.guessed_sites(snapshot, cancel)?;
        let compile = |text: &str, before: &Current| self.compile_in(text, snapshot, Some(before), &|_| None);
        Ok(self.standing.of(&decisions, snapshot.sequence(), now(), &guess, &compile))
    }
    fn applied<'a>(&self, view: &'a Arc<Snapshot>, cancel: &Cancel) -> Result<Applied<'a>> {
        Ok(Applied::new(view, self.standing(view, cancel)?, self.feeds()))
    }
    fn feeds(&self) -> Arc<Feeds> {
        self.feeds.of(&self.store.dir(), &self.store.journal().decisions())
    }
    /// As [`Engine::compile`], with the sets that are files where the text was typed.
    pub fn compile_with(&self, text: &str, files: &dyn Fn(&str) -> Option<Arc<Members>>) -> Result<Question> {
        // Sightings change no name: a text is understood before they are found.
        let snapshot = self.store.snapshot();
        let current = self.standing(&snapshot, &Cancel::default())?;
        let mut question = self.compile_in(text, &snapshot, Some(&current), files)?;
        // What its hosts were elsewhere is found when it is answered: then somebody waits who can give it up, and by what is known then.
        question.elsewhere = elsewhere::is_widened(&question);
        Ok(question)
    }
    fn compile_in(
        &self,
        text: &str,
        snapshot: &Snapshot,
        current: Option<&Current>,
        files: &dyn Fn(&str) -> Option<Arc<Members>>,
    ) -> Result<Question> {
        let sources: Vec<String> = snapshot.sources().into_iter().map(|s| s.name).collect();
        let sets = |name: &str| current.and_then(|c| c.set(name)).or_else(|| files(name));
        let names = current.map_or(&[][..], Current::names);
        let verdicts = current.map(|c| &c.verdicts);
        let scope = Scope { now: None, newest: snapshot.newest(), sets: &sets, set_names: names, verdicts, sources: &sources };
        let mut question = check::compile(text, &scope)?;
        if let Some(current) = current.filter(|_| site::asks_for_direction(&question.filter)) {
            question.filter = current.home.expand(question.filter);
        }
        if let Some(current) = current.filter(|_| question.filter.asks_for(&said::FIELDS)) {
            question.filter = current.by_hand.expand(question.filter);
        }
        if question.filter.asks_for(&field::REGISTRATION) {
            question.filter = self.feeds().expand(question.filter)?;
        }
        question.filter = self.knowledge.widen(snapshot, question.filter)?;
        Ok(question)
    }
    /// What of a question is answered by a view.
    fn wide<'q>(&self, view: &Snapshot, question: &'q Question, cancel: &Cancel) -> Result<Wide<'q>> {
        Wide::of(question, |filter| self.knowledge.elsewhere(view, filter, &question.window, cancel))
    }
    /// Asks with what people and feeds say besides the records.
    fn given<T>(&self, cancel: &Cancel, ask: impl FnOnce(&Snapshot, &Given<'_>) -> Result<T>) -> Result<T> {
        let view = self.view(cancel)?;
        let (standing, feeds, decisions) = (self.standing(&view, cancel)?, self.feeds(), self.store.journal().decisions());
        ask(&view, &Given { feeds: &feeds, decisions: &decisions, sets: standing.sets(), home: &standing.home, now: now() })
    }
    /// Where the evidence can be read now, or why it cannot.
    fn place(&self, key: EvidenceKey) -> std::result::Result<Place, String> {
        match self.store.snapshot().evidence_of(key) {
            Some(info) => Place::of(&self.store.dir().join("evidence"), &info),
            None => Err("the evidence is not in this case".to_owned()),
        }
    }
}

fn ask<'a>(question: &Question, filter: &'a Filter) -> Ask<'a> {
    Ask { window: question.window, every_sighting: question.every_sighting, ..Ask::new(filter) }
}

impl Engine for LocalEngine {
    fn compile(&self, text: &str) -> Result<Question> {
        self.compile_with(text, &|name| sets::file(name).map(Arc::new))
    }
    fn select(
        &self,
        question: &Question,
        page: &Page,
        cancel: &Cancel,
        each: &mut dyn FnMut(Record) -> bool,
    ) -> Result<Answered> {
        let begun = Instant::now();
        let view = self.view(cancel)?;
        let wide = self.wide(&view, question, cancel)?;
        let after = page.after.map(|c| (c.time, c.id));
        let ask = Ask { ascending: page.ascending, limit: page.limit, after, ..ask(question, wide.filter()) };
        let applied = self.applied(&view, cancel)?;
        let marks = Marks::of(wide.filter());
        let selected = view.select(&ask, &|| cancel.is_cancelled(), &mut |record| each(marks.on(applied.on(record))))?;
        let elapsed = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Ok(Answered { rows: selected.rows, more: selected.more, elapsed })
    }
    fn visit(
        &self,
        question: &Question,
        fields: &[FieldId],
        cancel: &Cancel,
        each: &mut dyn FnMut(Record) -> bool,
    ) -> Result<()> {
        let view = self.view(cancel)?;
        let applied = self.applied(&view, cancel)?;
        let mut wanted = fields.to_vec();
        let more = applied.needs(&mut wanted);
        let wide = self.wide(&view, question, cancel)?;
        let ask = Ask { fields: Some(&wanted), ..ask(question, wide.filter()) };
        view.visit(&ask, &|| cancel.is_cancelled(), &mut |row| {
            let record = row.record();
            each(if more { applied.on(record) } else { record })
        })?;
        cancel.check()
    }
    fn counts(&self, questions: &[Question], limit: u64, cancel: &Cancel) -> Result<Vec<Count>> {
        let view = self.view(cancel)?;
        let count = |q: &Question| {
            let mut sum = Count::default();
            for filter in self.wide(&view, q, cancel)?.parts() {
                let (n, at_least) = view.count(&ask(q, &filter), limit, &|| cancel.is_cancelled())?;
                sum = Count { n: sum.n.saturating_add(n), at_least: sum.at_least || at_least };
            }
            Ok(sum)
        };
        parallel::each(questions.iter().collect(), &count).into_iter().collect()
    }
    fn table(&self, question: &Question, cancel: &Cancel) -> Result<Table> {
        let view = self.view(cancel)?;
        let mut tally = Tally::new(&question.stages);
        let mut fields = fields_of(&question.stages);
        let applied = self.applied(&view, cancel)?;
        if let Some(fields) = &mut fields {
            applied.needs(fields);
        }
        let stop = || cancel.is_cancelled();
        let wide = self.wide(&view, question, cancel)?;
        if tally.only_counts() {
            tally.count(view.count(&ask(question, wide.filter()), u64::MAX, &stop)?.0);
            return Ok(tally.finish());
        }
        // Groups do not depend on the order of records, rows do.
        let ordered = fields.is_none() || matches!(question.stages.first(), Some(Stage::Head { .. } | Stage::Sort { .. }));
        let ask = Ask { fields: fields.as_deref(), ..ask(question, wide.filter()) };
        let known = summed::groups(&view, &ask, &question.stages, &mut tally, &stop)?;
        let ask = Ask { without: Some(&known), ..ask };
        if ordered {
            view.select(&ask, &stop, &mut |record| tally.add(&record, &|f| applied.value(&record, f)))?;
        } else {
            view.visit(&ask, &stop, &mut |row| {
                let record = row.record();
                tally.add(&record, &|f| applied.value(&record, f))
            })?;
        }
        let mut table = tally.finish();
        if question.every_sighting {
            table.counted.clear();
        }
        Ok(table)
    }
    fn sorted(&self, question: &Question, order: &Order, limit: usize, cancel: &Cancel) -> Result<Sorted> {
        let view = self.view(cancel)?;
        let (wide, applied) = (self.wide(&view, question, cancel)?, self.applied(&view, cancel)?);
        let mut found = sorted::of(&view, &ask(question, wide.filter()), &applied, order, limit, &|| cancel.is_cancelled())?;
        let marks = Marks::of(wide.filter());
        found.rows = found.rows.into_iter().map(|record| marks.on(applied.on(record))).collect();
        Ok(found)
    }
    fn timeline(&self, question: &Question, bins: usize, weight: Option<FieldId>, cancel: &Cancel) -> Result<Timeline> {
        let view = self.view(cancel)?;
        let Some(span) = view.span() else { return Ok(Timeline::default()) };
        let window = question.window.intersect(&span);
        if window.start >= window.end || bins == 0 {
            return Ok(Timeline::default());
        }
        let mut out = Timeline::over(&window, bins);
        let stop = || cancel.is_cancelled();
        let fields: Vec<FieldId> = weight.into_iter().collect();
        // What was seen on both sides of a translation is shown twice, but summed once.
        let wide = self.wide(&view, question, cancel)?;
        for filter in if weight.is_some() { vec![Cow::Borrowed(wide.summed())] } else { wide.parts() } {
            let all = Ask { fields: Some(&fields), ..ask(question, &filter) };
            let known = summed::bins(&view, &all, out.bin, weight, &stop, &mut |t, n| out.add(t, n as f64))?;
            view.visit(&Ask { without: Some(&known), ..all }, &stop, &mut |row| {
                let more = match weight {
                    Some(field::DURATION) => row.until().since(row.time()).max(0) as f64,
                    Some(field) => match row.uint(field) {
                        Some(n) => n as f64,
                        None => row.values(field).next().and_then(|v| v.as_number()).unwrap_or(0.0),
                    },
                    None => 1.0,
                };
                out.add(row.time(), more);
                true
            })?;
        }
        for filter in wide.parts() {
            let alerts = of_any_kind(&filter).and(Filter::is(field::KIND, Kind::Alert.name()));
            let ask = Ask { fields: Some(&[]), ..ask(question, &alerts) };
            let bin = out.bin;
            let mut alert = |t: Time, n: u64| {
                let place = out.place(t);
                let count = &mut out.alerts[place];
                *count = count.saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
            };
            let known = summed::bins(&view, &ask, bin, None, &stop, &mut alert)?;
            view.visit(&Ask { without: Some(&known), ..ask }, &stop, &mut |row| {
                alert(row.time(), 1);
                true
            })?;
        }
        Ok(out)
    }
    fn values(&self, field: FieldId, prefix: &str, limit: usize, cancel: &Cancel) -> Result<Vec<(Value, u64)>> {
        if field == field::DIRECTION {
            return self.directions(prefix, limit, cancel);
        }
        self.view(cancel)?.values(field, prefix, limit, &|| cancel.is_cancelled())
    }
    fn passive(&self, question: &Question, cancel: &Cancel) -> Result<Passive> {
        let view = self.view(cancel)?;
        let filter = self.wide(&view, question, cancel)?.filter().clone();
        passive::of(&view, &Question { filter, ..question.clone() }, cancel)
    }
    fn record(&self, id: RecordId) -> Result<Option<Record>> {
        let cancel = Cancel::default();
        let view = self.view(&cancel)?;
        let applied = self.applied(&view, &cancel)?;
        Ok(view.record(id)?.map(|record| applied.on(record)))
    }
    fn packets_of(&self, flows: &[RecordId], cancel: &Cancel) -> Result<Vec<Vec<PacketRef>>> {
        self.store.snapshot().packets_of(flows, cancel)
    }
    fn packet_bytes(&self, evidence: EvidenceKey, refs: &[PacketRef], cancel: &Cancel) -> Result<Vec<PacketBytes>> {
        if let Some(live) = self.store.snapshot().evidence_of(evidence).filter(EvidenceInfo::is_live) {
            return super::captured::packets(&self.store, &live, refs, cancel);
        }
        let (heads, folder) = (self.store.snapshot().capture_heads(evidence), self.store.dir().join("evidence"));
        let stop = || cancel.is_cancelled();
        let found = match reread::spooled(&folder, evidence, heads.as_deref(), refs, &stop)? {
            Some(found) => found,
            None => reread::packets(&self.place(evidence).map_err(Error::input)?, heads.as_deref(), refs, &stop)?,
        };
        cancel.check()?;
        Ok(found.into_iter().map(|p| PacketBytes { at: p.at, link: p.link, wire_len: p.wire_len, data: p.data }).collect())
    }
    fn raw(&self, origin: Origin) -> Result<Raw> {
        if origin.len == 0 {
            return Ok(Raw::Gone("it has no bytes of its own: see its packets".to_owned()));
        }
        match self.place(origin.evidence) {
            Err(why) => Ok(Raw::Gone(why)),
            Ok(place) => reread::bytes(&place, origin.offset, origin.len).map(Raw::Bytes),
        }
    }
    fn sources(&self) -> Vec<SourceInfo> {
        self.store.sources()
    }
    fn measure_clocks(&self, source: Option<SourceId>, cancel: &Cancel) -> Result<Vec<SourceInfo>> {
        clocks::measure(&self.store, source, cancel)
    }
    fn evidence(&self) -> Vec<EvidenceInfo> {
        self.store.evidence()
    }
    fn source_name(&self, id: SourceId) -> String {
        self.store.snapshot().source_name(id).map_or_else(|| format!("source {}", id.0), str::to_owned)
    }
    fn evidence_path(&self, key: EvidenceKey) -> String {
        self.store.snapshot().evidence_path(key).unwrap_or_else(|| key.to_string())
    }
    fn span(&self) -> Option<Window> {
        self.store.snapshot().span()
    }
    fn coverage(&self, window: &Window) -> Vec<Coverage> {
        let snapshot = self.store.snapshot();
        let cover = |s: SourceInfo| {
            let covers = snapshot.span_of(Some(s.id)).map(|span| span.intersect(window)).filter(|w| w.start < w.end);
            let clock_checked = s.is_checked();
            let pruned = snapshot.pruned(s.id);
            let kinds = s.kinds.into_iter().map(|(k, _)| k).collect();
            Coverage { source: s.id, name: s.name, kinds, covers, clock_checked, pruned }
        };
        snapshot.sources().into_iter().map(cover).collect()
    }
    fn linked(&self, record: &Record, cancel: &Cancel) -> Result<Linked> {
        let view = self.view(cancel)?;
        let applied = self.applied(&view, cancel)?;
        let judged = self.judged.of(&self.store.journal().decisions());
        let mut linked = self.knowledge.links(&view, record, &judged, cancel)?;
        for link in linked.links.iter_mut().chain(&mut linked.rejected) {
            link.record =
                applied.on(std::mem::replace(&mut link.record, Record::new(Kind::Log, record.id, record.source, record.start)));
        }
        Ok(linked)
    }
    fn why(&self, record: &Record, other: RecordId, cancel: &Cancel) -> Result<Option<Why>> {
        let linked = self.linked(record, cancel)?;
        let Some(link) = linked.with(other) else { return Ok(None) };
        self.knowledge.why(&*self.view(cancel)?, record, link, cancel).map(Some)
    }
    fn bindings(&self, wanted: &AskedEnd, cancel: &Cancel) -> Result<Bound> {
        self.knowledge.bindings(&*self.view(cancel)?, wanted, cancel)
    }
    fn name_used(&self, flow: &Record) -> Result<Option<NameUsed>> {
        self.knowledge.name_used(&self.store.snapshot(), flow)
    }
    fn facts(&self, entity: &Entity, at: Option<Time>, cancel: &Cancel) -> Result<Vec<Fact>> {
        self.given(cancel, |view, given| self.knowledge.facts(view, given, entity, at, cancel))
    }
    fn listed(&self, entity: &Entity, at: Option<Time>, cancel: &Cancel) -> Result<Vec<Fact>> {
        self.given(cancel, |view, given| self.knowledge.listed(view, given, entity, at, cancel))
    }
    fn sweep(&self, indicators: &[Indicator], over: &Over<'_>, cancel: &Cancel) -> Result<Found> {
        let home = self.home(cancel)?;
        self.view(cancel)?.sweep(&Wanted::new(indicators), over, &home, &|| cancel.is_cancelled())
    }
    fn sites(&self, cancel: &Cancel) -> Result<Sites> {
        let guess = self.knowledge.guessed_sites(&self.store.snapshot(), cancel)?;
        Ok(own::sites(&self.store.journal().decisions(), &guess))
    }
    fn home(&self, cancel: &Cancel) -> Result<Home> {
        Ok(self.standing(&self.store.snapshot(), cancel)?.home.clone())
    }
    fn by_hand(&self, cancel: &Cancel) -> Result<Sayings> {
        Ok(self.standing(&self.store.snapshot(), cancel)?.by_hand.clone())
    }
    fn sequence(&self) -> u64 {
        self.store.snapshot().sequence()
    }
    fn head_sequence(&self) -> u64 {
        self.store.snapshot().published()
    }
    fn changes_since(&self, question: &Question, sequence: u64, cancel: &Cancel) -> Result<u64> {
        if sequence >= self.sequence() {
            return Ok(0);
        }
        let view = self.view(cancel)?;
        let wide = self.wide(&view, question, cancel)?;
        let ask = Ask { newer_than: sequence, ..ask(question, wide.filter()) };
        view.count(&ask, u64::MAX, &|| cancel.is_cancelled()).map(|(n, _)| n)
    }
}

/// A filter without its conditions on the kind.
fn of_any_kind(filter: &Filter) -> Filter {
    match filter {
        Filter::Test(field::KIND, _) => Filter::All,
        Filter::And(all) => all.iter().map(of_any_kind).fold(Filter::All, Filter::and),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::source::SourceKey;
    use crate::model::time::SECOND;
    use crate::sources::input::key_of;
    use crate::store::{Begin, Done, NewEvidence, OpenOptions, Reserve};
    use std::path::Path;

    const LOG: &[u8] = b"first line\nsecond line\n";

    fn engine(dir: &Path) -> LocalEngine {
        let options = OpenOptions {
            create: true,
            forget: true,
            ballast: 0,
            reserve: Reserve { percent: 0, bytes: 0 },
            ..OpenOptions::default()
        };
        let store = Store::open(&dir.join("case"), &options).unwrap();
        let file = dir.join("log");
        std::fs::write(&file, LOG).unwrap();
        let new =
            NewEvidence { key: key_of(LOG), path: file.display().to_string(), size: 23, modified: Time(0), head_hash: [0; 32] };
        let Begin::Fresh(mut import) = store.begin(&new).unwrap() else { panic!("known") };
        let source = import.source(&SourceKey { format: "test".into(), sensor: "s".into() }, None).unwrap();
        for n in 0..600u64 {
            let id = RecordId { evidence: key_of(LOG), offset: n, ordinal: 0 };
            let mut r = Record::new(if n % 10 == 0 { Kind::Alert } else { Kind::Flow }, id, source, Time(n as i64 * 60 * SECOND));
            r.set(field::SRC_IP, Value::Addr([10, 0, 0, (n % 3) as u8].into()));
            r.set(field::BYTES_OUT, n);
            r.set_text(field::APP, ["dns", "tls"][(n % 2) as usize]);
            import.push(r).unwrap();
        }
        import.finish(Done::default()).unwrap();
        LocalEngine::new(store, Box::new(Nothing))
    }

    #[test]
    fn texts_are_answered_by_rows_counts_tables_and_timelines() {
        let dir = tempfile::tempdir().unwrap();
        let engine = engine(dir.path());
        let cancel = Cancel::default();
        let question = engine.compile("kind = flow and host 10.0.0.1 and source = s").unwrap();
        let mut rows = Vec::new();
        let page = Page { limit: 5, ascending: false, after: None };
        let answered = engine
            .select(&question, &page, &cancel, &mut |r| {
                rows.push(r.id.offset);
                true
            })
            .unwrap();
        assert_eq!((rows, answered.more), (vec![598, 595, 592, 589, 586], true));
        assert_eq!(engine.counts(&[question], u64::MAX, &cancel).unwrap(), [Count { n: 180, at_least: false }]);
        let table = engine.table(&engine.compile("kind = flow | count by app").unwrap(), &cancel).unwrap();
        assert_eq!(table.records, 540);
        assert_eq!(table.rows[0], [Some(Value::from("tls")), Some(Value::Uint(300))]);
        let timeline = engine.timeline(&engine.compile("kind = flow").unwrap(), 12, None, &cancel).unwrap();
        assert_eq!((timeline.bin, timeline.bins.len()), (3600 * SECOND, 10));
        assert_eq!((timeline.bins[3], timeline.alerts[3]), (54.0, 6));
        assert_eq!(engine.values(field::APP, "T", 5, &cancel).unwrap(), [(Value::from("tls"), 300)]);
    }

    #[test]
    fn a_cancelled_question_is_given_up_and_bytes_are_read_again_or_said_to_be_gone() {
        let dir = tempfile::tempdir().unwrap();
        let engine = engine(dir.path());
        let cancel = Cancel::default();
        cancel.cancel();
        let all = Question::all(Window::ALL);
        assert_eq!(engine.select(&all, &Page::default(), &cancel, &mut |_| true).unwrap_err(), Error::cancelled());
        let origin = Origin { evidence: key_of(LOG), offset: 11, len: 11 };
        assert_eq!(engine.raw(origin).unwrap(), Raw::Bytes(b"second line".to_vec()));
        std::fs::remove_file(dir.path().join("log")).unwrap();
        assert!(matches!(engine.raw(origin).unwrap(), Raw::Gone(why) if why.contains("log")));
    }
}
