//! Text -> tokens of the query language. Knows no field; every token carries the bytes that it stands in.
//!
//! A word runs to white space or one of `( ) { } , | " ' = < > ! ~` or `&&`. Two things that contain `=` are still one word: a URL (behind
//! `://` also `=`, `!` and `~` belong to it) and a Community ID. A regular expression `/.../` is read only behind `~` or `matches`, because paths begin with a slash too.

use super::error::QueryError;
use std::ops::Range;

/// Longest query in bytes.
pub const MAX_TEXT: usize = 256 * 1024;

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A run of other characters: field, value, keyword.
    Word(String),
    /// Between quotes, unescaped.
    Quoted(String),
    /// Between slashes, with `\/` as `/`.
    Regex(String),
    /// `=` or `==`.
    Eq,
    /// `!=`.
    Ne,
    /// `<`.
    Lt,
    /// `<=`.
    Le,
    /// `>`.
    Gt,
    /// `>=`.
    Ge,
    /// `~` or `=~`.
    Match,
    /// `!~`.
    NoMatch,
    /// `&&`.
    And,
    /// `||`.
    Or,
    /// `!`.
    Not,
    /// `(`.
    Open,
    /// `)`.
    Close,
    /// `{`.
    OpenBrace,
    /// `}`.
    CloseBrace,
    /// `,`.
    Comma,
    /// `|`.
    Pipe,
}

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lexed {
    /// The token.
    pub token: Token,
    /// Its bytes.
    pub span: Range<usize>,
}

/// The tokens of a text; an error if it is too long or a quote or regular expression is not closed.
pub fn lex(text: &str) -> Result<Vec<Lexed>, QueryError> {
    match lex_part(text) {
        (tokens, None) => Ok(tokens),
        (_, Some(error)) => Err(error),
    }
}

/// The tokens up to the first fault, and the fault: for completion, where a text is not finished yet.
pub fn lex_part(text: &str) -> (Vec<Lexed>, Option<QueryError>) {
    if text.len() > MAX_TEXT {
        let error = QueryError::new(format!("the query is longer than {} KiB", MAX_TEXT / 1024), 0..0);
        return (Vec::new(), Some(error.hint("put the values into a file and write: host in @file")));
    }
    let mut out: Vec<Lexed> = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let rest = &text[at..];
        let symbol = SYMBOLS.iter().find(|(s, _)| rest.starts_with(s));
        let (token, len) = if let Some((s, token)) = symbol {
            (token.clone(), s.len())
        } else if c == '"' || c == '\'' {
            match quoted(rest, c) {
                Some((inner, len)) => (Token::Quoted(inner), len),
                None => {
                    let error = QueryError::new("the quote is not closed", at..at + 1).hint(format!("add {c} behind the text"));
                    return (out, Some(error));
                }
            }
        } else if c == '/' && out.last().is_some_and(|t| wants_regex(&t.token)) {
            match regex(rest) {
                Some((inner, len)) => (Token::Regex(inner), len),
                None => {
                    let error = QueryError::new("the regular expression is not closed", at..at + 1).hint("add / behind it");
                    return (out, Some(error));
                }
            }
        } else {
            let len = word(rest);
            (Token::Word(rest[..len].to_owned()), len)
        };
        out.push(Lexed { token, span: at..at + len });
        at += len;
    }
    (out, None)
}

/// Longest first.
const SYMBOLS: &[(&str, Token)] = &[
    ("==", Token::Eq),
    ("=~", Token::Match),
    ("!=", Token::Ne),
    ("!~", Token::NoMatch),
    ("<=", Token::Le),
    (">=", Token::Ge),
    ("&&", Token::And),
    ("||", Token::Or),
    ("=", Token::Eq),
    ("<", Token::Lt),
    (">", Token::Gt),
    ("~", Token::Match),
    ("!", Token::Not),
    ("(", Token::Open),
    (")", Token::Close),
    ("{", Token::OpenBrace),
    ("}", Token::CloseBrace),
    (",", Token::Comma),
    ("|", Token::Pipe),
];

fn wants_regex(token: &Token) -> bool {
    matches!(token, Token::Match | Token::NoMatch) || matches!(token, Token::Word(w) if w.eq_ignore_ascii_case("matches"))
}

/// Whether a character ends a word.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '{' | '}' | ',' | '|' | '"' | '\'' | '=' | '<' | '>' | '!' | '~')
}

fn word(text: &str) -> usize {
    let mut url = false;
    for (at, c) in text.char_indices() {
        if !url && text[at..].starts_with("://") {
            url = true;
        }
        let ends = text[at..].starts_with("&&") || ends_word(c) && !(url && matches!(c, '=' | '!' | '~'));
        if ends && at > 0 {
            let community_id = c == '=' && at >= 29 && text[..at].rfind("1:").is_some_and(|start| at - start == 29);
            return if community_id { at + 1 } else { at };
        }
    }
    text.len()
}

fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Some((out, at + 1));
        }
        // Only the quote and the backslash itself are escaped, so that "C:\temp" says what it looks like.
        match chars.peek() {
            Some((_, next)) if c == '\\' && (*next == quote || *next == '\\') => {
                out.push(*next);
                chars.next();
            }
            _ => out.push(c),
        }
    }
    None
}

fn regex(text: &str) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '/' => return Some((out, at + 1)),
            '\\' => match chars.next() {
                Some((_, '/')) => out.push('/'),
                Some((_, next)) => out.extend(['\\', next]),
                None => return None,
            },
            _ => out.push(c),
        }
    }
    None
}

/// Whether a text, unquoted, is one word that the lexer gives back unchanged, whatever stands before it.
pub fn is_word(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(['@', '/', '-'])
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | ':' | '/' | '-' | '+' | '*' | '%' | '@' | '#' | '\\'))
        && !text.contains("://")
}

/// A text in double quotes, as the lexer reads it.
pub fn in_quotes(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if c == '"' || c == '\\' {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        lex(text).unwrap().into_iter().map(|t| text[t.span].to_owned()).collect()
    }

    #[test]
    fn addresses_times_ranges_and_urls_are_one_word() {
        assert_eq!(
            words("fe80::1 10.0.0.0/8 8000-8100 2026-11-20T08:00Z"),
            ["fe80::1", "10.0.0.0/8", "8000-8100", "2026-11-20T08:00Z"]
        );
        assert_eq!(words("{http://a.example/x?y=1&z=2, b}"), ["{", "http://a.example/x?y=1&z=2", ",", "b", "}"]);
        assert_eq!(words("a&&b a||b a&b"), ["a", "&&", "b", "a", "||", "b", "a&b"]);
    }

    #[test]
    fn a_community_id_keeps_its_last_sign() {
        assert_eq!(
            words("community_id=1:LQU9qZlK+B5F3KDmev6m5PMibrg= x"),
            ["community_id", "=", "1:LQU9qZlK+B5F3KDmev6m5PMibrg=", "x"]
        );
        assert_eq!(words("cid:1:LQU9qZlK+B5F3KDmev6m5PMibrg="), ["cid:1:LQU9qZlK+B5F3KDmev6m5PMibrg="]);
    }

    #[test]
    fn a_slash_begins_a_regular_expression_only_behind_a_match() {
        assert_eq!(lex("~ /a\\/b\\d/").unwrap()[1].token, Token::Regex("a/b\\d".into()));
        assert_eq!(lex("http.uri = /a/b").unwrap()[2].token, Token::Word("/a/b".into()));
        assert!(lex("sni ~ /open").is_err());
    }

    #[test]
    fn quotes_give_back_what_they_hold() {
        for text in ["", "a b", "C:\\temp", "say \"hi\"", "it's", "\\", "\\\\\"", "tab\tand\nline"] {
            assert_eq!(lex(&in_quotes(text)).unwrap()[0].token, Token::Quoted(text.into()));
        }
        assert_eq!(lex("\"C:\\temp\"").unwrap()[0].token, Token::Quoted("C:\\temp".into()));
        assert_eq!(lex("a \"b").unwrap_err().span, 2..3);
    }
}
