//! Qualys vulnerability reports as CSV (Qualys, "Scan report template", "VMDR vulnerabilities download", "PCI report"): lines about the report, then a
//! header and a row for each detection.
//!
//! Severity 1 to 5 is info to critical. Times state no zone unless they name one: then that of the source counts.

use super::scan_table::{Column, Shape};
use super::{Context, Format, Framing, Reader, Sniff};
use crate::model::field;

/// The format.
pub static FORMAT: QualysCsv = QualysCsv;

/// Qualys detections.
pub struct QualysCsv;

const REPORT: Shape = Shape {
    columns: &[
        ("ip", Column::Address),
        ("dns", Column::Text(field::HOSTNAME)),
        ("fqdn", Column::Text(field::HOSTNAME)),
        ("netbios", Column::Text(field::HOSTNAME)),
        ("hostname", Column::Text(field::HOSTNAME)),
        ("os", Column::Text(field::OS)),
        ("operating_system", Column::Text(field::OS)),
        ("qid", Column::Plugin),
        ("title", Column::Text(field::SIGNATURE)),
        ("vuln_title", Column::Text(field::SIGNATURE)),
        ("q_severity", Column::Level(1)),
        ("severity", Column::Level(1)),
        ("port", Column::Port),
        ("protocol", Column::Proto),
        ("first_detected", Column::First),
        ("last_detected", Column::Last),
        ("last_scan", Column::Last),
        ("cve_id", Column::Cve),
        ("cveid", Column::Cve),
        ("cvss3_1_base", Column::Cvss(0)),
        ("cvss3_base", Column::Cvss(1)),
        ("cvss_base", Column::Cvss(2)),
        ("cvss", Column::Cvss(3)),
        ("solution", Column::Text(field::SOLUTION)),
        ("results", Column::Text(field::MESSAGE)),
        ("result", Column::Text(field::MESSAGE)),
        ("category", Column::Text(field::CATEGORY)),
        ("os_cpe", Column::Text(field::CPE)),
    ],
    needed: &["qid", "ip", "title|vuln_title", "severity|q_severity"],
    finish: |_, _| (),
};

const VMDR: Shape = Shape {
    columns: &[
        ("asset_ipv4", Column::Address),
        ("asset_ipv6", Column::Address),
        ("asset_name", Column::Text(field::HOSTNAME)),
        ("operating_system", Column::Text(field::OS)),
        ("qid", Column::Plugin),
        ("title", Column::Text(field::SIGNATURE)),
        ("severity", Column::Level(1)),
        ("port", Column::Port),
        ("protocol", Column::Proto),
        ("first_detected", Column::First),
        ("last_detected", Column::Last),
        ("cve", Column::Cve),
        ("cvssv3_1_base_nvd", Column::Cvss(0)),
        ("cvssv2_base_nvd", Column::Cvss(1)),
        ("solution", Column::Text(field::SOLUTION)),
        ("results", Column::Text(field::MESSAGE)),
        ("category", Column::Text(field::CATEGORY)),
        ("asset_critical_score", Column::Text(field::CRITICALITY)),
    ],
    needed: &["qid", "title", "asset_ipv4|asset_name"],
    finish: |_, _| (),
};

/// Web Application Scanning: the first column only names the kind of row.
const WAS: Shape = Shape {
    columns: &[
        ("url", Column::Host),
        ("qid", Column::Plugin),
        ("title", Column::Text(field::SIGNATURE)),
        ("severity_level", Column::Level(1)),
        ("severity", Column::Level(1)),
        ("detection_date", Column::Last),
        ("first_time_detected", Column::First),
        ("last_time_detected", Column::Last),
        ("cvss_v3_base", Column::Cvss(0)),
        ("cvss_base", Column::Cvss(1)),
        ("category", Column::Text(field::CATEGORY)),
        ("solution", Column::Text(field::SOLUTION)),
        ("evidence_1", Column::Text(field::MESSAGE)),
    ],
    needed: &["qid", "url", "title|detection_id|id"],
    finish: |_, _| (),
};

static SHAPES: [Shape; 3] = [REPORT, VMDR, WAS];

impl Format for QualysCsv {
    fn name(&self) -> &'static str {
        "qualys-csv"
    }
    fn doc(&self) -> &'static str {
        "Qualys detections as CSV: scan, PCI, VMDR and web application reports (Qualys, report templates, downloads)."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 1 << 20 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        SHAPES.iter().map(|s| s.sniff(head)).max().unwrap_or(Sniff::No)
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        super::scan_table::any(&SHAPES, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};

    #[test]
    fn reports_of_each_make_are_read() {
        assert_eq!(
            show(
                &FORMAT,
                "\"IP\",\"DNS\",\"OS\",\"QID\",\"Title\",\"Severity\",\"Port\",\"Protocol\",\"First Detected\",\"Last Detected\",\"CVE ID\",\"CVSS3 Base\"\n\"192.0.2.1\",\"a.example\",\"Linux\",\"105971\",\"EOL\",\"5\",\"443\",\"tcp\",\"05/13/2021 07:08:28\",\"05/25/2021 07:36:58\",\"CVE-2021-0001\",\"8.1 (AV:N)\"\n"
            ),
            "vuln 2021-05-13T07:08:28Z..2021-05-25T07:36:58Z dst.ip=192.0.2.1 dst.port=443 proto=tcp signature=EOL severity=critical action=found hostname=a.example os=Linux cve=CVE-2021-0001 cvss=8.1 plugin=105971"
        );
        let vmdr = "\"Asset Vuln Datalist Report\",\"04 Feb 2026 10:00AM GMT-0500\",\"1\"\n\"Odd\",\"Street\"\n\"QID\",\"Title\",\"Severity\",\"Last Detected\",\"First Detected\",\"Asset Name\",\"Asset IPV4\",\"Port\"\n\"7\",\"T\",\"1\",\"Feb 03, 2026 07:00 AM\",\"Jan 01, 2026 10:00 AM\",\"SRV\",\"192.0.2.3\",\"80\"\n";
        let read = read_all(&FORMAT, vmdr);
        assert_eq!(read.counts, [1, 0, 3, 0]);
        assert_eq!(
            read.shown(),
            "vuln 2026-01-01T10:00:00Z..2026-02-03T07:00:00Z dst.ip=192.0.2.3 dst.port=80 signature=T severity=info action=found hostname=srv plugin=7\n"
        );
    }
}
