//! Id of a flow -> the flow and everything that refers to it.

use super::{Lead, Pivot, Selection, entity, lead};
use crate::model::Kind;
use crate::model::entity::EntityKind;
use crate::model::field;
use crate::query::quote;

/// The flow and every record that refers to it
///
/// Example: `flow=00112233445566aa-1f-0` -> `id = 00112233445566aa-1f-0 or flow = 00112233445566aa-1f-0`
/// Example: `uid=CHhAvVGS1DHFjwGM9` -> `uid = CHhAvVGS1DHFjwGM9`
/// Example: `flow src.ip=10.8.21.5 src.port=49321 dst.ip=203.0.113.9 dst.port=443 proto=tcp` -> `id = 00112233445566aa-40-0 or flow = 00112233445566aa-40-0`
pub const PIVOT: Pivot = Pivot { name: "flow-records", doc: "The flow and every record that refers to it", lens: "all", run };

fn run(selection: &Selection) -> Option<Lead> {
    if let Some(found) = entity(selection, &[EntityKind::Flow]) {
        let id = quote(&found.value.to_string());
        let query = if found.field == field::UID { format!("uid = {id}") } else { format!("id = {id} or flow = {id}") };
        return lead(format!("records of flow {}", found.value), query);
    }
    let flow = selection.record.as_ref().filter(|r| r.kind == Kind::Flow)?;
    lead("records of this flow", format!("id = {0} or flow = {0}", flow.id))
}
