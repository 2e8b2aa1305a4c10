//! The profile of a network by its flows: CMU/SEI-2012-TR-006 (Whisnant, Faber: "Network Profiling Using Flow"), step by step, as pure functions
//! of records; and beside each of its rules what we know more: states of connections, applications that were confirmed, roles of hosts.
//!
//! A `Watcher` takes the records of a window piece by piece. Its `Ledger` is what one's own hosts accept and ask for, from both sides of
//! every flow; its `Tallies` are the report's own selections over what leaves the monitored space. `Watcher::profile` makes the tables.

pub mod assets;
pub mod classes;
pub mod ledger;
pub mod roles;
pub mod systems;
pub mod talkers;
#[cfg(test)]
mod tests;

pub use assets::{Asset, Confidence, Kept};
pub use classes::{CLASSES, Class, Metric, Side, Tallies};
pub use ledger::{Ledger, Peers, Seen, Service, Use};
pub use roles::{Decided, Role};
pub use systems::Family;
pub use talkers::{Leftover, Sample, Space};

use super::rows::{Net, Piece};

/// Gathers what the steps need.
#[derive(Default)]
pub struct Watcher {
    /// What hosts accept and ask for.
    pub ledger: Ledger,
    /// The report's selections.
    pub tallies: Tallies,
    /// Protocols, ports, hours, talkers.
    pub sample: Sample,
}

/// The tables of all steps but the first, which is what people know.
pub struct Profile {
    /// Step 4: who talks.
    pub space: Space,
    /// Step 5: who offers and who uses what, one list for each of [`CLASSES`], in that order.
    pub assets: Vec<Vec<Asset>>,
    /// Step 6: talkers that no service explains.
    pub leftovers: Vec<Leftover>,
}

impl Watcher {
    /// Takes the records of a piece.
    pub fn piece(&mut self, piece: &Piece<'_>) {
        self.ledger.piece(piece);
        for flow in piece.flows {
            self.tallies.flow(flow, piece.net);
            self.sample.flow(flow, piece.net);
        }
    }
    /// Everything was given: the tables.
    pub fn profile(&self, net: &Net) -> Profile {
        let assets: Vec<Vec<Asset>> = (0..CLASSES.len()).map(|n| assets::of_class(n, self, net)).collect();
        let space = self.sample.space(net);
        let leftovers = self.sample.leftovers(&space, &assets, net);
        Profile { space, assets, leftovers }
    }
}
