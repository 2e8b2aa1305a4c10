//! OpenVAS and Greenbone reports as CSV (Greenbone, report formats "CSV Results" and "CSV Hosts"): a row for each result.
//!
//! `Timestamp` is the instant of the result, with its zone. `Severity` is the threat (Log, Low, Medium, High, Critical); `QoD` is the quality of
//! detection in percent, given as confidence.

use super::scan_table::{Column, Shape};
use super::{Context, Format, Framing, Reader, Sniff, draft::Draft};
use crate::model::field;
use crate::model::value::Value;

/// The format.
pub static FORMAT: OpenvasCsv = OpenvasCsv;

/// OpenVAS results.
pub struct OpenvasCsv;

static SHAPE: Shape = Shape {
    columns: &[
        ("ip", Column::Address),
        ("hostname", Column::Text(field::HOSTNAME)),
        ("port", Column::Port),
        ("port_protocol", Column::Proto),
        ("cvss", Column::Cvss(0)),
        ("severity", Column::Severity),
        ("qod", Column::Text(field::CONFIDENCE)),
        ("nvt_name", Column::Text(field::SIGNATURE)),
        ("nvt_oid", Column::Plugin),
        ("specific_result", Column::Text(field::MESSAGE)),
        ("summary", Column::Text(field::REASON)),
        ("cves", Column::Cve),
        ("timestamp", Column::First),
        ("solution", Column::Text(field::SOLUTION)),
    ],
    needed: &["ip|hostname", "nvt_name", "nvt_oid"],
    finish,
};

fn finish(d: &mut Draft, _: &[(&str, &str)]) {
    for (id, value) in &mut d.record.fields {
        if let (true, Value::Float(percent)) = (*id == field::CONFIDENCE, &value) {
            *value = Value::Float((percent / 100.0).clamp(0.0, 1.0));
        }
    }
}

impl Format for OpenvasCsv {
    fn name(&self) -> &'static str {
        "openvas-csv"
    }
    fn doc(&self) -> &'static str {
        "OpenVAS report as CSV: results with NVT, CVE, CVSS, quality of detection, solution (Greenbone, CSV Results)."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 1 << 20 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        SHAPE.sniff(head)
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        SHAPE.reader(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};

    const HEADER: &str = "IP,Hostname,Port,Port Protocol,CVSS,Severity,QoD,Solution Type,NVT Name,Summary,Specific Result,NVT OID,CVEs,Task ID,Task Name,Timestamp,Result ID,Impact,Solution\n";

    #[test]
    fn a_result_is_a_finding_with_its_score_and_confidence() {
        let text = format!(
            "{HEADER}192.0.2.7,srv,443,tcp,5.3,Medium,80,\"Mitigation\",\"Weak \"\"TLS\"\"\",s,\"one\n\ntwo\",1.3.6.1.4.1.25623.1.0.117274,\"CVE-2011-3389,CVE-2015-0204\",t-1,n,2021-05-26T20:50:18Z,r-1,,fix it\n"
        );
        assert_eq!(
            show(&FORMAT, &text),
            "vuln 2021-05-26T20:50:18Z dst.ip=192.0.2.7 dst.port=443 proto=tcp signature=Weak \"TLS\" severity=medium action=found reason=s hostname=srv message=one\n\ntwo cve=CVE-2011-3389 cve=CVE-2015-0204 cvss=5.3 plugin=117274 solution=fix it confidence=0.8 extra={\"solution_type\":\"Mitigation\",\"nvt_oid\":\"1.3.6.1.4.1.25623.1.0.117274\",\"task_id\":\"t-1\",\"task_name\":\"n\",\"result_id\":\"r-1\"}"
        );
    }

    #[test]
    fn a_row_that_never_ends_and_a_short_one_are_counted() {
        let read = read_all(&FORMAT, &format!("{HEADER}192.0.2.7,,,,2.6\n192.0.2.8,\"open\nstill\n"));
        assert_eq!(read.counts, [0, 1, 3, 0]);
        assert_eq!(read.oddities, ["csv_row_malformed line 3"]);
    }
}
