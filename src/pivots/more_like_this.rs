//! Any record -> others like it: the same signature; the same destination and fingerprint; the same service, application and state.

use super::{Lead, Pivot, Selection};
use crate::model::field::{self, FieldId};
use crate::model::{Kind, Record};
use crate::query::condition;

/// Records like this one
///
/// Example: `alert src.ip=10.8.21.5 dst.ip=203.0.113.9 signature.id=2028401 signature=ET` -> `kind = alert and signature.id = 2028401`
/// Example: `tls src.ip=10.8.21.5 dst.ip=203.0.113.9 ja4=t13d1516h2_8daaf6152771_b186095e22b6` -> `kind = tls and dst.ip = 203.0.113.9 and ja4 = t13d1516h2_8daaf6152771_b186095e22b6`
/// Example: `flow src.ip=10.8.21.5 dst.ip=203.0.113.9 dst.port=443 proto=tcp app=tls state=S0` -> `kind = flow and proto = tcp and dst.port = 443 and app = tls and state = S0`
/// Example: `fw dst.port=22 action=drop` -> `kind = fw and dst.port = 22 and action = drop`
pub const PIVOT: Pivot = Pivot { name: "more-like-this", doc: "Records like this one", lens: "all", run };

fn run(selection: &Selection) -> Option<Lead> {
    let record = selection.record.as_ref()?;
    let fields = alike(record);
    let same = fields.iter().filter_map(|f| record.get(*f).map(|v| condition(*f, v)));
    let parts: Vec<String> = std::iter::once(format!("kind = {}", record.kind)).chain(same).collect();
    (parts.len() > 1).then(|| Lead { label: format!("{}s like this one", record.kind), query: parts.join(" and ") })
}

/// What makes two records alike; the first list of which the record has something.
fn alike(record: &Record) -> &'static [FieldId] {
    let lists: &[&[FieldId]] = match record.kind {
        Kind::Alert => &[&[field::SIGNATURE_ID], &[field::SIGNATURE], &[field::CATEGORY]],
        Kind::Notice | Kind::Oddity => &[&[field::SIGNATURE], &[field::ODDITY], &[field::CATEGORY]],
        Kind::Dns => &[&[field::NAME, field::DNS_TYPE]],
        Kind::Http | Kind::Proxy => {
            &[&[field::HTTP_HOST, field::HTTP_METHOD, field::HTTP_AGENT], &[field::NAME], &[field::HTTP_URI]]
        }
        Kind::File => &[&[field::SHA256], &[field::SHA1], &[field::MD5], &[field::FILE_NAME]],
        Kind::Tls => &[&[field::DST_IP, field::JA4], &[field::DST_IP, field::JA3], &[field::SNI]],
        Kind::Auth => &[&[field::USER, field::ACTION]],
        Kind::Vuln => &[&[field::CVE], &[field::PLUGIN], &[field::DST_PORT]],
        Kind::Inventory => &[&[field::PRODUCT, field::VERSION], &[field::DST_PORT], &[field::OS], &[field::ROLE], &[field::FEED]],
        Kind::Flow => &[&[field::DST_IP, field::JA4], &[field::PROTO, field::DST_PORT, field::APP, field::STATE]],
        Kind::Fw | Kind::Dhcp | Kind::Log => {
            &[&[field::DST_PORT, field::ACTION, field::RULE], &[field::DHCP_TYPE], &[field::PROCESS, field::HOSTNAME]]
        }
    };
    // A list that ends in a fingerprint counts only with it.
    let has = |list: &&&'static [FieldId]| {
        let mut present = list.iter().map(|f| record.get(*f).is_some());
        if list.contains(&field::JA4) || list.contains(&field::JA3) { present.all(|p| p) } else { present.any(|p| p) }
    };
    lists.iter().find(has).copied().unwrap_or(&[])
}
