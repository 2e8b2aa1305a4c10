//! What deviates? One file, one detector: a pure function of records in order of time to findings.
//!
//! A detector sees the records of a window piece by piece, keeps what it needs of them, and says at the end what it found, with its numbers beside
//! their thresholds, the query of its records, what makes it less sure, and which harmless explanations to look at. It does no I/O and reads no
//! clock: the same records and thresholds give the same findings.
//!
//! To add one: write `src/detectors/<name>.rs` with a `pub static DETECTOR`; add its `pub mod` line and its name to `ALL`. What several
//! detectors share is marked as such and is not in the list.

pub mod absent_host;
/// Shared: not a member.
pub mod baseline;
pub mod beacon;
/// Shared: not a member.
pub mod beyond;
pub mod brute_force;
/// Shared: not a member.
pub mod contributions;
/// Shared: not a member.
pub mod curves;
/// Shared: not a member.
pub mod deviation;
pub mod dga;
pub mod direct_to_ip;
pub mod dns_tunnel;
/// Shared: not a member.
pub mod domains;
pub mod entropy;
pub mod exfiltration;
pub mod exposed_management;
pub mod exposed_vulnerability;
/// Shared: not a member.
pub mod fold;
/// Shared: not a member.
pub mod gather;
/// Shared: not a member.
pub mod held;
/// Shared: not a member.
pub mod history;
pub mod interruption;
pub mod lateral_movement;
pub mod long_connection;
/// Shared: not a member.
pub mod maths;
pub mod new_host;
pub mod new_service;
pub mod off_hours;
pub mod os_mismatch;
pub mod outage;
/// Shared: not a member.
pub mod pieces;
/// Shared: not a member.
pub mod profile;
pub mod protocol_mismatch;
/// Shared: not a member.
pub mod rank;
pub mod rare_client;
/// Shared: not a member.
pub mod reconcile;
/// Shared: not a member.
pub mod renumber;
/// Shared: not a member.
pub mod resume;
pub mod role_mismatch;
/// Shared: not a member.
pub mod rows;
pub mod scan;
pub mod scan_contradiction;
pub mod server_as_client;
/// Shared: not a member.
pub mod settings;
pub mod shift;
/// Shared: not a member.
pub mod shown;
pub mod slow_web;
pub mod spam;
pub mod spike;
#[cfg(test)]
/// Shared: not a member.
pub mod trial;
pub mod unauthorised_service;
pub mod unknown_host;
pub mod unused_service;

use crate::error::Result;
use crate::model::Finding;
pub use gather::{Progress, run};
pub use reconcile::Site;
pub use rows::{Day, Flow, Net, Piece};
pub use settings::{Limits, Setting};

/// What finds something.
pub trait Detector: Sync {
    /// Its name, in findings, settings and on the screen.
    fn name(&self) -> &'static str;
    /// What it finds, and by which rule, in a sentence or two; with the source of the rule.
    fn doc(&self) -> &'static str;
    /// Techniques of ATT&CK that its findings may be.
    fn techniques(&self) -> &'static [&'static str];
    /// Its thresholds.
    fn settings(&self) -> &'static [Setting];
    /// Whether it reads curves: then [`Net::curves`] has them when all was given.
    fn reads_curves(&self) -> bool {
        false
    }
    /// Starts to look.
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let _ = limits;
        Box::new(Nothing)
    }
    /// Whether it compares what is stated with what was seen: then that is gathered, once for all that do.
    fn compares(&self) -> bool {
        false
    }
    /// What it finds by comparing what inventories and scans state with what was seen.
    fn compare(&self, site: &Site, net: &Net, limits: &Limits) -> Vec<Finding> {
        let _ = (site, net, limits);
        Vec::new()
    }
}

/// A detector at work.
pub trait Watch: Send {
    /// The next records, in order of time. A piece never reaches over a day of UTC; pieces follow each other. They are of whole hours, but of a flood of less.
    fn piece(&mut self, piece: &Piece<'_>);
    /// A day of UTC is over: everything that began in it was given.
    fn day(&mut self, day: &Day<'_>) {
        let _ = day;
    }
    /// What it has gathered so far, as bytes ([`resume`]).
    fn keep(&self) -> Result<Vec<u8>>;
    /// Goes on where it was when that was kept.
    fn resume(&mut self, bytes: &[u8]) -> Result<()>;
    /// Everything was given: what was found.
    fn end(self: Box<Self>, net: &Net) -> Vec<Finding>;
}

/// What only compares watches nothing.
struct Nothing;

impl Watch for Nothing {
    resume::keeps_nothing!();
    fn piece(&mut self, _: &Piece<'_>) {}
    fn end(self: Box<Self>, _: &Net) -> Vec<Finding> {
        Vec::new()
    }
}

/// Every detector, in order of name.
pub const ALL: &[&dyn Detector] = &[
    &absent_host::DETECTOR,
    &beacon::DETECTOR,
    &brute_force::DETECTOR,
    &dga::DETECTOR,
    &direct_to_ip::DETECTOR,
    &dns_tunnel::DETECTOR,
    &entropy::DETECTOR,
    &exfiltration::DETECTOR,
    &exposed_management::DETECTOR,
    &exposed_vulnerability::DETECTOR,
    &interruption::DETECTOR,
    &lateral_movement::DETECTOR,
    &long_connection::DETECTOR,
    &new_host::DETECTOR,
    &new_service::DETECTOR,
    &off_hours::DETECTOR,
    &os_mismatch::DETECTOR,
    &outage::DETECTOR,
    &protocol_mismatch::DETECTOR,
    &rare_client::DETECTOR,
    &role_mismatch::DETECTOR,
    &scan::DETECTOR,
    &scan_contradiction::DETECTOR,
    &server_as_client::DETECTOR,
    &shift::DETECTOR,
    &slow_web::DETECTOR,
    &spam::DETECTOR,
    &spike::DETECTOR,
    &unauthorised_service::DETECTOR,
    &unknown_host::DETECTOR,
    &unused_service::DETECTOR,
];

/// The detector with a name.
pub fn find(name: &str) -> Option<&'static dyn Detector> {
    ALL.iter().copied().find(|d| d.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_in_order_and_thresholds_are_documented() {
        let names: Vec<&str> = ALL.iter().map(|d| d.name()).collect();
        assert!(names.is_sorted() && names.windows(2).all(|w| w[0] != w[1]), "{names:?}");
        for detector in ALL {
            assert!(detector.doc().ends_with('.') && !detector.techniques().is_empty(), "{}", detector.name());
            for setting in detector.settings() {
                assert!(setting.doc.ends_with('.') && setting.default.is_finite(), "{} {}", detector.name(), setting.name);
                assert_eq!(Limits::new().of(detector.name(), detector.settings(), setting.name), setting.default);
            }
        }
    }

    #[test]
    fn thresholds_are_read_and_slips_are_errors_that_say_what_there_is() {
        let limits = Limits::parse("[brute_force]\nconnections = 12\nspread = 0.2\n").unwrap();
        assert_eq!(limits.of("brute_force", find("brute_force").unwrap().settings(), "connections"), 12.0);
        assert_eq!(limits.text(), "brute_force.connections=12 brute_force.spread=0.2");
        for (text, hint) in
            [("[brut]\nx = 1", "brute_force"), ("[brute_force]\nx = 1", "connections"), ("[brute_force]\nspread = 'x'", "spread")]
        {
            let error = Limits::parse(text).unwrap_err();
            assert!(format!("{error:?}").contains(hint), "{error:?}");
        }
    }
}
