//! tcpdump's words: `host 10.0.0.5`, `src net 10.0.0.0/8`, `dst port 53`, `portrange 1-1024`, `port 80 or 443`. See pcap-filter(7).
//!
//! Differs from it where its habits clash with the rest of the language: `and` binds tighter than `or`, and names are not resolved.

use super::ast::{Expr, Item, Literal, Op, Word};
use super::lex::Token;
use super::parse::{Parsed, Parser, example};
use crate::model::field::{self, Type};
use std::net::IpAddr;

impl Parser {
    /// `host X`, `src net X`, `dst port X`, `portrange A-B`, `proto X`, `vlan N`, `ether host M`, `ip`, `ip6`.
    pub(super) fn tcpdump(&mut self, word: &Word, lower: &str) -> Parsed<Expr> {
        let next = |p: &Parser, word: &str| p.at_word(word);
        if matches!(lower, "ip" | "ip6") {
            if ["host", "net", "src", "dst", "proto", "port"].iter().any(|w| next(self, w)) {
                return self.maybe_not();
            }
            if lower == "ip" && self.peek_word(0).is_some_and(|w| fits("host", w)) {
                return self.test_of("host", word, false);
            }
            let text = if lower == "ip" { "0.0.0.0/0" } else { "::/0" };
            let value = Literal { text: text.into(), exact: false, span: word.span };
            return Ok(Expr::Test { field: Word::new("host", word.span), op: Op::Eq, items: vec![Item::Value(value)] });
        }
        let (mut field, mut net) = match lower {
            "port" | "portrange" => ("port", false),
            "proto" => ("proto", false),
            "vlan" => ("vlan", false),
            "net" => ("host", true),
            "src" => ("src.ip", false),
            "dst" => ("dst.ip", false),
            "ether" => ("mac", false),
            _ => ("host", false),
        };
        if matches!(lower, "src" | "dst") {
            if self.eat_word("port") || self.eat_word("portrange") {
                field = if lower == "src" { "src.port" } else { "dst.port" };
            } else if self.eat_word("net") {
                net = true;
            } else {
                self.eat_word("host");
            }
        } else if lower == "ether" {
            field = if self.eat_word("src") {
                "src.mac"
            } else if self.eat_word("dst") {
                "dst.mac"
            } else {
                self.eat_word("host");
                "mac"
            };
        } else if lower == "vlan" && !self.peek_word(0).is_some_and(|w| w.starts_with(|c: char| c.is_ascii_digit())) {
            return Ok(Expr::Exists(Word::new("vlan", word.span)));
        }
        self.test_of(field, word, net)
    }

    fn test_of(&mut self, name: &'static str, word: &Word, net: bool) -> Parsed<Expr> {
        let field = Word::new(name, word.span);
        let keyword = |w: &str| ["and", "or", "not"].iter().any(|k| w.eq_ignore_ascii_case(k));
        if self.peek_word(0).is_some_and(keyword) {
            let what = field::find(name).map_or("", |f| example(f.ty));
            return Err(self.error(format!("a value is expected after `{}`", word.text)).hint(format!("such as {what}")));
        }
        let (op, mut items) = self.operand(&field, Op::Eq)?;
        while op == Op::Eq && self.eat(&Token::Comma) {
            items.push(self.item(&field)?);
        }
        if net {
            items.iter_mut().for_each(widen);
        }
        self.inherited = Some(name);
        Ok(Expr::Test { field, op: if items.len() > 1 { Op::In } else { op }, items })
    }
}

/// `10` and `192.168` after `net` are 10.0.0.0/8 and 192.168.0.0/16.
pub(super) fn widen(item: &mut Item) {
    if let Item::Value(v) = item {
        let parts: Vec<&str> = v.text.trim_end_matches('.').split('.').collect();
        if parts.len() < 4 && parts.iter().all(|p| p.parse::<u8>().is_ok()) {
            let mut octets = parts.clone();
            octets.resize(4, "0");
            v.text = format!("{}/{}", octets.join("."), parts.len() * 8);
        }
    }
}

/// Whether a bare word can be the value of a field of the words dialect.
pub(super) fn fits(field: &str, text: &str) -> bool {
    match field::find(field).map(|f| f.ty) {
        Some(Type::Addr) => text.parse::<IpAddr>().is_ok() || text.parse::<ipnet::IpNet>().is_ok(),
        Some(Type::Port | Type::Uint) => text.split('-').all(|p| p.parse::<u16>().is_ok()),
        Some(Type::Proto) => crate::model::proto::parse(text).is_some(),
        _ => false,
    }
}
