//! Fields whose values are the words of a closed list: any other word in a question is a slip of the pen, not a value that a record may have.

use super::decision::Judgement;
use super::field::{self, FieldId};
use super::flow::AppConfidence;
use super::record::Kind;
use super::site::Direction;

/// The words that a field's values are; none: its sources write into it what they like.
pub fn of(id: FieldId) -> Option<Vec<&'static str>> {
    Some(match id {
        field::KIND => Kind::ALL.map(Kind::name).to_vec(),
        field::VERDICT => Judgement::ALL.map(Judgement::name).to_vec(),
        field::DIRECTION => Direction::ALL.map(Direction::name).to_vec(),
        field::APP_CONF => AppConfidence::ALL.map(AppConfidence::name).to_vec(),
        _ => return None,
    })
}

/// The word that is meant: in any case, a kind also in the plural, a direction also in ECS's words.
pub fn meant(id: FieldId, text: &str) -> Option<&'static str> {
    let text = text.to_ascii_lowercase();
    let word = match (id, text.as_str()) {
        (field::DIRECTION, "inbound" | "ingress") => Direction::In.name(),
        (field::DIRECTION, "outbound" | "egress") => Direction::Out.name(),
        (_, text) => text,
    };
    let words = of(id)?;
    let one = |word: &str| words.iter().copied().find(|w| *w == word);
    one(word).or_else(|| one(word.strip_suffix('s').filter(|_| id == field::KIND)?))
}

/// What one of its words is called in an error, with what may help beside the list.
pub fn called(id: FieldId) -> (&'static str, &'static str) {
    match id {
        field::KIND => ("a kind of record", ""),
        field::VERDICT => ("a verdict", "; `not exists verdict` is what nobody has judged yet"),
        field::DIRECTION => ("a direction", "; direction.stated is what the source itself says"),
        _ => ("one of its words", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_understood_in_any_case_and_another_is_not() {
        assert_eq!(meant(field::KIND, "Alerts"), Some("alert"));
        assert_eq!(meant(field::DIRECTION, "Inbound"), Some("in"));
        assert_eq!(meant(field::APP_CONF, "BANNER"), Some("banner"));
        assert_eq!(meant(field::DIRECTION, "ins"), None);
        assert_eq!(meant(field::ACTION, "allow"), None, "what a source writes is no closed list");
    }
}
