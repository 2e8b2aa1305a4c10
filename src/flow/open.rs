//! What a running capture asks of the meter besides flows that ended: that time goes on without packets, and the flows that have not ended.

use super::ending::flow_of;
use super::{Meter, Sink};
use crate::model::flow::Flow;
use crate::model::time::Time;

impl Meter {
    /// Whether packets that come from now on are referred to: no, where nobody keeps them.
    pub fn keep_refs(&mut self, keep: bool) {
        self.keeps_refs = keep;
    }
    /// Time went on until here, and every packet before was given: ends what has been silent for long enough, as the next packet would.
    pub fn advance(&mut self, now: Time, sink: &mut dyn Sink) {
        if now > self.last {
            self.expire(now, sink);
        }
    }
    /// The flows of which a packet came since the last call and that have not ended, the one seen last first: with the id that they will have and
    /// the counters so far. At most so many; gives how many there were more.
    pub fn open_flows(&mut self, most: usize, each: &mut dyn FnMut(Flow, u32)) -> usize {
        let all = self.table.seen(usize::MAX);
        for slot in all.iter().take(most) {
            let Some(entry) = self.table.at(*slot) else { continue };
            let more = entry.app.as_ref().map_or_else(Vec::new, |a| a.fields.clone());
            let flow = Flow { open: true, ..flow_of(entry, more, "") };
            each(flow, entry.interface);
        }
        all.len().saturating_sub(most)
    }
}
