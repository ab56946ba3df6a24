//! The distance to a hyperplane, from below.

use super::query::Query;
use crate::bounds::Arithmetic;
use crate::model;
use crate::num::{Rounding, add_up, mul_up, ratio_down, sub_down};
use crate::region::{Ball, cut_reach, dual_norm};

/// A row walked back to the input: its quantity is positive at the point by `value - off` and
/// changes within a distance t by at most `|a.(x - u)| + slope*t`.
pub(super) struct Row<'a> {
    pub a: &'a [f32],
    pub value: f32,
    pub off: f32,
    pub slope: f32,
}

/// Bisections of the search for a distance within a box, from a factor of 2 on.
const STEPS: usize = 20;

/// Lower bound of the distance at which the row can reach 0, or `limit` where it is at least that.
///
/// Without a box `(value - off) / (||a||_q + slope)` (Hoelder). In a box the largest t found with
/// `reach(t) + slope*t <= value - off`, reach over the ball of radius t cut by the box. Where the
/// row is not positive for certain: minus the distance as computed if `signed` and it is certainly
/// negative, else 0.
pub(super) fn distance<A: Arithmetic>(
    arith: &A,
    query: &Query<'_>,
    row: &Row<'_>,
    signed: bool,
    limit: f32,
) -> f32 {
    let n = row.a.len();
    let a = model::Row::F32(row.a);
    let norm = dual_norm(arith, a, &Rounding::new(arith.row_depth(n), n), query.norm);
    let room = sub_down(row.value, row.off);
    if !(room > 0.0) {
        let below = signed && add_up(row.value, row.off) < 0.0;
        let far = row.value / norm;
        return if below && far.is_finite() { far } else { 0.0 };
    }
    let free = ratio_down(room, add_up(norm, row.slope));
    let Some((lo, hi)) = query.clip else { return free };
    let beyond = |t: f32| {
        let ball = Ball { center: query.x, radius: t, norm: query.norm };
        let reach = cut_reach(arith, a, 1.0, &ball, lo, hi, norm);
        add_up(reach, mul_up(row.slope, t)) <= room
    };
    // No point of the box is further from the centre than the sum of its ways, in any norm.
    let mut far = 0.0;
    for (x, (lo, hi)) in query.x.iter().zip(lo.iter().zip(hi)) {
        let (below, above) = (add_up(*x, -*lo), add_up(*hi, -*x));
        far = add_up(far, if below > above { below } else { above });
    }
    if beyond(far) {
        return f32::INFINITY;
    }
    if limit < far && beyond(limit) {
        return limit;
    }
    // Whatever the limit is, the same numbers are tried. `beyond` is monotone but for the last bits
    // of its rounding: the search may end that little below a limit that would have been met.
    let (mut low, mut high) = (free, 2.0 * free);
    while high < far && beyond(high) {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..STEPS {
        let middle = 0.5 * low + 0.5 * high;
        if !(low < middle && middle < high) {
            break;
        }
        if beyond(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}
