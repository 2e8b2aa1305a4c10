//! Batches between the thread that makes records and the one that writes them: so many that handing over costs nothing, so few that memory is bounded.

/// Things of a batch at most.
const THINGS: usize = 2048;
/// Packet references of a batch at most.
const REFS: usize = 1 << 16;

/// A batch that is being filled.
pub struct Batch<T> {
    things: Vec<T>,
    refs: usize,
}

impl<T> Default for Batch<T> {
    fn default() -> Batch<T> {
        Batch { things: Vec::with_capacity(THINGS), refs: 0 }
    }
}

impl<T> Batch<T> {
    /// Adds a thing with so many packet references; gives the batch if it is full.
    #[must_use]
    pub fn add(&mut self, thing: T, refs: usize) -> Option<Vec<T>> {
        self.things.push(thing);
        self.refs += refs;
        (self.things.len() >= THINGS || self.refs >= REFS).then(|| self.take())
    }
    /// What is in it, however much; it is empty then.
    pub fn take(&mut self) -> Vec<T> {
        self.refs = 0;
        std::mem::replace(&mut self.things, Vec::with_capacity(THINGS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_full_of_things_or_of_references() {
        let mut batch = Batch::default();
        assert!((1..THINGS).all(|n| batch.add(n, 1).is_none()));
        assert_eq!(batch.add(0, 1).map(|b| b.len()), Some(THINGS));
        assert!(batch.add(1, REFS - 1).is_none());
        assert_eq!(batch.add(2, 1), Some(vec![1, 2]));
        assert!(batch.add(3, 0).is_none());
        assert_eq!((batch.take(), batch.take()), (vec![3], vec![]));
    }
}
