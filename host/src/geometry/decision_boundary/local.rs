//! The decision-boundary certificate with only those neurons free that can change side.

use certus_engine::region::Norm;

use super::{DecisionBoundary, Denominator, ZERO, dual_up, least, row, slot_of, smallest};
use crate::error::Result;
use crate::geometry::interval::{Interval, add_up, div_down, mul_up, sqrt_up};

/// What the walks of all pairs of classes at one point share.
struct Point {
    /// `W1 x + b1`.
    z: Vec<Interval>,
    /// Lower bounds of the distances to the neurons' bends.
    distances: Vec<f64>,
    /// The neurons, the nearest bend first.
    order: Vec<usize>,
}

/// The margin of one class over another at the point, and its gradient, over all patterns that
/// differ from the point's in the free neurons alone.
struct Walk<'a> {
    network: &'a DecisionBoundary,
    /// `W2_c - W2_j`.
    difference: Vec<Interval>,
    /// `1 - slope`, rounded up: by how much a neuron's `theta` can change.
    swing: f64,
    /// Encloses `(1 - slope)/2`.
    half: Interval,
    margin: Interval,
    /// The gradient's entries, over all those patterns.
    gradient: Vec<Interval>,
    /// The gradient's entries where each free neuron's `theta` is the middle of its range.
    centre: Vec<Interval>,
    /// Upper bound of the sum of `d_i^2` over the free neurons.
    square: f64,
}

impl DecisionBoundary {
    /// A certified radius around `x` as [`DecisionBoundary::radius`] gives it, sign included, and
    /// never of a smaller magnitude than with either [`Denominator`]; nor, up to rounding, below the
    /// simplex certificate's where that is above 0.
    ///
    /// Let `t_i` be at most the distance of `x` from the bend of neuron i, `|z_i| / ||W1_i||_q`. Take
    /// any `r`. A neuron is free if `t_i < r`; the others keep their side, and so their
    /// `theta_i(x)`, at every `y` nearer than `r`. With `m` the least margin at `x`,
    /// `c(theta) x + e(theta)`, and `g` the largest `||c(theta)||_q`, both over the `theta` in
    /// `[slope, 1]^N` that agree with `theta(x)` wherever a neuron is not free:
    ///
    /// Let `y` be nearer than `r` and the margin at `y` not above 0. Its own pattern `phi` is among
    /// those, and `0 >= c(phi) y + e(phi) = c(phi) x + e(phi) + c(phi) (y - x) >= m - g ||y - x||`.
    /// Hence class c stays above class j nearer than `min(r, m/g)`.
    ///
    /// As paper 000, theorem 4, which is the case of an infinite `r`; at `r = min t_i` nothing is
    /// free and `m/g` is the distance dD of theorem 3. Growing `r` past the `t_i` one after the
    /// other, `m/g` falls: where it falls below `r`, the best `r` is found. Between two `t_i` the
    /// free neurons are the same. `g` is bounded entry by entry, and from the middle of the free
    /// range by `||c(middle)||_2 + (1 - slope)/2 ||d_free||_2 ||W1||_2`.
    ///
    /// Everything is rounded outward; the original network is covered where import rounded.
    ///
    /// # Errors
    /// As [`DecisionBoundary::radius`]. Work: `N*inputs` multiply-adds, as many again for each
    /// other class, and `inputs` for each neuron that is freed.
    pub fn local(&self, x: &[f32], class: usize, norm: Norm) -> Result<f64> {
        let norm = norm.wider();
        self.check(x, class)?;
        let z = self.pre_activations(x);
        let rows = self.row_norms(norm);
        let distances: Vec<f64> = z.iter().zip(rows).map(|(z, norm)| distance(*z, *norm)).collect();
        let mut order: Vec<usize> = (0..z.len()).collect();
        order.sort_by(|a, b| distances[*a].total_cmp(&distances[*b]));
        let point = Point { z, distances, order };
        Ok(least(self.others(class).map(|other| self.local_pair(class, other, &point, norm))))
    }

    /// The signed radius within which `class` and `other` keep their order.
    fn local_pair(&self, class: usize, other: usize, point: &Point, norm: Norm) -> f64 {
        let margin = self.margin(class, other, &point.z);
        let denominator = self.denominator(class, other, norm, Denominator::Smallest);
        let whole = self.signed(margin, denominator);
        let walk = Walk::new(self, class, other, point);
        let walked = match walk.margin {
            Interval { hi, .. } if hi < 0.0 => {
                -Walk::new(self, other, class, point).radius(point, norm)
            }
            _ => walk.radius(point, norm),
        };
        if walked.abs() > whole.abs() { walked } else { whole }
    }

    /// Upper bounds of the hidden rows' norms dual to `norm`.
    fn row_norms(&self, norm: Norm) -> &[f64] {
        self.rows[slot_of(norm)].get_or_init(|| {
            let entries = |i| row(&self.hidden, i).collect::<Vec<_>>();
            (0..self.hidden.rows).map(|i| dual_up(&entries(i), norm)).collect()
        })
    }
}

/// Lower bound of the distance to the bend of a neuron with pre-activation `z`.
fn distance(z: Interval, norm: f64) -> f64 {
    let size = if z.lo > 0.0 { z.lo } else { -z.hi };
    match norm {
        _ if !(size > 0.0) => 0.0,
        0.0 => f64::INFINITY,
        norm if norm.is_finite() => div_down(size, norm),
        _ => 0.0,
    }
}

impl<'a> Walk<'a> {
    /// Nothing is free yet.
    fn new(network: &'a DecisionBoundary, class: usize, other: usize, point: &Point) -> Self {
        let swing = if network.slope == 0.0 { 1.0 } else { (1.0 - network.slope).next_up() };
        let least = (1.0 - network.slope).next_down();
        let mut walk = Self {
            network,
            difference: network.difference(class, other).collect(),
            swing,
            half: Interval { lo: 0.5 * least, hi: 0.5 * swing },
            margin: network.head_start(class, other),
            gradient: vec![ZERO; network.hidden.cols],
            centre: Vec::new(),
            square: 0.0,
        };
        for (i, z) in point.z.iter().enumerate() {
            let d = walk.difference[i];
            let theta = if is_on(*z) { 1.0 } else { network.slope };
            if d == ZERO || theta == 0.0 {
                continue;
            }
            let d = if theta == 1.0 { d } else { d * Interval { lo: theta, hi: theta } };
            walk.margin = walk.margin + d * *z;
            for (entry, w) in walk.gradient.iter_mut().zip(row(&network.hidden, i)) {
                if w != ZERO {
                    *entry = *entry + d * w;
                }
            }
        }
        walk.centre.clone_from(&walk.gradient);
        walk
    }

    /// Frees one neuron after the other until the radius is found; 0 if there is none.
    fn radius(mut self, point: &Point, norm: Norm) -> f64 {
        let mut best: f64 = 0.0;
        for i in point.order.iter().copied() {
            if self.difference[i] == ZERO {
                continue;
            }
            let (reach, next) = (self.reach(norm), point.distances[i]);
            best = best.max(reach.min(next));
            if reach <= next {
                return best;
            }
            self.free(i, point.z[i]);
        }
        best.max(self.reach(norm))
    }

    /// `m/g`, rounded down; not above 0 where `m` is not.
    fn reach(&self, norm: Norm) -> f64 {
        let spread = mul_up(self.half.hi, sqrt_up(self.square));
        let euclidean = smallest(&[
            dual_up(&self.gradient, Norm::L2),
            add_up(dual_up(&self.centre, Norm::L2), mul_up(spread, self.network.spectral)),
        ]);
        let bounds = [dual_up(&self.gradient, norm), self.network.widened(euclidean, norm)];
        self.network.signed(self.margin, smallest(&bounds))
    }

    /// Lets neuron `i` take any `theta`: from 1 down, or from the slope up, by up to `1 - slope`.
    fn free(&mut self, i: usize, z: Interval) {
        let d = self.difference[i];
        let change = if is_on(z) { -d } else { d };
        self.margin = self.margin + (change * z).shrunk(self.swing);
        let entries = self.gradient.iter_mut().zip(&mut self.centre);
        for ((entry, centre), w) in entries.zip(row(&self.network.hidden, i)) {
            if w != ZERO {
                let term = change * w;
                *entry = *entry + term.shrunk(self.swing);
                *centre = *centre + term * self.half;
            }
        }
        self.square = add_up(self.square, mul_up(d.magnitude(), d.magnitude()));
    }
}

/// Which side a neuron is counted on; one that may be on either is freed first.
fn is_on(z: Interval) -> bool {
    !(z.hi <= 0.0)
}
