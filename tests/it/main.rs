//! t

mod protocols;
