//! What it costs to know which records are the same thing, and how right it is. `cargo bench --bench links`: clocks and translations;
//! `-- clocks` or `-- nat [N flows]` for one of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "links/clocks.rs"]
mod clocks;
#[path = "links/nat.rs"]
mod nat;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let only = |name: &str| args.iter().any(|a| a == name);
    if !only("nat") {
        clocks::run();
    }
    if !only("clocks") {
        nat::run(args.iter().find_map(|a| a.parse().ok()).unwrap_or(1_000_000));
    }
}
