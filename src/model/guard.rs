//! The boundary behind which code runs on hostile bytes: a panic in it is an answer, not the end, and nothing of it is written to the screen.
//! The one place that silences panics; whoever draws a line here counts the oddity [`PANICKED`].

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

/// Name of the oddity that a panic of a parser becomes.
pub const PANICKED: &str = "parser_panicked";

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Calls; `None`: it panicked, and nobody was told. What it was changing may be half done: the caller drops it, or knows that it is whole.
pub fn quietly<T>(call: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !is_quiet() {
                before(info);
            }
        }));
    });
    DEPTH.with(|d| d.set(d.get().saturating_add(1)));
    let answer = catch_unwind(AssertUnwindSafe(call));
    DEPTH.with(|d| d.set(d.get().saturating_sub(1)));
    answer.ok()
}

/// Whether this thread is inside such a call: other panic hooks say nothing then.
pub fn is_quiet() -> bool {
    DEPTH.try_with(Cell::get).is_ok_and(|depth| depth > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_answer_and_the_next_call_goes_on() {
        assert_eq!(quietly(|| [1, 2][std::hint::black_box(5)]), None);
        assert!(!is_quiet());
        assert_eq!(quietly(|| quietly(|| 7)), Some(Some(7)));
    }
}
