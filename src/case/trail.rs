//! The trail: the tree of pivots walked. Going back and elsewhere grows a branch; nothing walked is forgotten.

use super::standing::Standing;
use crate::model::decision::{Decision, What};
use crate::model::{Time, Window};
use std::collections::{HashMap, HashSet};

/// Rows of a node are counted up to here: so many are at least so many.
pub const COUNTED: u64 = 100_000;
/// Lenses whose rows are of any time, whatever the window is.
pub const TIMELESS: &[&str] = &["reputation", "host"];
/// Lenses that show no rows of a question.
pub const UNCOUNTED: &[&str] = &["home", "packets"];

/// A node: a question that was asked by moving there.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its number: the sequence of its decision.
    pub id: u64,
    /// The node it was reached from, if that stands.
    pub parent: Option<u64>,
    /// Label on screen.
    pub label: String,
    /// Query text.
    pub query: String,
    /// Lens.
    pub lens: String,
    /// Focus (entity text).
    pub focus: String,
    /// Window as text; empty: the whole case.
    pub window: String,
    /// Rows that it returned, see [`COUNTED`].
    pub rows: u64,
    /// Number of the newest import when they were counted; none: that is not known.
    pub seen: Option<u64>,
    /// When.
    pub at: Time,
    /// Who.
    pub who: String,
    /// Depth in the tree, from 0.
    pub depth: usize,
}

impl Node {
    /// The window in which its rows are.
    pub fn span(&self) -> Option<Window> {
        parse_window(&self.window).filter(|_| !TIMELESS.contains(&self.lens.as_str()))
    }
}

/// Reads a window as the journal has it: two times.
pub fn parse_window(text: &str) -> Option<Window> {
    let (start, end) = text.split_once(' ')?;
    Some(Window::new(Time::parse(start)?, Time::parse(end)?))
}

/// The tree, depth first, children in the order in which they were walked.
pub fn tree(decisions: &[Decision]) -> Vec<Node> {
    let standing = Standing::of(decisions);
    let mut nodes: HashMap<u64, Node> = HashMap::new();
    let mut children: HashMap<Option<u64>, Vec<u64>> = HashMap::new();
    for d in decisions.iter().filter(|d| standing.stands(d.sequence)) {
        if let What::Trail { parent, label, query, lens, focus, window, rows, seen } = &d.what {
            // A node whose parent was pruned stands as a root; a parent is always older, so there are no circles.
            let parent = parent.filter(|p| nodes.contains_key(p));
            children.entry(parent).or_default().push(d.sequence);
            nodes.insert(
                d.sequence,
                Node {
                    id: d.sequence,
                    parent,
                    label: standing.text(d.sequence, label),
                    query: query.clone(),
                    lens: lens.clone(),
                    focus: focus.clone(),
                    window: window.clone(),
                    rows: *rows,
                    seen: *seen,
                    at: Time(d.at),
                    who: d.who.name.clone(),
                    depth: 0,
                },
            );
        }
    }
    let mut out = Vec::with_capacity(nodes.len());
    let mut stack: Vec<(u64, usize)> = Vec::new();
    let push = |stack: &mut Vec<(u64, usize)>, of: Option<u64>, depth: usize| {
        stack.extend(children.get(&of).into_iter().flatten().rev().map(|id| (*id, depth)));
    };
    push(&mut stack, None, 0);
    while let Some((id, depth)) = stack.pop() {
        if let Some(mut node) = nodes.remove(&id) {
            node.depth = depth;
            out.push(node);
            push(&mut stack, Some(id), depth + 1);
        }
    }
    out
}

/// The nodes from a root to a node.
pub fn path(tree: &[Node], id: u64) -> Vec<&Node> {
    let by_id: HashMap<u64, &Node> = tree.iter().map(|n| (n.id, n)).collect();
    let mut out: Vec<&Node> = Vec::new();
    let mut at = by_id.get(&id);
    while let Some(node) = at {
        out.push(node);
        at = node.parent.and_then(|p| by_id.get(&p));
    }
    out.reverse();
    out
}

/// A node and all that were reached from it, itself first: what goes with its branch.
pub fn branch(tree: &[Node], id: u64) -> Vec<u64> {
    let mut of: HashSet<u64> = HashSet::from([id]);
    let mut out = Vec::new();
    // Depth first: a parent stands before its children.
    for node in tree {
        if node.id == id || node.parent.is_some_and(|p| of.contains(&p)) {
            of.insert(node.id);
            out.push(node.id);
        }
    }
    out
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::case::bookmarks::tests::decided;

    pub(in crate::case) fn node(parent: Option<u64>, label: &str) -> What {
        What::Trail {
            parent,
            label: label.into(),
            query: String::new(),
            lens: "flows".into(),
            focus: String::new(),
            window: String::new(),
            rows: 1,
            seen: Some(1),
        }
    }

    #[test]
    fn going_back_and_elsewhere_grows_a_branch() {
        let all = decided(vec![node(None, "case"), node(Some(1), "alert"), node(Some(2), "host"), node(Some(1), "other alert")]);
        let tree = tree(&all);
        let shape: Vec<_> = tree.iter().map(|n| (n.label.as_str(), n.depth)).collect();
        assert_eq!(shape, [("case", 0), ("alert", 1), ("host", 2), ("other alert", 1)]);
        let labels: Vec<_> = path(&tree, 3).iter().map(|n| n.label.clone()).collect();
        assert_eq!(labels, ["case", "alert", "host"]);
        assert_eq!((branch(&tree, 2), branch(&tree, 1), branch(&tree, 9)), (vec![2, 3], vec![1, 2, 3, 4], vec![]));
    }

    #[test]
    fn a_pruned_node_leaves_its_children_standing() {
        let all = decided(vec![node(None, "case"), node(Some(1), "alert"), node(Some(2), "host"), What::Remove { id: 2 }]);
        let shape: Vec<_> = tree(&all).iter().map(|n| (n.label.clone(), n.depth)).collect();
        assert_eq!(shape, [("case".to_owned(), 0), ("host".to_owned(), 0)]);
    }
}
