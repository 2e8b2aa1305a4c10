//! Curves of everything: sites, networks of 256 addresses, hosts and services, in bins of five minutes. Gathered once, for all detectors that
//! compare hours with what is usual at them; what is usual is worked out when the first of them asks.
//!
//! Bytes and packets of a flow are spread evenly over its time, what is counted is in the bin of its start. Memory is bounded: whoever is least busy is
//! forgotten first, and days beyond the newest are.

mod collect;
mod kept;

pub use collect::Gather;

use super::baseline::{BIN, Fit, Grid, SLOTS, Scale, Workday, fit, ramp, suggested_zone};
use super::rows::Host;
use crate::formats::Zone;
use crate::model::{SourceId, Window};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// What a curve is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// A host of one's own.
    Host(Host),
    /// A network of 256 addresses of one's own (IPv6: 64 bits).
    Subnet(#[serde(with = "super::resume::network")] IpNet),
    /// A service, by protocol and port, of whoever offers it.
    Service(u8, u16),
    /// A site of one's own, by its number in `Net::sites`.
    Site(usize),
}

/// What is added up in a bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// IP bytes that left the scope; of a service what originators sent.
    Sent,
    /// IP bytes that came into it.
    Received,
    /// Packets both ways.
    Packets,
    /// Flows that began.
    Flows,
    /// Of those, what came to nothing.
    Failed,
    /// Different other ends (of hosts and sites).
    Peers,
    /// Different ports that were called (of hosts and sites).
    Ports,
    /// Questions of DNS.
    Queries,
    /// Alerts.
    Alerts,
    /// What firewalls denied.
    Denies,
}

const METRICS: usize = 10;

impl Metric {
    /// Every metric, in the order in which it is kept.
    pub const ALL: [Metric; METRICS] = [
        Metric::Sent,
        Metric::Received,
        Metric::Packets,
        Metric::Flows,
        Metric::Failed,
        Metric::Peers,
        Metric::Ports,
        Metric::Queries,
        Metric::Alerts,
        Metric::Denies,
    ];
    /// Its words.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Sent => "bytes sent",
            Metric::Received => "bytes received",
            Metric::Packets => "packets",
            Metric::Flows => "flows",
            Metric::Failed => "failed flows",
            Metric::Peers => "peers",
            Metric::Ports => "ports",
            Metric::Queries => "DNS queries",
            Metric::Alerts => "alerts",
            Metric::Denies => "firewall denies",
        }
    }
    /// Whether it is bytes.
    pub fn is_bytes(self) -> bool {
        matches!(self, Metric::Sent | Metric::Received)
    }
    /// Conditions of the language that select what it adds up.
    pub fn conditions(self) -> &'static str {
        match self {
            Metric::Failed => "kind = flow and state in {S0, REJ, RSTOS0, SH}",
            Metric::Queries => "kind = dns",
            Metric::Alerts => "kind in {alert, notice}",
            Metric::Denies => DENIES,
            _ => "kind = flow",
        }
    }
}

/// What selects records of a firewall that let nothing through.
pub const DENIES: &str = "kind = fw and action in {deny, drop, reset, reject, block}";

type Cells = Box<[[f32; METRICS]; SLOTS]>;
/// A curve.
#[derive(Debug)]
pub struct Curve {
    /// Of what.
    pub scope: Scope,
    /// The site it belongs to, by its number.
    pub site: usize,
    /// Flows in all.
    pub flows: u64,
    early: Option<(i64, i64)>,
    days: BTreeMap<i32, Cells>,
    fits: [OnceLock<Fit>; METRICS],
}

impl Curve {
    /// The number of a bin, by its number since 1970.
    pub fn bin(&self, bin: i64, metric: Metric) -> f32 {
        let day = i32::try_from(bin.div_euclid(SLOTS as i64)).unwrap_or(i32::MAX);
        self.days.get(&day).map_or(0.0, |d| d[bin.rem_euclid(SLOTS as i64) as usize][metric as usize])
    }
    /// On how many days of UTC it had anything.
    pub fn active_days(&self) -> usize {
        self.days.values().filter(|d| d.iter().flatten().any(|v| *v > 0.0)).count()
    }
    /// Its numbers, one per cell of a grid; NaN where not all was counted.
    pub fn series(&self, grid: &Grid, metric: Metric) -> Vec<f32> {
        let early = |bin: i64| self.early.is_some_and(|(from, until)| (from..=until).contains(&bin));
        grid.lay(|bin| if early(bin) { f32::NAN } else { self.bin(bin, metric) })
    }
    /// What is usual for it on its grid; worked out once.
    pub fn fit(&self, grid: &Grid, metric: Metric) -> &Fit {
        self.fits[metric as usize].get_or_init(|| fit(grid, &self.series(grid, metric), Scale::AMOUNT))
    }
}

/// Everything that was gathered.
#[derive(Debug)]
pub struct Curves {
    /// The curves, the busiest first.
    pub list: Vec<Curve>,
    /// What was watched, by site, in its zone.
    grids: Vec<Grid>,
    /// Zone of each site; none: nobody has said it.
    zones: Vec<Option<Zone>>,
    works: Vec<OnceLock<Option<Workday>>>,
    entropy: BTreeMap<usize, BTreeMap<i64, [f32; 4]>>,
    sources: BTreeMap<SourceId, Marked>,
}

/// Bins of days in which something was, one bit each.
type Marked = BTreeMap<i32, [u64; SLOTS.div_ceil(64)]>;

impl Curves {
    /// The bins that were watched, as the site of a curve has its days.
    pub fn grid(&self, site: usize) -> &Grid {
        &self.grids[site.min(self.grids.len() - 1)]
    }
    /// The zone of a site, if somebody has said it.
    pub fn zone(&self, site: usize) -> Option<Zone> {
        self.zones.get(site).copied().flatten()
    }
    /// The curve of a scope.
    pub fn of(&self, scope: Scope) -> Option<&Curve> {
        self.list.iter().find(|c| c.scope == scope)
    }
    /// When people work at a site, by its flows.
    pub fn workday(&self, site: usize) -> Option<Workday> {
        let known = self.works.get(site)?;
        *known.get_or_init(|| {
            let grid = self.grid(site);
            ramp(grid, &self.of(Scope::Site(site))?.series(grid, Metric::Flows))
        })
    }
    /// The zone that the curve of a site suggests, if nobody has said one: minutes ahead of UTC, and the hour by UTC at which work begins.
    pub fn suggested(&self, site: usize) -> Option<(i32, f64)> {
        if self.zone(site).is_some() {
            return None;
        }
        let grid = self.grid(site);
        suggested_zone(grid, &self.of(Scope::Site(site))?.series(grid, Metric::Flows))
    }
    /// The sources with flows that began in a window, in order: in any bin that it has part in.
    pub fn sources(&self, window: &Window) -> Vec<SourceId> {
        let slots = SLOTS as i64;
        let (first, last) = (window.start.0.div_euclid(BIN), window.last().0.div_euclid(BIN));
        let had = |(day, bits): (&i32, &[u64; SLOTS.div_ceil(64)])| {
            let begin = i64::from(*day).saturating_mul(slots);
            let (from, until) = ((first - begin).max(0), (last - begin).min(slots - 1));
            (from..=until).any(|slot| bits.get(slot as usize / 64).is_some_and(|b| b >> (slot as usize % 64) & 1 == 1))
        };
        let day = |bin: i64| i32::try_from(bin.div_euclid(slots)).unwrap_or(if bin < 0 { i32::MIN } else { i32::MAX });
        let within = |marked: &Marked| first <= last && marked.range(day(first)..=day(last)).any(had);
        self.sources.iter().filter(|(_, marked)| within(marked)).map(|(id, _)| *id).collect()
    }
    /// How spread the features of a site's flows are: one series each.
    pub fn spread(&self, site: usize) -> Option<[Vec<f32>; 4]> {
        let bins = self.entropy.get(&site)?;
        let grid = self.grid(site);
        Some(std::array::from_fn(|n| grid.lay(|bin| bins.get(&bin).map_or(f32::NAN, |h| h[n]))))
    }
    /// Why nothing can be said of hours and days, if that is so.
    pub fn short(&self) -> Option<String> {
        let grid = self.grids.iter().max_by_key(|g| g.complete_days())?;
        (grid.complete_days() < 2).then(|| format!("insufficient history for a diurnal verdict (have {:.0} h)", grid.hours()))
    }
    /// Sites that there are, by their number.
    pub fn sites(&self) -> usize {
        self.grids.len()
    }
}
