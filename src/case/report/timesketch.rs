//! The cited records as a timeline of Timesketch: JSON Lines with `message`, `datetime` and `timestamp_desc`
//! (Timesketch, "Import from JSON, JSONL and CSV").

use super::{Report, cited};
use crate::model::{FieldId, field, summary};
use crate::query::Engine;
use serde_json::{Map, Value as Json, json};

/// Fields that go along.
const FIELDS: [FieldId; 12] = [
    field::SRC_IP,
    field::SRC_PORT,
    field::DST_IP,
    field::DST_PORT,
    field::PROTO,
    field::APP,
    field::NAME,
    field::URL,
    field::SIGNATURE,
    field::USER,
    field::ACTION,
    field::SHA256,
];

/// A line a record of a bookmark, a line a finding, by time.
pub fn write(report: &Report, engine: &dyn Engine) -> Vec<Json> {
    let mut lines: Vec<(crate::model::Time, Json)> = Vec::new();
    for (record, title) in cited::records(report) {
        let mut line = Map::new();
        line.insert("message".into(), json!(summary::line(record)));
        line.insert("datetime".into(), json!(record.time().rfc3339()));
        line.insert("timestamp_desc".into(), json!(format!("{} start", record.kind)));
        line.insert("tag".into(), json!([title]));
        line.insert("source".into(), json!(engine.source_name(record.source)));
        line.insert("evidence".into(), json!(format!("{}:{}", engine.evidence_path(record.id.evidence), record.id.offset)));
        for id in FIELDS {
            if let Some(text) = cited::text_of(record, id) {
                line.insert(field::name(id), json!(text));
            }
        }
        lines.push((record.time(), Json::Object(line)));
    }
    for f in &report.findings {
        let line = json!({
            "message": f.title, "datetime": f.window.start.rfc3339(), "timestamp_desc": "finding, first", "tag": [f.detector],
            "severity": f.severity_name(), "query": f.query, "attack": f.techniques,
        });
        lines.push((f.window.start, line));
    }
    lines.sort_by_key(|a| a.0);
    lines.into_iter().map(|(_, line)| line).collect()
}
