//! A clock that is known through another: the source against a third, and that against the reference.

use crate::model::clock::{ClockEstimate, ClockPiece, ClockState};
use crate::model::{SourceId, Time};

/// What `leg` (a source against `via`) and `rest` (`via` against the reference) say together.
pub fn join(leg: &ClockEstimate, via: SourceId, rest: &ClockEstimate) -> ClockEstimate {
    if leg.pieces.is_empty() {
        return ClockEstimate::unknown();
    }
    // Where either has a step, the sum has one.
    let mut from: Vec<Time> = leg.pieces.iter().map(|p| p.from).collect();
    from.extend(rest.pieces.iter().map(|p| p.from).filter(|t| *t > Time::MIN).map(|t| t.plus(leg.ahead(t))));
    from.sort_unstable();
    from.dedup();
    let piece_at = |of: &ClockEstimate, at: Time| {
        let after = of.pieces.partition_point(|p| p.from <= at);
        of.pieces.get(after.saturating_sub(1)).cloned()
    };
    let mut pieces = Vec::new();
    for from in from {
        let Some(first) = piece_at(leg, from) else { continue };
        let at_via = |raw: Time| raw.plus(first.ahead(raw).saturating_neg());
        let second = piece_at(rest, if from == Time::MIN { from } else { at_via(from) });
        let (offset, skew) = second.map_or((0, 0), |p| (p.ahead(at_via(first.middle)), p.skew));
        pieces.push(ClockPiece {
            from,
            middle: first.middle,
            offset: first.offset.saturating_add(offset),
            skew: first.skew.saturating_add(skew),
            keys: first.keys,
        });
    }
    let both = |a: i64, b: i64| (a as f64).hypot(b as f64) as i64;
    let mut through = vec![via];
    through.extend(&rest.through);
    ClockEstimate {
        state: leg.state.min(if rest.state == ClockState::Reference { ClockState::Confident } else { rest.state }),
        against: Some(via),
        through,
        pieces,
        uncertainty: both(leg.uncertainty, rest.uncertainty),
        interval: both(leg.interval, rest.interval),
        ..leg.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock::ClockEstimate;
    use crate::model::time::SECOND;

    fn piece(from: i64, middle: i64, offset: i64, skew: i64) -> ClockPiece {
        let from = if from == i64::MIN { Time::MIN } else { Time(from * SECOND) };
        ClockPiece { from, middle: Time(middle * SECOND), offset: offset * SECOND, skew, keys: 30 }
    }
    fn known(pieces: Vec<ClockPiece>) -> ClockEstimate {
        ClockEstimate { state: ClockState::Confident, pieces, uncertainty: 3 * SECOND, interval: 3, ..ClockEstimate::unknown() }
    }

    #[test]
    fn offsets_add_up_and_so_do_steps() {
        let leg = known(vec![piece(i64::MIN, 1_000, 60, 0)]);
        let rest = ClockEstimate {
            uncertainty: 4 * SECOND,
            interval: 4,
            through: vec![SourceId(9)],
            ..known(vec![piece(i64::MIN, 0, 3_600, 0), piece(5_000, 6_000, 0, 1_000)])
        };
        let both = join(&leg, SourceId(7), &rest);
        assert_eq!(both.through, [SourceId(7), SourceId(9)]);
        assert_eq!((both.uncertainty, both.interval, both.state), (5 * SECOND, 5, ClockState::Confident));
        // By the third clock the step is at 5,000; the source's is a minute ahead of that.
        let at = |t: i64| both.ahead(Time(t * SECOND)) / SECOND;
        assert_eq!((at(0), at(5_059), at(5_061)), (3_660, 3_660, 59));
        assert_eq!(both.ahead(Time(1_006_060 * SECOND)), 61 * SECOND);
        assert_eq!(join(&ClockEstimate::unknown(), SourceId(7), &rest).state, ClockState::Unknown);
    }
}
