//! Source -> protocols or formats -> flow -> store, with progress, counts, cancellation.
