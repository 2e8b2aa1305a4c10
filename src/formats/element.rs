//! Elements of an XML document as small trees, one by one: what formats of scanners share whose units are elements of which much is nested.
//!
//! Knows no vocabulary. The document is streamed; only an element that is wanted is held, up to a bound of nodes and text; what is beyond
//! is left out and the element says so.

use super::xml::{Node, Xml};
use std::io::BufRead;

/// Most elements and attributes of one that is wanted.
const NODES_MAX: usize = 50_000;
/// Most text of one.
const TEXT_MAX: usize = 4 << 20;

/// An element with all that is in it.
#[derive(Debug, Default, Clone)]
pub(super) struct Element {
    /// Its name without prefix.
    pub name: String,
    pub attributes: Vec<(String, String)>,
    /// The text directly in it.
    pub text: String,
    pub children: Vec<Element>,
    /// How much of its parent's text stands before it.
    pub before: usize,
    /// Where it began and ended.
    pub at: u64,
    pub end: u64,
    /// Something of it was beyond the bounds.
    pub cut: bool,
}

impl Element {
    /// The value of an attribute, else empty.
    pub fn attribute(&self, key: &str) -> &str {
        self.attributes.iter().find(|(k, _)| k == key || local(k) == key).map_or("", |(_, v)| v.as_str())
    }
    /// The first child of a name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|c| c.name == name)
    }
    /// The text of the element at the end of a path of names, trimmed, else empty.
    pub fn text_of(&self, path: &[&str]) -> &str {
        let end = path.iter().try_fold(self, |element, name| element.child(name));
        end.map_or("", |e| e.text.trim())
    }
    /// Every element of a name in it, at any depth, in order.
    pub fn every<'a>(&'a self, name: &str) -> Vec<&'a Element> {
        let mut found = Vec::new();
        self.collect(name, &mut found);
        found
    }
    fn collect<'a>(&'a self, name: &str, found: &mut Vec<&'a Element>) {
        for child in &self.children {
            if child.name == name {
                found.push(child);
            }
            child.collect(name, found);
        }
    }
    /// All text in it, with single spaces.
    pub fn words(&self) -> String {
        let mut words = String::new();
        self.gather(&mut words);
        words
    }
    fn gather(&self, to: &mut String) {
        let add = |text: &str, to: &mut String| {
            for word in text.split_ascii_whitespace() {
                if !to.is_empty() {
                    to.push(' ');
                }
                to.push_str(word);
            }
        };
        let mut said = 0;
        for child in &self.children {
            add(self.text.get(said..child.before).unwrap_or(""), to);
            said = child.before;
            child.gather(to);
        }
        add(self.text.get(said..).unwrap_or(""), to);
    }
    /// Bytes that it takes in the document.
    pub fn len(&self) -> usize {
        usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX)
    }
}

/// A part of a document.
pub(super) enum Part {
    /// An element that is not wanted opens; its name is without prefix, without children and text.
    Open(Element),
    /// Text in one that is not wanted.
    Text(String),
    /// One that is not wanted closes.
    Close(String),
    /// A wanted element.
    Whole(Element),
    /// The document is over; if it broke off, why, and the place of the wanted element that was open.
    Over(Option<(&'static str, String)>),
}

/// A document being read.
pub(super) struct Elements<'a> {
    xml: Xml<'a>,
    wanted: &'static [&'static str],
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

impl<'a> Elements<'a> {
    /// A document from its first byte, and the names, without prefix, of the elements that are wanted whole. Of two that nest the outer is given.
    pub fn new(input: &'a mut dyn BufRead, wanted: &'static [&'static str]) -> Elements<'a> {
        Elements { xml: Xml::new(input), wanted }
    }
    /// The next part.
    pub fn next(&mut self) -> Part {
        match self.xml.next() {
            Node::Open { name, attributes, at } => {
                let element = Element { name: local(&name).to_owned(), attributes, at, ..Element::default() };
                match self.wanted.contains(&element.name.as_str()) {
                    true => self.whole(element),
                    false => Part::Open(element),
                }
            }
            Node::Close { name, .. } => Part::Close(local(&name).to_owned()),
            Node::Text(text) => Part::Text(text),
            Node::Over(why) => Part::Over(why.map(|w| (w, String::new()))),
        }
    }
    fn whole(&mut self, first: Element) -> Part {
        let place = format!("{} at byte {}", first.name, first.at);
        let (mut nodes, mut room) = (NODES_MAX, TEXT_MAX);
        let mut cut = false;
        let mut open = vec![first];
        loop {
            match self.xml.next() {
                Node::Open { name, attributes, at } => {
                    let size = attributes.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>();
                    let fits = nodes > attributes.len() && room >= size;
                    let before = open.last().map_or(0, |parent| parent.text.len());
                    let mut element = Element { name: local(&name).to_owned(), at, before, ..Element::default() };
                    match fits {
                        true => {
                            (nodes, room) = (nodes - attributes.len() - 1, room - size);
                            element.attributes = attributes;
                        }
                        false => (nodes, cut) = (0, true),
                    }
                    open.push(element);
                }
                Node::Text(text) => {
                    if let Some(element) = open.last_mut() {
                        let taken = text.floor_char_boundary(room.min(text.len()));
                        element.text.push_str(&text[..taken]);
                        room -= taken;
                        cut |= taken < text.len();
                    }
                }
                Node::Close { at, .. } => {
                    let Some(mut element) = open.pop() else { return Part::Over(None) };
                    element.end = at;
                    match open.last_mut() {
                        Some(parent) if nodes > 0 => parent.children.push(element),
                        Some(_) => cut = true,
                        None => {
                            element.cut = cut;
                            return Part::Whole(element);
                        }
                    }
                }
                Node::Over(why) => return Part::Over(Some((why.unwrap_or("xml_truncated"), place))),
            }
        }
    }
}

/// Whether a head is XML whose root is one of these, by its name without prefix.
pub(super) fn is_root(head: &[u8], roots: &[&str]) -> bool {
    let mut xml = super::head::plain(head).trim_ascii_start();
    if !xml.starts_with(b"<") {
        return false;
    }
    // Declarations, comments and a document type may come first.
    for _ in 0..64 {
        let Some(next) = memchr::memchr(b'<', xml) else { return false };
        xml = &xml[next + 1..];
        if xml.starts_with(b"!--") {
            let Some(end) = memchr::memmem::find(xml, b"-->") else { return false };
            xml = &xml[end + 3..];
        } else if !xml.starts_with(b"?") && !xml.starts_with(b"!") {
            let end = xml.iter().position(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b'>' | b'/')).unwrap_or(xml.len());
            return std::str::from_utf8(&xml[..end]).is_ok_and(|name| roots.contains(&local(name)));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wanted_elements_are_trees_and_the_rest_is_streamed() {
        let text = "<?xml version='1.0'?><!-- <r> --><r a='1'><x:w k='v'>one <b>two</b> three<c><b>four</b></c></x:w><o/><w>cut";
        let mut input = text.as_bytes();
        let mut elements = Elements::new(&mut input, &["w"]);
        assert!(matches!(elements.next(), Part::Open(e) if e.name == "r" && e.attribute("a") == "1"));
        let Part::Whole(w) = elements.next() else { panic!("not whole") };
        assert_eq!((w.words().as_str(), w.attribute("k"), w.every("b").len()), ("one two three four", "v", 2));
        assert_eq!(w.text_of(&["c", "b"]), "four");
        assert_eq!(&text[w.at as usize..w.end as usize], "<x:w k='v'>one <b>two</b> three<c><b>four</b></c></x:w>");
        assert!(matches!(elements.next(), Part::Open(e) if e.name == "o"));
        assert!(matches!(elements.next(), Part::Close(name) if name == "o"));
        assert!(matches!(elements.next(), Part::Over(Some(("xml_truncated", place))) if place.starts_with("w at byte")));
        assert!(is_root(text.as_bytes(), &["r"]) && !is_root(text.as_bytes(), &["w"]));
    }

    #[test]
    fn an_element_beyond_the_bounds_is_cut_and_says_so() {
        let text = format!("<w>{}</w>", "<a b='c'/>".repeat(NODES_MAX));
        let mut input = text.as_bytes();
        let Part::Whole(w) = Elements::new(&mut input, &["w"]).next() else { panic!("not whole") };
        assert!(w.cut && w.children.len() < NODES_MAX);
    }
}
