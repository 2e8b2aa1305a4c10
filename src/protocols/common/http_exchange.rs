//! A request of HTTP/1 with its response, and the file that a body carries, as events. Knows no stream.

use super::fields::Fields;
use super::http_body::Body;
use super::http_head::{Head, Login, disposition, host_of, login_of};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::protocols::{At, Ends, Out, Understood};
use std::net::IpAddr;

/// A request with its response.
pub struct Exchange {
    /// Its number in the conversation.
    pub number: u64,
    /// First packet.
    pub first: At,
    /// Last packet so far.
    pub last: At,
    /// Method.
    pub method: String,
    /// What is known so far.
    pub fields: Fields,
    host: String,
    url: String,
    target: String,
    /// Content type of the request, for where the response has none.
    pub kind: String,
    /// Body of the request, bytes.
    pub request_length: Option<u64>,
    /// Body of the response, bytes.
    pub response_length: Option<u64>,
    /// The request is over.
    pub requested: bool,
    /// The response is over.
    pub answered: bool,
    /// A response has begun.
    pub begun: bool,
}

impl Exchange {
    /// One of which nothing is known.
    pub fn new(number: u64, first: At, last: At) -> Exchange {
        Exchange {
            number,
            first,
            last,
            method: String::new(),
            fields: Fields::default(),
            host: String::new(),
            url: String::new(),
            target: String::new(),
            kind: String::new(),
            request_length: None,
            response_length: None,
            requested: false,
            answered: false,
            begun: false,
        }
    }

    /// One that a request (method and target) begins, in its first and last packet.
    pub fn asked(number: u64, line: (&str, &str), head: &Head, ends: &Ends, at: (At, At), out: &mut Out) -> Exchange {
        let (method, target) = line;
        let absolute = target.split_once("://").and_then(|(_, rest)| rest.split(['/', '?']).next());
        let authority = head.get("host").or(absolute).or((method == "CONNECT").then_some(target)).unwrap_or_default();
        let host = host_of(authority);
        let mut fields = Fields::default();
        fields.text(field::NAME, &host);
        fields.text(field::HTTP_HOST, &host);
        fields.text(field::HTTP_METHOD, method);
        fields.text(field::HTTP_URI, target);
        fields.text(field::HTTP_AGENT, head.get("user-agent").unwrap_or_default());
        fields.text(field::HTTP_REFERER, head.get("referer").unwrap_or_default());
        fields.text(field::XFF, head.get("x-forwarded-for").unwrap_or_default());
        let login = head.get("authorization").or(head.get("proxy-authorization")).and_then(login_of);
        if let Some(Login { user, host, method }) = login {
            fields.text(field::USER, &user);
            fields.text(field::HOSTNAME, &host);
            fields.text(field::METHOD_AUTH, method);
            if method != "basic" {
                out.flow.push((field::METHOD_AUTH, method.into()));
            }
            if !user.is_empty() {
                out.flow.push((field::USER, user.into()));
            }
        }
        let url = url(method, target, authority, ends);
        fields.text(field::URL, &url);
        if !host.is_empty() {
            out.flow.push((field::NAME, host.as_str().into()));
            out.flow.push((field::HTTP_HOST, host.as_str().into()));
        }
        Exchange {
            method: method.to_owned(),
            fields,
            host,
            url,
            target: target.to_owned(),
            kind: head.get("content-type").unwrap_or_default().to_owned(),
            ..Exchange::new(number, at.0, at.1)
        }
    }

    /// The event of an exchange that is over.
    pub fn event(self) -> Understood {
        let mut fields = self.fields;
        fields.maybe(field::HTTP_REQUEST_BYTES, self.request_length);
        fields.maybe(field::HTTP_RESPONSE_BYTES, self.response_length);
        if !self.begun {
            fields.text(field::HTTP_TYPE, self.kind.split(';').next().unwrap_or_default().trim());
        }
        fields.event(Kind::Http, self.first, self.last)
    }
}

fn url(method: &str, target: &str, authority: &str, ends: &Ends) -> String {
    if target.contains("://") {
        target.to_owned()
    } else if method == "CONNECT" {
        String::new()
    } else if authority.is_empty() {
        let address = match ends.dst {
            IpAddr::V4(a) => a.to_string(),
            IpAddr::V6(a) => format!("[{a}]"),
        };
        let port = if ends.dst_port == 80 { String::new() } else { format!(":{}", ends.dst_port) };
        format!("http://{address}{port}{target}")
    } else {
        format!("http://{}{target}", authority.strip_suffix(":80").unwrap_or(authority))
    }
}

/// A body, and what is known of its file.
pub struct Carried {
    /// Exchange that it belongs to.
    pub number: u64,
    /// Of the request.
    pub request: bool,
    /// The body.
    pub body: Body,
    /// First packet of its message.
    pub first: At,
    /// Content type.
    pub kind: String,
    /// Content disposition.
    pub disposition: String,
    /// What else its head says of the file.
    pub note: Vec<(&'static str, String)>,
}

/// The event of a file whose body is over. `whole`: its end was seen.
pub fn file(e: &Exchange, carried: Carried, whole: bool, last: At, out: &mut Out) -> Understood {
    let mut fields = Fields::default();
    let named = disposition(&carried.disposition);
    let path = e.target.split(['?', '#']).next().unwrap_or_default();
    let last_part = path.rsplit('/').next().filter(|_| !carried.request && path.contains('/')).unwrap_or_default();
    fields.text(field::FILE_NAME, named.as_deref().unwrap_or(last_part));
    fields.text(field::APP, "http");
    fields.text(field::NAME, &e.host);
    fields.text(field::URL, &e.url);
    fields.text(field::DIRECTION_STATED, if carried.request { "out" } else { "in" });
    let mut sums = Fields::default();
    if !carried.body.file.finish(whole, &mut sums) {
        out.oddities.push((Oddity::new("http_coding_malformed"), last.time, last.offset));
    }
    if !sums.has(field::FILE_TYPE) {
        fields.text(field::FILE_TYPE, carried.kind.split(';').next().unwrap_or_default().trim());
    }
    fields.join(sums);
    if !carried.note.is_empty() {
        let note = carried.note.into_iter().map(|(n, v)| (n.to_owned(), serde_json::Value::String(v))).collect();
        fields.text(field::EXTRA, &serde_json::Value::Object(note).to_string());
    }
    fields.event(Kind::File, carried.first, last)
}
