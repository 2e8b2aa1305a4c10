//! The same work on many things, on as many processors as there are. Knows nothing of what the work is.

use std::sync::{Mutex, PoisonError};

/// Most threads that one piece of work is spread over.
const MOST: usize = 8;

/// Does `work` on every item; the answers are in the order of the items, however many threads there were.
pub fn each<T: Send, R: Send>(items: Vec<T>, work: &(dyn Fn(T) -> R + Sync)) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST).min(items.len() / 2 + 1);
    if threads < 2 {
        return items.into_iter().map(work).collect();
    }
    let (todo, done) = (Mutex::new(items.into_iter().enumerate()), Mutex::new(Vec::new()));
    let run = || loop {
        let Some((place, item)) = todo.lock().unwrap_or_else(PoisonError::into_inner).next() else { return };
        let answer = work(item);
        done.lock().unwrap_or_else(PoisonError::into_inner).push((place, answer));
    };
    std::thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(run)));
        run();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_the_order_of_the_items() {
        for n in [0, 1, 2, 500] {
            let slow_first = |i: usize| {
                std::thread::sleep(std::time::Duration::from_micros(if i == 0 { 2000 } else { 1 }));
                i * 2
            };
            assert_eq!(each((0..n).collect(), &slow_first), (0..n).map(|i| i * 2).collect::<Vec<_>>());
        }
    }
}
