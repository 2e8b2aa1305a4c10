//! The same work on many things, on as many processors as there are. Knows nothing of what the work is.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Most threads that one piece of work is spread over.
const MOST: usize = 8;
/// Work that is done so soon is not worth a thread, which takes about a third of it to start and to end.
const SOON: Duration = Duration::from_micros(300);

/// How many processors there are. Asked once: where processors are rationed the answer is read from several files.
pub(super) fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Does `work` on every item; the answers are in the order of the items, however many threads there were.
pub fn each<T: Send, R: Send>(items: Vec<T>, work: &(dyn Fn(T) -> R + Sync)) -> Vec<R> {
    let mut items = items.into_iter().enumerate();
    let mut done = Vec::with_capacity(items.len());
    let begun = Instant::now();
    while begun.elapsed() < SOON || items.len() < 2 {
        let Some((place, item)) = items.next() else { break };
        done.push((place, work(item)));
    }
    let threads = processors().min(MOST).min(items.len() / 2 + 1);
    let (todo, done) = (Mutex::new(items), Mutex::new(done));
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
