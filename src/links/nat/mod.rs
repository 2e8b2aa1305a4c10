//! Addresses that disagree: which end inside is which end outside of a translation or a proxy, when, and how sure is that?
//!
//! Bindings come from logs ([`logged`]), from two vantage points ([`inferred`]) and from proxies ([`forwarded`]); [`index`] keeps them over time.
//! What is asked of them: the records of what a host was elsewhere (`widen`), the other side of one record ([`ask::links`]), who is behind an
//! address ([`ask::bound`]). Corrected times are taken as the snapshot has them.

pub mod ask;

pub mod assign;

pub mod binding;

pub mod count;

pub mod forwarded;

pub mod index;

pub mod inferred;

pub mod logged;

pub mod read;

pub mod vantage;

pub use ask::{Bound, bound, fact, links, widen};
pub use binding::{Binding, BindingKind, End, Method};
pub use index::{AskedEnd, Bindings, Side};
pub use read::Nat;
