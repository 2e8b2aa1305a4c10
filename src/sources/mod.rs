//! Where do bytes come from? Files and standard input, compressed or not, in folders; captures and text. Does not know the store.

pub mod compression;

pub mod capture;

pub mod input;

pub mod reread;

pub mod text;

pub mod walk;

pub mod write;

pub use capture::{CaptureKind, Item};
pub use compression::Compression;
pub use input::{Input, Summary};
