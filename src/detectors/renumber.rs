//! Hosts, texts and evidence get their numbers in order of time, whatever order their records are read in: what rests on numbers (who comes first of
//! equals) is the same in a run over everything and in one that goes on.

use super::rows::{Event, Flow, Host, Id, Net, Query, Word};

/// From the numbers of records as they were read to those of a case.
#[derive(Default)]
pub struct Renumber {
    /// By the old number the new one and one; 0: not asked yet.
    hosts: Vec<u32>,
    words: Vec<u32>,
    evidence: Vec<u32>,
}

fn place(table: &mut Vec<u32>, at: u32) -> Option<&mut u32> {
    let at = at as usize;
    if table.len() <= at {
        table.resize(at.saturating_add(1), 0);
    }
    table.get_mut(at)
}

impl Renumber {
    fn host(&mut self, old: &Net, host: Host, net: &mut Net) -> Option<Host> {
        let known = place(&mut self.hosts, host.0)?;
        if *known == 0 {
            *known = net.host(old.addr(host), &|_| old.is_home(host))?.0.saturating_add(1);
        }
        Some(Host(known.saturating_sub(1)))
    }
    fn word(&mut self, old: &Net, word: Word, net: &mut Net) -> Word {
        if !word.is_some() {
            return word;
        }
        let Some(known) = place(&mut self.words, word.0) else { return Word::NONE };
        if *known == 0 {
            *known = net.word(old.text(word)).0;
        }
        Word(*known)
    }
    fn id(&mut self, old: &Net, id: Id, net: &mut Net) -> Id {
        if id.evidence == u32::MAX {
            return id;
        }
        let Some(known) = place(&mut self.evidence, id.evidence) else { return id };
        if *known == 0 {
            *known = net.id(old.record(id)).evidence.saturating_add(1);
        }
        // Of more evidence than can be told apart it stays none.
        let mut out = id;
        out.evidence = if *known == u32::MAX { u32::MAX } else { known.saturating_sub(1) };
        out
    }
    /// A flow; none: one of its hosts has no number.
    pub fn flow(&mut self, old: &Net, flow: &Flow, net: &mut Net) -> Option<Flow> {
        let (src, dst) = (self.host(old, flow.src, net), self.host(old, flow.dst, net));
        Some(Flow {
            src: src?,
            dst: dst?,
            app: self.word(old, flow.app, net),
            name: self.word(old, flow.name, net),
            id: self.id(old, flow.id, net),
            ..*flow
        })
    }
    /// An event.
    pub fn event(&mut self, old: &Net, event: &Event, net: &mut Net) -> Event {
        let mut host = |of: Option<Host>| of.and_then(|h| self.host(old, h, net));
        let (src, dst, nat_dst) = (host(event.src), host(event.dst), host(event.nat_dst));
        let mut word = |of: Word| self.word(old, of, net);
        let (action, rule, name) = (word(event.action), word(event.rule), word(event.name));
        let (agent, reply) = (word(event.agent), word(event.reply));
        Event { src, dst, nat_dst, action, rule, name, agent, reply, id: self.id(old, event.id, net), ..*event }
    }
    /// A question of DNS; none: its client has no number.
    pub fn query(&mut self, old: &Net, query: &Query, net: &mut Net) -> Option<Query> {
        let client = self.host(old, query.client, net)?;
        Some(Query {
            client,
            server: query.server.and_then(|h| self.host(old, h, net)),
            name: self.word(old, query.name, net),
            kind: self.word(old, query.kind, net),
            reply: self.word(old, query.reply, net),
            answers: query.answers.iter().filter_map(|h| self.host(old, *h, net)).collect(),
            id: self.id(old, query.id, net),
            ..*query
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::trial::{FRIDAY, Trial};
    use crate::model::Kind;

    #[test]
    fn numbers_are_in_the_order_of_what_is_given_and_mean_the_same() {
        let mut trial = Trial::new();
        let at = FRIDAY as f64;
        trial.host("10.9.9.9");
        trial.word("never used");
        trial.flow(at, "10.0.0.1", "192.0.2.1", 443);
        trial.query(at, "10.0.0.3", "a.example", "A", "NOERROR", &["192.0.2.3", "192.0.2.1"]);
        trial.event(Kind::Alert, at, "10.0.0.1", "10.0.0.3", 22).nat_dst = None;
        trial.flow(at, "10.0.0.2", "192.0.2.1", 443);
        let (app, rule) = (trial.word("tls"), trial.word("rule"));
        trial.flows[1].app = app;
        trial.events[0].rule = rule;
        let (old, mut net, mut renumber) = (trial.net, Net::default(), Renumber::default());
        let later = renumber.flow(&old, &trial.flows[1], &mut net).unwrap();
        let first = renumber.flow(&old, &trial.flows[0], &mut net).unwrap();
        let event = renumber.event(&old, &trial.events[0], &mut net);
        let query = renumber.query(&old, &trial.queries[0], &mut net).unwrap();
        assert_eq!([later.src.0, later.dst.0, first.src.0, first.dst.0, query.client.0, query.answers[0].0], [0, 1, 2, 1, 3, 4]);
        assert_eq!((later.app, event.rule, query.name), (Word(1), Word(2), Word(3)));
        assert_eq!([net.text(later.app), net.text(event.rule), net.text(query.name)], ["tls", "rule", "a.example"]);
        assert_eq!((net.addr(later.src), net.is_home(later.src)), ("10.0.0.2".parse().unwrap(), true));
        assert!(!net.is_home(later.dst) && event.src == Some(first.src) && event.dst == Some(query.client));
        assert_eq!(net.record(later.id), old.record(trial.flows[1].id));
        assert_eq!(net.record(query.id), old.record(trial.queries[0].id));
    }
}
