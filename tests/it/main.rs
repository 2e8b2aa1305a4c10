//! t

#[cfg(test)]
mod query;
