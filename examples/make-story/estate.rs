//! What the company knows of its machines: inventory, port scan, vulnerability scan, and the reputation lists.

use crate::clock::{self, MIN, SEC, nov};
use crate::tls::hex;
use crate::world::{self, Host, Os};
use serde_json::Value;

fn mac_text(h: &Host) -> String {
    world::mac(h.ip).iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":")
}

/// The inventory as CSV.
pub fn inventory() -> String {
    let mut out = String::from("address,hostname,mac,owner,role,os,mission,criticality,services\n");
    for h in world::hosts().iter().filter(|h| h.listed) {
        let services: Vec<String> = services(h).iter().map(|s| format!("{}/{}", s.0, s.1)).collect();
        let role = if h.role.contains(',') { format!("\"{}\"", h.role) } else { h.role.to_string() };
        out.push_str(&format!(
            "{},{},{},{},{role},{},{},{},{}\n",
            h.ip,
            h.name,
            mac_text(h),
            h.owner,
            h.os_text,
            h.mission,
            h.criticality,
            services.join(" ")
        ));
    }
    out
}

type Service = (u16, &'static str, &'static str, &'static str, &'static str);

fn services(h: &Host) -> Vec<Service> {
    match h.name {
        "dc1" | "dc2" => vec![
            (53, "tcp", "domain", "Simple DNS", ""),
            (88, "tcp", "kerberos-sec", "Windows Kerberos", ""),
            (389, "tcp", "ldap", "Active Directory LDAP", ""),
            (445, "tcp", "microsoft-ds", "Windows Server 2022 microsoft-ds", ""),
        ],
        "proxy1" => vec![(22, "tcp", "ssh", "OpenSSH", "9.2p1"), (3128, "tcp", "http-proxy", "Squid http proxy", "5.7")],
        "fs1" => vec![(445, "tcp", "microsoft-ds", "Windows Server 2019 microsoft-ds", ""), (873, "tcp", "rsync", "rsync", "31")],
        "build1" => vec![(22, "tcp", "ssh", "OpenSSH", "9.2p1"), (873, "tcp", "rsync", "rsync", "31")],
        "git1" => vec![(22, "tcp", "ssh", "OpenSSH", "9.2p1"), (443, "tcp", "https", "nginx", "1.22.1")],
        "mail1" => vec![(25, "tcp", "smtp", "Postfix smtpd", ""), (993, "tcp", "imaps", "Dovecot imapd", "")],
        "db1" => vec![
            (22, "tcp", "ssh", "OpenSSH", "9.2p1"),
            (5432, "tcp", "postgresql", "PostgreSQL DB", "15.8"),
            (873, "tcp", "rsync", "rsync", "31"),
        ],
        "backup1" => vec![(22, "tcp", "ssh", "OpenSSH", "9.2p1")],
        "www1" => vec![(80, "tcp", "http", "Apache httpd", "2.4.62")],
        "prn-2f" | "prn-1f" => vec![(80, "tcp", "http", "PrinterWeb", "4.1"), (9100, "tcp", "jetdirect", "", "")],
        _ => Vec::new(),
    }
}

/// When the port scan began.
pub const NMAP_START: i64 = nov(6, 19, 0, 0);
/// When the vulnerability scan began.
pub const NESSUS_START: i64 = nov(8, 13, 0, 0);

/// The result of a port scan as nmap writes it.
pub fn nmap() -> String {
    let start = NMAP_START / SEC;
    let words = clock::date(NMAP_START + clock::LOCAL).format("%a %b %e %H:%M:%S %Y");
    let args = "nmap -sS -sV -O -oX nmap.xml 10.8.30.0/24 10.8.40.0/24 10.8.50.0/24";
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE nmaprun>\n<nmaprun scanner=\"nmap\" args=\"{args}\" start=\"{start}\" startstr=\"{words}\" version=\"7.93\" xmloutputversion=\"1.05\">\n<scaninfo type=\"syn\" protocol=\"tcp\" numservices=\"1000\" services=\"1-1000,1433,3128,3306,5432,8080,9100\"/>\n"
    );
    let mut t = start;
    let mut up = 0;
    for h in world::hosts().iter().filter(|h| matches!(h.ip.octets()[2], 30 | 40 | 50)) {
        up += 1;
        let ports = services(h);
        out.push_str(&format!(
            "<host starttime=\"{t}\" endtime=\"{}\"><status state=\"up\" reason=\"echo-reply\" reason_ttl=\"64\"/>\n<address addr=\"{}\" addrtype=\"ipv4\"/>\n<address addr=\"{}\" addrtype=\"mac\"/>\n<hostnames><hostname name=\"{}.{}\" type=\"PTR\"/></hostnames>\n<ports><extraports state=\"closed\" count=\"{}\"><extrareasons reason=\"resets\" count=\"{}\"/></extraports>\n",
            t + 41, h.ip, mac_text(h).to_uppercase(), h.name, world::DOMAIN, 1000 - ports.len(), 1000 - ports.len()
        ));
        let ttl = if h.os == Os::Windows { 128 } else { 64 };
        for (port, proto, name, product, version) in &ports {
            let version = if version.is_empty() { String::new() } else { format!(" version=\"{version}\"") };
            let product = if product.is_empty() { String::new() } else { format!(" product=\"{product}\"") };
            out.push_str(&format!(
                "<port protocol=\"{proto}\" portid=\"{port}\"><state state=\"open\" reason=\"syn-ack\" reason_ttl=\"{ttl}\"/><service name=\"{name}\"{product}{version} method=\"probed\" conf=\"10\"/></port>\n"
            ));
        }
        let family = if h.os == Os::Windows { "Windows" } else { "Linux" };
        out.push_str(&format!(
            "</ports>\n<os><osmatch name=\"{}\" accuracy=\"96\" line=\"1\"><osclass type=\"general purpose\" vendor=\"{}\" osfamily=\"{family}\" accuracy=\"96\"/></osmatch></os>\n</host>\n",
            h.os_text, if h.os == Os::Windows { "Microsoft" } else { "Linux" }
        ));
        t += 44;
    }
    let end = clock::date(t * SEC + clock::LOCAL).format("%a %b %e %H:%M:%S %Y");
    out.push_str(&format!(
        "<runstats><finished time=\"{t}\" timestr=\"{end}\" elapsed=\"{}.00\" exit=\"success\"/><hosts up=\"{up}\" down=\"{}\" total=\"768\"/></runstats>\n</nmaprun>\n",
        t - start, 768 - up
    ));
    out
}

struct Vuln {
    host: &'static str,
    port: u16,
    service: &'static str,
    severity: u8,
    id: u32,
    name: &'static str,
    family: &'static str,
    cve: &'static str,
    cvss: &'static str,
    solution: &'static str,
    output: &'static str,
}

#[rustfmt::skip]
const VULNS: [Vuln; 7] = [
    Vuln { host: "www1", port: 80, service: "www", severity: 3, id: 900_101, name: "Web application parameter 'id' open to SQL injection", family: "CGI abuses", cve: "CVE-2026-90001", cvss: "8.6", solution: "Use bound parameters.", output: "/shop/item?id=1%27 : HTTP 500 with a database error" },
    Vuln { host: "www1", port: 80, service: "www", severity: 0, id: 10_107, name: "HTTP Server Type and Version", family: "Web Servers", cve: "", cvss: "", solution: "n/a", output: "Apache/2.4.62 (Debian)" },
    Vuln { host: "fs1", port: 445, service: "cifs", severity: 2, id: 57_608, name: "SMB Signing not required", family: "Misc.", cve: "", cvss: "5.3", solution: "Enforce message signing.", output: "Signing is enabled and not required." },
    Vuln { host: "build1", port: 22, service: "ssh", severity: 2, id: 900_102, name: "SSH password authentication enabled", family: "Misc.", cve: "", cvss: "5.9", solution: "Allow keys only.", output: "Methods: publickey, password" },
    Vuln { host: "prn-2f", port: 80, service: "www", severity: 4, id: 900_103, name: "Printer web page without authentication", family: "Misc.", cve: "CVE-2026-90002", cvss: "9.8", solution: "Set a password; update to 4.4.", output: "GET / : 200, Server: PrinterWeb/4.1" },
    Vuln { host: "db1", port: 5432, service: "postgresql", severity: 1, id: 26_024, name: "PostgreSQL Server Detection", family: "Service detection", cve: "", cvss: "2.1", solution: "Limit incoming traffic.", output: "Version: 15.8" },
    Vuln { host: "jdoe-pc", port: 0, service: "general", severity: 3, id: 900_104, name: "Windows cumulative update of October 2026 missing", family: "Windows : Microsoft Bulletins", cve: "CVE-2026-90003", cvss: "7.8", solution: "Install the update.", output: "KB5090001 is not installed." },
];

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&apos;")
}

/// A vulnerability scan in Nessus' format, version 2.
pub fn nessus() -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" ?>\n<NessusClientData_v2>\n<Policy><policyName>Monthly internal</policyName></Policy>\n<Report name=\"November servers\" xmlns:cm=\"http://www.nessus.org/cm\">\n",
    );
    let mut t = NESSUS_START;
    for h in world::hosts().iter().filter(|h| VULNS.iter().any(|v| v.host == h.name) || matches!(h.ip.octets()[2], 30 | 40)) {
        let stamp = |t: i64| clock::date(t + clock::LOCAL).format("%a %b %e %H:%M:%S %Y").to_string();
        out.push_str(&format!("<ReportHost name=\"{}\"><HostProperties>\n", h.ip));
        let end = t + 7 * MIN + 12 * SEC;
        let tags = [
            ("HOST_START_TIMESTAMP", (t / SEC).to_string()),
            ("HOST_END_TIMESTAMP", (end / SEC).to_string()),
            ("HOST_START", stamp(t)),
            ("HOST_END", stamp(end)),
            ("host-ip", h.ip.to_string()),
            ("host-fqdn", format!("{}.{}", h.name, world::DOMAIN)),
            ("mac-address", mac_text(h).to_uppercase()),
            ("operating-system", h.os_text.to_string()),
        ];
        for (name, value) in tags {
            out.push_str(&format!("<tag name=\"{name}\">{value}</tag>\n"));
        }
        out.push_str("</HostProperties>\n");
        out.push_str("<ReportItem port=\"0\" svc_name=\"general\" protocol=\"tcp\" severity=\"0\" pluginID=\"19506\" pluginName=\"Nessus Scan Information\" pluginFamily=\"Settings\">\n<risk_factor>None</risk_factor>\n<plugin_output>Scan policy used : Monthly internal</plugin_output>\n</ReportItem>\n");
        for v in VULNS.iter().filter(|v| v.host == h.name) {
            let risk = ["None", "Low", "Medium", "High", "Critical"][usize::from(v.severity.min(4))];
            out.push_str(&format!(
                "<ReportItem port=\"{}\" svc_name=\"{}\" protocol=\"tcp\" severity=\"{}\" pluginID=\"{}\" pluginName=\"{}\" pluginFamily=\"{}\">\n",
                v.port, v.service, v.severity, v.id, xml(v.name), v.family
            ));
            if !v.cve.is_empty() {
                out.push_str(&format!("<cve>{}</cve>\n", v.cve));
            }
            if !v.cvss.is_empty() {
                out.push_str(&format!("<cvss3_base_score>{}</cvss3_base_score>\n", v.cvss));
            }
            out.push_str(&format!(
                "<risk_factor>{risk}</risk_factor>\n<solution>{}</solution>\n<plugin_output>{}</plugin_output>\n</ReportItem>\n",
                xml(v.solution),
                xml(v.output)
            ));
        }
        out.push_str("</ReportHost>\n");
        t = end + 20 * SEC;
    }
    out.push_str("</Report>\n</NessusClientData_v2>\n");
    out
}

/// The plain list of addresses and names.
pub fn blocklist() -> String {
    let mut out =
        String::from("# community blocklist, made up; one address, network or name a line\n# updated 2026-11-18T00:00:00Z\n");
    for item in [
        "203.0.113.9",
        "203.0.113.44",
        "203.0.113.66",
        "198.51.100.96/27",
        "192.0.2.77",
        "evil.example",
        "parcel-notice.example",
        "prize-desk.example",
    ] {
        out.push_str(item);
        out.push('\n');
    }
    for i in 1..40u32 {
        out.push_str(&format!("{}.bad-{}.test\n", hex(&i.to_be_bytes()[2..]), i % 7));
    }
    out
}

/// The list with category, confidence and first sight.
pub fn feed(facts: &Value) -> String {
    let mut out = String::from("indicator,type,category,confidence,first_seen,source\n");
    let sha = facts["download"]["sha256"].as_str().unwrap_or("");
    let second = facts["lateral"]["shares"]["sha256"].as_str().unwrap_or("");
    let ja4 = facts["beacon"]["ja4"].as_str().unwrap_or("");
    let rows = [
        ("203.0.113.9", "ip", "c2", 92, "2026-11-12T06:40:00Z"),
        ("evil.example", "domain", "c2", 90, "2026-11-12T06:40:00Z"),
        ("203.0.113.44", "ip", "malware-download", 80, "2026-11-16T18:05:00Z"),
        ("parcel-notice.example", "domain", "phishing", 85, "2026-11-16T18:05:00Z"),
        (sha, "sha256", "malware", 95, "2026-11-18T09:12:00Z"),
        (second, "sha256", "malware", 70, "2026-11-20T08:00:00Z"),
        (ja4, "ja4", "c2", 60, "2026-11-14T00:00:00Z"),
        ("203.0.113.66", "ip", "web-attack", 65, "2026-10-29T11:00:00Z"),
        ("198.51.100.96/27", "cidr", "scanner", 55, "2026-09-01T00:00:00Z"),
        ("192.0.2.77", "ip", "file-sharing", 30, "2026-08-15T00:00:00Z"),
        ("prize-desk.example", "domain", "spam", 75, "2026-11-10T00:00:00Z"),
    ];
    for (indicator, kind, category, confidence, first) in rows {
        out.push_str(&format!("{indicator},{kind},{category},{confidence},{first},example-intel\n"));
    }
    out
}
