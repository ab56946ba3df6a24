//! Weak duality: a distance bounded from below by any weights of the constraints.

use certus_engine::region::Norm;

use super::forms::Face;
use super::round::{gamma, inflate, norm_up};

/// How far each coordinate may step down and up, rounded up.
pub(super) struct Sides {
    pub down: Vec<f64>,
    pub up: Vec<f64>,
}

impl Sides {
    /// Of `x` within `[lo, hi]`.
    pub(super) fn new(x: &[f32], lo: &[f32], hi: &[f32]) -> Self {
        let side = |(a, b): (&f32, &f32)| match f64::from(*b) - f64::from(*a) {
            0.0 => 0.0,
            step => step.next_up(),
        };
        Self {
            down: lo.iter().zip(x).map(side).collect(),
            up: x.iter().zip(hi).map(side).collect(),
        }
    }

    /// Upper bound of the distance of any point of the box.
    pub(super) fn farthest(&self, norm: Norm) -> f64 {
        let sides: Vec<f64> = self.down.iter().zip(&self.up).map(|(a, b)| a.max(*b)).collect();
        norm_up(sides.iter(), norm)
    }
}

/// `v = sum w_i g_i` and `c = sum w_i h_i` over constraints `w_i (g_i.d + h_i) >= 0`.
pub(super) struct Combination {
    v: Vec<f64>,
    c: f64,
    /// Sum of the magnitudes that went into `c`.
    size: f64,
    off: f64,
    slope: f64,
    norms: f64,
    terms: usize,
}

impl Combination {
    pub(super) fn new(inputs: usize) -> Self {
        let v = vec![0.0; inputs];
        Self { v, c: 0.0, size: 0.0, off: 0.0, slope: 0.0, norms: 0.0, terms: 0 }
    }

    /// Adds a constraint. The weight is positive where the face's function is at least 0, negative
    /// where it is at most 0, any where it is 0.
    pub(super) fn add(&mut self, weight: f64, face: &Face<'_>) {
        for (v, g) in self.v.iter_mut().zip(face.row()) {
            *v += weight * g;
        }
        self.c += weight * face.value();
        self.size += (weight * face.value()).abs();
        self.off += weight.abs() * face.off;
        self.slope += weight.abs() * face.slope;
        self.norms += weight.abs() * face.norm;
        self.terms += 1;
    }

    /// Lower bound of `||d||_p` over all d that meet the constraints and the box.
    ///
    /// `0 <= v.d + c`, and with `0 <= m_j <= |v_j|` moved from v to the box's side that limits
    /// `v_j d_j`: `0 <= v'.d + sum m_j side_j + c <= ||v'||_q ||d||_p + sum m_j side_j + c` by
    /// Hoelder, whatever the weights and m are. The sums lose `gamma` of their magnitudes, which are
    /// bounded by the norms of the rows, and what the rows themselves are off by.
    pub(super) fn distance(
        mut self,
        dual: Norm,
        sides: Option<&Sides>,
        moved: (&[f64], &[f64]),
    ) -> f64 {
        let mut cost = 0.0;
        if let Some(sides) = sides {
            for (j, v) in self.v.iter_mut().enumerate() {
                let (side, amount) =
                    if *v > 0.0 { (sides.up[j], moved.1[j]) } else { (sides.down[j], moved.0[j]) };
                let share = if side == 0.0 { v.abs() } else { amount.max(0.0).min(v.abs()) };
                *v -= share.copysign(*v);
                cost += share * side;
            }
        }
        let cost = if cost > 0.0 { inflate(cost, self.v.len()) } else { 0.0 };
        let lost = gamma(self.terms + 4);
        let against = inflate(cost + self.off + lost * self.size, self.terms + 4);
        let room = (-self.c - against).next_down();
        let norm = norm_up(self.v.iter(), dual) + self.slope + lost * self.norms;
        let bound = room / inflate(norm, self.terms + 4);
        if bound > 0.0 { bound.next_down().min(f64::MAX) } else { 0.0 }
    }
}
