//! Findings of Nessus, Tenable Vulnerability Management, Security Center and Web App Scanning as CSV (Tenable, "Export a scan", "Export findings").
//!
//! Three makes of columns: Nessus and Web App Scanning (`Plugin ID`, `Risk`, `Host`), Security Center (`Plugin`, `Severity`, `IP Address`, with
//! first and last discovery) and Vulnerability Management (`asset.*`, `definition.*`, separated by semicolons). The first has no times: its
//! records stand at the file's modification time.

use super::scan_table::{Column, Shape};
use super::{Context, Format, Framing, Reader, Sniff};
use crate::model::field;

/// The format.
pub static FORMAT: NessusCsv = NessusCsv;

/// Nessus findings.
pub struct NessusCsv;

const SCAN: Shape = Shape {
    columns: &[
        ("plugin_id", Column::Plugin),
        ("cve", Column::Cve),
        ("cvss_v4_0_base_score", Column::Cvss(0)),
        ("cvss_v3_0_base_score", Column::Cvss(1)),
        ("cvssv3", Column::Cvss(2)),
        ("cvss_v2_0_base_score", Column::Cvss(3)),
        ("cvss", Column::Cvss(4)),
        ("risk", Column::Severity),
        ("host", Column::Host),
        ("protocol", Column::Proto),
        ("port", Column::Port),
        ("name", Column::Text(field::SIGNATURE)),
        ("synopsis", Column::Text(field::REASON)),
        ("solution", Column::Text(field::SOLUTION)),
        ("plugin_output", Column::Text(field::MESSAGE)),
    ],
    needed: &["plugin_id", "risk", "host", "name"],
    finish: |_, _| (),
};

const CENTER: Shape = Shape {
    columns: &[
        ("plugin", Column::Plugin),
        ("plugin_name", Column::Text(field::SIGNATURE)),
        ("family", Column::Text(field::CATEGORY)),
        ("severity", Column::Severity),
        ("ip_address", Column::Address),
        ("protocol", Column::Proto),
        ("port", Column::Port),
        ("mac_address", Column::Text(field::DST_MAC)),
        ("dns_name", Column::Text(field::HOSTNAME)),
        ("netbios_name", Column::Text(field::HOSTNAME)),
        ("plugin_text", Column::Text(field::MESSAGE)),
        ("plugin_output", Column::Text(field::MESSAGE)),
        ("synopsis", Column::Text(field::REASON)),
        ("solution", Column::Text(field::SOLUTION)),
        ("steps_to_remediate", Column::Text(field::SOLUTION)),
        ("cvss_v3_base_score", Column::Cvss(1)),
        ("cvss_v2_base_score", Column::Cvss(2)),
        ("cpe", Column::Text(field::CPE)),
        ("cve", Column::Cve),
        ("first_discovered", Column::First),
        ("last_observed", Column::Last),
    ],
    needed: &["plugin", "plugin_name", "ip_address|dns_name", "severity"],
    finish: |_, _| (),
};

const CLOUD: Shape = Shape {
    columns: &[
        ("asset_display_ipv4_address", Column::Address),
        ("asset_display_ipv6_address", Column::Address),
        ("asset_display_mac_address", Column::Text(field::DST_MAC)),
        ("asset_display_fqdn", Column::Text(field::HOSTNAME)),
        ("asset_host_name", Column::Text(field::HOSTNAME)),
        ("asset_name", Column::Text(field::HOSTNAME)),
        ("asset_operating_system", Column::Text(field::OS)),
        ("asset_system_type", Column::Text(field::ROLE)),
        ("definition_cpe", Column::Text(field::CPE)),
        ("definition_cve", Column::Cve),
        ("definition_cvss4_base_score", Column::Cvss(0)),
        ("definition_cvss3_base_score", Column::Cvss(1)),
        ("definition_cvss2_base_score", Column::Cvss(2)),
        ("definition_family", Column::Text(field::CATEGORY)),
        ("definition_id", Column::Plugin),
        ("definition_name", Column::Text(field::SIGNATURE)),
        ("definition_solution", Column::Text(field::SOLUTION)),
        ("definition_synopsis", Column::Text(field::REASON)),
        ("first_observed", Column::First),
        ("last_seen", Column::Last),
        ("output", Column::Text(field::MESSAGE)),
        ("port", Column::Port),
        ("protocol", Column::Proto),
        ("severity", Column::Severity),
    ],
    needed: &["definition_id", "definition_name", "asset_display_ipv4_address|asset_name|asset_host_name"],
    finish: |_, _| (),
};

static SHAPES: [Shape; 3] = [SCAN, CENTER, CLOUD];

impl Format for NessusCsv {
    fn name(&self) -> &'static str {
        "nessus-csv"
    }
    fn doc(&self) -> &'static str {
        "Findings of Nessus, Security Center, Tenable Vulnerability Management and Web App Scanning as CSV (Tenable, Export)."
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
    use crate::formats::tests::show;

    #[test]
    fn a_finding_of_each_make_is_read() {
        assert_eq!(
            show(
                &FORMAT,
                "Plugin ID,CVE,CVSS,Risk,Host,Protocol,Port,Name,Synopsis,Description,Solution,See Also,Plugin Output\n42873,CVE-2016-2183,5.0,High,192.0.2.1,tcp,3389,SWEET32,s,d,fix,u,\"a\nb\"\n"
            ),
            "vuln 2026-11-20T12:00:00Z dst.ip=192.0.2.1 dst.port=3389 proto=tcp signature=SWEET32 severity=high action=found reason=s message=a\nb cve=CVE-2016-2183 cvss=5 plugin=42873 solution=fix extra={\"description\":\"d\",\"see_also\":\"u\"}"
        );
        assert_eq!(
            show(
                &FORMAT,
                "Plugin,Plugin Name,Family,Severity,IP Address,Protocol,Port,MAC Address,DNS Name,CVSS V3 Base Score,First Discovered,Last Observed\n35291,Weak hash,General,Medium,192.0.2.1,TCP,443,00-00-5E-00-53-01,a.example,7.5,\"Jan 5, 2021 10:24:08 MST\",\"Jan 6, 2021 10:24:08 MST\"\n"
            ),
            "vuln 2021-01-05T17:24:08Z..2021-01-06T17:24:08Z dst.ip=192.0.2.1 dst.port=443 proto=tcp dst.mac=00:00:5e:00:53:01 signature=Weak hash severity=medium category=General action=found hostname=a.example cvss=7.5 plugin=35291"
        );
        assert_eq!(
            show(
                &FORMAT,
                "asset.display_ipv4_address;asset.host_name;asset.operating_system;definition.cve;definition.cvss3.base_score;definition.id;definition.name;first_observed;last_seen;port;protocol;severity;state\n192.0.2.2;h2;Linux;CVE-2022-0001;6.5;1234;N;2023-06-28T11:50:44.895Z;2023-07-12T12:14:16.850Z;0;TCP;Low;ACTIVE\n"
            ),
            "vuln 2023-06-28T11:50:44.895Z..2023-07-12T12:14:16.850Z dst.ip=192.0.2.2 proto=tcp signature=N severity=low action=found hostname=h2 os=Linux cve=CVE-2022-0001 cvss=6.5 plugin=1234 extra={\"state\":\"ACTIVE\"}"
        );
    }
}
