//! The program: everything is in the library.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// Records are many small pieces that one thread makes and another lets go, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    backtrail::cli::main()
}
