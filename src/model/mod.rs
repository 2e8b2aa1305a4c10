//! The nouns. No I/O, no clock, no other layer of ours but `error`.

pub mod synthetic;
pub mod time;

pub mod proto;

pub mod value;

pub mod entity;

pub mod field;

pub mod origin;

pub mod harmless;

pub mod hex;

pub mod evidence;

pub mod oddity;

pub mod record;

pub mod summary;

pub mod flow;

pub mod packet;

pub mod clock;

pub mod source;

pub mod ends;

pub mod filter;

pub mod finding;

pub mod decision;

pub mod community_id;

pub mod answer;

pub mod carry;

pub mod guard;

pub mod indicator;

pub mod live;

pub mod site;

pub mod words;

pub use answer::Cancel;
pub use entity::Entity;
pub use field::FieldId;
pub use filter::Filter;
pub use finding::Finding;
pub use live::LiveStatus;
pub use oddity::Oddity;
pub use origin::{EvidenceKey, Origin, RecordId};
pub use record::{Kind, Record};
pub use source::SourceId;
pub use time::{Time, Window};
pub use value::Value;
