//! The nearest violation within the linear region, replayed.

use super::distance::Row as Reached;
use super::query::Query;
use crate::bounds::{Arithmetic, Error, Semantics, Workspace, forward_enclosed};
use crate::model::{Model, Row};
use crate::num::{Rounding, U, add_up, mul_up};
use crate::region::{Exponent, Norm, dual_norm, norm_up};
use crate::spec::Spec;

/// A point at which the specification does not hold, in real arithmetic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Violation {
    /// Upper bound of its distance from the query's point: no certified radius is larger.
    pub distance: f32,
}

/// How far beyond the hyperplane points are tried, relative to its distance.
const BEYOND: [f32; 8] = [0.0, 1e-6, 4e-6, 1.6e-5, 6.4e-5, 2.5e-4, 1e-3, 4e-3];

/// Steps of the search for a multiplier or a radius in a box.
const STEPS: usize = 40;

/// Looks for a violation at the projection of the point on the nearest decision boundary.
///
/// `a` and `value` are what [`super::simplex`] gave for it. The point found is written to `out`: it
/// lies in the query's box, and a row of the specification is at most 0 there, settled by the
/// enclosing forward pass, so `min {||x - u||_p : violation x} <= distance`. `None` if no such point
/// is found within 0.4 % of the hyperplane's distance.
///
/// # Errors
/// [`Error`]. Memory: `workspace`, at least `inputs + 2*outputs` floats more than interval
/// propagation takes ([`crate::bounds::Size::of`] with a block of 1). Work: a few forward passes.
pub fn nearest_violation<A: Arithmetic>(
    arith: &mut A,
    model: &Model<'_>,
    query: &Query<'_>,
    a: &[f32],
    value: f32,
    workspace: Workspace<'_>,
    out: &mut [f32],
) -> Result<Option<Violation>, Error> {
    query.check(model)?;
    let (n, outputs) = (model.inputs(), model.outputs());
    if a.len() != n || out.len() != n {
        return Err(Error::Workspace);
    }
    let (way, rest) = workspace.floats.split_at_mut_checked(n).ok_or(Error::Workspace)?;
    let (ends, rest) = rest.split_at_mut_checked(2 * outputs).ok_or(Error::Workspace)?;
    let mut workspace = Workspace { floats: rest, indices: workspace.indices };
    let rounding = Rounding::new(arith.row_depth(n), n);
    let norm = dual_norm(arith, Row::F32(a), &rounding, query.norm);
    for beyond in BEYOND {
        let row = Reached { a, value: value * (1.0 + beyond), off: 0.0, slope: 0.0 };
        project(query, &row, norm, out);
        for ((way, x), u) in way.iter_mut().zip(&*out).zip(query.x) {
            *way = mul_up(1.0 + 4.0 * U, (x - u).abs());
        }
        let distance = norm_up(arith, Row::F32(way), &rounding, query.norm);
        let inside = query.clip.is_none_or(|(lo, hi)| {
            out.iter().zip(lo.iter().zip(hi)).all(|(x, (lo, hi))| lo <= x && x <= hi)
        });
        if !inside || !distance.is_finite() || out.iter().any(|x| !x.is_finite()) {
            continue;
        }
        forward_enclosed(arith, model, out, Semantics::Real, workspace.reborrow(), ends)?;
        if is_violated(query, outputs, ends) {
            return Ok(Some(Violation { distance }));
        }
    }
    Ok(None)
}

/// Whether some row of the specification is at most 0 for certain; `ends` are the outputs' lower
/// ends, then their upper ones negated.
fn is_violated(query: &Query<'_>, outputs: usize, ends: &[f32]) -> bool {
    let Some((lo, minus_hi)) = ends.split_at_checked(outputs) else { return false };
    if let (Spec::Margins { class }, None) = (query.spec, query.offsets) {
        let own = minus_hi.get(class).map_or(f32::INFINITY, |x| -x);
        return lo.iter().enumerate().any(|(j, lo)| j != class && *lo >= own);
    }
    (0..query.spec.count(outputs)).any(|r| {
        let mut most = query.offset(r);
        for (j, (lo, minus_hi)) in lo.iter().zip(minus_hi).enumerate() {
            let c = query.spec.coefficient(r, j, outputs);
            let end = if c > 0.0 { -*minus_hi } else { *lo };
            if c != 0.0 {
                most = add_up(most, mul_up(c, end));
            }
        }
        most <= 0.0
    })
}

/// Writes a point close to the projection of u on `a.(x - u) = -value`, in the box.
fn project(query: &Query<'_>, row: &Reached<'_>, norm: f32, out: &mut [f32]) {
    let u = query.x;
    let largest =
        row.a.iter().fold(0.0, |most: f32, a| if a.abs() > most { a.abs() } else { most });
    // `(|a| / largest)^(q-1)`, q - 1 = 1/(p - 1).
    let share = |a: f32, p: Exponent| {
        libm::pow(f64::from(a.abs() / largest), 1.0 / (f64::from(p.get()) - 1.0)) as f32
    };
    // One parameter moves the point along its norm's path; the function falls as it grows.
    let place = |t: f32, out: &mut [f32]| {
        let mut fallen = 0.0;
        for (j, (x, (u, a))) in out.iter_mut().zip(u.iter().zip(row.a)).enumerate() {
            let step = match query.norm {
                Norm::Linf if *a == 0.0 => 0.0,
                Norm::Linf => -t.copysign(*a),
                Norm::L2 => -t * a,
                Norm::L1 => 0.0,
                Norm::Lp(p) => -t * share(*a, p).copysign(*a),
            };
            *x = query.cut(j, u + step);
            fallen += a * (u - *x);
        }
        fallen
    };
    if query.norm == Norm::L1 {
        return heaviest_first(query, row, out);
    }
    let mut high = match query.norm {
        Norm::L2 => row.value / (norm * norm),
        Norm::Lp(p) => row.value / row.a.iter().map(|a| a.abs() * share(*a, p)).sum::<f32>(),
        _ => row.value / norm,
    };
    let mut fallen = place(high, out);
    if query.clip.is_none() {
        return;
    }
    let mut low = 0.0;
    for _ in 0..STEPS {
        if fallen >= row.value {
            break;
        }
        low = high;
        high *= 2.0;
        fallen = place(high, out);
    }
    for _ in 0..STEPS {
        let middle = 0.5 * low + 0.5 * high;
        if place(middle, out) >= row.value {
            high = middle;
        } else {
            low = middle;
        }
    }
    place(high, out);
}

/// The l1 projection: the coordinate with the largest weight moves first, as far as it can.
fn heaviest_first(query: &Query<'_>, row: &Reached<'_>, out: &mut [f32]) {
    for (x, u) in out.iter_mut().zip(query.x) {
        *x = *u;
    }
    let mut left = row.value;
    let mut below = (f32::INFINITY, usize::MAX);
    while left > 0.0 {
        // The next lighter one; among equals in order.
        let mut next: Option<(f32, usize)> = None;
        for (j, a) in row.a.iter().enumerate() {
            let here = (a.abs(), j);
            let after = here.0 < below.0 || (here.0 == below.0 && j > below.1);
            if after && here.0 > 0.0 && next.is_none_or(|(size, _)| here.0 > size) {
                next = Some(here);
            }
        }
        let Some((size, j)) = next else { return };
        below = (size, j);
        let (Some(a), Some(u), Some(x)) = (row.a.get(j), query.x.get(j), out.get_mut(j)) else {
            return;
        };
        let to = query.cut(j, u - (left / size).copysign(*a));
        *x = to;
        let fallen = a * (u - to);
        left = if fallen < left { left - fallen } else { 0.0 };
    }
}
