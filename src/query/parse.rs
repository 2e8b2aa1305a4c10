//! Tokens -> tree, by recursive descent. Three habits without modes: tcpdump's words, Wireshark's comparisons, the short `key:value`.
//!
//! `and` (also by mere adjacency) binds tighter than `or`. Bounded in length by the lexer and in depth here. Which words are fields is looked up
//! in the table of fields (a word before `:` is a key only if it is one); values are not understood here.

use super::ast::{Expr, Item, Literal, Op, Query, Span, Word};
use super::error::QueryError;
use super::lex::{Lexed, Token, lex};
use super::parse_words::{fits, widen};
use crate::model::field::{self, Type};
use std::net::{IpAddr, SocketAddr};

/// Deepest nesting of brackets and `not`.
const MAX_DEPTH: usize = 64;

/// The words that are part of the language and not looked for unless quoted.
pub const KEYWORDS: &[&str] = &[
    "and",
    "or",
    "not",
    "host",
    "net",
    "port",
    "portrange",
    "src",
    "dst",
    "proto",
    "vlan",
    "exists",
    "has",
    "since",
    "until",
    "between",
    "around",
    "last",
];

pub(super) type Parsed<T> = Result<T, QueryError>;

/// The tree of a text. An empty text is a query for everything.
pub fn parse(text: &str) -> Result<Query, QueryError> {
    parse_all(text).map_err(|e| e.of(text))
}

fn parse_all(text: &str) -> Parsed<Query> {
    let mut p = Parser { tokens: lex(text)?, at: 0, depth: 0, end: text.len(), inherited: None };
    let mut query = Query::default();
    if !matches!(p.peek(), None | Some(Token::Pipe)) {
        query.expr = Some(p.either()?);
    }
    while p.eat(&Token::Pipe) {
        let start = p.here().start;
        let stage = p.stage()?;
        query.stages.push((stage, Span { start, end: p.behind() }));
    }
    match p.peek() {
        None => Ok(query),
        Some(Token::Close) => Err(p.error("this bracket was never opened")),
        Some(Token::CloseBrace) => Err(p.error("this brace was never opened")),
        Some(Token::Comma) => Err(p.error("a comma stands only in a list").hint("a list of values is written field in {a, b}")),
        Some(_) if !query.stages.is_empty() => Err(p.error("the stage ends before this").hint("stages are separated by |")),
        Some(_) => Err(p.error("a field is expected before the operator")),
    }
}

/// The parser's place.
pub(super) struct Parser {
    tokens: Vec<Lexed>,
    at: usize,
    depth: usize,
    end: usize,
    /// Field of the last primitive in tcpdump's words: `port 80 or 443`.
    pub(super) inherited: Option<&'static str>,
}

impl Parser {
    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|t| &t.token)
    }
    pub(super) fn peek_word(&self, ahead: usize) -> Option<&str> {
        match self.tokens.get(self.at + ahead) {
            Some(Lexed { token: Token::Word(w), .. }) => Some(w),
            _ => None,
        }
    }
    /// Whether a keyword comes next.
    pub(super) fn at_word(&self, word: &str) -> bool {
        self.peek_word(0).is_some_and(|w| w.eq_ignore_ascii_case(word))
    }
    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        self.at += usize::from(found);
        found
    }
    pub(super) fn eat(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }
    /// The span of the next token, or the end of the text.
    pub(super) fn here(&self) -> Span {
        self.tokens.get(self.at).map_or(Span { start: self.end, end: self.end }, |t| t.span.clone().into())
    }
    /// End of the last token taken.
    pub(super) fn behind(&self) -> usize {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |t| t.span.end)
    }
    pub(super) fn error(&self, message: impl Into<String>) -> QueryError {
        QueryError::new(message, self.here())
    }
    pub(super) fn skip(&mut self) {
        self.at += 1;
    }

    fn either(&mut self) -> Parsed<Expr> {
        let mut list = vec![self.both()?];
        while self.eat_word("or") || self.eat(&Token::Or) {
            list.push(self.both()?);
        }
        Ok(Expr::any(list))
    }

    fn both(&mut self) -> Parsed<Expr> {
        let mut list = vec![self.maybe_not()?];
        loop {
            let joined = self.eat_word("and") || self.eat(&Token::And);
            if !joined {
                match self.peek() {
                    Some(Token::Open | Token::Not | Token::Quoted(_)) => {}
                    Some(Token::Word(w)) if !w.eq_ignore_ascii_case("or") => {}
                    _ => return Ok(Expr::all(list)),
                }
            }
            list.push(self.maybe_not()?);
        }
    }

    pub(super) fn maybe_not(&mut self) -> Parsed<Expr> {
        let dash = self.peek_word(0).is_some_and(|w| w.starts_with('-'));
        if dash {
            // `-app:dns`, `-(a or b)`: the dash is cut off, what follows stands in its place.
            if let Some(Lexed { token: Token::Word(w), span }) = self.tokens.get_mut(self.at) {
                w.remove(0);
                span.start += 1;
                if w.is_empty() {
                    self.at += 1;
                }
            }
        }
        if !dash && !self.eat_word("not") && !self.eat(&Token::Not) {
            return self.primary();
        }
        self.deeper(|p| p.maybe_not().map(|inner| Expr::Not(Box::new(inner))))
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Parser) -> Parsed<T>) -> Parsed<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(format!("nested more than {MAX_DEPTH} deep")));
        }
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let span = self.here();
        match self.peek() {
            None | Some(Token::Pipe) => {
                Err(self.error("a condition is expected here").hint("such as host 10.0.0.5, or bytes > 1MB"))
            }
            Some(Token::Open) => {
                self.skip();
                let inner = self.deeper(Parser::either)?;
                if !self.eat(&Token::Close) {
                    let unclosed = QueryError::new("this bracket is not closed", span);
                    return Err(match self.peek() {
                        None => unclosed.hint("add ) behind the condition"),
                        Some(_) => self.error("`)`, `and` or `or` is expected here"),
                    });
                }
                self.inherited = None;
                Ok(inner)
            }
            Some(Token::Quoted(text)) => {
                let literal = Literal { text: text.clone(), exact: true, span };
                self.inherited = None;
                self.skip();
                if literal.text.is_empty() {
                    return Err(QueryError::new("there is nothing to look for between the quotes", span));
                }
                Ok(Expr::Bare(literal))
            }
            Some(Token::Word(w)) => {
                let word = Word { text: w.clone(), span };
                self.skip();
                self.word(word)
            }
            Some(Token::Close) => Err(self.error("a condition is expected before this bracket")),
            Some(_) => {
                Err(self.error("a field is expected before this").hint("such as dst.port = 443; quote a text to look for it"))
            }
        }
    }

    fn word(&mut self, word: Word) -> Parsed<Expr> {
        let inherited = self.inherited.take();
        if let Some(expr) = self.comparison(&word)? {
            return Ok(expr);
        }
        let lower = word.text.to_ascii_lowercase();
        match lower.as_str() {
            "and" | "or" => {
                return Err(QueryError::new(format!("a condition is expected before `{lower}`"), word.span));
            }
            "host" | "net" | "port" | "portrange" | "src" | "dst" | "proto" | "vlan" | "ether" | "ip" | "ip6" => {
                return self.tcpdump(&word, &lower);
            }
            "exists" | "has" => {
                return match self.peek_word(0) {
                    Some(name) => {
                        let field = Word { text: name.to_owned(), span: self.here() };
                        self.skip();
                        Ok(Expr::Exists(field))
                    }
                    None => Err(self.error(format!("a field is expected after `{lower}`")).hint("such as exists sni")),
                };
            }
            "since" | "until" | "between" | "around" | "last" => {
                let clause = self.clause(&lower)?;
                return Ok(Expr::Time(clause, Span { start: word.span.start, end: self.behind() }));
            }
            _ => {}
        }
        let address = word.text.parse::<IpAddr>().is_ok() || word.text.parse::<ipnet::IpNet>().is_ok();
        if let Some((key, rest)) = word.text.split_once(':').filter(|_| !address) {
            let name = Word { text: key.to_owned(), span: Span { start: word.span.start, end: word.span.start + key.len() } };
            if key.eq_ignore_ascii_case("net") || field::find(key).is_some() {
                return self.key_value(name, rest);
            }
            if let Ok(socket) = word.text.parse::<SocketAddr>() {
                let test = |field: &str, text: String| Expr::Test {
                    field: Word::new(field, word.span),
                    op: Op::Eq,
                    items: vec![Item::Value(Literal { text, exact: false, span: word.span })],
                };
                return Ok(test("host", socket.ip().to_string()).and(test("port", socket.port().to_string())));
            }
            if looks_like_key(key, rest) {
                let error = QueryError::new(format!("there is no field `{key}`"), name.span);
                return Err(error.hint(format!("quote it to look for the text: \"{}\"", word.text)).nearest(key, field_names()));
            }
        }
        let literal = Literal { text: word.text, exact: false, span: word.span };
        Ok(match inherited {
            Some(field) if fits(field, &literal.text) => {
                self.inherited = Some(field);
                Expr::Test { field: Word::new(field, word.span), op: Op::Eq, items: vec![Item::Value(literal)] }
            }
            _ => Expr::Bare(literal),
        })
    }

    /// `field op value`, if an operator comes next.
    fn comparison(&mut self, field: &Word) -> Parsed<Option<Expr>> {
        if let Some(key) = field.text.strip_suffix(':').filter(|key| field::find(key).is_some()) {
            // `dport:>1024`: the colon belongs to the operator.
            let name = Word { text: key.to_owned(), span: Span { start: field.span.start, end: field.span.end - 1 } };
            return self.comparison(&name);
        }
        if self.at_word("exists") && field::find(&field.text).is_some() {
            self.skip();
            return Ok(Some(Expr::Exists(field.clone())));
        }
        let Some((op, negated, length)) = self.operator() else { return Ok(None) };
        self.at += length;
        let mut field = field.clone();
        if field.text.eq_ignore_ascii_case("net") {
            "host".clone_into(&mut field.text);
        }
        let (op, items) = self.operand(&field, op)?;
        let test = Expr::Test { field, op, items };
        Ok(Some(match (negated, test) {
            (false, test) => test,
            (true, test) => Expr::Not(Box::new(test)),
        }))
    }

    fn operator(&self) -> Option<(Op, bool, usize)> {
        Some(match self.peek()? {
            Token::Eq => (Op::Eq, false, 1),
            Token::Ne => (Op::Ne, false, 1),
            Token::Lt => (Op::Lt, false, 1),
            Token::Le => (Op::Le, false, 1),
            Token::Gt => (Op::Gt, false, 1),
            Token::Ge => (Op::Ge, false, 1),
            Token::Match => (Op::Matches, false, 1),
            Token::NoMatch => (Op::Matches, true, 1),
            Token::Word(w) => match w.to_ascii_lowercase().as_str() {
                "in" => (Op::In, false, 1),
                "contains" => (Op::Contains, false, 1),
                "matches" => (Op::Matches, false, 1),
                "eq" => (Op::Eq, false, 1),
                "ne" => (Op::Ne, false, 1),
                "lt" => (Op::Lt, false, 1),
                "le" => (Op::Le, false, 1),
                "gt" => (Op::Gt, false, 1),
                "ge" => (Op::Ge, false, 1),
                "not" if self.peek_word(1).is_some_and(|w| w.eq_ignore_ascii_case("in")) => (Op::In, true, 2),
                "not" if self.peek_word(1).is_some_and(|w| w.eq_ignore_ascii_case("contains")) => (Op::Contains, true, 2),
                _ => return None,
            },
            _ => return None,
        })
    }

    /// The value or list behind an operator. A list behind `=` makes it `in`.
    pub(super) fn operand(&mut self, field: &Word, op: Op) -> Parsed<(Op, Vec<Item>)> {
        let open = self.here();
        let close = match self.peek() {
            Some(Token::OpenBrace) => Token::CloseBrace,
            Some(Token::Open) if op == Op::In => Token::Close,
            _ => {
                let mut item = self.item(field)?;
                if op == Op::Matches {
                    as_pattern(&mut item)?;
                }
                return Ok((op, vec![item]));
            }
        };
        if !matches!(op, Op::In | Op::Eq) {
            return Err(self
                .error(format!("a list stands behind `in`, not behind `{}`", op.name()))
                .hint(format!("not {} in {{...}}", field.text)));
        }
        self.skip();
        let mut items = Vec::new();
        loop {
            while self.eat(&Token::Comma) {}
            if self.eat(&close) {
                break;
            }
            if self.peek().is_none() {
                return Err(QueryError::new("this list is not closed", open));
            }
            items.push(self.item(field)?);
        }
        if items.is_empty() {
            return Err(QueryError::new("the list is empty", Span { start: open.start, end: self.behind() }));
        }
        Ok((Op::In, items))
    }

    /// One value.
    pub(super) fn item(&mut self, field: &Word) -> Parsed<Item> {
        let span = self.here();
        let time = field::find(&field.text).is_some_and(|f| f.ty == Type::Time);
        match self.peek() {
            Some(Token::Word(_)) if time => self.instant().map(Item::Value),
            Some(Token::Word(w)) => {
                let text = w.clone();
                self.skip();
                if text == "@"
                    && let Some(Token::Quoted(name)) = self.peek()
                {
                    let name = Word::new(name.clone(), self.here());
                    self.skip();
                    return Ok(Item::Set(name));
                }
                match text.strip_prefix('@') {
                    Some("") => Err(QueryError::new("the name of a set is expected after `@`", span)),
                    Some(name) => Ok(Item::Set(Word::new(name, span))),
                    None => Ok(Item::Value(Literal { text, exact: false, span })),
                }
            }
            Some(Token::Quoted(text)) => {
                let text = text.clone();
                self.skip();
                Ok(Item::Value(Literal { text, exact: true, span }))
            }
            Some(Token::Regex(text)) => {
                let text = text.clone();
                self.skip();
                Ok(Item::Value(Literal { text, exact: false, span }))
            }
            _ => {
                let example = field::find(&field.text).map_or("", |f| example(f.ty));
                let error = self.error(format!("a value is expected for `{}`", field.text));
                Err(if example.is_empty() { error } else { error.hint(format!("such as {example}")) })
            }
        }
    }

    /// `key:value`, `key:a,b`, `key:*`; `rest` stands behind the colon in the same word.
    fn key_value(&mut self, key: Word, rest: &str) -> Parsed<Expr> {
        let net = key.text.eq_ignore_ascii_case("net");
        let field = if net { Word::new("host", key.span) } else { key };
        if rest == "*" {
            return Ok(Expr::Exists(field));
        }
        let (op, mut items) = if rest.is_empty() {
            self.operand(&field, Op::Eq)?
        } else {
            // The rest of the word is read as a token of its own. Of `key://a=b` it would not be one: the colon made a URL of it.
            let alone = matches!(lex(rest).as_deref(), Ok([Lexed { token: Token::Word(_), .. }]));
            if let Some(token) = self.at.checked_sub(1).and_then(|at| self.tokens.get_mut(at)) {
                token.span.start = token.span.end.saturating_sub(rest.len());
                token.token = if alone { Token::Word(rest.to_owned()) } else { Token::Quoted(rest.to_owned()) };
            }
            self.at -= 1;
            (Op::Eq, vec![self.item(&field)?])
        };
        while op == Op::Eq && self.eat(&Token::Comma) {
            items.push(self.item(&field)?);
        }
        if net {
            items.iter_mut().for_each(widen);
        }
        let op = if items.len() > 1 { Op::In } else { op };
        Ok(Expr::Test { field, op, items })
    }
}

/// A regular expression is kept without its slashes and with `\/` as `/`, however it was written.
fn as_pattern(item: &mut Item) -> Parsed<()> {
    let Item::Value(literal) = item else { return Ok(()) };
    let mut text = String::with_capacity(literal.text.len());
    let mut chars = literal.text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('/')) => text.push('/'),
            ('\\', Some(next)) => text.extend(['\\', next]),
            ('\\', None) => return Err(QueryError::new("a regular expression cannot end with `\\`", literal.span)),
            (c, _) => text.push(c),
        }
    }
    if text.is_empty() {
        return Err(QueryError::new("the regular expression is empty", literal.span));
    }
    (literal.text, literal.exact) = (text, false);
    Ok(())
}

/// Whether `key:rest` is rather a mistyped field than an address, a time, a URL or a path.
fn looks_like_key(key: &str, rest: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.len() > 1
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'))
        && !rest.starts_with([':', '/', '\\'])
        && !key.bytes().all(|b| b.is_ascii_hexdigit())
        && !key.eq_ignore_ascii_case("urn")
}

/// Every name and alias of a field.
pub(super) fn field_names() -> impl Iterator<Item = &'static str> {
    field::ALL.iter().map(|f| f.name).chain(field::ALL.iter().flat_map(|f| f.aliases.iter().copied()))
}

/// An example of a type's values, for hints.
pub(super) fn example(ty: Type) -> &'static str {
    match ty {
        Type::Bool => "true",
        Type::Uint => "5, or 400-499",
        Type::Bytes => "1500, 2MB or 4KiB",
        Type::Port => "443, or 8000-8100",
        Type::Span => "90s, 5m or 1h30m",
        Type::Proto => "tcp",
        Type::Severity => "high",
        Type::Float => "7.5",
        Type::Addr => "10.0.0.5 or 10.0.0.0/8",
        Type::Time => "2026-11-20T08:00Z",
        Type::Text => "evil.example or \"two words\"",
    }
}
