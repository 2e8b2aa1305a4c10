//! The tree of a query as it was written, with the place of every part. It prints as text that parses back to the same tree.
//!
//! Spans do not take part in comparison: two trees are equal if they say the same.

use super::lex::{in_quotes, is_word};
use super::question::Measure;
use super::spread::per_cent;
use std::fmt;
use std::ops::Range;

/// Bytes of the query's text. Always equal to each other.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// First byte after.
    pub end: usize,
}

impl PartialEq for Span {
    fn eq(&self, _: &Span) -> bool {
        true
    }
}
impl From<Range<usize>> for Span {
    fn from(r: Range<usize>) -> Span {
        Span { start: r.start, end: r.end }
    }
}
impl From<Span> for Range<usize> {
    fn from(s: Span) -> Range<usize> {
        s.start..s.end
    }
}

/// A name: of a field, a set, a column.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Word {
    /// As written.
    pub text: String,
    /// Where.
    pub span: Span,
}

impl Word {
    /// A word.
    pub fn new(text: impl Into<String>, span: impl Into<Span>) -> Word {
        Word { text: text.into(), span: span.into() }
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Literal {
    /// As written, unquoted.
    pub text: String,
    /// It was quoted: `*` in it is a star.
    pub exact: bool,
    /// Where.
    pub span: Span,
}

/// A member of a list of values.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A value.
    Value(Literal),
    /// `@name`.
    Set(Word),
}

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Eq,
    /// `!=`: the same as `not =`, so it holds where the field is missing.
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `contains`
    Contains,
    /// `~`
    Matches,
    /// `in`
    In,
}

impl Op {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Op::Eq => "=",
            Op::Ne => "!=",
            Op::Lt => "<",
            Op::Le => "<=",
            Op::Gt => ">",
            Op::Ge => ">=",
            Op::Contains => "contains",
            Op::Matches => "~",
            Op::In => "in",
        }
    }
}

/// An instant as written.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    /// A date, a time, an epoch, `now`, `today`, `yesterday`.
    At(Literal),
    /// `2h ago`.
    Ago(Literal),
}

/// A time clause. Only at the top level of a query, beside its other conditions.
#[derive(Debug, Clone, PartialEq)]
pub enum Clause {
    /// `since T`
    Since(When),
    /// `until T`
    Until(When),
    /// `between A and B`
    Between(When, When),
    /// `around T 30s`: so much before and after.
    Around(When, Literal),
    /// `last 2h`
    Last(Literal),
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// All hold; two or more, none of them `And`.
    And(Vec<Expr>),
    /// Any holds; two or more, none of them `Or`.
    Or(Vec<Expr>),
    /// It does not hold.
    Not(Box<Expr>),
    /// `field op value`; one item, but for `in`.
    Test {
        /// The field, by any of its names.
        field: Word,
        /// How.
        op: Op,
        /// With what.
        items: Vec<Item>,
    },
    /// `exists field`.
    Exists(Word),
    /// A word by itself.
    Bare(Literal),
    /// A time clause and where it stands.
    Time(Clause, Span),
}

/// A stage as written; fields and columns are not resolved yet.
#[derive(Debug, Clone, PartialEq)]
pub enum StageNode {
    /// `count by a, b`
    Count(Vec<Word>),
    /// `sum f by a, b`
    Sum(Word, Vec<Word>),
    /// `mean f by a, b`, `percentile 95 f by a, b`
    Measure(Measure, Word, Vec<Word>),
    /// `top 10 f by g`
    Top(usize, Word, Option<Word>),
    /// `sort -column`; true: descending.
    Sort(Word, bool),
    /// `head 20`
    Head(usize),
    /// `timeline 5m f by g`; bin in nanoseconds.
    Timeline(i64, Option<Word>, Option<Word>),
}

/// A query.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    /// Which records; none: all.
    pub expr: Option<Expr>,
    /// What is made of them, and where each stage stands.
    pub stages: Vec<(StageNode, Span)>,
}

impl Expr {
    /// Both hold; flattens, so that the tree is as the parser would make it.
    pub fn and(self, other: Expr) -> Expr {
        Expr::all([self, other])
    }
    /// All of these hold, flattened; of one the one itself.
    pub fn all(list: impl IntoIterator<Item = Expr>) -> Expr {
        let mut flat = Vec::new();
        for expr in list {
            match expr {
                Expr::And(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        if flat.len() == 1 { flat.remove(0) } else { Expr::And(flat) }
    }
    /// Any of these holds, flattened; of one the one itself.
    pub fn any(list: impl IntoIterator<Item = Expr>) -> Expr {
        let mut flat = Vec::new();
        for expr in list {
            match expr {
                Expr::Or(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        if flat.len() == 1 { flat.remove(0) } else { Expr::Or(flat) }
    }
    fn write_within(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `and` inside `or` would need no brackets; they are printed because tcpdump's precedence differs from ours.
        if matches!(self, Expr::And(_) | Expr::Or(_)) { write!(f, "({self})") } else { write!(f, "{self}") }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.exact { f.write_str(&in_quotes(&self.text)) } else { f.write_str(&self.text) }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Value(v) => v.fmt(f),
            Item::Set(name) if is_word(name.text.trim_start_matches(['/', '-'])) => write!(f, "@{}", name.text),
            Item::Set(name) => write!(f, "@{}", in_quotes(&name.text)),
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            When::At(t) => t.fmt(f),
            When::Ago(span) => write!(f, "{span} ago"),
        }
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Clause::Since(t) => write!(f, "since {t}"),
            Clause::Until(t) => write!(f, "until {t}"),
            Clause::Between(a, b) => write!(f, "between {a} and {b}"),
            Clause::Around(t, span) => write!(f, "around {t} {span}"),
            Clause::Last(span) => write!(f, "last {span}"),
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, parts: &[Expr], word: &str| {
            for (n, part) in parts.iter().enumerate() {
                if n > 0 {
                    write!(f, " {word} ")?;
                }
                part.write_within(f)?;
            }
            Ok(())
        };
        match self {
            Expr::And(parts) => list(f, parts, "and"),
            Expr::Or(parts) => list(f, parts, "or"),
            Expr::Not(inner) => {
                f.write_str("not ")?;
                inner.write_within(f)
            }
            Expr::Exists(field) => write!(f, "exists {}", field.text),
            Expr::Bare(word) => word.fmt(f),
            Expr::Time(clause, _) => clause.fmt(f),
            Expr::Test { field, op, items } => {
                write!(f, "{} {} ", field.text, op.name())?;
                match (op, items.as_slice()) {
                    (Op::Matches, [Item::Value(v)]) => write!(f, "/{}/", v.text.replace('/', "\\/")),
                    (Op::In, [set @ Item::Set(_)]) => set.fmt(f),
                    (Op::In, items) => {
                        f.write_str("{")?;
                        for (n, item) in items.iter().enumerate() {
                            write!(f, "{}{item}", if n > 0 { ", " } else { "" })?;
                        }
                        f.write_str("}")
                    }
                    (_, items) => items.iter().try_for_each(|item| item.fmt(f)),
                }
            }
        }
    }
}

impl fmt::Display for StageNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = |f: &mut fmt::Formatter<'_>, fields: &[Word]| {
            for (n, field) in fields.iter().enumerate() {
                write!(f, "{} {}", if n == 0 { " by" } else { "," }, field.text)?;
            }
            Ok(())
        };
        match self {
            StageNode::Count(fields) => {
                f.write_str("count")?;
                by(f, fields)
            }
            StageNode::Sum(field, fields) => {
                write!(f, "sum {}", field.text)?;
                by(f, fields)
            }
            StageNode::Measure(measure, field, fields) => {
                match measure {
                    Measure::Mean => f.write_str("mean")?,
                    Measure::Percentile(n) => write!(f, "percentile {}", per_cent(*n))?,
                }
                write!(f, " {}", field.text)?;
                by(f, fields)
            }
            StageNode::Top(n, field, weight) => {
                write!(f, "top {n} {}", field.text)?;
                by(f, weight.as_slice())
            }
            StageNode::Sort(column, descending) => write!(f, "sort {}{}", if *descending { "-" } else { "" }, column.text),
            StageNode::Head(n) => write!(f, "head {n}"),
            StageNode::Timeline(bin, weight, split) => {
                write!(f, "timeline {}", crate::model::time::show_span(*bin))?;
                if let Some(weight) = weight {
                    write!(f, " {}", weight.text)?;
                }
                by(f, split.as_slice())
            }
        }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(expr) = &self.expr {
            expr.fmt(f)?;
        }
        for (n, (stage, _)) in self.stages.iter().enumerate() {
            write!(f, "{}| {stage}", if n > 0 || self.expr.is_some() { " " } else { "" })?;
        }
        Ok(())
    }
}
