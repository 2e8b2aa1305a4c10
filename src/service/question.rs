//! A checked question as plain data. It goes in checked form, as the one who asks has it: what was added to it after it was compiled is kept, and
//! nothing is compiled twice. The condition is a flat list, so that no depth of it can exhaust a stack.

use crate::error::{Error, Result};
use crate::model::filter::{Members, Service, Test};
use crate::model::{FieldId, Filter, Value, Window, carry};
use crate::query::{Measure, Question, Stage, pattern};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::net::IpAddr;
use std::sync::Arc;

/// Deepest condition that is taken.
const DEPTH: usize = 256;
/// Most parts of a condition.
const PARTS: usize = 1 << 20;
/// Longest pattern.
const PATTERN: usize = 64 << 10;

/// A question on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    text: String,
    parts: Vec<Part>,
    window: Window,
    stages: Vec<Stage>,
    every_sighting: bool,
    elsewhere: bool,
}

/// Part of a condition. Each follows the parts that it joins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Part {
    All,
    And(u32),
    Or(u32),
    Not,
    Test(FieldId, One),
    /// Any of so many tests before it, of a field.
    In(FieldId, u32),
    /// A test that the next `In` takes.
    Item(One),
    /// As `In`, within another.
    Items(u32),
}

/// A test without tests in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum One {
    Exists,
    Is(Value),
    /// -1 less, 0 equal, 1 greater.
    Compare(i8, bool, Value),
    Range(u64, u64),
    Net(IpAddr, u8),
    Contains(String),
    Under(String),
    Matches(String),
    Set(Set),
}

/// The members of a set on their way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Set {
    name: String,
    addrs: Vec<IpAddr>,
    #[serde(with = "carry::nets")]
    nets: Vec<IpNet>,
    texts: Vec<String>,
    under: Vec<String>,
    services: Vec<(Option<IpAddr>, u16, Option<u8>)>,
}

impl Set {
    /// Of members.
    pub fn new(members: &Members) -> Set {
        let sorted = |texts: &std::collections::HashSet<String>| {
            let mut out: Vec<String> = texts.iter().cloned().collect();
            out.sort_unstable();
            out
        };
        let mut addrs: Vec<IpAddr> = members.addrs.iter().copied().collect();
        addrs.sort_unstable();
        Set {
            name: members.name.clone(),
            addrs,
            nets: members.nets.clone(),
            texts: sorted(&members.texts),
            under: sorted(&members.under),
            services: members.services.iter().map(|s| (s.addr, s.port, s.proto)).collect(),
        }
    }
    /// The members.
    pub fn members(self) -> Members {
        let mut nets = self.nets;
        // A look-up relies on their order.
        nets.sort_unstable();
        Members {
            name: self.name,
            addrs: self.addrs.into_iter().collect(),
            nets,
            texts: self.texts.into_iter().collect(),
            under: self.under.into_iter().collect(),
            services: self.services.into_iter().map(|(addr, port, proto)| Service { addr, port, proto }).collect(),
        }
    }
}

impl Carried {
    /// Of a question.
    pub fn new(question: &Question) -> Carried {
        let mut parts = Vec::new();
        lay(&question.filter, &mut parts);
        Carried {
            text: question.text.clone(),
            parts,
            window: question.window,
            stages: question.stages.clone(),
            every_sighting: question.every_sighting,
            elsewhere: question.elsewhere,
        }
    }
    /// The question; an error where no program of ours would have asked that.
    pub fn question(self) -> Result<Question> {
        for stage in &self.stages {
            match stage {
                Stage::Timeline { bin, .. } if *bin <= 0 => return Err(wrong("a timeline without width")),
                Stage::Measure { measure: Measure::Percentile(n), .. } if !(1..=1000).contains(n) => {
                    return Err(wrong("a percentile beyond 100"));
                }
                _ => {}
            }
        }
        Ok(Question {
            text: self.text,
            filter: build(self.parts)?,
            window: self.window,
            stages: self.stages,
            every_sighting: self.every_sighting,
            elsewhere: self.elsewhere,
        })
    }
}

fn wrong(what: &str) -> Error {
    Error::input(format!("a question cannot be understood: {what}"))
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn lay(filter: &Filter, out: &mut Vec<Part>) {
    match filter {
        Filter::All => out.push(Part::All),
        Filter::And(all) => {
            all.iter().for_each(|f| lay(f, out));
            out.push(Part::And(number(all.len())));
        }
        Filter::Or(any) => {
            any.iter().for_each(|f| lay(f, out));
            out.push(Part::Or(number(any.len())));
        }
        Filter::Not(inner) => {
            lay(inner, out);
            out.push(Part::Not);
        }
        Filter::Test(field, Test::In(items)) => {
            items.iter().for_each(|item| lay_item(item, out));
            out.push(Part::In(*field, number(items.len())));
        }
        Filter::Test(field, test) => out.extend(one(test).map(|one| Part::Test(*field, one))),
        // Found where a question is answered, and so never on its way: it would hold for nothing.
        Filter::Elsewhere(..) => out.push(Part::Or(0)),
    }
}

fn lay_item(test: &Test, out: &mut Vec<Part>) {
    if let Test::In(items) = test {
        items.iter().for_each(|item| lay_item(item, out));
        out.push(Part::Items(number(items.len())));
    } else {
        out.extend(one(test).map(Part::Item));
    }
}

fn one(test: &Test) -> Option<One> {
    Some(match test {
        Test::Exists => One::Exists,
        Test::Is(value) => One::Is(value.clone()),
        Test::Compare { order, or_equal, bound } => One::Compare(*order as i8, *or_equal, bound.clone()),
        Test::Range(low, high) => One::Range(*low, *high),
        Test::Net(net) => One::Net(net.addr(), net.prefix_len()),
        Test::Contains(text) => One::Contains(text.to_string()),
        Test::Under(name) => One::Under(name.to_string()),
        Test::Matches(pattern) => One::Matches(pattern.text.clone()),
        Test::Set(members) => One::Set(Set::new(members)),
        // Laid out by whoever calls.
        Test::In(_) => return None,
    })
}

fn test(one: One) -> Result<Test> {
    Ok(match one {
        One::Exists => Test::Exists,
        One::Is(value) => Test::Is(value),
        One::Compare(order, or_equal, bound) => Test::Compare { order: order.cmp(&0), or_equal, bound },
        One::Range(low, high) => Test::Range(low, high),
        One::Net(addr, len) => Test::Net(IpNet::new(addr, len).map_err(|_| wrong("a prefix longer than its address"))?),
        One::Contains(text) => Test::Contains(text.into()),
        One::Under(name) => Test::Under(name.into()),
        One::Matches(text) if text.len() > PATTERN => return Err(wrong("a pattern that is too long")),
        One::Matches(text) => Test::Matches(pattern(&text).ok_or_else(|| wrong("not a pattern"))?),
        One::Set(set) => Test::Set(Arc::new(set.members())),
    })
}

fn build(parts: Vec<Part>) -> Result<Filter> {
    if parts.len() > PARTS {
        return Err(wrong("too many parts"));
    }
    // Conditions with their depth, and tests that an `In` will take.
    let mut stack: Vec<(Filter, usize)> = Vec::new();
    let mut items: Vec<(Test, usize)> = Vec::new();
    fn last<T>(stack: &mut Vec<(T, usize)>, n: u32) -> Result<(Vec<T>, usize)> {
        let at = usize::try_from(n).ok().and_then(|n| stack.len().checked_sub(n)).ok_or_else(|| wrong("parts are missing"))?;
        let taken = stack.split_off(at);
        let depth = taken.iter().map(|(_, depth)| *depth).max().unwrap_or(0) + 1;
        if depth > DEPTH {
            return Err(wrong("nested too deeply"));
        }
        Ok((taken.into_iter().map(|(part, _)| part).collect(), depth))
    }
    for part in parts {
        let made = match part {
            Part::All => (Filter::All, 1),
            Part::And(n) => last(&mut stack, n).map(|(all, depth)| (Filter::And(all), depth))?,
            Part::Or(n) => last(&mut stack, n).map(|(any, depth)| (Filter::Or(any), depth))?,
            Part::Not => {
                let (mut inner, depth) = last(&mut stack, 1)?;
                (Filter::Not(Box::new(inner.pop().unwrap_or(Filter::All))), depth)
            }
            Part::Test(field, one) => (Filter::Test(field, test(one)?), 1),
            Part::In(field, n) => last(&mut items, n).map(|(tests, depth)| (Filter::Test(field, Test::In(tests)), depth))?,
            Part::Item(one) => {
                items.push((test(one)?, 1));
                continue;
            }
            Part::Items(n) => {
                let (tests, depth) = last(&mut items, n)?;
                items.push((Test::In(tests), depth));
                continue;
            }
        };
        stack.push(made);
    }
    match (stack.pop(), stack.is_empty() && items.is_empty()) {
        (Some((filter, _)), true) => Ok(filter),
        _ => Err(wrong("parts are left over")),
    }
}

/// The order as it was.
const _: () = assert!(Ordering::Less as i8 == -1 && Ordering::Greater as i8 == 1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::field;
    use crate::query::{Scope, compile};
    use crate::service::frame::{put, take};

    fn through(question: &Question) -> Question {
        let mut bytes = Vec::new();
        put(&Carried::new(question), &mut bytes).unwrap();
        take::<Carried>(&bytes).unwrap().question().unwrap()
    }

    #[test]
    fn a_question_arrives_as_it_was_sent() {
        let members = Members {
            name: "x".into(),
            addrs: [IpAddr::from([10, 0, 0, 5])].into(),
            nets: vec!["10.1.0.0/16".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
            texts: ["evil.example".to_owned()].into(),
            under: ["a.example".to_owned()].into(),
            services: vec![Service { addr: None, port: 53, proto: Some(17) }],
        };
        let set = move |_: &str| Some(Arc::new(members.clone()));
        let scope = Scope { sets: &set, ..Scope::empty() };
        for text in [
            "",
            "host 10.0.0.5 and port 443",
            "not (net 10.0.0.0/8 or sni ~ /ev[il]/) and bytes > 1MB and duration <= 1h",
            "dst.port in {80, 443, 8000-8100, @x} and host in @x and name contains Evil and name under a.example",
            "kind = flow and severity >= high between 2026-11-20T08:00Z and 2026-11-20T09:00Z | top 10 host by bytes | sort -count | head 3",
            "kind = flow | timeline 5m bytes by app",
            "sni and not verdict = benign",
        ] {
            let Ok(mut question) = compile(text, &scope) else { panic!("{text}") };
            question.elsewhere = text.starts_with("host");
            let arrived = through(&question);
            assert_eq!(format!("{:?}", Carried::new(&arrived)), format!("{:?}", Carried::new(&question)), "{text}");
            assert_eq!((&arrived.text, arrived.window, &arrived.stages), (&question.text, question.window, &question.stages));
            assert_eq!(arrived.elsewhere, question.elsewhere);
        }
    }

    #[test]
    fn what_nobody_would_ask_is_an_error_and_no_stack_is_exhausted() {
        let deep = |n: usize| {
            let mut parts = vec![Part::All];
            parts.extend(std::iter::repeat_n(Part::Not, n));
            build(parts)
        };
        assert!(deep(DEPTH - 1).is_ok() && deep(DEPTH).is_err() && deep(PARTS - 1).is_err());
        for parts in [
            vec![],
            vec![Part::Not],
            vec![Part::And(1)],
            vec![Part::All, Part::Or(u32::MAX)],
            vec![Part::All, Part::All],
            vec![Part::Item(One::Exists), Part::All],
            vec![Part::Test(field::SNI, One::Matches("(".into()))],
            vec![Part::Test(field::SRC_IP, One::Net([10, 0, 0, 1].into(), 99))],
        ] {
            assert!(build(parts.clone()).is_err(), "{parts:?}");
        }
        assert!(build(vec![Part::And(0)]).is_ok());
        let mut question = Carried::new(&Question::all(Window::ALL));
        question.stages.push(Stage::Timeline { bin: 0, weight: None, by: None });
        assert!(question.question().is_err());
    }
}
