//! The keeper on the client's side of the socket. What is appended carries a mark, so that it may be given again when nobody knows whether it was
//! written; what others entered is fetched when it is looked for.

use super::ask::Ask;
use super::client::Client;
use super::order::ImportOrder;
use crate::case::Keeper;
use crate::error::{Error, Result};
use crate::ingest::{Progress, Report};
use crate::model::decision::{Decision, What};
use crate::sources::input::Stop;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A keeper that writes through whoever holds the case.
pub struct RemoteKeeper {
    client: Client,
    /// What is known of the journal, and of which process's.
    known: Mutex<(u32, Arc<Vec<Decision>>)>,
}

impl RemoteKeeper {
    /// Over a client.
    pub fn new(client: Client) -> RemoteKeeper {
        RemoteKeeper { client, known: Mutex::default() }
    }
    fn fetch(&self, known: &mut (u32, Arc<Vec<Decision>>)) -> Result<()> {
        // Another process may have read a journal of which the end was torn.
        if known.0 != self.client.holder() {
            known.1 = Arc::default();
        }
        let (after, json): (u64, String) = self.client.quick(&Ask::Decisions(known.1.len() as u64))?;
        let new: Vec<Decision> = read(&json)?;
        let all = Arc::make_mut(&mut known.1);
        all.truncate(usize::try_from(after).unwrap_or(usize::MAX));
        all.extend(new);
        known.0 = self.client.holder();
        Ok(())
    }
}

fn read<T: serde::de::DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|e| Error::internal(format!("a decision cannot be understood: {e}")))
}

impl Keeper for RemoteKeeper {
    fn append(&self, what: What) -> Result<Decision> {
        let json = serde_json::to_string(&what).map_err(|e| Error::internal(format!("a decision cannot be sent: {e}")))?;
        let decision: String = self.client.call(&Ask::Append(self.client.mark(), json), None)?;
        read(&decision)
    }
    fn decisions(&self) -> Arc<Vec<Decision>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Where nobody answers what is known has to do; whatever is entered says what is wrong.
        let _ = self.fetch(&mut known);
        Arc::clone(&known.1)
    }
    fn ingest(&self, paths: &[PathBuf], progress: &(dyn Fn(&Progress) + Sync), stop: &Stop) -> Result<Report> {
        self.client.import(&ImportOrder::of(paths)?, None, progress, None, stop)
    }
    fn save_place(&self, place: &str) -> Result<()> {
        self.client.call(&Ask::SavePlace(place.to_owned()), None)
    }
    fn keep_text(&self, text: &str) -> Result<String> {
        self.client.call(&Ask::KeepText(text.to_owned()), None)
    }
    fn kept_text(&self, name: &str) -> Option<String> {
        self.client.call(&Ask::KeptText(name.to_owned()), None).ok().flatten()
    }
    fn place(&self) -> Option<String> {
        self.client.call(&Ask::Place, None).ok().flatten()
    }
    fn name(&self) -> String {
        self.client.case().to_owned()
    }
    fn dir(&self) -> PathBuf {
        self.client.dir().to_owned()
    }
}
