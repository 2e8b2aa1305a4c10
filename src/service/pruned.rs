//! Days dropped, and an export taken in, where the case is held: a command does the same if it holds the case itself.

use super::order::PruneOrder;
use crate::case::Keeper;
use crate::case::pins::pins;
use crate::case::pruning::{before, journalled, why};
use crate::error::Result;
use crate::model::Time;
use crate::query::LocalEngine;
use crate::query::engine::Cancel;
use crate::store::prune_plan::size_of;
use crate::store::{Plan, Pruned, Wish, now};
use serde::{Deserialize, Serialize};

/// What was to go, and what went.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// What was to go.
    pub plan: Plan,
    /// What was asked for, in words.
    pub why: String,
    /// What went; none: it was only to be listed, or there was nothing to drop.
    pub pruned: Option<Pruned>,
    /// Bytes that the case takes afterwards.
    pub size: u64,
}

/// Drops what an order says, counted back from an instant; `dry`: only says what would go. The decision is entered in the name of `keeper`, once nothing
/// stands in its way. Asked to `stop` it ends after some days.
pub fn prune(
    engine: &LocalEngine,
    keeper: &dyn Keeper,
    order: &PruneOrder,
    from: Time,
    dry: bool,
    stop: &dyn Fn() -> bool,
) -> Result<Outcome> {
    let store = engine.store();
    let pins = pins(engine, &keeper.decisions(), &Cancel::default())?;
    let plan = store.plan_prune(&Wish { before: before(order.ages, from), most: order.most, pins })?;
    let why = why(order.ages, order.asked.as_deref(), from);
    let mut pruned = None;
    if !dry && !plan.is_empty() {
        let enter = || keeper.append(journalled(&plan, &why)).map(drop);
        pruned = Some(store.prune(&plan, &why, enter, stop)?);
    }
    let size = if pruned.is_some() { size_of(&store.dir()) } else { plan.size };
    Ok(Outcome { plan, why, pruned, size })
}

/// From where ages are counted where nothing is being captured: the newest record, or now if that is in the future.
pub fn newest(engine: &LocalEngine) -> Time {
    engine.store().snapshot().newest().map_or_else(now, |newest| newest.min(now()))
}
