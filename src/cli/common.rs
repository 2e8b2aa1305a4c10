//! Options that several commands have: custody of evidence, and how flows are made of packets.

use crate::flow::{Checksums, Profile};
use crate::model::decision::What;

/// Custody of evidence: what the case keeps of where it is from.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Custody {
    /// Custody: from whom the evidence came, or who asked for the capture
    #[arg(long, value_name = "WHO", default_value = "")]
    pub from: String,
    /// Custody: how it was obtained, or where the capture was made
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub how: String,
    /// Custody: ticket
    #[arg(long, value_name = "ID", default_value = "")]
    pub ticket: String,
}

impl Custody {
    /// As it is stored with evidence.
    pub fn stored(&self) -> [String; 3] {
        [self.from.clone(), self.how.clone(), self.ticket.clone()]
    }
    /// As the journal has it, of evidence with these names.
    pub fn journalled(self, paths: Vec<String>) -> What {
        What::Import { paths, from: self.from, how: self.how, ticket: self.ticket }
    }
}

/// How flows are made of packets.
#[derive(Debug, Clone, clap::Args)]
pub struct Metering {
    /// When flows end without a packet that says so: zeek, suricata, silk
    #[arg(long, value_name = "PROFILE", default_value = "zeek", value_parser = Profile::ALL.map(|p| p.0))]
    timeouts: String,
    /// Packets with a wrong checksum: auto leaves them out unless the sender's card explains it, check always, ignore never
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = Checksums::ALL.map(|c| c.0))]
    checksums: String,
}

impl Metering {
    /// When flows end: the name of a profile.
    pub fn timeouts(&self) -> &str {
        &self.timeouts
    }
    /// What packets with a wrong checksum are: by its name.
    pub fn checksums(&self) -> &str {
        &self.checksums
    }
}
