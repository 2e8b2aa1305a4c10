//! The place one stands in, as text: trail with what every node looked like, cursor, panes, zone, marks. Saved at every step, restored exactly.

use super::app::{App, Part};
use super::looks::Looks;
use super::panes::Pane;
use super::panes::links::Links;
use super::panes::sweep::Sweep;
use super::split::Split;
use super::times::Zone;
use super::walk::{self, RowPlace, SavedNode, Walk};
use crate::model::decision::What;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

#[derive(Serialize, Deserialize)]
struct Place {
    /// Version of this form.
    version: u32,
    at: usize,
    nodes: Vec<SavedNode>,
    #[serde(default)]
    zone: String,
    #[serde(default)]
    part: String,
    #[serde(default)]
    zoomed: bool,
    #[serde(default = "yes")]
    card: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    looks: Option<Looks>,
    /// The node that the other half shows, and whether the half with the cursor is the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    split: Option<(usize, bool)>,
    #[serde(default)]
    marked: Vec<String>,
    #[serde(default)]
    letters: Vec<(char, usize, RowPlace)>,
    #[serde(default)]
    find: Option<String>,
    #[serde(default)]
    open: Vec<String>,
    /// What open panes need to be there again, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    kept: BTreeMap<String, String>,
    /// The pane that one went on from: the place of its node, its name, what it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aside: Option<(usize, String, String)>,
    #[serde(default)]
    theme: String,
    #[serde(default)]
    keymap: String,
}

fn yes() -> bool {
    true
}

/// Panes that are opened again, with the command that opens them.
const REOPENED: &[(&str, &str)] = &[
    ("trail", "open_trail"),
    ("sources", "open_sources"),
    ("findings", "open_findings"),
    ("situation", "open_situation"),
    ("case", "open_case"),
    ("groups", "groups"),
    ("sets", "open_sets"),
    ("profile", "profile"),
];

/// The place as text.
pub fn text(app: &App) -> String {
    let (at, nodes) = app.walk.save();
    let index = |id: u64| app.walk.nodes().iter().position(|n| n.id == id);
    let place = Place {
        version: 1,
        at,
        nodes,
        zone: app.zone.name().into(),
        part: match app.part {
            Part::Rows => "rows",
            Part::Detail => "detail",
            Part::Card => "card",
        }
        .into(),
        zoomed: app.zoomed,
        card: app.card_shown,
        split: app.split.and_then(|s| Some((index(s.node)?, s.second))),
        looks: Some(app.looks_now()).filter(|looks| *looks != Looks::default()),
        marked: app.marks.marked.iter().map(ToString::to_string).collect(),
        letters: app.letters.iter().filter_map(|(c, (id, p))| index(*id).map(|i| (*c, i, *p))).collect(),
        find: app.rows.finding.clone(),
        open: app.opened.iter().skip(usize::from(app.rooted)).map(|p| p.name().to_owned()).collect(),
        kept: app.opened.iter().filter_map(|p| Some((p.name().to_owned(), p.kept()?))).collect(),
        aside: app.aside.as_ref().and_then(|(id, pane, _)| Some((index(*id)?, pane.name().to_owned(), pane.kept()?))),
        theme: app.theme.name.clone(),
        keymap: app.keymap.name.clone(),
    };
    serde_json::to_string(&place).unwrap_or_default()
}

/// Stands where a text says; a text that is not understood changes nothing.
pub fn restore(app: &mut App, text: &str) {
    let Ok(place) = serde_json::from_str::<Place>(text) else { return };
    if place.version != 1 {
        return;
    }
    let Some(walk) = Walk::restore(place.at, place.nodes) else { return };
    app.walk = walk;
    app.beginning = false;
    find_written(app);
    for node in app.walk.nodes() {
        if let Some(sequence) = node.sequence {
            app.writer.known(node.id, sequence);
        }
    }
    app.zone = Zone::parse(&place.zone).unwrap_or_default();
    app.part = match place.part.as_str() {
        "detail" => Part::Detail,
        "card" => Part::Card,
        _ => Part::Rows,
    };
    app.zoomed = place.zoomed;
    if let Some(looks) = place.looks.filter(|looks| looks.check().is_ok()) {
        app.take_looks(looks);
    }
    app.card_shown = place.card;
    app.split = place.split.and_then(|(node, second)| Some(Split { node: app.walk.node(node)?.id, second }));
    app.marks.marked = place.marked.iter().filter_map(|id| id.parse().ok()).collect();
    app.rows.finding = place.find;
    app.letters = place.letters.into_iter().filter_map(|(c, index, p)| app.walk.node(index).map(|n| (c, (n.id, p)))).collect();
    if let Some((index, name, kept)) = place.aside
        && let Some(id) = app.walk.node(index).map(|n| n.id)
    {
        app.aside = again(&name, &kept).map(|pane| (id, pane, true));
    }
    app.reopen = place.open.into_iter().map(|name| (place.kept.get(&name).cloned().unwrap_or_default(), name)).collect();
}

/// A node that the journal got when the place was not yet saved again is found there: it is not written twice, and what is reached from it
/// hangs on it.
fn find_written(app: &mut App) {
    let decisions = app.keeper.decisions();
    let mut taken: HashSet<u64> = app.walk.nodes().iter().filter_map(|n| n.sequence).collect();
    for index in 0..app.walk.nodes().len() {
        let Some(node) = app.walk.node(index).filter(|n| n.sequence.is_none()) else { continue };
        let above = node.parent.and_then(|p| app.walk.node(p)?.sequence);
        // Without a node above it only what was handed to the writer is known to be there.
        if above.is_none() && node.written.is_empty() {
            continue;
        }
        let signature = if node.written.is_empty() { node.signature() } else { node.written.clone() };
        let is_it = |what: &What| match what {
            What::Trail { parent, query, lens, focus, window, .. } => {
                *parent == above && signature == walk::signature(query, lens, focus, window)
            }
            _ => false,
        };
        let found = decisions.iter().rev().find(|d| !taken.contains(&d.sequence) && is_it(&d.what)).map(|d| d.sequence);
        if let (Some(sequence), Some(id)) = (found, app.walk.node(index).map(|n| n.id)) {
            taken.insert(sequence);
            if let Some(node) = app.walk.by_id(id) {
                (node.sequence, node.written) = (Some(sequence), signature);
            }
        }
    }
}

/// A pane by its name and what it needs.
fn again(name: &str, kept: &str) -> Option<Box<dyn Pane>> {
    match name {
        "sweep" => Sweep::again(kept).map(|pane| Box::new(pane) as Box<dyn Pane>),
        "links" => Links::again(kept).map(|pane| Box::new(pane) as Box<dyn Pane>),
        _ => None,
    }
}

/// Opens the panes again that were open.
pub fn reopen(app: &mut App) {
    for (kept, name) in std::mem::take(&mut app.reopen) {
        if let Some(pane) = again(&name, &kept) {
            app.open(pane);
        } else if let Some((_, command)) = REOPENED.iter().find(|(pane, _)| *pane == name) {
            app.run_line(command);
        }
    }
}
