//! Where do bytes come from? Files and standard input, compressed or not, in folders and archives; captures and text. Does not know the store.

pub mod ahead;

pub mod archive;

pub mod compression;

pub mod capture;

pub mod cut;

pub mod frames;

pub mod input;

pub mod listen;

pub mod live;

pub mod missed;

pub mod packets;

pub mod pcapng;

pub mod records;

pub mod reread;

pub mod ring;

pub mod snoop;

pub mod text;

pub mod walk;

pub mod wide;

pub mod write;

pub use capture::{CaptureKind, Item};
pub use compression::Compression;
pub use input::{Input, Summary};

/// What is read besides logs: name, what it is, how far it is understood.
pub const FORMATS: &[(&str, &str, &str)] = &[
    ("pcap", "capture", "Both byte orders, microseconds and nanoseconds, Kuznetzov's variant."),
    ("pcapng", "capture", "Several sections and interfaces, comments, names."),
    ("snoop", "capture", "Of Solaris and others (RFC 1761), versions 1 and 2."),
    ("zip", "archive", "Stored, deflate, deflate64, bzip2, LZMA, xz, PPMd, zstd; encrypted with ZipCrypto or AES."),
    ("tar", "archive", "ustar, GNU, pax and the old form, compressed or not."),
];
