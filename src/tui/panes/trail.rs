//! The trail: every question that was asked by moving there, as a tree whose branches are where one went back and elsewhere. Enter goes; every step
//! can be asked again, which says what has changed; a branch can be taken off.

use super::{Change, Handled, Pane};
use crate::case::replay::{Difference, difference, in_words, replay};
use crate::case::{bookmarks, trail};
use crate::error::Result;
use crate::model::decision::{Decision, What};
use crate::tui::effect::{Cx, Effect};
use crate::tui::jobs::{Answer, Body};
use crate::tui::paint::{fill, put};
use crate::tui::text;
use crate::tui::times::thousands;
use crate::tui::view::View;
use crate::tui::widgets::tree::{Line, Tree};
use ratatui::Frame;
use ratatui::layout::Rect;
use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

/// The trail of the case.
#[derive(Default)]
pub struct Trail {
    decisions: Arc<Vec<Decision>>,
    /// Node one stands on, as last drawn.
    here: Option<u64>,
    tree: Tree<trail::Node>,
    stale: bool,
    chosen: bool,
    /// What is different of the steps that were asked again, by their numbers.
    changes: HashMap<u64, (String, Difference)>,
    /// Steps that are to be asked again, while they are.
    asking: Option<usize>,
}

/// A step that was asked again.
struct Again(u64, String, Difference);

/// The slot of the job that asks again.
const SLOT: &str = "replay";

impl Trail {
    /// The trail of the case.
    pub fn new() -> Trail {
        Trail { stale: true, ..Trail::default() }
    }
    fn build(&mut self, view: &View) {
        if !self.stale && self.here == view.node {
            return;
        }
        let kept: HashSet<u64> = bookmarks::list(&self.decisions).into_iter().filter_map(|b| b.node).collect();
        let nodes = trail::tree(&self.decisions);
        let depths = depths(&nodes);
        let selected = self.tree.selected().map(|l| l.value.id).filter(|_| self.chosen).or(view.node);
        let line = |(node, depth): (trail::Node, usize)| {
            let mark = if kept.contains(&node.id) { format!("{} ", view.glyphs.bookmark) } else { String::new() };
            let here = view.node == Some(node.id);
            let window = if node.window.is_empty() { "whole case".to_owned() } else { node.window.clone() };
            let rows = if node.rows == 1 { "1 row".to_owned() } else { format!("{} rows", thousands(node.rows)) };
            let again = self.changes.get(&node.id);
            let change = again.filter(|(words, _)| !words.is_empty()).map(|(words, _)| words.as_str());
            let change = change.map(|words| format!(" {} {}", view.glyphs.dot, text::clean(words))).unwrap_or_default();
            let doc = format!(
                "{} {dot} {rows}{change} {dot} {window} {dot} {} {}",
                node.lens,
                view.zone.day_clock(node.at),
                text::clean(&node.who),
                dot = view.glyphs.dot
            );
            let role = match again.map(|(_, difference)| *difference) {
                Some(Difference::Other) => "ui.warning",
                Some(Difference::Unknown) => "ui.error",
                _ if here => "entity.focus",
                _ => "ui.text",
            };
            Line { depth, text: format!("{mark}{}{}", node.label, if here { " (here)" } else { "" }), doc, role, value: node }
        };
        self.tree = Tree::new(nodes.into_iter().zip(depths).map(line).collect(), |_| false);
        self.tree.select(|l| Some(l.value.id) == selected);
        (self.stale, self.here) = (false, view.node);
    }
}

impl Trail {
    /// Asks every step again, in the background.
    fn replay(&mut self, cx: &mut Cx) {
        let nodes = trail::tree(&self.decisions);
        self.changes.clear();
        (self.asking, self.stale) = (Some(nodes.len()), true);
        let zone = cx.zone;
        cx.ask(SLOT, move |work| {
            replay(&nodes, &*work.engine, &work.cancel, &mut |at, now| {
                if let Some(node) = nodes.get(at) {
                    let words = in_words(node, now, &|t| zone.day_clock(t));
                    work.give(Again(node.id, words, difference(node, now)));
                }
                true
            })?;
            Ok(())
        });
    }
    /// Takes a step off, and what was reached from it if that is wanted.
    fn prune(&self, cx: &mut Cx) {
        let nodes = trail::tree(&self.decisions);
        let asked =
            cx.args.split_once(' ').and_then(|(id, word)| Some((id.parse::<u64>().ok()?, word.trim().to_ascii_lowercase())));
        let Some((id, word)) = asked else {
            if let Some(line) = self.tree.selected() {
                let (id, label) = (line.value.id, text::fit(&text::clean(&line.value.label), 30));
                let label = match trail::branch(&nodes, id).len().saturating_sub(1) {
                    0 => format!("take the step `{label}` off the trail? y or n"),
                    n => format!("take `{label}` and the {n} steps from it off the trail? y, n, or o: only this one"),
                };
                cx.push(Effect::Prompt { label, command: format!("trail_prune {id}"), text: String::new() });
            }
            return;
        };
        let gone = match word.as_str() {
            "y" | "yes" => trail::branch(&nodes, id),
            "o" | "only" => vec![id],
            _ => return cx.say("kept"),
        };
        if self.here.is_some_and(|here| gone.contains(&here)) {
            return cx.say("this is where you stand: go elsewhere first");
        }
        for id in gone.iter().rev() {
            cx.push(Effect::Append(What::Remove { id: *id }));
        }
        cx.say(format!(
            "{} off the trail; the journal keeps it",
            if gone.len() == 1 { "1 step".into() } else { format!("{} steps", gone.len()) }
        ));
    }
    /// What came of asking again, for the foot.
    fn again(&self) -> String {
        let n = |d: Difference| self.changes.values().filter(|(_, x)| *x == d).count();
        let (changed, failed) = (n(Difference::Other), n(Difference::Unknown));
        let failed = if failed > 0 { format!(", {failed} could not be asked") } else { String::new() };
        match self.asking {
            Some(all) => format!("asking again: {} of {all}, {changed} changed{failed} ", self.changes.len()),
            None if self.changes.is_empty() => String::new(),
            None => format!("{changed} changed, {} as they were{failed} ", n(Difference::Same)),
        }
    }
}

/// How far in each node stands: only branches go further in, so that a long walk stays a straight line.
fn depths(nodes: &[trail::Node]) -> Vec<usize> {
    let mut children: HashMap<Option<u64>, usize> = HashMap::new();
    for node in nodes {
        *children.entry(node.parent).or_default() += 1;
    }
    let mut depth: HashMap<u64, usize> = HashMap::new();
    let mut out = Vec::with_capacity(nodes.len());
    for node in nodes {
        let above = node.parent.and_then(|p| depth.get(&p).copied());
        let branches = node.parent.is_some() && children.get(&node.parent).copied().unwrap_or(0) > 1;
        let own = above.map_or(0, |d| d + usize::from(branches));
        depth.insert(node.id, own);
        out.push(own);
    }
    out
}

impl Pane for Trail {
    fn name(&self) -> &'static str {
        "trail"
    }
    fn title(&self) -> String {
        "trail".into()
    }
    fn commands(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("trail_replay", "ask every step again: what has changed"),
            ("trail_rename", "rename this step"),
            ("trail_prune", "take this step and its branch off"),
        ]
    }
    fn opened(&mut self, cx: &mut Cx) -> Result<()> {
        self.decisions = cx.keeper.decisions();
        self.stale = true;
        Ok(())
    }
    fn run(&mut self, command: &str, cx: &mut Cx) -> Result<Handled> {
        match command {
            "drill" => {
                if let Some(line) = self.tree.selected() {
                    cx.push(Effect::Close);
                    cx.push(Effect::GoNode(line.value.id));
                }
            }
            "trail_replay" => self.replay(cx),
            "trail_prune" => self.prune(cx),
            "cancel" if self.asking.take().is_some() => {
                cx.push(Effect::Cancel { pane: "trail", slot: SLOT });
                cx.say("given up; what was asked again is shown");
            }
            "trail_rename" => match cx.args.split_once(' ').and_then(|(id, text)| Some((id.parse().ok()?, text.trim()))) {
                Some((id, text)) if !text.is_empty() => cx.push(Effect::Append(What::Edit { id, text: text.to_owned() })),
                _ => {
                    if let Some(line) = self.tree.selected() {
                        let (id, text) = (line.value.id, line.value.label.clone());
                        cx.push(Effect::Prompt { label: "rename step".into(), command: format!("trail_rename {id}"), text });
                    }
                }
            },
            _ if self.tree.run(command) => self.chosen = true,
            _ => return Ok(Handled::No),
        }
        Ok(Handled::Yes)
    }
    fn changed(&mut self, change: Change, cx: &mut Cx) -> Result<()> {
        if change == Change::Decisions {
            self.decisions = cx.keeper.decisions();
        }
        self.stale = true;
        Ok(())
    }
    fn answer(&mut self, answer: Answer, _: &mut Cx) -> Result<()> {
        if matches!(answer.body, Body::Done | Body::Failed(_)) {
            self.asking = None;
        } else if let Some(Again(id, words, difference)) = answer.take() {
            self.changes.insert(id, (words, difference));
            self.stale = true;
        }
        Ok(())
    }
    fn copied(&self) -> Option<(String, String)> {
        self.tree.selected().map(|l| ("query".into(), l.value.query.clone()))
    }
    fn lines(&self) -> Vec<String> {
        self.tree.lines().iter().map(|l| format!("{} {} {}", l.text, l.doc, l.value.query)).collect()
    }
    fn line(&self) -> usize {
        self.tree.line()
    }
    fn stand(&mut self, line: usize) {
        self.chosen = true;
        self.tree.stand(line);
    }
    fn status(&self) -> String {
        self.tree.status()
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, view: &View) {
        self.build(view);
        let buf = frame.buffer_mut();
        fill(buf, area, view.theme.style("ui.background"));
        if self.tree.lines().is_empty() {
            put(
                buf,
                area.x + 1,
                area.y,
                area.width.saturating_sub(1),
                "nothing walked yet: Enter or p on a row begins the trail",
                view.theme.style("ui.dim"),
            );
            return;
        }
        let list = Rect { height: area.height.saturating_sub(1), ..area };
        self.tree.draw(buf, list, view.theme, view.glyphs, view.focused);
        if let Some(line) = self.tree.selected().filter(|_| area.height > 1) {
            let (again, x, wide) = (self.again(), area.x + 1, area.width.saturating_sub(1));
            let used = put(buf, x, area.bottom() - 1, wide, &again, view.theme.style("ui.warning"));
            let query = text::shown(&line.value.query, usize::from(wide - used));
            put(buf, x + used, area.bottom() - 1, wide - used, &query, view.theme.style("ui.dim"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;

    #[test]
    fn a_straight_walk_is_a_straight_line_and_branches_go_in() {
        let node = |id, parent, depth| trail::Node {
            id,
            parent,
            label: String::new(),
            query: String::new(),
            lens: String::new(),
            focus: String::new(),
            window: String::new(),
            rows: 0,
            seen: None,
            at: Time(0),
            who: String::new(),
            depth,
        };
        let nodes = [
            node(1, None, 0),
            node(2, Some(1), 1),
            node(3, Some(2), 2),
            node(4, Some(3), 3),
            node(5, Some(2), 2),
            node(6, Some(5), 3),
        ];
        assert_eq!(depths(&nodes), [0, 0, 1, 1, 1, 1]);
    }
}
