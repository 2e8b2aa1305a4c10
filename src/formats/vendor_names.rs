//! The names that devices give to addresses, ports, accounts and the rest in `key=value` logs, CEF, LEEF, structured data and JSON, and what
//! they mean.
//!
//! Knows no format. Names are compared in lower case without what joins words (`src_ip`, `Src-IP`, `srcIp` are one).

use crate::model::field::{self, FieldId};
use std::collections::HashMap;
use std::sync::LazyLock;

/// What a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    /// An address, which may have its port with it.
    End(FieldId, FieldId),
    /// The same, if nothing better names that end.
    Maybe(FieldId, FieldId),
    /// A value of a field.
    Of(FieldId),
    /// The same, in records that have an address: the name alone says little.
    Beside(FieldId),
    /// What was done.
    Action,
    /// How it went.
    Outcome,
    /// What happened: may tell of a login.
    Event,
    /// A transport protocol, or an application by name.
    Proto,
    Severity,
    Url,
    /// A hash of a file; which by its length.
    Hash,
    /// An account, maybe with its domain.
    User,
    /// A name of a host, unless it is an address.
    Host,
    /// A name that was asked for or gone to, unless it is an address.
    Name,
    /// A signature: a number is its id.
    Signature,
    /// The record in its source's words.
    Message,
}

use Means::{Action, Beside, End, Event, Hash, Host, Maybe, Message, Name, Of, Outcome, Proto, Severity, Signature, Url, User};

const SRC: Means = End(field::SRC_IP, field::SRC_PORT);
const DST: Means = End(field::DST_IP, field::DST_PORT);
const MAYBE_SRC: Means = Maybe(field::SRC_IP, field::SRC_PORT);
const MAYBE_DST: Means = Maybe(field::DST_IP, field::DST_PORT);

/// Names, several in one text, with what they mean.
const NAMES: &[(&str, Means)] = &[
    ("src srcip srcipv4 srcipv6 srcaddr srcaddress sourceip sourceipv4 sourceipv6 sourceaddress sourceipaddress saddr", SRC),
    (
        "sip srcipaddr sourceaddr source attackerip attackeraddress attackersaddress initiatorip srchostip sourcehostip srcpreNat",
        SRC,
    ),
    ("c6a2 sourceipv6address deviceipv6source", SRC),
    ("clientip clientaddress clientaddr clientipaddress cip client remoteip remoteaddr remoteaddress remoteipaddress", MAYBE_SRC),
    (
        "userip actorip whoip ipclient useripaddress userhostaddress callingstationid callerip clientsrcip proxysrcip clientsourceip",
        MAYBE_SRC,
    ),
    (
        "ip ipaddr ipaddress ipv4address hostip hostaddress machineip endpointip deviceip sourcehost srchost shost ipv4 ipsrc",
        MAYBE_SRC,
    ),
    (
        "rhost addr peerip peeraddress peer fromip originatingip agentip computerip publicip localhostip clientpublicip clientprivateip",
        MAYBE_SRC,
    ),
    ("dst dstip dstipv4 dstipv6 dstaddr dstaddress destip destaddr destaddress destinationip destinationaddress", DST),
    (
        "destinationipaddress destination dest daddr dip destipaddress targetip targetipv4 victimip responderip dsthostip c6a3",
        DST,
    ),
    ("destinationipv6address destinationipv4 destinationipv6 victimaddress destinationaddr", DST),
    ("serverip serveraddr serveraddress serveripaddress vip virtualip vsip dnsserverip targetaddress dsthost dhost", MAYBE_DST),
    ("vserver virtualserverip destinationhost desthost remoteserverip remotehostip", MAYBE_DST),
    (
        "srcport sourceport sport spt srcprt sprt srcpt clientport clientsrcport sourceportnumber initiatorport",
        Of(field::SRC_PORT),
    ),
    (
        "dstport destport destinationport dport dpt dstprt dprt dstpt serverport targetport destinationportnumber",
        Of(field::DST_PORT),
    ),
    ("responderport virtualport clientdestport remoteserverport", Of(field::DST_PORT)),
    (
        "natsrcip natsourceaddress natsourceip natsrcaddr natsrcaddress srcnatip sourcenatip xlatesrc srctransip",
        End(field::NAT_SRC_IP, field::NAT_SRC_PORT),
    ),
    (
        "sourcetranslatedaddress srcpostnat srcxlatedip natinitiatorip transsrcip natsrc sourcenataddress snatip srcxlateip",
        End(field::NAT_SRC_IP, field::NAT_SRC_PORT),
    ),
    (
        "natdstip natdestinationaddress natdestinationip natdstaddr natdstaddress dstnatip destinationnatip xlatedst dsttransip",
        End(field::NAT_DST_IP, field::NAT_DST_PORT),
    ),
    (
        "destinationtranslatedaddress dstpostnat dstxlatedip natresponderip transdstip natdst destinationnataddress dstxlateip nodeip",
        End(field::NAT_DST_IP, field::NAT_DST_PORT),
    ),
    (
        "natsrcport natsourceport srcnatport xlatesport sourcetranslatedport srcpostnatport natinitiatorport transsrcport snatport",
        Of(field::NAT_SRC_PORT),
    ),
    (
        "natdstport natdestinationport dstnatport xlatedport destinationtranslatedport dstpostnatport natresponderport transdstport \
         nodeport",
        Of(field::NAT_DST_PORT),
    ),
    (
        "proto protocol protocolid ipprotocol transport transportprotocol protocolname protoname ipproto aclprotocol l4protocol",
        Proto,
    ),
    (
        "app application applicationname appname appproto appprotocol l7proto applicationprotocol nestedapplication",
        Of(field::APP),
    ),
    ("localip localaddr localaddress localipaddress", MAYBE_SRC),
    ("localport", Beside(field::SRC_PORT)),
    ("remoteport", Beside(field::DST_PORT)),
    ("service servicename svc svcname", Beside(field::APP)),
    ("srcintf srcinterface sourceinterface sourceinterfacename ingressinterface ininterface srciface inif", Of(field::IFACE_IN)),
    (
        "inputinterface inboundinterface incominginterface inintf packetincominginterface deviceinboundinterface inputint",
        Of(field::IFACE_IN),
    ),
    (
        "dstintf dstinterface destinationinterface destinationinterfacename egressinterface outinterface dstiface",
        Of(field::IFACE_OUT),
    ),
    ("outif outputinterface outboundinterface outgoinginterface outintf deviceoutboundinterface outputint", Of(field::IFACE_OUT)),
    ("srczone sourcezone sourcezonename ingresszone fromzone srczonename inzone zonesrc srczonetype", Of(field::ZONE_IN)),
    ("dstzone destinationzone destinationzonename egresszone tozone dstzonename outzone zonedst", Of(field::ZONE_OUT)),
    (
        "action act disposition verdict ruleaction fwaction policyaction connectionaction aclaction deviceaction actiontaken requeststatus threatactiontaken actualaction",
        Action,
    ),
    (
        "objectmodificationtype accesscontrolruleaction filteraction proxyaction actionname webaction securityaction enforcementaction logsubtype",
        Action,
    ),
    ("outcome result res status loginstatus authresult eventoutcome actionstatus auditresult resultstatus authstatus", Outcome),
    (
        "op event eventname eventtype operation activity eventcategory auditoperationtype auditaction eventdescription displaymessage",
        Event,
    ),
    ("description logdesc summary actiontype eventclass", Event),
    ("user username acct usr usrname srcuser sourceuser sourceusername suser accountname account userid uname login", User),
    ("loginname administrator admin adminuser authenticateduser actor initiateduser srcusername useraccount", User),
    (
        "alternateid originatingusers userprincipalname useremail emailaddress usernames requestinguser clientuser httpusername xauthuser remoteuser",
        User,
    ),
    ("duser dstuser destinationuser destinationusername targetuser targetusername targetaccount", Beside(field::USER)),
    ("url uri request requesturl httpurl requesturi fullurl resource requestedurl targeturl intrusionurl sourceurl eurl", Url),
    ("urlpath uripath httppath httpuri", Of(field::HTTP_URI)),
    ("httphost hosthdr hostheader httphostname serverhostname", Of(field::HTTP_HOST)),
    ("httpmethod requestmethod httpverb verb method reqmethod", Of(field::HTTP_METHOD)),
    (
        "httpstatus statuscode responsecode httpresponsecode httpretcode httpstatuscode respcode httpresponsestatuscode resstatuscode",
        Of(field::HTTP_STATUS),
    ),
    ("useragent httpuseragent requestclientapplication httpagent httpuseragentoriginal ua", Of(field::HTTP_AGENT)),
    ("referer referrer httpreferer httpreferrer refererurl httprefererurl requestcontext", Of(field::HTTP_REFERER)),
    ("contenttype httpcontenttype mimetype respcontenttype", Of(field::HTTP_TYPE)),
    ("xff xforwardedfor xforwardedforheadervalue forwardedfor httpxff httpxforwardedfor", Of(field::XFF)),
    (
        "bytesout sentbytes sentbyte bytessent txbytes bytesfromclient srcbytes clientbytes initiatorbytes bytessrc",
        Of(field::BYTES_OUT),
    ),
    ("sourcebytes upbytes bytestoserver sourcebytecount bytesup clientdata requestsize", Of(field::BYTES_OUT)),
    ("bytesin rcvdbytes rcvdbyte receivedbytes bytesreceived rxbytes bytesfromserver dstbytes serverbytes", Of(field::BYTES_IN)),
    ("responderbytes bytesdst destinationbytes recvbytes downbytes bytestoclient bytesdown responsesize", Of(field::BYTES_IN)),
    ("sent sentdata", Beside(field::BYTES_OUT)),
    ("rcvd received rcvddata", Beside(field::BYTES_IN)),
    (
        "packetsout sentpkt sentpkts packetssent packetsfromclient srcpackets initiatorpackets pktssent srcpkts spkt",
        Of(field::PACKETS_OUT),
    ),
    (
        "packetsin rcvdpkt rcvdpkts packetsreceived packetsfromserver dstpackets responderpackets pktsreceived dstpkts rpkt",
        Of(field::PACKETS_IN),
    ),
    ("rulename ruleid rule policyname policyid policy acl aclname accessrule fwrule firewallrule fwruleid", Of(field::RULE)),
    ("accesscontrolrulename rulenumber ruleuid secruleid policyrule accessgroup urlruleid securityrule", Of(field::RULE)),
    (
        "attack attackname signaturename threatname signames cidssignaturestring riskname threat virusname virus malwarename malware protectionname sigid",
        Signature,
    ),
    ("signature signatureid attackid sid idssignature detectionname infection threatid vulnname", Signature),
    ("severity sev threatseverity severitylevel alertseverity risk threatlevel risklevel attackseverity prioritylevel", Severity),
    ("level loglevel pri", Beside(field::SEVERITY)),
    (
        "category cat urlcategory threatcategory classification subcategory attacktype threattype webcategory alerttype",
        Of(field::CATEGORY),
    ),
    ("filename fname filepath oldfilepath attachmentname", Of(field::FILE_NAME)),
    ("filesize fsize", Of(field::FILE_SIZE)),
    ("filetype", Of(field::FILE_TYPE)),
    (
        "md5 sha1 sha256 filehash hash md5hash targethash applicationhash sha1hash sha256hash filemd5 filesha1 filesha256 hashmd5 hashsha256 samplesha256",
        Hash,
    ),
    ("threatmd5 filehashsha256 trendmicrodsfilemd5 trendmicrodsfilesha1 trendmicrodsfilesha256 objectmd5", Hash),
    ("qname query queryname dnsquery questionname dnsqname fqdn dnsfqdn queryfqdn domainname dnsrrname querieddomain", Name),
    ("sni servernameindication sslservername tlssni", Of(field::SNI)),
    ("qtype querytype dnstype questiontype dnsqtype recordtype dnsrecordtype", Of(field::DNS_TYPE)),
    ("rcode dnsrcode responsecodename dnsresponsetype dnsresponsecode", Of(field::DNS_RCODE)),
    (
        "srcmac smac sourcemac sourcemacaddress clientmac mac macaddress hwaddr srcmacaddr clientmacaddress hostmacaddress",
        Of(field::SRC_MAC),
    ),
    ("dstmac dmac destinationmac destinationmacaddress destmac", Of(field::DST_MAC)),
    ("sessionid connid connectionid flowid sessionid32 externalsessionid", Of(field::UID)),
    ("reason statusreason denyreason blockreason failurereason sessionendreason", Of(field::REASON)),
    ("direction flowdirection devicedirection trafficdirection", Of(field::DIRECTION_STATED)),
    ("vlan vlanid vlantag", Of(field::VLAN)),
    ("tcpflags", Of(field::TCP_FLAGS)),
    ("mailfrom sender envelopesender", Of(field::MAIL_FROM)),
    ("mailto recipient recipients rcpt rcptto", Of(field::MAIL_TO)),
    ("mailsubject emailsubject", Of(field::MAIL_SUBJECT)),
    ("hostname computername machinename devicehostname endpointname computer workstation dvchost clienthostname", Host),
    ("process processname processpath sproc", Of(field::PROCESS)),
    ("os osname operatingsystem", Of(field::OS)),
    ("sslversion tlsversion", Of(field::TLS_VERSION)),
    ("sslcipher ciphersuite tlscipher", Of(field::TLS_CIPHER)),
    ("ja3hash ja3", Of(field::JA3)),
    ("cve cveid cves", Of(field::CVE)),
    ("msg message messagetext eventmessage", Message),
    ("acctframedipaddress leaseip assignedip assignedipaddress framedipaddress assignip", Of(field::LEASE)),
];

static TABLE: LazyLock<HashMap<String, Means>> = LazyLock::new(|| {
    let mut table = HashMap::new();
    for (names, means) in NAMES {
        for name in names.split_ascii_whitespace() {
            table.entry(plain(name)).or_insert(*means);
        }
    }
    table
});

/// A name in lower case without what joins words; longer ones than any that is known are cut.
pub(super) fn plain(name: &str) -> String {
    name.chars().take(64).filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The meaning of a name; of a path with dots that of its last part too.
pub(super) fn meaning(name: &str) -> Option<Means> {
    let whole = TABLE.get(&plain(name));
    whole.or_else(|| TABLE.get(&plain(name.rsplit_once('.')?.1))).copied()
}

/// Whether what stands under a name is a sentence that tells of the event.
pub(super) fn is_prose(name: &str) -> bool {
    let name = plain(name);
    ["description", "summary", "cause", "details", "detail", "message", "text", "msg", "information"]
        .iter()
        .any(|w| name.ends_with(w))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_given_one_meaning() {
        let mut seen = HashMap::new();
        for (names, means) in NAMES {
            for name in names.split_ascii_whitespace() {
                assert_eq!(seen.insert(plain(name), means), None, "{name} twice");
            }
        }
    }

    #[test]
    fn the_last_part_of_a_path_is_a_name_too() {
        assert_eq!(meaning("Source-Address"), Some(End(field::SRC_IP, field::SRC_PORT)));
        assert_eq!(meaning("details.client_ip"), Some(Maybe(field::SRC_IP, field::SRC_PORT)));
        assert_eq!(meaning("nothing.known"), None);
    }
}
