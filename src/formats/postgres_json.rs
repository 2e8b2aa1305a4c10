//! PostgreSQL's JSON log (PostgreSQL 15 documentation, "Using JSON-Format Log Output").

use super::draft::Draft;
use super::json::{self, Members};
use super::keyed::{self, Keyed};
use super::{Context, Out, clock, postgres_text};
use crate::model::field;
use crate::model::record::Kind;
use crate::model::time::Time;
use serde_json::value::RawValue;

/// The format.
pub static FORMAT: Keyed = Keyed {
    name: "postgres-json",
    doc: "PostgreSQL server log as JSON (PostgreSQL documentation, Using JSON-Format Log Output).",
    kind: Kind::Log,
    document: None,
    is: |o| keyed::has(o, &["timestamp", "error_severity", "pid", "session_id"]),
    times: &[],
    time,
    fields: &[
        ("user", field::USER),
        ("pid", field::PID),
        ("remote_host", field::SRC_IP),
        ("remote_port", field::SRC_PORT),
        ("session_id", field::UID),
        ("state_code", field::EVENT_CODE),
        ("message", field::MESSAGE),
    ],
    special,
    finish,
};

/// The time, whose zone is an abbreviation.
fn time(o: &Members<'_>, context: &Context, out: &mut Out) -> Option<Time> {
    let text = keyed::at(o, "timestamp")?;
    let stamp = clock::iso(text.as_bytes())?;
    let east = stamp.east.or_else(|| postgres_text::east(text.get(stamp.len..).unwrap_or("").trim()));
    clock::Stamp { east, ..stamp }.time(context, out)
}

fn special(key: &str, raw: &RawValue, d: &mut Draft, context: &Context, _: &mut Out) -> bool {
    let text = json::scalar(raw);
    match key {
        "timestamp" => d.record.start != context.modified,
        "error_severity" => postgres_text::rank(&text).is_some_and(|rank| d.uint(field::SEVERITY, rank)),
        "remote_host" => text == "[local]",
        _ => false,
    }
}

fn finish(o: &Members<'_>, d: &mut Draft) -> Option<String> {
    if let Some(message) = keyed::at(o, "message") {
        postgres_text::message(&message, d);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn a_failed_login() {
        assert_eq!(
            show(
                &FORMAT,
                r#"{"timestamp":"2026-11-20 08:00:00.123 CET","user":"bob","dbname":"shop","pid":77,"remote_host":"192.0.2.5","remote_port":51000,"session_id":"65a1.4d","line_num":2,"error_severity":"FATAL","state_code":"28P01","message":"password authentication failed for user \"bob\"","backend_type":"client backend"}"#
            ),
            "auth 2026-11-20T07:00:00.123Z src.ip=192.0.2.5 src.port=51000 app=postgresql uid=65a1.4d severity=critical action=login_fail user=bob pid=77 \
             message=password authentication failed for user \"bob\" auth.method=password event.code=28P01 \
             extra={\"dbname\":\"shop\",\"line_num\":2,\"backend_type\":\"client backend\"}"
        );
    }
}
