//! Who wants the bytes of carried files gives a [`Keep`]: protocols hand it what they hash, at its place in the file. An import has none.

use std::sync::Arc;

/// Takes the files that conversations carry.
pub trait Keep: Send + Sync {
    /// A file begins. `None`: this one is not wanted (a bound was reached).
    fn begin(&self) -> Option<Box<dyn Kept>>;
}

/// One file that is being kept.
pub trait Kept: Send {
    /// Its number, by which its event names it.
    fn number(&self) -> u64;
    /// Bytes at an offset of the file. What was put there before is replaced; what is never put is a gap.
    fn put(&mut self, offset: u64, bytes: &[u8]);
    /// No more will come. `length`: where the file ends as far as is known. `sound`: nothing of it is missing, and it has a hash.
    fn end(&mut self, length: u64, sound: bool);
}

/// Whether and by whom files are kept; by nobody unless said.
#[derive(Clone, Default)]
pub struct Keeping(Option<Arc<dyn Keep>>);

impl Keeping {
    /// By this one.
    pub fn by(keep: Arc<dyn Keep>) -> Keeping {
        Keeping(Some(keep))
    }
    /// A file begins.
    pub fn begin(&self) -> Option<Box<dyn Kept>> {
        self.0.as_ref()?.begin()
    }
}

impl std::fmt::Debug for Keeping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Keeping(by somebody)" } else { "Keeping(by nobody)" })
    }
}
