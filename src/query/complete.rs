//! What can stand at the cursor: fields, operators, values (the caller knows those of its case), keywords, stages.

use super::ast::Query;
use super::check_stages::columns_after;
use super::lex::{Lexed, Token, in_quotes, lex_part};
use super::parse::parse;
use super::parse_stages::STAGES;
use super::{quote, vocabulary};
use crate::model::field::{self, Field, FieldId, Type};
use crate::model::value::SEVERITIES;
use crate::model::{proto, words};
use std::ops::Range;

/// Most suggestions.
pub const MAX_ITEMS: usize = 200;

/// What a suggestion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// A field.
    Field,
    /// An operator.
    Operator,
    /// A value.
    Value,
    /// A word of the language.
    Keyword,
    /// A stage.
    Stage,
}

/// One suggestion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// What to put in place of the completion's span.
    pub text: String,
    /// What it is.
    pub sort: Sort,
    /// One sentence, or empty.
    pub doc: String,
}

/// What can stand at a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Completion {
    /// Bytes of the text that a suggestion replaces; ends at the cursor.
    pub span: Range<usize>,
    /// Suggestions, best first.
    pub items: Vec<Suggestion>,
}

/// What is expected at the cursor.
enum Expected {
    Condition { joined: bool },
    Operator(&'static Field),
    Value(&'static Field),
    Field { numeric: bool, count: bool },
    Words(&'static [&'static str]),
    Column,
    Stage,
}

const OPERATORS: &[(&str, &str)] = &[
    ("=", "equal; text without regard to case, * stands for any text, an address may be a network"),
    ("!=", "not equal, or not there"),
    ("in", "one of a list or set: in {80, 443}, in @name"),
    ("contains", "contains a text"),
    ("~", "matches a regular expression: ~ /ev[il]/"),
    (">", "greater"),
    (">=", "greater or equal"),
    ("<", "less"),
    ("<=", "less or equal"),
];

/// Suggestions for a text at a cursor (a byte offset). `values` gives values of a field that begin with what is typed; `sets` are the names of
/// the case's sets.
pub fn complete(text: &str, cursor: usize, values: &dyn Fn(FieldId, &str) -> Vec<String>, sets: &[String]) -> Completion {
    let mut cursor = cursor.min(text.len());
    while !text.is_char_boundary(cursor) {
        cursor -= 1;
    }
    let (mut tokens, fault) = lex_part(&text[..cursor]);
    let mut typed = String::new();
    let mut start = cursor;
    let mut quoted = false;
    if let Some(fault) = fault {
        start = fault.span.start;
        typed = text[(start + 1).min(cursor)..cursor].to_owned();
        quoted = true;
    } else if let Some(Lexed { token: Token::Word(w), span }) = tokens.last()
        && span.end == cursor
    {
        typed.clone_from(w);
        start = span.start;
        tokens.pop();
    }
    if !quoted && typed.starts_with('-') && !tokens.last().is_some_and(|t| is_operator(&t.token)) {
        typed.remove(0);
        start += 1;
    }
    let mut expected = expected(&tokens);
    if !quoted
        && matches!(expected, Expected::Condition { .. })
        && let Some((key, rest)) = typed.split_once(':')
        && let Some(field) = field::find(key)
    {
        start += key.len() + 1;
        typed = rest.to_owned();
        expected = Expected::Value(field);
    }
    let mut found = Found { typed: typed.to_lowercase(), quoted, best: Vec::new(), good: Vec::new() };
    match expected {
        Expected::Condition { joined } => {
            if joined {
                found.words(&["and", "or"], Sort::Keyword);
                found.add(
                    "|",
                    Sort::Operator,
                    "what is made of the records: count, sum, mean, percentile, top, sort, head, timeline",
                );
            }
            found.fields(|_| true);
            found.words(super::parse::KEYWORDS, Sort::Keyword);
            if !found.typed.is_empty() {
                proto::names().for_each(|n| found.add(n, Sort::Value, "transport protocol"));
                vocabulary::apps().into_iter().for_each(|n| found.add(n, Sort::Value, "application"));
            }
        }
        Expected::Operator(field) => {
            let ordered = !matches!(field.ty, Type::Bool | Type::Proto);
            for (op, doc) in OPERATORS.iter().filter(|(op, _)| ordered || !op.starts_with(['<', '>'])) {
                found.add(op, Sort::Operator, doc);
            }
            found.words(&["and", "or"], Sort::Keyword);
        }
        Expected::Value(field) => {
            found.values(field, &typed, values);
            // Of a value that is being typed only what begins with the sign is a set.
            if !quoted && (typed.is_empty() || typed.starts_with('@')) {
                sets.iter().for_each(|name| found.add(&format!("@{name}"), Sort::Value, "the members of a set"));
            }
        }
        Expected::Field { numeric, count } => {
            if count {
                found.add("count", Sort::Keyword, "number of records");
            }
            found.fields(|f| !numeric || matches!(f.ty, Type::Uint | Type::Bytes | Type::Span | Type::Float));
        }
        Expected::Words(words) => found.words(words, Sort::Keyword),
        Expected::Column => {
            for column in columns(text, &tokens) {
                found.add(&column, Sort::Field, "smallest first");
                found.add(&format!("-{column}"), Sort::Field, "largest first");
            }
        }
        Expected::Stage => {
            for (name, example, doc) in STAGES {
                found.add(name, Sort::Stage, &format!("{doc}: {example}"));
            }
        }
    }
    let mut items = found.best;
    items.extend(found.good);
    items.truncate(MAX_ITEMS);
    Completion { span: start..cursor, items }
}

struct Found {
    typed: String,
    quoted: bool,
    /// Begin with what is typed.
    best: Vec<Suggestion>,
    /// Contain it.
    good: Vec<Suggestion>,
}

impl Found {
    fn put(&mut self, key: &str, text: String, sort: Sort, doc: &str) {
        let key = key.to_lowercase();
        let list = match key.find(&self.typed) {
            Some(0) => &mut self.best,
            Some(_) => &mut self.good,
            None => return,
        };
        list.push(Suggestion { text, sort, doc: doc.to_owned() });
    }
    fn has(&self, text: &str) -> bool {
        self.best.iter().chain(&self.good).any(|s| s.text == text)
    }
    fn add(&mut self, text: &str, sort: Sort, doc: &str) {
        if !self.has(text) {
            self.put(text, text.to_owned(), sort, doc);
        }
    }
    fn words(&mut self, words: &[&str], sort: Sort) {
        words.iter().for_each(|w| self.add(w, sort, ""));
    }
    fn fields(&mut self, wanted: impl Fn(&Field) -> bool) {
        for f in field::ALL.iter().filter(|f| wanted(f)) {
            self.add(f.name, Sort::Field, f.doc);
        }
        if self.typed.is_empty() {
            return;
        }
        for f in field::ALL.iter().filter(|f| wanted(f)) {
            for alias in f.aliases {
                if !self.has(f.name) {
                    self.put(alias, f.name.to_owned(), Sort::Field, &format!("{alias}: {}", f.doc));
                }
            }
        }
    }
    fn value(&mut self, value: &str, doc: &str) {
        let text = if self.quoted { in_quotes(value) } else { quote(value) };
        if !self.has(&text) {
            self.put(value, text, Sort::Value, doc);
        }
    }
    fn values(&mut self, field: &Field, typed: &str, values: &dyn Fn(FieldId, &str) -> Vec<String>) {
        for value in values(field.id, typed) {
            self.value(&value, "");
        }
        let known: Vec<&str> = match (field.id, field.ty) {
            (id, _) if words::of(id).is_some() => words::of(id).unwrap_or_default(),
            (field::APP, _) => vocabulary::apps(),
            (field::STATE, _) => vocabulary::STATES.to_vec(),
            (field::ACTION, _) => vocabulary::ACTIONS.to_vec(),
            (_, Type::Proto) => proto::names().collect(),
            (_, Type::Severity) => SEVERITIES.iter().rev().copied().collect(),
            (_, Type::Bool) => vec!["true", "false"],
            (_, Type::Port) if !typed.is_empty() => vocabulary::port_names().collect(),
            (_, Type::Bytes) if typed.is_empty() => vec!["1kB", "1MB", "1GB"],
            (_, Type::Span) if typed.is_empty() => vec!["1s", "1m", "1h"],
            _ => Vec::new(),
        };
        known.into_iter().for_each(|v| self.value(v, ""));
    }
}

fn is_operator(token: &Token) -> bool {
    use Token::{Eq, Ge, Gt, Le, Lt, Match, Ne, NoMatch};
    matches!(token, Eq | Ne | Lt | Le | Gt | Ge | Match | NoMatch)
}

fn word(token: Option<&Lexed>) -> Option<&str> {
    match token {
        Some(Lexed { token: Token::Word(w), .. }) => Some(w),
        _ => None,
    }
}

fn expected(tokens: &[Lexed]) -> Expected {
    if let Some(pipe) = tokens.iter().rposition(|t| t.token == Token::Pipe) {
        return in_stage(&tokens[pipe + 1..]);
    }
    let Some((last, before)) = tokens.split_last() else { return Expected::Condition { joined: false } };
    if let Some(field) = value_of(tokens) {
        return Expected::Value(field);
    }
    match &last.token {
        Token::And | Token::Or | Token::Not | Token::Open => Expected::Condition { joined: false },
        Token::Word(w) => match w.to_ascii_lowercase().as_str() {
            _ if value_of(before).is_some() => Expected::Condition { joined: true },
            "and" | "or" | "not" | "-" => Expected::Condition { joined: false },
            "exists" | "has" => Expected::Field { numeric: false, count: false },
            "since" | "until" | "between" | "around" => Expected::Words(&["1h ago", "1d ago", "today", "yesterday", "now"]),
            "last" => Expected::Words(&["15m", "1h", "1d", "7d"]),
            name => match field::find(name) {
                Some(field) => Expected::Operator(field),
                None => Expected::Condition { joined: true },
            },
        },
        _ => Expected::Condition { joined: true },
    }
}

/// The field whose value comes after these tokens.
fn value_of(tokens: &[Lexed]) -> Option<&'static Field> {
    let (last, before) = tokens.split_last()?;
    let named = |token: Option<&Lexed>| field::find(word(token)?.trim_end_matches(':'));
    match &last.token {
        token if is_operator(token) => named(before.last()),
        Token::OpenBrace => {
            value_of(before).or_else(|| named(before.last()).filter(|_| word(before.last()).is_some_and(|w| w.ends_with(':'))))
        }
        Token::Open if word(before.last()).is_some_and(|w| w.eq_ignore_ascii_case("in")) => value_of(before),
        Token::Comma => match tokens.iter().rposition(|t| t.token == Token::OpenBrace) {
            Some(open) if !tokens[open..].iter().any(|t| t.token == Token::CloseBrace) => value_of(&tokens[..=open]),
            _ => named(before.last()).or_else(|| field::find(word(before.last())?.split_once(':')?.0)),
        },
        Token::Word(w) => match w.to_ascii_lowercase().as_str() {
            "in" | "contains" | "matches" | "eq" | "ne" | "lt" | "le" | "gt" | "ge" => {
                let negated = word(before.last()).is_some_and(|w| w.eq_ignore_ascii_case("not"));
                named(if negated { before.split_last()?.1.last() } else { before.last() })
            }
            name @ ("host" | "net" | "port" | "portrange" | "src" | "dst" | "proto") => {
                let side = word(before.last()).map(str::to_ascii_lowercase);
                field::find(match (name, side.as_deref()) {
                    ("port" | "portrange", Some("src")) => "src.port",
                    ("port" | "portrange", Some("dst")) => "dst.port",
                    ("port" | "portrange", _) => "port",
                    ("proto", _) => "proto",
                    ("src", _) | (_, Some("src")) => "src.ip",
                    ("dst", _) | (_, Some("dst")) => "dst.ip",
                    _ => "host",
                })
            }
            name => name.strip_suffix(':').and_then(field::find),
        },
        _ => None,
    }
}

fn in_stage(tokens: &[Lexed]) -> Expected {
    let Some(stage) = word(tokens.first()).map(str::to_ascii_lowercase) else { return Expected::Stage };
    let last = tokens.last().map(|t| &t.token);
    let after_by = tokens.iter().any(|t| matches!(&t.token, Token::Word(w) if w.eq_ignore_ascii_case("by")));
    let at_by = matches!(last, Some(Token::Word(w)) if w.eq_ignore_ascii_case("by"));
    let field = |numeric, count| Expected::Field { numeric, count };
    match stage.as_str() {
        "count" | "sum" | "mean" | "avg" | "median" | "percentile" if at_by || last == Some(&Token::Comma) => field(false, false),
        "top" if at_by => field(true, true),
        "timeline" if at_by => field(false, false),
        _ if after_by => Expected::Words(&["|"]),
        "count" => Expected::Words(&["by", "|"]),
        "sum" | "mean" | "avg" | "median" if tokens.len() == 1 => field(true, false),
        "percentile" if tokens.len() == 1 => Expected::Words(&["50", "90", "95", "99"]),
        "percentile" if tokens.len() == 2 => field(true, false),
        "top" if tokens.len() == 1 => Expected::Field { numeric: false, count: false },
        "top" if tokens.len() == 2 && word(last_of(tokens)).is_some_and(|w| w.bytes().all(|b| b.is_ascii_digit())) => {
            field(false, false)
        }
        "timeline" if tokens.len() == 1 => Expected::Words(&["1m", "5m", "1h", "1d"]),
        "timeline" if tokens.len() == 2 => field(true, true),
        "sort" if tokens.len() == 1 => Expected::Column,
        "head" | "limit" if tokens.len() == 1 => Expected::Words(&["10", "20", "100"]),
        "sum" | "mean" | "avg" | "median" | "percentile" | "top" | "timeline" => Expected::Words(&["by", "|"]),
        _ => Expected::Words(&["|"]),
    }
}

fn last_of(tokens: &[Lexed]) -> Option<&Lexed> {
    tokens.last()
}

/// The columns that come into the stage at the end of these tokens.
fn columns(text: &str, tokens: &[Lexed]) -> Vec<String> {
    let pipe = tokens.iter().rposition(|t| t.token == Token::Pipe).map_or(0, |at| tokens[at].span.start);
    let before = parse(&text[..pipe]).unwrap_or_else(|_| Query::default());
    columns_after(before.stages).unwrap_or_else(|| field::ALL.iter().map(|f| f.name.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(marked: &str) -> Completion {
        let cursor = marked.find('▮').unwrap();
        let text = marked.replace('▮', "");
        complete(
            &text,
            cursor,
            &|id, prefix| {
                let known: &[&str] = match id {
                    field::APP => &["tls", "weird app"],
                    field::DST_IP | field::HOST => &["10.0.0.5", "10.0.0.7"],
                    field::NAME => &["evil.example"],
                    _ => &[],
                };
                known.iter().filter(|v| v.starts_with(prefix)).map(|v| (*v).to_owned()).collect()
            },
            &["allow".to_owned(), "watch".to_owned()],
        )
    }
    fn texts(marked: &str) -> Vec<String> {
        at(marked).items.into_iter().map(|i| i.text).collect()
    }

    #[test]
    fn fields_are_offered_by_name_and_by_alias() {
        assert_eq!(texts("dst.p▮")[0], "dst.port");
        assert_eq!(texts("tcp and id.resp▮")[..2], ["dst.ip", "dst.port"]);
        assert_eq!(at("tcp and -sever▮").span, 9..14);
        assert!(texts("▮").contains(&"host".to_owned()));
        assert!(texts("qui▮").contains(&"quic".to_owned()));
    }

    #[test]
    fn behind_a_field_come_operators_and_behind_those_its_values() {
        assert_eq!(texts("app ▮")[..2], ["=", "!="]);
        assert_eq!(texts("app = t▮")[..2], ["tls", "telnet"]);
        assert_eq!(texts("app = weird▮"), ["\"weird app\""]);
        assert_eq!(texts("dst.ip in {10.0.0.5, 10▮"), ["10.0.0.5", "10.0.0.7"]);
        assert_eq!(texts("src net 10▮ and tcp"), Vec::<String>::new());
        assert_eq!(texts("not host 10▮"), ["10.0.0.5", "10.0.0.7"]);
        assert_eq!(texts("severity >= ▮")[0], "critical");
        assert_eq!(texts("kind = al▮"), ["alert"]);
        assert_eq!(texts("direction = ex▮"), ["external"]);
        assert_eq!(texts("any in @al▮"), ["@allow"]);
        assert_eq!(texts("verdict = ▮")[..2], ["benign", "suspicious"]);
        assert_eq!((at("-name:ev▮").span, texts("-name:ev▮")), (6..8, vec!["evil.example".to_owned()]));
        assert_eq!((at("name = \"ev▮").span, texts("name = \"ev▮")), (7..10, vec!["\"evil.example\"".to_owned()]));
    }

    #[test]
    fn behind_a_condition_come_connectives() {
        assert_eq!(texts("app = tls ▮")[..3], ["and", "or", "|"]);
        assert_eq!(texts("host 10.0.0.5 a▮")[0], "and");
        assert_eq!(texts("tcp and ▮")[0], "kind");
    }

    #[test]
    fn stages_have_their_own_words() {
        assert_eq!(texts("tcp | ▮")[..2], ["count", "sum"]);
        assert_eq!(texts("tcp | count ▮")[0], "by");
        assert!(texts("tcp | count by dst.▮").contains(&"dst.port".to_owned()));
        assert_eq!(texts("| count by app | sort ▮"), ["app", "-app", "count", "-count"]);
        assert!(!texts("| sum ▮").contains(&"app".to_owned()));
        assert_eq!(texts("| top 10 host by byt▮")[0], "bytes");
    }

    #[test]
    fn a_cursor_anywhere_in_any_text_is_safe() {
        for text in ["é = \"ü", "| top é by", "in in in {,", "not in", ":::", "@\"", "a ~ /x", "-"] {
            for cursor in 0..text.len() + 2 {
                complete(text, cursor, &|_, _| vec!["x".into()], &[]);
            }
        }
    }
}
