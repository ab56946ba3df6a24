//! Distances between stored points, never below the true ones.
//!
//! Each f64 operation rounds to nearest, and the error of a sum (TwoSum) and of a product (fused
//! multiply-add) is itself a float, which tells whether the result lies below the true value; where
//! it does, the next float above is taken. So what is exact stays exact: a point on the sphere is
//! not refused. `soundness.md` 2 forbids such transforms on a GPU; this is Rust's f64.

use certus_engine::num::powers::power_norm_up;
use certus_engine::region::Norm;

/// `a + b`, never below it.
fn add_up(a: f64, b: f64) -> f64 {
    let sum = a + b;
    let rest = sum - a;
    let error = (a - (sum - rest)) + (b - rest);
    // A NaN error, of infinities, leaves the sum as it is.
    if error > 0.0 { sum.next_up() } else { sum }
}

/// `x * x`, never below it.
fn square_up(x: f64) -> f64 {
    /// Where the error of a product may itself be rounded, below `2^-960`.
    const SMALL: f64 = f64::from_bits((1023 - 960) << 52);
    let square = x * x;
    if x == 0.0 {
        0.0
    } else if square < SMALL || x.mul_add(x, -square) > 0.0 {
        square.next_up()
    } else {
        square
    }
}

/// The square root of `x >= 0`, never below it.
fn sqrt_up(x: f64) -> f64 {
    /// Where the error of the root's square may be rounded.
    const SMALL: f64 = f64::from_bits((1023 - 900) << 52);
    if x == 0.0 {
        return 0.0;
    }
    let root = x.sqrt();
    if x < SMALL || root.mul_add(root, -x) < 0.0 { root.next_up() } else { root }
}

/// `|a - b|`, never below it.
pub fn gap_up(a: f32, b: f32) -> f64 {
    let (a, b) = (f64::from(a), f64::from(b));
    if a >= b { add_up(a, -b) } else { add_up(b, -a) }
}

/// `||a - b||` in `norm`, never below it; NaN or infinite where an entry is NaN.
///
/// Source: the rule above, operation by operation; l1 and l2 sum in the order of the entries. For
/// a general p [`power_norm_up`] of the gaps: that is beyond the true distance, by some `1e-12` of
/// it, unless that is 0.
pub fn distance_up(a: &[f32], b: &[f32], norm: Norm) -> f64 {
    let gaps = a.iter().zip(b).map(|(a, b)| gap_up(*a, *b));
    match norm {
        Norm::L1 => gaps.fold(0.0, add_up),
        Norm::L2 => sqrt_up(gaps.fold(0.0, |sum, gap| add_up(sum, square_up(gap)))),
        // Not `max`: a NaN must stay one.
        Norm::Linf => {
            gaps.fold(0.0, |most: f64, gap| if gap <= most || most.is_nan() { most } else { gap })
        }
        Norm::Lp(p) => power_norm_up(gaps, f64::from(p.get())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_exact_stays_exact() {
        assert_eq!(distance_up(&[3.0, 4.0], &[0.0, 0.0], Norm::L2), 5.0);
        assert_eq!(distance_up(&[3.0, -4.0], &[0.5, 0.0], Norm::L1), 6.5);
        assert_eq!(distance_up(&[3.0, -4.0], &[3.0, -4.0], Norm::L2), 0.0);
        assert_eq!(distance_up(&[0.1], &[0.0], Norm::Linf), f64::from(0.1f32));
    }

    #[test]
    fn what_is_not_is_rounded_up() {
        // 1 - 2^-80 is 1 in f64, and 1 + 2^-80 is above it.
        let tiny = f32::from_bits((127 - 80) << 23);
        assert_eq!(gap_up(1.0, tiny), 1.0);
        assert_eq!(gap_up(1.0, -tiny), 1.0f64.next_up());
        assert!(distance_up(&[1e-45, 1.0], &[0.0, 0.0], Norm::L1) > 1.0);
        assert!(distance_up(&[1e-45, 1.0], &[0.0, 0.0], Norm::L2) > 1.0);
        let root = distance_up(&[1.0, 1.0], &[0.0, 0.0], Norm::L2);
        assert!(root.mul_add(root, -2.0) >= 0.0 && root < 1.5);
    }

    #[test]
    fn a_general_distance_is_just_above() {
        let near = |found: f64, exact: f64| found > exact && found < exact * (1.0 + 1e-11);
        let lp = |p| Norm::new(p).unwrap();
        // 27 + 64 + 125 = 216, and 8 + 27 + 1 = 36 of exponent 3/2.
        assert!(near(distance_up(&[3.5, -4.0, 5.0], &[0.5, 0.0, 0.0], lp(3.0)), 6.0));
        let root = distance_up(&[4.0, 9.0, 1.0], &[0.0, 0.0, 2.0], lp(1.5));
        assert!(near(root.powi(3), 1296.0));
        assert_eq!(distance_up(&[3.0, -4.0], &[3.0, -4.0], lp(3.0)), 0.0);
        // One coordinate, and one whose power is far below what f64 holds.
        assert!(near(distance_up(&[0.1], &[0.0], lp(7.0)), f64::from(0.1f32)));
        assert!(distance_up(&[1.0, 1e-45], &[0.0, 0.0], lp(1e9)) > 1.0);
        let wrong = distance_up(&[f32::NAN, 1.0], &[0.0, 0.0], lp(3.0));
        assert!(!(wrong <= f64::MAX));
    }

    #[test]
    fn no_number_is_no_distance() {
        for norm in [Norm::L1, Norm::L2, Norm::Linf] {
            assert!(distance_up(&[f32::NAN, 1.0], &[0.0, 0.0], norm).is_nan(), "{norm:?}");
            assert!(!(distance_up(&[f32::INFINITY, 1.0], &[0.0, 0.0], norm) <= f64::MAX));
        }
    }
}
