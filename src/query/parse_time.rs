//! Time clauses: `since 2h ago`, `until T`, `between A and B`, `around T 30s`, `last 2h`. What a time means is decided in `check`.

use super::ast::{Clause, Literal, Span, When};
use super::lex::Token;
use super::parse::{Parsed, Parser};
use crate::model::time::parse_span;

impl Parser {
    /// What follows the keyword of a time clause.
    pub(super) fn clause(&mut self, keyword: &str) -> Parsed<Clause> {
        Ok(match keyword {
            "since" => Clause::Since(self.when(keyword)?),
            "until" => Clause::Until(self.when(keyword)?),
            "between" => {
                let from = self.when(keyword)?;
                if !self.eat_word("and") && !self.eat(&Token::And) {
                    return Err(self
                        .error("`and` and a second time are expected here")
                        .hint("such as between 2026-11-20 and 2026-11-21"));
                }
                Clause::Between(from, self.when("and")?)
            }
            "around" => {
                let at = self.when(keyword)?;
                let spelled = self.peek_word(0).filter(|w| parse_span(w).is_some()).map(str::to_owned);
                let span = self.here();
                let text = match spelled {
                    Some(text) => {
                        self.skip();
                        text
                    }
                    None => "1m".to_owned(),
                };
                Clause::Around(at, Literal { text, exact: false, span })
            }
            _ => match self.peek_word(0).filter(|w| parse_span(w).is_some()).map(str::to_owned) {
                Some(text) => {
                    let span = self.here();
                    self.skip();
                    Clause::Last(Literal { text, exact: false, span })
                }
                None => return Err(self.time_expected(keyword, "last 2h")),
            },
        })
    }

    fn when(&mut self, after: &str) -> Parsed<When> {
        match self.peek() {
            Some(Token::Word(w)) if parse_span(w).is_some() => {
                let span = self.here();
                let text = w.clone();
                self.skip();
                let span = if self.eat_word("ago") { Span { start: span.start, end: self.behind() } } else { span };
                Ok(When::Ago(Literal { text, exact: false, span }))
            }
            Some(Token::Word(w)) if is_instant(w) => self.instant().map(When::At),
            Some(Token::Quoted(_)) => self.instant().map(When::At),
            _ => Err(self.time_expected(after, "since 2h ago, or since 2026-11-20T08:00Z")),
        }
    }

    fn time_expected(&self, after: &str, such_as: &str) -> super::error::QueryError {
        self.error(format!("a time is expected after `{after}`"))
            .hint(format!("such as {such_as}; quote \"{after}\" to look for the word"))
    }

    /// A date and time in one word or two (`2026-11-20 08:00`, kept with a `T` between), or quoted.
    pub(super) fn instant(&mut self) -> Parsed<Literal> {
        let span = self.here();
        if let Some(Token::Quoted(text)) = self.peek() {
            let literal = Literal { text: text.clone(), exact: true, span };
            self.skip();
            return Ok(literal);
        }
        let Some(word) = self.peek_word(0).map(str::to_owned) else { return Err(self.error("a time is expected here")) };
        self.skip();
        let date = word.len() == 10 && word.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let clock = self.peek_word(0).filter(|w| date && w.contains(':') && w.starts_with(|c: char| c.is_ascii_digit()));
        let text = match clock {
            Some(clock) => format!("{word}T{clock}"),
            None => return Ok(Literal { text: word, exact: false, span }),
        };
        self.skip();
        Ok(Literal { text, exact: false, span: Span { start: span.start, end: self.behind() } })
    }
}

fn is_instant(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit()) || ["now", "today", "yesterday"].iter().any(|w| word.eq_ignore_ascii_case(w))
}
