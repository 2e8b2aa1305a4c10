//! XML as a stream of nodes, for hostile documents: no DTD, no entities but the predefined ones, bounded nesting and node size, bytes that are
//! not UTF-8 replaced one by one so that offsets stay true.
//!
//! Knows no vocabulary. Follows XML 1.0; a document that breaks off gives everything up to there.

use quick_xml::events::{BytesStart, Event};
use std::borrow::Cow;
use std::cell::Cell;
use std::io::{BufRead, Read};
use std::rc::Rc;

/// Largest single tag or text.
const NODE_MAX: usize = 16 << 20;
/// Deepest nesting.
const DEPTH_MAX: usize = 64;

/// A part of a document.
#[derive(Debug, PartialEq)]
pub(super) enum Node {
    /// A tag that opens, with where it began. An empty element opens and then closes.
    Open { name: String, attributes: Vec<(String, String)>, at: u64 },
    /// Text or CDATA.
    Text(String),
    /// A tag that closes, with where it ended.
    Close { name: String, at: u64 },
    /// The document is over; if it broke off, why.
    Over(Option<&'static str>),
}

impl Node {
    /// The value of an attribute, else empty.
    pub fn attribute(&self, key: &str) -> &str {
        match self {
            Node::Open { attributes, .. } => attributes.iter().find(|(k, _)| k == key).map_or("", |(_, v)| v),
            _ => "",
        }
    }
}

/// A document being read.
pub(super) struct Xml<'a> {
    reader: quick_xml::Reader<Clean<'a>>,
    buffer: Vec<u8>,
    left: Rc<Cell<usize>>,
    depth: usize,
    /// An empty element that is still to close.
    closing: Option<String>,
}

impl<'a> Xml<'a> {
    /// A document from its first byte.
    pub fn new(input: &'a mut dyn BufRead) -> Xml<'a> {
        let left = Rc::new(Cell::new(NODE_MAX));
        let clean = Clean { input, chunk: Vec::new(), at: 0, tail: Vec::new(), left: Rc::clone(&left) };
        let mut reader = quick_xml::Reader::from_reader(clean);
        reader.config_mut().check_end_names = false;
        reader.config_mut().allow_unmatched_ends = true;
        reader.config_mut().allow_dangling_amp = true;
        Xml { reader, buffer: Vec::new(), left, depth: 0, closing: None }
    }

    /// The next part.
    pub fn next(&mut self) -> Node {
        loop {
            if let Some(name) = self.closing.take() {
                return Node::Close { name, at: self.reader.buffer_position() };
            }
            self.buffer.clear();
            self.left.set(NODE_MAX);
            let at = self.reader.buffer_position();
            let event = match self.reader.read_event_into(&mut self.buffer) {
                Ok(event) => event,
                Err(_) if self.left.get() == 0 => return Node::Over(Some("xml_node_too_long")),
                Err(_) => return Node::Over(Some("xml_malformed")),
            };
            match event {
                Event::Start(tag) => {
                    self.depth += 1;
                    if self.depth > DEPTH_MAX {
                        return Node::Over(Some("xml_too_deep"));
                    }
                    return open(&tag, at);
                }
                Event::Empty(tag) => {
                    self.closing = Some(tag.name().0.to_owned());
                    return open(&tag, at);
                }
                Event::End(tag) => {
                    self.depth = self.depth.saturating_sub(1);
                    let name = tag.name().0.to_owned();
                    return Node::Close { name, at: self.reader.buffer_position() };
                }
                Event::Text(text) => return Node::Text(text.to_string()),
                Event::CData(text) => return Node::Text(text.to_string()),
                Event::GeneralRef(name) => {
                    let whole = format!("&{};", &*name);
                    return Node::Text(unescape(&whole).into_owned());
                }
                Event::Eof if self.depth > 0 => return Node::Over(Some("xml_truncated")),
                Event::Eof => return Node::Over(None),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::DocType(_) => {}
            }
        }
    }
}

fn open(tag: &BytesStart<'_>, at: u64) -> Node {
    let attributes = tag
        .attributes()
        .with_checks(false)
        .take(256)
        .filter_map(Result::ok)
        .map(|a| (a.key.0.to_owned(), unescape(&a.value).into_owned()))
        .collect();
    Node::Open { name: tag.name().0.to_owned(), attributes, at }
}

/// Predefined and numeric references replaced; a text with others stays as it is.
fn unescape(text: &str) -> Cow<'_, str> {
    quick_xml::escape::unescape(text).unwrap_or(Cow::Borrowed(text))
}

/// The input with every byte that is not UTF-8 replaced by `?`, and a budget that ends it inside an endless node.
struct Clean<'a> {
    input: &'a mut dyn BufRead,
    chunk: Vec<u8>,
    at: usize,
    /// The beginning of a character that the last chunk cut.
    tail: Vec<u8>,
    left: Rc<Cell<usize>>,
}

impl Clean<'_> {
    fn refill(&mut self) -> std::io::Result<()> {
        self.at = 0;
        self.chunk.clear();
        while self.chunk.is_empty() {
            self.chunk.append(&mut self.tail);
            let more = self.input.fill_buf()?;
            let taken = more.len().min(64 << 10);
            self.chunk.extend_from_slice(&more[..taken]);
            self.input.consume(taken);
            let mut from = 0;
            while let Err(e) = std::str::from_utf8(&self.chunk[from..]) {
                let bad = from + e.valid_up_to();
                match e.error_len() {
                    None if taken > 0 => {
                        self.tail = self.chunk.split_off(bad);
                        break;
                    }
                    length => {
                        let end = length.map_or(self.chunk.len(), |n| bad + n);
                        self.chunk[bad..end].fill(b'?');
                        from = end;
                    }
                }
            }
            if taken == 0 {
                break;
            }
        }
        Ok(())
    }
}

impl Read for Clean<'_> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let from = self.fill_buf()?;
        let n = from.len().min(to.len());
        to[..n].copy_from_slice(&from[..n]);
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Clean<'_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.left.get() == 0 {
            return Err(std::io::Error::other("a node of more than 16 MiB"));
        }
        if self.at >= self.chunk.len() {
            self.refill()?;
        }
        Ok(self.chunk.get(self.at..).unwrap_or(&[]))
    }
    fn consume(&mut self, n: usize) {
        self.at = self.at.saturating_add(n);
        self.left.set(self.left.get().saturating_sub(n));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(text: &[u8], buffer: usize) -> Vec<Node> {
        let mut input = std::io::BufReader::with_capacity(buffer, text);
        let mut xml = Xml::new(&mut input);
        let mut nodes = Vec::new();
        loop {
            let node = xml.next();
            let over = matches!(node, Node::Over(_));
            nodes.push(node);
            if over {
                return nodes;
            }
        }
    }

    #[test]
    fn nodes_have_their_place_and_bad_bytes_do_not_move_it() {
        let text = b"<?xml version='1.0'?>\n<!DOCTYPE a [<!ENTITY x 'y'>]><a k=\"1&#xa;&amp;\xff\">t\xe9 &lt;&x;<b/></a>";
        for buffer in [1, 3, 16, 4096] {
            let nodes = nodes(text, buffer);
            assert_eq!(
                nodes[1],
                Node::Open { name: "a".into(), attributes: vec![("k".into(), "1\n&?".into())], at: 52 },
                "{buffer}"
            );
            let words: String =
                nodes.iter().filter_map(|n| if let Node::Text(t) = n { Some(t.as_str()) } else { None }).collect();
            assert_eq!(words, "\nt? <&x;");
            assert_eq!(nodes.last(), Some(&Node::Over(None)));
        }
    }

    #[test]
    fn endless_nodes_and_nests_end_the_document() {
        let deep = "<a>".repeat(1000);
        assert_eq!(nodes(deep.as_bytes(), 4096).last(), Some(&Node::Over(Some("xml_too_deep"))));
        let long = format!("<a>{}", "x".repeat(NODE_MAX + 10));
        assert_eq!(nodes(long.as_bytes(), 4096).last(), Some(&Node::Over(Some("xml_node_too_long"))));
        assert_eq!(nodes(b"<a><b>", 4096).last(), Some(&Node::Over(Some("xml_truncated"))));
    }
}
