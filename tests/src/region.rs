//! Input regions as the exact real sets they are, with exact membership.

use crate::rational::{Rational, abs, compare, exact};

/// The norm of a ball.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// Sum of magnitudes.
    L1,
    /// Euclidean.
    L2,
    /// Largest magnitude.
    Linf,
}

/// A set of inputs; every stored float is the exact number it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Region {
    /// `||x - center|| <= eps`.
    Ball {
        /// The centre.
        center: Vec<f32>,
        /// The radius, `>= 0`.
        eps: f64,
        /// The norm.
        norm: Norm,
    },
    /// `lo <= x <= hi`.
    Box {
        /// Lower corner.
        lo: Vec<f32>,
        /// Upper corner.
        hi: Vec<f32>,
    },
    /// A ball cut by a box; may be empty.
    BallInBox {
        /// The ball's centre, which need not lie in the box.
        center: Vec<f32>,
        /// The radius, `>= 0`.
        eps: f64,
        /// The norm.
        norm: Norm,
        /// Lower corner of the box.
        lo: Vec<f32>,
        /// Upper corner of the box.
        hi: Vec<f32>,
    },
}

/// A ball's centre, radius and norm.
pub type Ball<'a> = (&'a [f32], f64, Norm);

impl Region {
    /// A ball.
    pub fn ball(center: &[f32], eps: f64, norm: Norm) -> Self {
        Region::Ball { center: center.to_vec(), eps, norm }
    }

    /// A box.
    pub fn cube(lo: &[f32], hi: &[f32]) -> Self {
        Region::Box { lo: lo.to_vec(), hi: hi.to_vec() }
    }

    /// The same region cut by a box, if it is a ball.
    pub fn cut(self, lo: &[f32], hi: &[f32]) -> Self {
        match self {
            Region::Ball { center, eps, norm } => {
                Region::BallInBox { center, eps, norm, lo: lo.to_vec(), hi: hi.to_vec() }
            }
            other => other,
        }
    }

    /// Number of inputs.
    pub fn dim(&self) -> usize {
        match self {
            Region::Ball { center, .. } | Region::BallInBox { center, .. } => center.len(),
            Region::Box { lo, .. } => lo.len(),
        }
    }

    /// Its ball, if it has one.
    pub fn as_ball(&self) -> Option<Ball<'_>> {
        match self {
            Region::Ball { center, eps, norm } | Region::BallInBox { center, eps, norm, .. } => {
                Some((center, *eps, *norm))
            }
            Region::Box { .. } => None,
        }
    }

    /// Its box, if it has one.
    pub fn as_box(&self) -> Option<(&[f32], &[f32])> {
        match self {
            Region::Box { lo, hi } | Region::BallInBox { lo, hi, .. } => Some((lo, hi)),
            Region::Ball { .. } => None,
        }
    }

    /// The smallest box around the region that is read off its parts, exactly: the cut of the
    /// box and the ball's own; `None` if that is empty.
    pub fn bounding_box(&self) -> Option<(Vec<Rational>, Vec<Rational>)> {
        let sides: Vec<_> = (0..self.dim()).map(|i| self.side(i)).collect();
        let empty = sides.iter().any(|(lo, hi)| lo > hi);
        (!empty).then(|| sides.into_iter().unzip())
    }

    fn side(&self, i: usize) -> (Rational, Rational) {
        let ball = self.as_ball().map(|(center, eps, _)| {
            let (center, eps) = (exact(center[i]), exact(eps));
            (&center - &eps, center + eps)
        });
        let side = self.as_box().map(|(lo, hi)| (exact(lo[i]), exact(hi[i])));
        match (ball, side) {
            (Some(a), Some(b)) => (a.0.max(b.0), a.1.min(b.1)),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => unreachable!("a region has a ball or a box"),
        }
    }

    /// Whether the real region has the point `x`, decided exactly; infinities and NaN are outside.
    pub fn contains(&self, x: &[f32]) -> bool {
        if x.len() != self.dim() || x.iter().any(|x| !x.is_finite()) {
            return false;
        }
        // The box first: it needs no rationals.
        if let Some((lo, hi)) = self.as_box()
            && x.iter().zip(lo).zip(hi).any(|((x, lo), hi)| x < lo || x > hi)
        {
            return false;
        }
        self.as_ball().is_none_or(|ball| in_ball(ball, &crate::rational::from_slice(x)))
    }

    /// Whether the region has the rational point `x`.
    pub fn contains_rational(&self, x: &[Rational]) -> bool {
        let inside = self.as_box().is_none_or(|(lo, hi)| {
            let low = x.iter().zip(lo).all(|(x, &lo)| compare(lo, x).is_le());
            low && x.iter().zip(hi).all(|(x, &hi)| compare(hi, x).is_ge())
        });
        inside && self.as_ball().is_none_or(|ball| in_ball(ball, x))
    }
}

fn in_ball((center, eps, norm): Ball<'_>, x: &[Rational]) -> bool {
    let eps = exact(eps);
    let mut offsets = x.iter().zip(center).map(|(x, &c)| abs(&(x - exact(c))));
    match norm {
        Norm::Linf => offsets.all(|d| d <= eps),
        Norm::L1 => offsets.fold(Rational::ZERO, |sum, d| sum + d) <= eps,
        Norm::L2 => offsets.fold(Rational::ZERO, |sum, d| sum + &d * &d) <= &eps * &eps,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn membership_is_exact() {
        let ball = |norm, eps| Region::ball(&[0.0, 0.0], eps, norm);
        assert!(ball(Norm::L2, 5.0).contains(&[3.0, 4.0]));
        assert!(!ball(Norm::L2, 5.0f64.next_down()).contains(&[3.0, 4.0]));
        assert!(ball(Norm::L1, 7.0).contains(&[3.0, -4.0]));
        assert!(!ball(Norm::L1, 7.0f64.next_down()).contains(&[3.0, -4.0]));
        assert!(ball(Norm::Linf, 4.0).contains(&[3.0, -4.0]));
        assert!(!ball(Norm::Linf, 4.0f64.next_down()).contains(&[3.0, -4.0]));
        // 1 + 2^-24 is no f32 and 0.1f32 is above 0.1f64: a float test would say yes to both.
        let off = Region::ball(&[1.0], 2f64.powi(-24), Norm::Linf);
        assert!(!off.contains(&[1.0f32.next_up()]));
        assert!(!Region::ball(&[0.0], 0.1, Norm::Linf).contains(&[0.1f32]));
    }

    #[test]
    fn cuts_and_special_floats() {
        let cut = Region::ball(&[0.0], 1.0, Norm::L1).cut(&[0.5], &[2.0]);
        assert!(cut.contains(&[0.5]) && cut.contains(&[1.0]));
        assert!(!cut.contains(&[0.25]) && !cut.contains(&[1.5]));
        assert!(!cut.contains(&[f32::NAN]) && !cut.contains(&[f32::INFINITY]));
        assert_eq!(cut.bounding_box(), Some((vec![exact(0.5)], vec![exact(1.0)])));
        let empty = Region::ball(&[0.0], 1.0, Norm::L1).cut(&[1.5], &[2.0]);
        assert_eq!(empty.bounding_box(), None);
    }
}
