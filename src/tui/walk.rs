//! The walk in this session: a tree of nodes, where one stands, and what each node looked like when it was left. The journal keeps the same
//! tree for good ([`What::Trail`]); this one also knows selection and scroll.

use super::focus::{self, Focus};
use super::lenses::{self, Lens};
use crate::case::triage::AWAY;
use crate::model::decision::What;
use crate::model::{RecordId, Time, Window};
use crate::pivots::{self, Selection};
use crate::query::engine::Cursor;
use serde::{Deserialize, Serialize};

/// At most so many nodes are kept with their looks; the journal has all.
const KEPT: usize = 400;

/// A filter that was put over the lenses of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chip {
    /// Condition, in the query language.
    pub text: String,
    /// It is off for the moment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
}

/// Where to go: what one wants to see.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What the trail calls it.
    pub label: String,
    /// What the lenses are about.
    pub focus: Focus,
    /// Lens to open.
    pub lens: &'static str,
    /// Query of that lens instead of its own; empty: its own.
    pub query: String,
    /// Shows the links of this record instead of a query's rows.
    pub links: Option<RecordId>,
    /// Window; none: the whole case.
    pub window: Option<Window>,
    /// Filters.
    pub filters: Vec<Chip>,
    /// Row to stand on.
    pub row: Option<Cursor>,
}

impl Step {
    /// A step to a focus in a lens, without filters.
    pub fn to(focus: Focus, lens: &'static str, window: Option<Window>) -> Step {
        let label = focus.label();
        Step { label, focus, lens, query: String::new(), links: None, window, filters: Vec::new(), row: None }
    }
}

/// Where the cursor stood in the rows of a lens.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct RowPlace {
    /// Time (nanoseconds, corrected) of the selected row.
    pub time: i64,
    /// Id of the selected row.
    #[serde(with = "id_text")]
    pub id: Option<RecordId>,
    /// Selected row of a table of groups.
    pub index: usize,
    /// Rows above it on the screen.
    pub above: u16,
    /// Cell under the cursor.
    pub cell: usize,
}

impl RowPlace {
    /// The place in the order of rows, if a row was selected.
    pub fn cursor(&self) -> Option<Cursor> {
        self.id.map(|id| Cursor { time: Time(self.time), id })
    }
}

mod id_text {
    use crate::model::RecordId;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(id: &Option<RecordId>, to: S) -> Result<S::Ok, S::Error> {
        id.map(|id| id.to_string()).serialize(to)
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<RecordId>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.and_then(|text| text.parse().ok()))
    }
}

/// One node of the walk.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its number in this session, never used twice.
    pub id: u64,
    /// The node it was reached from.
    pub parent: Option<usize>,
    /// The node that was gone to last from here.
    pub next: Option<usize>,
    /// What is seen.
    pub step: Step,
    /// The lens that `step.query` belongs to.
    pub query_lens: &'static str,
    /// All filters are off for the moment.
    pub filters_off: bool,
    /// What is put away, by its order in [`AWAY`].
    pub away: [bool; 2],
    /// Sequence in the journal, once written.
    pub sequence: Option<u64>,
    /// What was last sent to the journal, to see whether it has changed since.
    pub written: String,
    /// Rows that it returned.
    pub rows: u64,
    /// The newest import when they were counted; none: they were not, since it was changed last.
    pub seen: Option<u64>,
    /// Order of the rows of each lens where it is not that of time: `bytes`, `-bytes`.
    pub sorts: Vec<(&'static str, String)>,
    /// Cursor of each lens that was open.
    pub places: Vec<(&'static str, RowPlace)>,
}

impl Node {
    fn new(id: u64, step: Step, parent: Option<usize>) -> Node {
        let query_lens = step.lens;
        let mut places = Vec::new();
        if let Some(row) = step.row {
            places.push((step.lens, RowPlace { time: row.time.0, id: Some(row.id), index: 0, above: 6, cell: 0 }));
        }
        Node {
            id,
            parent,
            next: None,
            step,
            query_lens,
            filters_off: false,
            away: [false; 2],
            sequence: None,
            written: String::new(),
            rows: 0,
            seen: None,
            sorts: Vec::new(),
            places,
        }
    }
    /// The open lens.
    pub fn lens(&self) -> &'static Lens {
        lenses::find(self.step.lens)
    }
    /// The query of a lens here, with filters and without what is put away.
    pub fn query(&self, lens: &Lens) -> String {
        let away = AWAY.iter().zip(self.away).filter(|(_, on)| *on && !lens.timeless);
        away.fold(self.filtered_query(lens), |query, (away, _)| focus::both(&query, away.condition))
    }
    /// The query of a lens here, with filters and what is put away.
    pub fn filtered_query(&self, lens: &Lens) -> String {
        let own = self.base_query(lens);
        if self.filters_off {
            return own;
        }
        self.step.filters.iter().filter(|chip| !chip.off).fold(own, |query, chip| focus::both(&query, &chip.text))
    }
    /// The query of a lens here, without filters.
    pub fn base_query(&self, lens: &Lens) -> String {
        if lens.name == self.query_lens && !self.step.query.is_empty() {
            return self.step.query.clone();
        }
        if lens.name == "reputation" {
            return reputation_query(&self.step.focus, lens);
        }
        focus::both(&self.step.focus.query(), lens.query)
    }
    /// Cursor of the open lens.
    pub fn place(&self) -> RowPlace {
        self.places.iter().find(|(name, _)| *name == self.step.lens).map(|(_, p)| *p).unwrap_or_default()
    }
    /// Remembers the cursor of the open lens.
    pub fn set_place(&mut self, place: RowPlace) {
        let lens = self.step.lens;
        match self.places.iter_mut().find(|(name, _)| *name == lens) {
            Some((_, kept)) => *kept = place,
            None => self.places.push((lens, place)),
        }
    }
    /// Order of the rows of the open lens; none: that of time.
    pub fn sort(&self) -> Option<&str> {
        self.sorts.iter().find(|(name, _)| *name == self.step.lens).map(|(_, sort)| sort.as_str())
    }
    /// Puts the rows of the open lens in another order.
    pub fn set_sort(&mut self, sort: Option<String>) {
        self.sorts.retain(|(name, _)| *name != self.step.lens);
        self.sorts.extend(sort.map(|sort| (self.step.lens, sort)));
    }
    /// Window as the journal has it.
    pub fn window_text(&self) -> String {
        self.step.window.map_or_else(String::new, |w| format!("{} {}", w.start, w.end))
    }
    /// The decision that writes it to the journal.
    pub fn decision(&self, parent: Option<u64>) -> What {
        What::Trail {
            parent,
            label: self.step.label.clone(),
            query: self.query(self.lens()),
            lens: self.step.lens.to_owned(),
            focus: self.step.focus.to_text(),
            window: self.window_text(),
            rows: self.rows,
            seen: self.seen,
        }
    }
    /// What distinguishes it: if this is as it was written, it need not be written again.
    pub fn signature(&self) -> String {
        signature(&self.query(self.lens()), self.step.lens, &self.step.focus.to_text(), &self.window_text())
    }
}

/// What distinguishes a node, in the journal as in the walk.
pub fn signature(query: &str, lens: &str, focus: &str, window: &str) -> String {
    format!("{query}\n{lens}\n{focus}\n{window}")
}

/// A list entry says nothing of traffic: it is about the indicator, whatever the focus is a value of; networks and parent names count.
fn reputation_query(focus: &Focus, lens: &Lens) -> String {
    let selection = Selection { entity: focus.entity().cloned(), ..Selection::default() };
    match pivots::find("reputation").filter(|_| selection.entity.is_some()).and_then(|p| (p.run)(&selection)) {
        Some(lead) => lead.query,
        None => focus::both(&focus.query(), lens.query),
    }
}

/// The walk: nodes, and where one stands.
#[derive(Debug, Clone)]
pub struct Walk {
    nodes: Vec<Node>,
    at: usize,
    newest: u64,
}

impl Walk {
    /// A walk that begins at a step.
    pub fn begin(step: Step) -> Walk {
        Walk { nodes: vec![Node::new(0, step, None)], at: 0, newest: 0 }
    }
    /// Where one stands.
    pub fn here(&self) -> &Node {
        &self.nodes[self.at]
    }
    /// Where one stands, to change it.
    pub fn here_mut(&mut self) -> &mut Node {
        &mut self.nodes[self.at]
    }
    /// Puts away, or shows again, everywhere: noise stays out of sight wherever one goes.
    pub fn set_away(&mut self, away: [bool; 2]) {
        self.nodes.iter_mut().for_each(|n| n.away = away);
    }
    /// Index of where one stands.
    pub fn at(&self) -> usize {
        self.at
    }
    /// A node.
    pub fn node(&self, index: usize) -> Option<&Node> {
        self.nodes.get(index)
    }
    /// A node, to change it.
    pub fn node_mut(&mut self, index: usize) -> Option<&mut Node> {
        self.nodes.get_mut(index)
    }
    /// Goes on to a new node.
    pub fn go(&mut self, step: Step) {
        self.forget_oldest();
        self.newest += 1;
        let mut node = Node::new(self.newest, step, Some(self.at));
        node.away = self.here().away;
        self.nodes.push(node);
        let new = self.nodes.len() - 1;
        self.nodes[self.at].next = Some(new);
        self.at = new;
    }
    /// Back to where one came from. False: this is the beginning.
    pub fn back(&mut self) -> bool {
        match self.here().parent {
            Some(parent) => {
                self.nodes[parent].next = Some(self.at);
                self.at = parent;
                true
            }
            None => false,
        }
    }
    /// Forward to where one had been. False: nowhere.
    pub fn forward(&mut self) -> bool {
        match self.here().next {
            Some(next) => {
                self.at = next;
                true
            }
            None => false,
        }
    }
    /// Stands on a node.
    pub fn stand(&mut self, index: usize) -> bool {
        if index >= self.nodes.len() {
            return false;
        }
        self.at = index;
        let mut child = index;
        while let Some(parent) = self.nodes[child].parent {
            self.nodes[parent].next = Some(child);
            child = parent;
        }
        true
    }
    /// The node that the journal knows by a sequence number.
    pub fn find(&self, sequence: u64) -> Option<usize> {
        self.nodes.iter().position(|n| n.sequence == Some(sequence))
    }
    /// The node with a number.
    pub fn by_id(&mut self, id: u64) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|n| n.id == id)
    }
    /// Every node.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }
    /// Labels from the beginning to here.
    pub fn path(&self) -> Vec<&str> {
        let mut path = Vec::new();
        let mut at = Some(self.at);
        while let Some(index) = at {
            path.push(self.nodes[index].step.label.as_str());
            at = self.nodes[index].parent;
        }
        path.reverse();
        path
    }
    /// Whether one can go forward.
    pub fn has_next(&self) -> bool {
        self.here().next.is_some()
    }
    /// When there are too many nodes the oldest that is neither on the path here nor the beginning goes, with what hung on it re-hung.
    fn forget_oldest(&mut self) {
        if self.nodes.len() < KEPT {
            return;
        }
        let mut path = vec![self.at];
        while let Some(parent) = self.nodes[path[path.len() - 1]].parent {
            path.push(parent);
        }
        let Some(gone) = (1..self.nodes.len()).find(|i| !path.contains(i)).or(path.iter().rev().nth(1).copied()) else { return };
        if gone == self.at {
            return;
        }
        let parent = self.nodes[gone].parent;
        self.nodes.remove(gone);
        let moved = |i: usize| if i > gone { i - 1 } else { i };
        for node in &mut self.nodes {
            node.parent = if node.parent == Some(gone) { parent } else { node.parent }.map(moved);
            node.next = if node.next == Some(gone) { None } else { node.next.map(moved) };
        }
        self.at = moved(self.at);
    }
}

/// A node as the saved place has it.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedNode {
    parent: Option<usize>,
    next: Option<usize>,
    label: String,
    focus: String,
    lens: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    query: String,
    #[serde(default)]
    query_lens: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    links: Option<String>,
    window: Option<(i64, i64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    filters: Vec<Chip>,
    #[serde(default)]
    filters_off: bool,
    #[serde(default)]
    away: [bool; 2],
    sequence: Option<u64>,
    #[serde(default)]
    written: String,
    rows: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sorts: Vec<(String, String)>,
    places: Vec<(String, RowPlace)>,
}

impl Walk {
    /// The walk as plain data.
    pub fn save(&self) -> (usize, Vec<SavedNode>) {
        let saved = |node: &Node| SavedNode {
            parent: node.parent,
            next: node.next,
            label: node.step.label.clone(),
            focus: node.step.focus.to_text(),
            lens: node.step.lens.to_owned(),
            query: node.step.query.clone(),
            query_lens: node.query_lens.to_owned(),
            links: node.step.links.map(|id| id.to_string()),
            window: node.step.window.map(|w| (w.start.0, w.end.0)),
            filters: node.step.filters.clone(),
            filters_off: node.filters_off,
            away: node.away,
            sequence: node.sequence,
            written: node.written.clone(),
            rows: node.rows,
            seen: node.seen,
            sorts: node.sorts.iter().map(|(name, sort)| ((*name).to_owned(), sort.clone())).collect(),
            places: node.places.iter().map(|(name, place)| ((*name).to_owned(), *place)).collect(),
        };
        (self.at, self.nodes.iter().map(saved).collect())
    }
    /// The walk that was saved; none if it does not hold together.
    pub fn restore(at: usize, saved: Vec<SavedNode>) -> Option<Walk> {
        let count = saved.len();
        let sound = |i: Option<usize>| i.is_none_or(|i| i < count);
        // A parent stands before its children, so that a path always ends.
        let ordered = saved.iter().enumerate().all(|(i, n)| sound(n.next) && n.parent.is_none_or(|p| p < i));
        if at >= count || !ordered {
            return None;
        }
        let nodes = saved
            .into_iter()
            .enumerate()
            .map(|(i, n)| Node {
                id: i as u64,
                parent: n.parent,
                next: n.next,
                step: Step {
                    label: n.label,
                    focus: Focus::parse(&n.focus),
                    lens: lenses::find(&n.lens).name,
                    query: n.query,
                    links: n.links.and_then(|id| id.parse().ok()),
                    window: n.window.map(|(start, end)| Window::new(Time(start), Time(end))),
                    filters: n.filters,
                    row: None,
                },
                query_lens: lenses::find(&n.query_lens).name,
                filters_off: n.filters_off,
                away: n.away,
                sequence: n.sequence,
                written: n.written,
                rows: n.rows,
                seen: n.seen,
                sorts: n.sorts.into_iter().map(|(name, sort)| (lenses::find(&name).name, sort)).collect(),
                places: n.places.into_iter().map(|(name, place)| (lenses::find(&name).name, place)).collect(),
            })
            .collect();
        Some(Walk { nodes, at, newest: count as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(text: &str) -> Step {
        let focus = crate::model::Entity::recognise(text).map_or(Focus::Case, Focus::Entity);
        Step::to(focus, "flows", None)
    }

    #[test]
    fn going_back_and_elsewhere_grows_a_branch_and_forward_follows_the_newest() {
        let mut walk = Walk::begin(Step::to(Focus::Case, "alerts", None));
        walk.go(step("10.0.0.1"));
        walk.go(step("10.0.0.2"));
        assert!(walk.back());
        walk.go(step("10.0.0.3"));
        assert_eq!(walk.path(), ["whole case", "10.0.0.1", "10.0.0.3"]);
        assert!(walk.back() && walk.forward());
        assert_eq!(walk.here().step.label, "10.0.0.3");
        assert!(!walk.forward());
        assert!(walk.back() && walk.back() && !walk.back());
    }

    #[test]
    fn a_saved_walk_comes_back_as_it_was() {
        let mut walk = Walk::begin(Step::to(Focus::Case, "alerts", None));
        walk.go(step("10.0.0.1"));
        walk.here_mut().set_place(RowPlace { time: 5, id: Some(RecordId::default()), index: 0, above: 3, cell: 2 });
        walk.here_mut().step.filters.push(Chip { text: "app = dns".into(), off: false });
        let (at, saved) = walk.save();
        let text = serde_json::to_string(&saved).unwrap();
        let back = Walk::restore(at, serde_json::from_str(&text).unwrap()).unwrap();
        assert_eq!(back.here().step, walk.here().step);
        assert_eq!(back.here().place(), walk.here().place());
        assert_eq!(back.path(), walk.path());
    }

    #[test]
    fn a_long_walk_forgets_the_oldest_and_stays_whole() {
        let mut walk = Walk::begin(Step::to(Focus::Case, "alerts", None));
        for n in 0..1000 {
            walk.go(step(&format!("10.0.{}.{}", n / 250, n % 250)));
            if n % 3 == 0 {
                walk.back();
            }
        }
        assert!(walk.nodes.len() <= KEPT);
        let (at, saved) = walk.save();
        assert!(Walk::restore(at, saved).is_some());
    }
}
