//! t

mod query;
