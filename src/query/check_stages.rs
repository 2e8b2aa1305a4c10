//! Stages as written -> typed stages, and the same in canonical names.
//!
//! Records go into `count`, `sum`, `mean`, `percentile`, `top` or `timeline`, which make a table; on a table `sort`, `head`, and `count`, `sum` over its own columns go
//! on. `sort` and `head` directly on records give the records' main columns as a table.

use super::ast::{Span, StageNode, Word};
use super::check::resolve;
use super::error::QueryError;
use super::parse::Parsed;
use super::question::Stage;
use crate::model::field::{self, Field, Type};

/// What stands between two stages.
enum State {
    Records { sorted: bool },
    Table(Vec<String>),
}

/// The columns of the table that stages give; none if records come out.
pub(super) fn columns_after(nodes: Vec<(StageNode, Span)>) -> Option<Vec<String>> {
    let mut state = State::Records { sorted: false };
    for (node, span) in nodes {
        stage(node, span, &mut state).ok()?;
    }
    if let State::Table(columns) = state { Some(columns) } else { None }
}

/// Stages in canonical names, and typed.
type Checked = (Vec<(StageNode, Span)>, Vec<Stage>);

pub(super) fn check(nodes: Vec<(StageNode, Span)>) -> Parsed<Checked> {
    let mut state = State::Records { sorted: false };
    let mut canonical = Vec::with_capacity(nodes.len());
    let mut stages = Vec::with_capacity(nodes.len());
    for (node, span) in nodes {
        let (node, stage) = stage(node, span, &mut state)?;
        canonical.push((node, span));
        stages.push(stage);
    }
    Ok((canonical, stages))
}

fn stage(node: StageNode, span: Span, state: &mut State) -> Parsed<(StageNode, Stage)> {
    let aggregates = !matches!(node, StageNode::Sort(..) | StageNode::Head(_));
    if aggregates && matches!(state, State::Records { sorted: true }) {
        return Err(QueryError::new("records cannot be grouped after `sort`", span)
            .hint("group first, then sort: count by app | sort -count"));
    }
    if matches!((&node, &*state), (StageNode::Top(..) | StageNode::Timeline(..) | StageNode::Measure(..), State::Table(_))) {
        return Err(QueryError::new("this stage works on records, but a table comes in", span).hint("use sort -count | head 10"));
    }
    Ok(match node {
        StageNode::Count(by) => {
            let by = grouping(by, state)?;
            *state = State::Table(columns(&by, &["count"]));
            let ids = by.iter().map(|(f, _)| f.id).collect();
            (StageNode::Count(words(by)), Stage::Count { by: ids })
        }
        StageNode::Sum(word, by) => {
            let (field, word) = summed(word, state)?;
            let by = grouping(by, state)?;
            *state = State::Table(columns(&by, &["sum", "count"]));
            let ids = by.iter().map(|(f, _)| f.id).collect();
            (StageNode::Sum(word, words(by)), Stage::Sum { field: field.id, by: ids })
        }
        StageNode::Measure(measure, word, by) => {
            let (field, word) = summed(word, state)?;
            let by = grouping(by, state)?;
            *state = State::Table(columns(&by, &[measure.column().as_str(), "count"]));
            let ids = by.iter().map(|(f, _)| f.id).collect();
            (StageNode::Measure(measure, word, words(by)), Stage::Measure { measure, field: field.id, by: ids })
        }
        StageNode::Top(n, word, weight) => {
            let by = grouping(vec![word], state)?;
            let weight = match weight {
                Some(w) if w.text.eq_ignore_ascii_case("count") => None,
                Some(w) => Some(summed(w, state)?),
                None => None,
            };
            *state = State::Table(columns(&by, if weight.is_some() { &["sum", "count"] } else { &["count"] }));
            let field = by.first().map_or(field::HOST, |(f, _)| f.id);
            let stage = Stage::Top { n, field, by: weight.as_ref().map(|(f, _)| f.id) };
            (StageNode::Top(n, words(by).remove(0), weight.map(|(_, w)| w)), stage)
        }
        StageNode::Timeline(bin, weight, split) => {
            let weight = match weight {
                Some(w) if w.text.eq_ignore_ascii_case("count") => None,
                Some(w) => Some(summed(w, state)?),
                None => None,
            };
            let by = grouping(split.into_iter().collect(), state)?;
            let mut names = columns(&by, &[if weight.is_some() { "sum" } else { "count" }]);
            names.insert(0, "start".into());
            *state = State::Table(names);
            let stage = Stage::Timeline { bin, weight: weight.as_ref().map(|(f, _)| f.id), by: by.first().map(|(f, _)| f.id) };
            (StageNode::Timeline(bin, weight.map(|(_, w)| w), words(by).pop()), stage)
        }
        StageNode::Sort(word, descending) => {
            let column = match state {
                State::Records { sorted } => {
                    *sorted = true;
                    resolve(&word)?.name.to_owned()
                }
                State::Table(columns) => {
                    let name = field::find(&word.text).map_or(word.text.as_str(), |f| f.name);
                    let found = columns.iter().find(|c| c.eq_ignore_ascii_case(name) || c.eq_ignore_ascii_case(&word.text));
                    found.cloned().ok_or_else(|| missing(&word, columns))?
                }
            };
            (StageNode::Sort(Word::new(&column, word.span), descending), Stage::Sort { column, descending })
        }
        StageNode::Head(n) => (StageNode::Head(n), Stage::Head { n }),
    })
}

type Resolved = (&'static Field, Word);

fn words(by: Vec<Resolved>) -> Vec<Word> {
    by.into_iter().map(|(_, w)| w).collect()
}

fn columns(by: &[Resolved], more: &[&str]) -> Vec<String> {
    by.iter().map(|(f, _)| f.name.to_owned()).chain(more.iter().map(|m| (*m).to_owned())).collect()
}

fn grouping(by: Vec<Word>, state: &State) -> Parsed<Vec<Resolved>> {
    let mut out: Vec<Resolved> = Vec::with_capacity(by.len());
    for word in by {
        let field = resolve(&word)?;
        if out.iter().any(|(f, _)| f.id == field.id) {
            return Err(QueryError::new(format!("`{}` stands twice", field.name), word.span));
        }
        present(field, &word, state)?;
        out.push((field, Word::new(field.name, word.span)));
    }
    Ok(out)
}

fn summed(word: Word, state: &State) -> Parsed<Resolved> {
    let field = resolve(&word)?;
    if !matches!(field.ty, Type::Uint | Type::Bytes | Type::Span | Type::Float) {
        let error = QueryError::new(format!("`{}` cannot be summed", field.name), word.span);
        return Err(error.hint("bytes, packets, payload and duration can; to count values: count by, or top"));
    }
    present(field, &word, state)?;
    Ok((field, Word::new(field.name, word.span)))
}

/// A stage on a table may name only its columns.
fn present(field: &Field, word: &Word, state: &State) -> Parsed<()> {
    match state {
        State::Table(columns) if !columns.iter().any(|c| c == field.name) => Err(missing(word, columns)),
        _ => Ok(()),
    }
}

fn missing(word: &Word, columns: &[String]) -> QueryError {
    QueryError::new(format!("there is no column `{}` at this point", word.text), word.span)
        .hint(format!("the columns are {}", columns.join(", ")))
        .nearest(&word.text, columns.iter().map(String::as_str))
}
