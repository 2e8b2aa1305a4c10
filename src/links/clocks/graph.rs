//! Clocks that are known through others: the source against a third, and that against the reference ([`join`]); and all that were compared with each
//! other solved together ([`solve`]), so that none is what one comparison says against several others.

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

/// One comparison of two clocks, beside what is believed of them.
#[derive(Debug, Clone, Copy)]
pub struct Leg {
    /// A source, by number.
    pub one: usize,
    /// The other; none: a clock that stays as it is, the reference or one known before.
    pub other: Option<usize>,
    /// How much more `one` is ahead of `other` by this comparison than is believed, nanoseconds.
    pub off: f64,
    /// Standard error of that.
    pub error: f64,
    /// From so much on it contradicts what is believed.
    pub bound: f64,
    /// What is believed of `one` came from it.
    pub own: bool,
}

/// What comparisons say together of each source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Together {
    /// What is to be added to how much it is ahead, nanoseconds.
    pub more: f64,
    /// Standard error then.
    pub error: f64,
    /// Other comparisons that agree.
    pub agree: usize,
    /// Numbers of sources, comparisons with which say otherwise.
    pub contradict: Vec<usize>,
}

/// Solves comparisons together: least squares, weighted by what each is sure of, without those that contradict the rest. None: a source has no
/// comparison that leads to a clock that stays.
pub fn solve(sources: usize, legs: &[Leg]) -> Option<Vec<Together>> {
    let mut kept: Vec<Leg> = legs.to_vec();
    let mut out = vec![Together::default(); sources];
    loop {
        // The matrix of normal equations, with its inverse for the errors.
        let mut left = vec![vec![0.0; sources]; sources];
        let mut right = vec![0.0; sources];
        for leg in &kept {
            let weight = leg.error.max(1.0).powi(-2);
            left[leg.one][leg.one] += weight;
            right[leg.one] += weight * leg.off;
            if let Some(other) = leg.other {
                left[other][other] += weight;
                right[other] -= weight * leg.off;
                left[leg.one][other] -= weight;
                left[other][leg.one] -= weight;
            }
        }
        let inverse = inverse(left)?;
        for (row, of) in inverse.iter().zip(&mut out) {
            of.more = row.iter().zip(&right).map(|(a, b)| a * b).sum();
        }
        (0..sources).for_each(|n| out[n].error = inverse[n][n].max(0.0).sqrt());
        let beyond = |leg: &Leg| {
            let other = leg.other.map_or(0.0, |n| out[n].more);
            (leg.off - (out[leg.one].more - other)).abs() / leg.bound.max(1.0)
        };
        let worst = (0..kept.len()).filter(|n| !kept[*n].own).max_by(|a, b| beyond(&kept[*a]).total_cmp(&beyond(&kept[*b])));
        match worst.filter(|n| beyond(&kept[*n]) > 1.0) {
            Some(n) => {
                let leg = kept.swap_remove(n);
                let ends = [(leg.one, leg.other), (leg.other.unwrap_or(leg.one), leg.other.map(|_| leg.one))];
                ends.iter().for_each(|(one, other)| out[*one].contradict.extend(*other));
            }
            None => break,
        }
    }
    for leg in kept.iter().filter(|l| !l.own) {
        out[leg.one].agree += 1;
        leg.other.into_iter().for_each(|n| out[n].agree += 1);
    }
    Some(out)
}

/// The inverse of a matrix that is symmetric and has no negative direction (Gauss and Jordan, pivots from the diagonal); none: it has none.
fn inverse(mut left: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let n = left.len();
    let mut right: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    // Weights are of nanoseconds: what is small beside a source's own is nothing.
    let own: Vec<f64> = (0..n).map(|i| left[i][i]).collect();
    for at in 0..n {
        let pivot = left[at][at];
        if pivot.is_nan() || pivot <= own[at] * 1e-12 {
            return None;
        }
        for j in 0..n {
            left[at][j] /= pivot;
            right[at][j] /= pivot;
        }
        let (row, inverse) = (left[at].clone(), right[at].clone());
        for i in (0..n).filter(|i| *i != at) {
            let times = left[i][at];
            if times != 0.0 {
                (0..n).for_each(|j| left[i][j] -= times * row[j]);
                (0..n).for_each(|j| right[i][j] -= times * inverse[j]);
            }
        }
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg(one: usize, other: Option<usize>, off: f64, error: f64) -> Leg {
        Leg { one, other, off, error, bound: 5.0 * error, own: other.is_none() }
    }

    #[test]
    fn a_clock_is_where_most_of_what_is_sure_puts_it() {
        // The first is sure; the second by itself is not, but is compared well with the first.
        let legs = [leg(0, None, 0.0, 10.0), leg(1, None, 0.0, 1_000.0), leg(1, Some(0), 600.0, 20.0)];
        let legs = legs.map(|l| Leg { bound: 10_000.0, ..l });
        let out = solve(2, &legs).unwrap();
        assert!(out[0].more.abs() < 1.0 && (out[1].more - 600.0).abs() < 2.0, "{out:?}");
        assert!(out[1].error > 20.0 && out[1].error < 23.0 && out[0].error < 10.1, "{out:?}");
        assert_eq!((out[0].agree, out[1].agree), (1, 1));
        // Two equal ones meet in the middle, and are surer.
        let legs = [leg(0, None, 0.0, 10.0), Leg { own: false, ..leg(0, None, 8.0, 10.0) }];
        let out = solve(1, &legs).unwrap();
        assert!((out[0].more - 4.0).abs() < 1e-6 && (out[0].error - 7.07).abs() < 0.01, "{out:?}");
    }

    #[test]
    fn what_contradicts_the_rest_is_left_out_and_said() {
        let mut legs: Vec<Leg> = (0..4).map(|n| leg(n, None, 0.0, 10.0)).collect();
        legs.extend([
            leg(0, Some(1), 3.0, 10.0),
            leg(1, Some(2), -4.0, 10.0),
            leg(3, Some(0), 3.6e12, 10.0),
            leg(3, Some(1), 3.6e12, 10.0),
        ]);
        let out = solve(4, &legs).unwrap();
        assert!(out.iter().all(|o| o.more.abs() < 5.0), "{out:?}");
        let mut contradict = out[3].contradict.clone();
        contradict.sort_unstable();
        assert_eq!((contradict, out[3].agree), (vec![0, 1], 0));
        assert_eq!((out[0].agree, out[1].agree, out[0].contradict.as_slice()), (1, 2, &[3][..]));
        // Nothing leads to a clock that stays.
        assert!(solve(2, &[leg(0, Some(1), 0.0, 1.0)]).is_none() && solve(1, &[]).is_none());
        assert_eq!(solve(0, &[]), Some(vec![]));
    }
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
