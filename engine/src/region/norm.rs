//! The norms of balls, their duals, and upper bounds of both.

use crate::bounds::Arithmetic;
use crate::model::Row;
use crate::num::powers::{narrow_up, power_norm_up};
use crate::num::{Rounding, sqrt_up};

/// The norm of a ball.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// Sum of absolute values.
    L1,
    /// Euclidean.
    L2,
    /// Largest absolute value.
    Linf,
    /// `(sum |x_i|^p)^(1/p)`; made by [`Norm::new`].
    Lp(Exponent),
}

impl core::fmt::Display for Norm {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Norm::L1 => f.write_str("l1"),
            Norm::L2 => f.write_str("l2"),
            Norm::Linf => f.write_str("linf"),
            Norm::Lp(p) => write!(f, "l{}", p.0),
        }
    }
}

/// A finite p above 1 other than 2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exponent(f32);

// No NaN.
impl Eq for Exponent {}

impl Exponent {
    /// p.
    pub const fn get(self) -> f32 {
        self.0
    }

    /// Lower bound of the dual exponent `q = p/(p - 1) = 1 + 1/(p - 1)`, and at least 1: the norm
    /// falls as its exponent grows, so that a q too small is on the safe side.
    pub(crate) fn dual_down(self) -> f64 {
        let above = (f64::from(self.0) - 1.0).next_up();
        let q = (1.0 + (1.0 / above).next_down()).next_down();
        if q > 1.0 { q } else { 1.0 }
    }
}

impl Norm {
    /// The norm with exponent p, infinity included; `None` where that is none, for `p < 1` and NaN.
    pub const fn new(p: f32) -> Option<Self> {
        if p == 1.0 {
            Some(Norm::L1)
        } else if p == 2.0 {
            Some(Norm::L2)
        } else if p == f32::INFINITY {
            Some(Norm::Linf)
        } else if p > 1.0 {
            Some(Norm::Lp(Exponent(p)))
        } else {
            None
        }
    }

    /// The dual norm: `1/p + 1/q = 1`. Of a general p a norm at least as large, q rounded down.
    pub fn dual(self) -> Self {
        match self {
            Norm::L1 => Norm::Linf,
            Norm::L2 => Norm::L2,
            Norm::Linf => Norm::L1,
            Norm::Lp(p) => {
                let q = p.dual_down();
                let nearest = q as f32;
                let down = if f64::from(nearest) > q { nearest.next_down() } else { nearest };
                Norm::new(down).unwrap_or(Norm::L1)
            }
        }
    }

    /// The norm itself, or in place of a general p the next larger of 2 and infinity: a ball of
    /// this norm lies in that norm's ball of the same radius.
    pub const fn wider(self) -> Self {
        match self {
            Norm::Lp(p) if p.0 < 2.0 => Norm::L2,
            Norm::Lp(_) => Norm::Linf,
            named => named,
        }
    }

    /// Upper bound of `||d||_2 / ||d||_p` over vectors of n entries: `n^(1/2 - 1/p)` for `p > 2`,
    /// else 1.
    pub(crate) fn euclidean_rate(self, n: usize) -> f32 {
        match self {
            Norm::L1 | Norm::L2 => 1.0,
            Norm::Linf => sqrt_up(n as f32),
            Norm::Lp(Exponent(p)) if p < 2.0 => 1.0,
            Norm::Lp(Exponent(p)) => {
                let rate = libm::pow(n as f64, 0.5 - 1.0 / f64::from(p));
                // The power's error, and the exponent's times `ln n`.
                narrow_up(rate * (1.0 + 1.0 / (1u64 << 40) as f64), 0)
            }
        }
    }
}

/// `||a||_p` rounded up; `rounding` is that of the row's sums.
pub(crate) fn norm_up<A: Arithmetic>(
    arith: &A,
    a: Row<'_>,
    rounding: &Rounding,
    norm: Norm,
) -> f32 {
    let norms = || arith.norms(a);
    match norm {
        Norm::L1 => rounding.inflate(norms().sum),
        Norm::L2 => sqrt_up(rounding.inflate(norms().squares)),
        Norm::Linf => norms().largest,
        Norm::Lp(p) => general(a, f64::from(p.0)),
    }
}

/// `||a||_q` rounded up, q dual to `norm`; `rounding` is that of the row's sums.
pub(crate) fn dual_norm<A: Arithmetic>(
    arith: &A,
    a: Row<'_>,
    rounding: &Rounding,
    norm: Norm,
) -> f32 {
    match norm {
        Norm::Lp(p) => general(a, p.dual_down()),
        named => norm_up(arith, a, rounding, named.dual()),
    }
}

/// `||a||_q` rounded up for any q.
fn general(a: Row<'_>, q: f64) -> f32 {
    let norm = match a {
        Row::F32(a) => power_norm_up(a.iter().map(|a| f64::from(*a)), q),
        Row::F16(a) => power_norm_up(a.iter().map(|a| a.to_f64()), q),
    };
    let n = match a {
        Row::F32(a) => a.len(),
        Row::F16(a) => a.len(),
    };
    narrow_up(norm, n)
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;
    use crate::bounds::Portable;

    fn lp(p: f32) -> Norm {
        Norm::new(p).unwrap()
    }

    fn dual_of(a: &[f32], norm: Norm) -> f32 {
        let n = a.len();
        dual_norm(&Portable, Row::F32(a), &Rounding::new(Portable.row_depth(n), n), norm)
    }

    /// Just above `expected`.
    fn near(found: f32, expected: f64) {
        let found = f64::from(found);
        assert!(found >= expected && found <= expected * (1.0 + 2e-7), "{found} {expected}");
    }

    #[test]
    fn exponents_are_checked_and_named() {
        assert_eq!(Norm::new(1.0), Some(Norm::L1));
        assert_eq!(Norm::new(2.0), Some(Norm::L2));
        assert_eq!(Norm::new(f32::INFINITY), Some(Norm::Linf));
        for p in [1.5, 3.0, 1.0f32.next_up(), 2.0f32.next_down(), f32::MAX] {
            assert!(matches!(Norm::new(p), Some(Norm::Lp(found)) if found.get() == p), "{p}");
        }
        for p in [0.5, 0.0, -1.0, -2.0, 1.0f32.next_down(), f32::NAN, f32::NEG_INFINITY] {
            assert_eq!(Norm::new(p), None, "{p}");
        }
        extern crate std;
        use std::string::ToString;
        for name in ["l1", "l1.5", "l2", "l3", "linf"] {
            assert_eq!(lp(name[1..].parse().unwrap()).to_string(), name);
        }
    }

    #[test]
    fn dual_exponents_are_rounded_down() {
        // `(p - 1)(q - 1) = 1`; halves and doubles keep what is exact exact.
        for p in [1.0f32.next_up(), 1.0001, 1.1, 1.5, 1.999, 2.5, 3.0, 7.0, 1e3, 1e20, f32::MAX] {
            let Norm::Lp(exponent) = lp(p) else { panic!("{p}") };
            let q = exponent.dual_down();
            let product = (f64::from(p) - 1.0) * (q - 1.0);
            assert!(q >= 1.0 && product <= 1.0, "{p} {q}");
            assert!(q - 1.0 >= 1.0 / (f64::from(p) - 1.0) - 1e-15 * q, "{p} {q}");
        }
        assert_eq!(lp(f32::MAX).dual(), Norm::L1);
        // 1.5 itself rounds down.
        assert!(matches!(lp(3.0).dual(), Norm::Lp(q) if q.get() == 1.5f32.next_down()));
        assert!(matches!(lp(1.0f32.next_up()).dual(), Norm::Lp(q) if q.get() > 8e6));
    }

    #[test]
    fn duals_by_hand() {
        // p = 1.5 has q = 3; p = 3 has q = 1.5: (8 + 27 + 1)^(2/3) = 36^(2/3).
        near(dual_of(&[3.0, -4.0, 5.0], lp(1.5)), 6.0);
        near(dual_of(&[-4.0, 9.0, 1.0], lp(3.0)), 36f64.powf(2.0 / 3.0));
        let halves = [3.0, 4.0, -5.0].map(f16::from_f32);
        let rounding = Rounding::new(Portable.row_depth(3), 3);
        near(dual_norm(&Portable, Row::F16(&halves), &rounding, lp(1.5)), 6.0);
        near(norm_up(&Portable, Row::F32(&[3.0, -4.0, 5.0]), &rounding, lp(3.0)), 6.0);
    }

    #[test]
    fn duals_lie_between_those_of_the_named_norms() {
        let a = [0.3, -1.7, 0.0, 2.5e-3, 0.9, -0.9];
        let mut last = dual_of(&a, Norm::L1);
        for p in [1.0001, 1.1, 1.5, 1.9, 2.0, 2.1, 3.0, 8.0, 1e3, 1e9, f32::INFINITY] {
            let here = dual_of(&a, lp(p));
            assert!(here >= last * (1.0 - 3e-7), "{p}: {here} {last}");
            last = here;
        }
        assert!((dual_of(&a, lp(1.0001)) / dual_of(&a, Norm::L1) - 1.0).abs() < 1e-6);
        assert!((dual_of(&a, lp(1e3)) / dual_of(&a, Norm::Linf) - 1.0).abs() < 2e-3);
    }

    #[test]
    fn what_is_no_number_has_no_norm() {
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for a in [[wrong, 1.0], [1.0, wrong], [wrong, wrong]] {
                assert_eq!(dual_of(&a, lp(3.0)), f32::INFINITY);
            }
        }
        assert_eq!(dual_of(&[f32::MAX; 4], lp(3.0)), f32::INFINITY);
        assert!(dual_of(&[0.0; 4], lp(3.0)) <= 1e-34);
    }

    #[test]
    fn euclidean_rates_are_upper_bounds() {
        for (p, n, exact) in [(4.0, 16, 2.0), (1.5, 100, 1.0), (3.0, 64, 2.0), (f32::MAX, 4, 2.0)] {
            let rate = f64::from(lp(p).euclidean_rate(n));
            assert!(rate >= exact && rate <= exact * 1.000_001, "{p} {n} {rate}");
        }
        assert!(Norm::Linf.euclidean_rate(4) >= 2.0);
        for (norm, wider) in
            [(lp(1.5), Norm::L2), (lp(3.0), Norm::Linf), (Norm::L1, Norm::L1), (Norm::L2, Norm::L2)]
        {
            assert_eq!(norm.wider(), wider);
        }
    }
}
