//! Fields of an X.509 certificate (RFC 5280) in DER. Checks no signature and no trust.

use super::fields::Fields;
use crate::model::field;
use crate::model::hex::hex;
use crate::model::time::Time;
use sha1::Digest as _;
use std::net::IpAddr;
use x509_parser::extensions::GeneralName;

/// Most names taken from one certificate.
const MAX_NAMES: usize = 256;

/// Adds hashes, and whatever of subject, issuer, serial, validity and names can be read. `false`: it is not a certificate.
pub fn describe(der: &[u8], out: &mut Fields) -> bool {
    out.text(field::CERT_SHA1, &hex(&sha1::Sha1::digest(der)));
    out.text(field::CERT_SHA256, &hex(&sha2::Sha256::digest(der)));
    let Ok((_, cert)) = x509_parser::parse_x509_certificate(der) else {
        return false;
    };
    out.text(field::CERT_SUBJECT, &cert.subject().to_string());
    out.text(field::CERT_ISSUER, &cert.issuer().to_string());
    let serial = cert.raw_serial();
    // DER puts a zero before a number whose first bit is set: it is not part of the number.
    let serial = if serial.len() > 1 { serial.strip_prefix(&[0]).unwrap_or(serial) } else { serial };
    out.text(field::CERT_SERIAL, &hex(serial));
    out.add(field::CERT_NOT_BEFORE, Time::from_parts(cert.validity().not_before.timestamp(), 0));
    out.add(field::CERT_NOT_AFTER, Time::from_parts(cert.validity().not_after.timestamp(), 0));
    if let Ok(Some(names)) = cert.subject_alternative_name() {
        for name in names.value.general_names.iter().take(MAX_NAMES) {
            match name {
                GeneralName::DNSName(name) => out.text(field::CERT_SAN, &name.to_ascii_lowercase()),
                GeneralName::IPAddress(bytes) => {
                    let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
                    if let Ok(address) = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)) {
                        out.text(field::CERT_SAN, &address.to_string());
                    }
                }
                _ => {}
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_still_has_its_hashes() {
        let mut out = Fields::default();
        assert!(!describe(b"abc", &mut out));
        let shown: Vec<String> = out.sorted().into_iter().map(|(_, v)| v.to_string()).collect();
        assert_eq!(shown[0], "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(shown.len(), 2);
    }
}
