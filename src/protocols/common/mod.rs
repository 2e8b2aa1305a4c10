//! What several protocols share: reading bytes, buffering streams, names, fingerprints, hellos, files. Not members of the open set.

pub mod ber;
pub mod buffer;
pub mod bytes;
pub mod certificate;
pub mod dns_message;
pub mod dns_record;
pub mod fields;
pub mod file;
pub mod fingerprint;
pub mod framed;
pub mod hello;
pub mod hpack;
pub mod http_body;
pub mod http_exchange;
pub mod http_head;
pub mod lines;
pub mod mail;
pub mod ntlm;
pub mod rpc_calls;
pub mod rpc_names;
pub mod smb_message;
pub mod told;
