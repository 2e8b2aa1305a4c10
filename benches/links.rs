//! What it costs to know which records are the same thing, and how right it is. `cargo bench --bench links`; `-- nat N` for N flows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "links/nat.rs"]
mod nat;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let flows = args.iter().find_map(|a| a.parse().ok()).unwrap_or(1_000_000);
    nat::run(flows);
}
