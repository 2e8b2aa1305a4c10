//! Stages: `count by a, b`, `sum f by a`, `mean f by a`, `percentile 95 f by a`, `top 10 f by g`, `sort -column`, `head 20`, `timeline 5m f by g`.

use super::ast::{StageNode, Word};
use super::lex::Token;
use super::parse::{Parsed, Parser};
use super::question::Measure;
use crate::model::time::{SECOND, parse_span};

/// Every stage: its name, how it is written, what it does.
pub const STAGES: &[(&str, &str, &str)] = &[
    ("count", "count by dst.ip, dst.port", "number of records of each group"),
    ("sum", "sum bytes by app", "sum of a field of each group"),
    ("mean", "mean bytes by app", "mean of a field of each group, of the records that have it"),
    ("percentile", "percentile 95 bytes by app", "the value below which 95 % of a field's values lie; median: 50 %"),
    ("top", "top 10 host by bytes", "the groups with the most records, or the largest sum"),
    ("sort", "sort -count", "order by a column; - is largest first"),
    ("head", "head 20", "only the first rows"),
    ("timeline", "timeline 5m bytes by app", "records, or the sum of a field, over time"),
];

/// Most rows that `top` and `head` give.
pub const MAX_ROWS: usize = 1_000_000;

impl Parser {
    pub(super) fn stage(&mut self) -> Parsed<StageNode> {
        let Some(name) = self.peek_word(0).map(str::to_ascii_lowercase) else {
            return Err(self
                .error("a stage is expected after `|`")
                .hint("count, sum, mean, percentile, top, sort, head or timeline"));
        };
        let span = self.here();
        self.skip();
        match name.as_str() {
            "count" => Ok(StageNode::Count(self.by()?)),
            "sum" => {
                let field = self.name("a field is expected after `sum`", "sum bytes by app")?;
                Ok(StageNode::Sum(field, self.by()?))
            }
            "mean" | "avg" => {
                let field = self.name("a field is expected after `mean`", "mean bytes by app")?;
                Ok(StageNode::Measure(Measure::Mean, field, self.by()?))
            }
            "median" => {
                let field = self.name("a field is expected after `median`", "median bytes by app")?;
                Ok(StageNode::Measure(Measure::Percentile(500), field, self.by()?))
            }
            "percentile" => {
                let part = self.part()?;
                let field = self.name("a field is expected here", "percentile 95 bytes by app")?;
                Ok(StageNode::Measure(Measure::Percentile(part), field, self.by()?))
            }
            "top" => {
                let n = self.number(10)?;
                let field = self.name("a field is expected after `top`", "top 10 host by bytes")?;
                Ok(StageNode::Top(n, field, self.by_one()?))
            }
            "sort" => self.sort(),
            "head" | "limit" => Ok(StageNode::Head(self.number(10)?)),
            "timeline" => {
                let bin = match self.peek_word(0).and_then(parse_span) {
                    Some(bin) if bin > 0 => {
                        self.skip();
                        bin
                    }
                    Some(_) => return Err(self.error("the width of a bin must be more than 0")),
                    None => 3600 * SECOND,
                };
                let weight = if self.peek_word(0).is_some() && !self.at_word("by") {
                    Some(self.name("a field is expected here", "timeline 5m bytes")?)
                } else {
                    None
                };
                Ok(StageNode::Timeline(bin, weight, self.by_one()?))
            }
            _ => Err(super::error::QueryError::new(format!("there is no stage `{name}`"), span)
                .hint("count, sum, mean, percentile, top, sort, head or timeline")
                .nearest(&name, STAGES.iter().map(|(name, _, _)| *name))),
        }
    }

    fn sort(&mut self) -> Parsed<StageNode> {
        let mut column = self.name("a column is expected after `sort`", "sort -count")?;
        let mut descending = false;
        if let Some(rest) = column.text.strip_prefix(['-', '+']) {
            descending = column.text.starts_with('-');
            column = Word::new(rest, super::ast::Span { start: column.span.start + 1, end: column.span.end });
            if column.text.is_empty() {
                column = self.name("a column is expected after `sort`", "sort -count")?;
            }
        }
        if self.eat_word("desc") {
            descending = true;
        } else {
            self.eat_word("asc");
        }
        Ok(StageNode::Sort(column, descending))
    }

    fn name(&mut self, missing: &str, such_as: &str) -> Parsed<Word> {
        match self.peek_word(0) {
            Some(w) if !w.eq_ignore_ascii_case("by") => {
                let word = Word::new(w, self.here());
                self.skip();
                Ok(word)
            }
            _ => Err(self.error(missing).hint(format!("such as {such_as}"))),
        }
    }

    fn number(&mut self, default: usize) -> Parsed<usize> {
        let Some(word) = self.peek_word(0).filter(|w| w.bytes().all(|b| b.is_ascii_digit())) else { return Ok(default) };
        match word.parse() {
            Ok(n) if (1..=MAX_ROWS).contains(&n) => {
                self.skip();
                Ok(n)
            }
            _ => Err(self.error(format!("a number from 1 to {MAX_ROWS} is expected here"))),
        }
    }

    /// A part of 100, to a tenth, as thousandths.
    fn part(&mut self) -> Parsed<u16> {
        let tenths = self.peek_word(0).and_then(|w| {
            let (whole, tenths) = w.split_once('.').unwrap_or((w, "0"));
            let digits = |t: &str| !t.is_empty() && t.len() <= 3 && t.bytes().all(|b| b.is_ascii_digit());
            let fits = digits(whole) && digits(tenths) && tenths.len() == 1;
            fits.then(|| whole.parse::<u16>().ok()?.checked_mul(10)?.checked_add(tenths.parse().ok()?)).flatten()
        });
        match tenths {
            Some(n) if (1..=1000).contains(&n) => {
                self.skip();
                Ok(n)
            }
            _ => Err(self
                .error("a part of 100 is expected after `percentile`, from 0.1 to 100")
                .hint("percentile 95 bytes by app")),
        }
    }

    fn by(&mut self) -> Parsed<Vec<Word>> {
        let mut fields = Vec::new();
        if self.eat_word("by") {
            loop {
                fields.push(self.name("a field is expected after `by`", "by dst.ip, dst.port")?);
                let more = self.eat(&Token::Comma) || self.peek_word(0).is_some();
                if !more {
                    break;
                }
                if fields.len() == 8 {
                    return Err(self.error("at most 8 fields can be grouped by"));
                }
            }
        }
        Ok(fields)
    }

    fn by_one(&mut self) -> Parsed<Option<Word>> {
        if self.eat_word("by") { self.name("a field is expected after `by`", "by bytes").map(Some) } else { Ok(None) }
    }
}
