//! Tree -> question: fields resolved, values typed, times made absolute, sets looked up. Gives back the canonical text as well.
//!
//! What is decided here: `!=` is `not =`, so it also holds where the field is missing (`app != dns` keeps what has no application). Text is
//! compared without regard to case, also by regular expressions (`(?-i)` undoes it). `name = *.example.com` is the name and all below it. A time
//! clause may stand only beside the other conditions, because it becomes the window in which a case looks for records. `name = X`
//! tests the names that a record itself carries; the names of flows by their client's DNS are added where a question is answered.

use super::ast::{Clause, Expr, Item, Literal, Op, Query, Span, When, Word};
use super::check_stages;
use super::check_value::{compare, contains, equal, matches};
use super::error::QueryError;
use super::parse::{Parsed, field_names, parse};
use super::question::Question;
use super::verdicts::Verdicts;
use super::{lex, sets, vocabulary};
use crate::model::entity::EntityKind;
use crate::model::field::{self, Field, Type};
use crate::model::filter::{Members, Test};
use crate::model::time::{DAY, parse_span, show_span};
use crate::model::{Entity, FieldId, Filter, Kind, Time, Value, Window, proto};
use std::sync::Arc;

/// What a query may refer to besides its own text.
pub struct Scope<'a> {
    /// Now, while a capture runs; relative times count back from it.
    pub now: Option<Time>,
    /// Corrected start of the newest record: relative times count back from it otherwise.
    pub newest: Option<Time>,
    /// The members of a named set, or of a file if the name is a path.
    pub sets: &'a dyn Fn(&str) -> Option<Arc<Members>>,
    /// Names of the sets, for hints.
    pub set_names: &'a [String],
    /// The verdicts that stand, for the field `verdict`; none: nothing is judged.
    pub verdicts: Option<&'a Verdicts>,
    /// Names of the sources of the case, for hints; may be empty.
    pub sources: &'a [String],
}

impl Scope<'static> {
    /// Nothing to refer to: no records, sets or sources.
    pub fn empty() -> Scope<'static> {
        Scope { now: None, newest: None, sets: &|_| None, set_names: &[], verdicts: None, sources: &[] }
    }
}

/// Parses and checks a text.
pub fn compile(text: &str, scope: &Scope) -> Result<Question, QueryError> {
    check(parse(text)?, scope).map_err(|e| e.of(text))
}

/// As [`compile`], of records of one kind only: `kind = flow and (text)`.
pub fn compile_kind(kind: Kind, text: &str, scope: &Scope) -> Result<Question, QueryError> {
    compile_and(&format!("kind = {kind}"), text, scope)
}

/// As [`compile`], of records that satisfy a condition as well. Spans of errors are those of `text`.
pub fn compile_and(condition: &str, text: &str, scope: &Scope) -> Result<Question, QueryError> {
    let mut query = parse(text)?;
    query.expr = Expr::maybe_all(parse(condition)?.expr, query.expr);
    check(query, scope).map_err(|e| e.of(text))
}

/// The text of a query with one more condition, before its stages.
pub fn narrow(text: &str, condition: &str) -> Result<String, QueryError> {
    let mut query = parse(text)?;
    query.expr = Expr::maybe_all(query.expr, parse(condition)?.expr);
    Ok(query.to_string())
}

/// The text of a query without a condition that stands beside its others; none: it has no such condition.
pub fn without(text: &str, condition: &str) -> Option<String> {
    let mut query = parse(text).ok()?;
    let condition = parse(condition).ok()?.expr?;
    let (kept, gone): (Vec<Expr>, Vec<Expr>) = match query.expr? {
        Expr::And(parts) => parts.into_iter().partition(|part| *part != condition),
        one => std::iter::once(one).partition(|part| *part != condition),
    };
    query.expr = if kept.is_empty() { None } else { Some(Expr::all(kept)) };
    (!gone.is_empty()).then(|| query.to_string())
}

/// The conditions of a text that stand beside its others and leave out what a set holds or a verdict covers.
pub fn leaving_out(text: &str) -> Vec<String> {
    fn by_people(expr: &Expr) -> bool {
        match expr {
            Expr::And(parts) | Expr::Or(parts) => parts.iter().any(by_people),
            Expr::Not(inner) => by_people(inner),
            Expr::Test { field, items, .. } => is(field, field::VERDICT) || items.iter().any(|i| matches!(i, Item::Set(_))),
            Expr::Exists(field) => is(field, field::VERDICT),
            Expr::Bare(_) | Expr::Time(..) => false,
        }
    }
    let parts = match parse(text).ok().and_then(|query| query.expr) {
        Some(Expr::And(parts)) => parts,
        one => one.into_iter().collect(),
    };
    let negative = |expr: &Expr| matches!(expr, Expr::Not(_) | Expr::Test { op: Op::Ne, .. });
    let shown = |expr| Query { expr: Some(expr), ..Query::default() }.to_string();
    parts.into_iter().filter(|part| negative(part) && by_people(part)).map(shown).collect()
}

fn is(word: &Word, id: FieldId) -> bool {
    field::find(&word.text).is_some_and(|f| f.id == id)
}

/// Whether a text is a condition that looks at a field.
pub fn mentions(text: &str, id: FieldId) -> bool {
    fn looks(expr: &Expr, id: FieldId) -> bool {
        match expr {
            Expr::And(parts) | Expr::Or(parts) => parts.iter().any(|part| looks(part, id)),
            Expr::Not(inner) => looks(inner, id),
            Expr::Test { field, .. } | Expr::Exists(field) => is(field, id),
            Expr::Bare(_) | Expr::Time(..) => false,
        }
    }
    parse(text).is_ok_and(|query| query.expr.is_some_and(|expr| looks(&expr, id)))
}

/// A value as it is written in a query: in quotes if it would mean something else without.
pub fn quote(text: &str) -> String {
    if lex::is_word(text) && !text.contains('*') { text.to_owned() } else { lex::in_quotes(text) }
}

/// `field = value` as text.
pub fn condition(field: FieldId, value: &Value) -> String {
    let known = field::get(field);
    let text = value.show(known.map_or(Type::Text, |f| f.ty));
    format!("{} = {}", field::name(field), quote(&text))
}

/// Checks a tree.
pub fn check(query: Query, scope: &Scope) -> Result<Question, QueryError> {
    let mut checker = Checker { scope, window: Window::ALL };
    let mut filter = Filter::All;
    let mut canonical = Query::default();
    if let Some(expr) = query.expr {
        let (expr, f) = checker.expr(expr, true)?;
        canonical.expr = Some(expr);
        filter = f;
    }
    let (nodes, stages) = check_stages::check(query.stages)?;
    canonical.stages = nodes;
    canonical.expr.iter().try_for_each(|expr| of_sides(expr, true))?;
    Ok(Question { text: canonical.to_string(), filter, window: checker.window, stages, every_sighting: false, elsewhere: false })
}

/// Rows get `via` only when they are found: what can be asked of it is which side of a translation is wanted, beside the other conditions.
fn of_sides(expr: &Expr, top: bool) -> Parsed<()> {
    let side = |expr: &Expr| match expr {
        Expr::Exists(word) => is(word, field::VIA),
        Expr::Test { field, op: Op::Eq | Op::Ne, items } => {
            is(field, field::VIA) && matches!(items.as_slice(), [Item::Value(v)] if v.text.eq_ignore_ascii_case("nat"))
        }
        _ => false,
    };
    let word = match expr {
        Expr::And(parts) => return parts.iter().try_for_each(|part| of_sides(part, top)),
        Expr::Or(parts) => return parts.iter().try_for_each(|part| of_sides(part, false)),
        Expr::Not(inner) if top && side(inner) && !matches!(**inner, Expr::Test { op: Op::Ne, .. }) => return Ok(()),
        Expr::Not(inner) => return of_sides(inner, false),
        Expr::Exists(word) | Expr::Test { field: word, .. } => word,
        Expr::Bare(_) | Expr::Time(..) => return Ok(()),
    };
    let known = [field::VIA, field::VIA_HOST, field::VIA_METHOD, field::VIA_CONFIDENCE, field::VIA_EVIDENCE];
    if !known.iter().any(|id| is(word, *id)) || top && side(expr) {
        return Ok(());
    }
    Err(QueryError::new(
        format!("`{}` cannot be asked for like this: rows have it only once they are found", word.text),
        word.span,
    )
    .hint("beside the other conditions: exists via, or via = nat (what a host was elsewhere); not exists via (what names it)"))
}

/// The field that a word names, or an error with the nearest name.
pub(super) fn resolve(word: &Word) -> Parsed<&'static Field> {
    field::find(&word.text).ok_or_else(|| {
        QueryError::new(format!("there is no field `{}`", word.text), word.span)
            .hint("`backtrail fields` lists all; quote a text to look for it")
            .nearest(&word.text, field_names())
    })
}

impl Expr {
    fn maybe_all(a: Option<Expr>, b: Option<Expr>) -> Option<Expr> {
        match (a, b) {
            (Some(a), Some(b)) => Some(a.and(b)),
            (a, b) => a.or(b),
        }
    }
}

struct Checker<'a> {
    scope: &'a Scope<'a>,
    window: Window,
}

type Checked = (Expr, Filter);

impl Checker<'_> {
    /// `top`: only `and` stands above.
    fn expr(&mut self, expr: Expr, top: bool) -> Parsed<Checked> {
        Ok(match expr {
            Expr::And(parts) => {
                let (exprs, mut filters) = self.list(parts, top)?;
                filters.retain(|f| !matches!(f, Filter::All));
                let filter = match filters.len() {
                    0 => Filter::All,
                    1 => filters.remove(0),
                    _ => Filter::And(filters),
                };
                (Expr::all(exprs), filter)
            }
            Expr::Or(parts) => {
                let (exprs, filters) = self.list(parts, false)?;
                (Expr::any(exprs), Filter::Or(filters))
            }
            Expr::Not(inner) => {
                let (expr, filter) = self.expr(*inner, false)?;
                (Expr::Not(Box::new(expr)), Filter::Not(Box::new(filter)))
            }
            Expr::Exists(word) => {
                let field = resolve(&word)?;
                (Expr::Exists(Word::new(field.name, word.span)), self.filter(field, vec![Test::Exists], word.span)?)
            }
            Expr::Time(clause, span) => {
                if !top {
                    return Err(QueryError::new("a time clause cannot stand under `or` or `not`", span).hint(
                        "put it beside the whole: (a or b) and since 2h ago; or compare the field: start >= 2026-11-20T08:00Z",
                    ));
                }
                (Expr::Time(self.clause(clause, span)?, span), Filter::All)
            }
            Expr::Bare(literal) => self.bare(literal)?,
            Expr::Test { field, op, items } => self.test(field, op, items)?,
        })
    }

    fn list(&mut self, parts: Vec<Expr>, top: bool) -> Parsed<(Vec<Expr>, Vec<Filter>)> {
        let mut exprs = Vec::with_capacity(parts.len());
        let mut filters = Vec::with_capacity(parts.len());
        for part in parts {
            let (expr, filter) = self.expr(part, top)?;
            exprs.push(expr);
            filters.push(filter);
        }
        Ok((exprs, filters))
    }

    fn bare(&mut self, literal: Literal) -> Parsed<Checked> {
        let span = literal.span;
        let test =
            |name: &str, op: Op| Expr::Test { field: Word::new(name, span), op, items: vec![Item::Value(literal.clone())] };
        let text = literal.text.as_str();
        let expr = if literal.exact {
            test("any", Op::Contains)
        } else if text == "*" {
            Expr::Exists(Word::new("start", span))
        } else if !text.bytes().all(|b| b.is_ascii_digit()) && proto::parse(text).is_some() {
            test("proto", Op::Eq)
        } else if vocabulary::is_app(text) {
            test("app", Op::Eq)
        } else if text.contains('*') {
            test("any", Op::Eq)
        } else if text.contains('.') && field::find(text).is_some() {
            Expr::Exists(Word::new(text, span))
        } else {
            let entity = Entity::recognise(text).filter(|e| {
                use EntityKind::{Address, CommunityId, Cve, Fingerprint, Hash, Mac, Network};
                matches!(e.kind, Address | Network | Mac | Hash | Cve | CommunityId | Fingerprint)
            });
            match entity {
                Some(entity) => test(&field::name(entity.field), Op::Eq),
                None => test("any", Op::Contains),
            }
        };
        self.expr(expr, false)
    }

    fn test(&mut self, word: Word, op: Op, items: Vec<Item>) -> Parsed<Checked> {
        let field = resolve(&word)?;
        let mut tests = Vec::with_capacity(items.len());
        let mut shown = Vec::with_capacity(items.len());
        for item in items {
            let (test, item) = match item {
                Item::Set(name) => (self.set(&name, op)?, Item::Set(name)),
                Item::Value(literal) => {
                    let (test, literal) = match op {
                        Op::Eq | Op::Ne | Op::In => equal(field, literal, self.scope.sources)?,
                        Op::Lt | Op::Le | Op::Gt | Op::Ge => compare(field, op, literal)?,
                        Op::Contains => contains(literal)?,
                        Op::Matches => matches(literal)?,
                    };
                    (test, Item::Value(literal))
                }
            };
            tests.push(test);
            shown.push(item);
        }
        let is_set = matches!(shown.as_slice(), [Item::Set(_)]);
        let filter = self.filter(field, tests, word.span)?;
        let (op, negated) = match op {
            Op::In if shown.len() == 1 && !is_set => (Op::Eq, false),
            Op::Eq if is_set => (Op::In, false),
            Op::Ne if is_set => (Op::In, true),
            other => (other, false),
        };
        let filter = if op == Op::Ne || negated { Filter::Not(Box::new(filter)) } else { filter };
        let mut expr = Expr::Test { field: Word::new(field.name, word.span), op, items: shown };
        if negated {
            expr = Expr::Not(Box::new(expr));
        }
        Ok(match transport(&word.text).filter(|_| matches!(field.id, field::PORT | field::SRC_PORT | field::DST_PORT)) {
            // Wireshark's tcp.port is a port of TCP only.
            Some(number) => {
                let only = Expr::Test {
                    field: Word::new("proto", word.span),
                    op: Op::Eq,
                    items: vec![Item::Value(Literal { text: proto::show(number), exact: false, span: word.span })],
                };
                (only.and(expr), Filter::And(vec![Filter::is(field::PROTO, u64::from(number)), filter]))
            }
            None => (expr, filter),
        })
    }

    /// Any of these tests of a field; a verdict is in no record, a member of a set may be of several fields.
    fn filter(&self, field: &Field, mut tests: Vec<Test>, span: Span) -> Parsed<Filter> {
        if field.id == field::VERDICT {
            let Some(verdicts) = self.scope.verdicts else { return Ok(Filter::Or(Vec::new())) };
            return verdicts.filter(&Test::In(tests)).map_err(|what| {
                QueryError::new(what, span).hint("take back verdicts that are no longer needed: backtrail verdict lists them")
            });
        }
        let members: Vec<Arc<Members>> =
            tests.iter().filter_map(|t| if let Test::Set(set) = t { Some(Arc::clone(set)) } else { None }).collect();
        let beside: Vec<Filter> = members.iter().flat_map(|set| sets::beside(field.id, set)).collect();
        let test = if tests.len() == 1 { tests.remove(0) } else { Test::In(tests) };
        let own = Filter::Test(field.id, test);
        Ok(if beside.is_empty() { own } else { Filter::Or(std::iter::once(own).chain(beside).collect()) })
    }

    fn set(&self, name: &Word, op: Op) -> Parsed<Test> {
        if !matches!(op, Op::Eq | Op::Ne | Op::In) {
            return Err(QueryError::new(format!("a set stands behind `in`, not behind `{}`", op.name()), name.span));
        }
        match (self.scope.sets)(&name.text) {
            Some(members) => Ok(Test::Set(members)),
            None => Err(QueryError::new(format!("there is no set @{}", name.text), name.span)
                .hint("backtrail set list names all; a file with one value per line is a set too: host in @path/to/file")
                .nearest(&name.text, self.scope.set_names.iter().map(String::as_str))),
        }
    }

    fn anchor(&self, span: Span) -> Parsed<Time> {
        self.scope.now.or(self.scope.newest).ok_or_else(|| {
            QueryError::new("there is no record yet from which a relative time could count back", span)
                .hint("write a date: since 2026-11-20T08:00Z")
        })
    }

    fn when(&self, when: When) -> Parsed<Time> {
        match when {
            When::Ago(l) => Ok(self.anchor(l.span)?.plus(-span_of(&l)?)),
            When::At(l) => match l.text.to_ascii_lowercase().as_str() {
                "now" => Ok(self.anchor(l.span)?.plus(1)),
                day @ ("today" | "yesterday") => {
                    let today = Time(i64::from(self.anchor(l.span)?.day()).saturating_mul(DAY));
                    Ok(if day == "today" { today } else { today.plus(-DAY) })
                }
                text => {
                    // A short number would be an instant of 1970: rather a forgotten unit.
                    let short = text.len() < 9 && text.bytes().all(|b| b.is_ascii_digit());
                    Time::parse(&l.text).filter(|_| !short).ok_or_else(|| {
                        QueryError::new(format!("`{}` is not a time", l.text), l.span)
                            .hint("such as 2026-11-20, 2026-11-20T08:00Z, 2h ago; UTC unless it says otherwise")
                    })
                }
            },
        }
    }

    fn clause(&mut self, clause: Clause, span: Span) -> Parsed<Clause> {
        let at = |t: Time| When::At(Literal { text: t.rfc3339(), exact: false, span });
        let (window, clause) = match clause {
            Clause::Since(t) => {
                let t = self.when(t)?;
                (Window::new(t, Time::MAX), Clause::Since(at(t)))
            }
            Clause::Until(t) => {
                let t = self.when(t)?;
                (Window::new(Time::MIN, t), Clause::Until(at(t)))
            }
            Clause::Last(l) => {
                let t = self.anchor(span)?.plus(-span_of(&l)?);
                (Window::new(t, Time::MAX), Clause::Since(at(t)))
            }
            Clause::Between(a, b) => {
                let (a, b) = (self.when(a)?, self.when(b)?);
                if b <= a {
                    return Err(QueryError::new("this time ends before it begins", span).hint("the earlier time comes first"));
                }
                (Window::new(a, b), Clause::Between(at(a), at(b)))
            }
            Clause::Around(t, l) => {
                let t = self.when(t)?;
                let half = span_of(&l)?;
                let shown = Literal { text: show_span(half), exact: false, span: l.span };
                (Window::around(t, half), Clause::Around(at(t), shown))
            }
        };
        self.window = self.window.intersect(&window);
        Ok(clause)
    }
}

fn span_of(literal: &Literal) -> Parsed<i64> {
    parse_span(&literal.text).ok_or_else(|| {
        QueryError::new(format!("`{}` is not a span of time", literal.text), literal.span).hint("such as 90s, 5m, 2h, 1d, 1h30m")
    })
}

fn transport(name: &str) -> Option<u8> {
    let (head, _) = name.split_once('.')?;
    match head.to_ascii_lowercase().as_str() {
        "tcp" => Some(proto::TCP),
        "udp" => Some(proto::UDP),
        _ => None,
    }
}
