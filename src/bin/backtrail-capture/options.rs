//! The command line of the capture binary: few options, parsed by hand.

use super::Failure;
use std::ffi::OsString;

/// Longest packet that is captured unless told otherwise: what libpcap itself takes for unlimited.
const SNAPLEN: u32 = 262_144;
/// MiB of the kernel's buffer unless told otherwise: half a second at 1 Gbit/s.
const BUFFER: u32 = 64;
/// Most MiB: libpcap takes bytes in 31 bits.
const MOST: u32 = 2047;

const HELP: &str = "\
backtrail-capture: opens one interface, gives every privilege away, writes pcapng to standard output

  -i IFACE             interface (`any`: all of them)
  -f FILTER            filter in the language of libpcap, applied in the kernel
  -s, --snaplen BYTES  longest part of a packet that is captured [262144]
  -b, --buffer MIB     size of the kernel's buffer [64]
  -p, --no-promiscuous only what is sent to this host
  -h, --help           this text
  -V, --version        version

Run by `backtrail capture`. It needs CAP_NET_RAW: setcap cap_net_raw=ep PATH";

/// What was asked for.
pub enum Asked {
    /// A text.
    Help(String),
    /// A capture.
    Capture(Options),
}

/// How to capture.
pub struct Options {
    /// The interface's name.
    pub interface: String,
    /// Filter; empty: none.
    pub filter: String,
    /// Bytes of a packet.
    pub snaplen: u32,
    /// MiB of the kernel's buffer.
    pub buffer: u32,
    /// Everything that passes, not only what is sent to this host.
    pub promiscuous: bool,
}

impl Options {
    /// Of the words after the program's name.
    pub fn parse(mut words: impl Iterator<Item = OsString>) -> Result<Asked, Failure> {
        let mut options =
            Options { interface: String::new(), filter: String::new(), snaplen: SNAPLEN, buffer: BUFFER, promiscuous: true };
        while let Some(word) = words.next() {
            let word = text(word)?;
            let mut value = || words.next().map_or_else(|| Err(usage(format!("{word} needs a value"))), text);
            match word.as_str() {
                "-i" => options.interface = value()?,
                "-f" => options.filter = value()?,
                "-s" | "--snaplen" => options.snaplen = number(&word, &value()?, 1, SNAPLEN)?,
                "-b" | "--buffer" => options.buffer = number(&word, &value()?, 1, MOST)?,
                "-p" | "--no-promiscuous" => options.promiscuous = false,
                "-h" | "--help" => return Ok(Asked::Help(HELP.to_owned())),
                "-V" | "--version" => {
                    return Ok(Asked::Help(concat!("backtrail-capture ", env!("CARGO_PKG_VERSION")).to_owned()));
                }
                _ => return Err(usage(format!("`{word}` is not an option"))),
            }
        }
        if options.interface.is_empty() {
            return Err(usage("no interface was named".to_owned()));
        }
        // A name with a slash would be a path below /sys.
        if options.interface.contains('/') || options.interface.starts_with('.') {
            return Err(usage(format!("`{}` is not the name of an interface", options.interface)));
        }
        Ok(Asked::Capture(options))
    }
}

fn usage(what: String) -> Failure {
    Failure::new(what, "backtrail-capture --help")
}

fn text(word: OsString) -> Result<String, Failure> {
    word.into_string().map_err(|word| usage(format!("`{}` is not UTF-8", word.display())))
}

fn number(option: &str, value: &str, least: u32, most: u32) -> Result<u32, Failure> {
    let number = value.parse().ok().filter(|n| (least..=most).contains(n));
    number.ok_or_else(|| usage(format!("{option} takes a number from {least} to {most}, not `{value}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Asked, Failure> {
        Options::parse(words.iter().map(OsString::from))
    }

    #[test]
    fn what_is_typed_is_taken_or_refused_with_a_reason() {
        let Ok(Asked::Capture(o)) = parse(&["-i", "eth0", "-f", "tcp port 80", "--snaplen", "96", "-p"]) else { panic!() };
        assert_eq!((o.interface.as_str(), o.filter.as_str(), o.snaplen, o.promiscuous), ("eth0", "tcp port 80", 96, false));
        assert!(matches!(parse(&["--help"]), Ok(Asked::Help(text)) if text.contains("setcap")));
        for (words, why) in [
            (&["-i"][..], "needs a value"),
            (&[], "no interface"),
            (&["-i", "../x"], "not the name"),
            (&["-i", "eth0", "-s", "0"], "from 1 to"),
            (&["-i", "eth0", "-b", "99999"], "from 1 to"),
            (&["eth0"], "not an option"),
        ] {
            let failure = parse(words).err().unwrap().to_string();
            assert!(failure.contains(why) && !failure.contains('\n'), "{failure}");
        }
    }
}
