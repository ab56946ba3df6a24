//! Floats as exact rationals, exact sums and products of them, and roundings back to floats.

use std::cmp::Ordering;

pub use dashu_int::{IBig, Sign, UBig};
pub use dashu_ratio::RBig as Rational;

/// `(m, e)` with `x = m * 2^e` exactly and `m` odd, or `(0, 0)`.
///
/// # Panics
/// If `x` is infinite or NaN.
pub fn parts(x: f64) -> (i64, i32) {
    assert!(x.is_finite(), "{x} is not a rational");
    if x == 0.0 {
        return (0, 0);
    }
    let bits = x.to_bits();
    let field = (bits >> 52 & 0x7ff) as i32;
    let fraction = (bits & ((1 << 52) - 1)) as i64;
    let (mantissa, exponent) = match field {
        0 => (fraction, -1074),
        _ => (fraction | 1 << 52, field - 1075),
    };
    let zeros = mantissa.trailing_zeros();
    let odd = mantissa >> zeros;
    (if x < 0.0 { -odd } else { odd }, exponent + zeros as i32)
}

/// `mantissa * 2^exponent`.
pub fn dyadic(mantissa: IBig, exponent: i64) -> Rational {
    let shift = exponent.unsigned_abs() as usize;
    if exponent >= 0 {
        Rational::from(mantissa << shift)
    } else {
        Rational::from_parts(mantissa, UBig::ONE << shift)
    }
}

/// The value of a finite f64 (or f32, or small integer), exactly.
///
/// # Panics
/// If `x` is infinite or NaN.
pub fn exact(x: impl Into<f64>) -> Rational {
    let (mantissa, exponent) = parts(x.into());
    dyadic(mantissa.into(), exponent.into())
}

/// The value of a finite f32, exactly.
pub fn from_f32(x: f32) -> Rational {
    exact(x)
}

/// The value of a finite f64, exactly.
pub fn from_f64(x: f64) -> Rational {
    exact(x)
}

/// The values of finite f32s, exactly.
pub fn from_slice(x: &[f32]) -> Vec<Rational> {
    x.iter().map(|&x| exact(x)).collect()
}

/// `x` against `value`; an infinity is beyond every rational.
///
/// # Panics
/// If `x` is NaN.
pub fn compare(x: impl Into<f64>, value: &Rational) -> Ordering {
    let x = x.into();
    assert!(!x.is_nan(), "NaN has no order");
    if x.is_infinite() {
        return if x > 0.0 { Ordering::Greater } else { Ordering::Less };
    }
    exact(x).cmp(value)
}

/// The least exponent of a product of two finite f64s.
const LEAST_PRODUCT: i32 = -2148;

/// `sum a_i b_i`, exactly.
///
/// # Panics
/// If an entry is not finite or the lengths differ.
pub fn dot<T: Copy + Into<f64>>(a: &[T], b: &[T]) -> Rational {
    assert_eq!(a.len(), b.len());
    let products = || {
        a.iter().zip(b).map(|(&a, &b)| {
            let ((ma, ea), (mb, eb)) = (parts(a.into()), parts(b.into()));
            (i128::from(ma) * i128::from(mb), ea + eb)
        })
    };
    let least = products().map(|(_, e)| e).min().unwrap_or(0).max(LEAST_PRODUCT);
    let sum =
        products().fold(IBig::ZERO, |sum, (m, e)| sum + (IBig::from(m) << (e - least) as usize));
    dyadic(sum, least.into())
}

/// `sum x_i`, exactly.
///
/// # Panics
/// If an entry is not finite.
pub fn sum<T: Copy + Into<f64>>(x: &[T]) -> Rational {
    let wide: Vec<f64> = x.iter().map(|&x| x.into()).collect();
    dot(&wide, &vec![1.0; x.len()])
}

/// `|x|`.
pub fn abs(x: &Rational) -> Rational {
    if x.sign() == Sign::Negative { -x } else { x.clone() }
}

/// The largest f32 that is `<= x`; minus infinity below the finite ones.
pub fn floor_f32(x: &Rational) -> f32 {
    let mut near = x.to_f32_fast();
    while compare(near, x).is_gt() {
        near = near.next_down();
    }
    while compare(near.next_up(), x).is_le() {
        near = near.next_up();
    }
    near
}

/// The smallest f32 that is `>= x`; plus infinity above the finite ones.
pub fn ceil_f32(x: &Rational) -> f32 {
    -floor_f32(&-x)
}

/// The largest f64 that is `<= x`; minus infinity below the finite ones.
pub fn floor_f64(x: &Rational) -> f64 {
    let mut near = x.to_f64_fast();
    while compare(near, x).is_gt() {
        near = near.next_down();
    }
    while compare(near.next_up(), x).is_le() {
        near = near.next_up();
    }
    near
}

/// The smallest f64 that is `>= x`; plus infinity above the finite ones.
pub fn ceil_f64(x: &Rational) -> f64 {
    -floor_f64(&-x)
}

/// `sqrt(x)` from below and from above; equal when the root is rational.
///
/// The gap is at most `2^-190` relative.
///
/// # Panics
/// If `x` is negative.
pub fn sqrt_bounds(x: &Rational) -> (Rational, Rational) {
    use dashu_int::ops::{BitTest, SquareRoot};
    assert!(x.sign() == Sign::Positive, "root of a negative number");
    if x.is_zero() {
        return (Rational::ZERO, Rational::ZERO);
    }
    let denominator = x.denominator();
    // sqrt(n / d) = sqrt(n d 4^k) / (d 2^k)
    let product = UBig::try_from(x.numerator().clone()).expect("positive") * denominator;
    let shift = 192usize.saturating_sub(product.bit_len() / 2);
    let scaled = product << (2 * shift);
    let root = scaled.sqrt();
    let whole = denominator << shift;
    let low = Rational::from_parts(IBig::from(root.clone()), whole.clone());
    if &root * &root == scaled {
        return (low.clone(), low);
    }
    (low, Rational::from_parts(IBig::from(root + UBig::ONE), whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIAL: [f32; 12] = [
        0.0,
        -0.0,
        1.0,
        -1.5,
        f32::MIN_POSITIVE,
        f32::MAX,
        f32::MIN,
        1e-45,
        -1e-45,
        1.175_494_2e-38,
        16_777_217.0,
        0.1,
    ];

    #[test]
    fn floats_come_back() {
        for x in SPECIAL {
            assert_eq!(floor_f32(&exact(x)), x);
            assert_eq!(ceil_f32(&exact(x)), x);
            assert_eq!(floor_f64(&exact(x)), f64::from(x));
        }
        for x in [5e-324, -5e-324, f64::MAX, 2.2e-308, 0.1] {
            assert_eq!(floor_f64(&exact(x)), x);
            assert_eq!(ceil_f64(&exact(x)), x);
        }
    }

    #[test]
    fn known_values() {
        assert_eq!(exact(0.1f32), Rational::from_parts(13_421_773.into(), (1u32 << 27).into()));
        assert_eq!(exact(1e-45f32), dyadic(IBig::ONE, -149));
        assert_eq!(parts(-12.0), (-3, 2));
        assert_eq!(parts(5e-324), (1, -1074));
    }

    #[test]
    fn rounding_is_outward() {
        let third = Rational::from_parts(1.into(), 3u32.into());
        assert_eq!(ceil_f32(&third), floor_f32(&third).next_up());
        assert!(compare(floor_f32(&third), &third).is_lt());
        assert_eq!(ceil_f64(&third), floor_f64(&third).next_up());
        let tiny = dyadic(IBig::ONE, -200);
        assert_eq!((floor_f32(&tiny), ceil_f32(&tiny)), (0.0, 1e-45));
        let huge = dyadic(IBig::ONE, 200);
        assert_eq!((floor_f32(&huge), ceil_f32(&huge)), (f32::MAX, f32::INFINITY));
        assert_eq!((floor_f32(&-&huge), ceil_f32(&-huge)), (f32::NEG_INFINITY, f32::MIN));
    }

    #[test]
    fn sums_do_not_round() {
        assert_eq!(dot(&[1e20f32, 1.0, 1e20], &[1.0, 1.0, -1.0]), exact(1.0));
        assert_eq!(sum(&[16_777_216.0f32, 1.0, -16_777_216.0]), exact(1.0));
        assert_eq!(dot(&[1e-45f32, f32::MAX], &[1e-45, 0.0]), dyadic(IBig::ONE, -298));
        assert_eq!(dot::<f32>(&[], &[]), exact(0.0));
    }

    #[test]
    fn roots_enclose() {
        assert_eq!(sqrt_bounds(&exact(2.25)), (exact(1.5), exact(1.5)));
        let (low, high) = sqrt_bounds(&exact(2.0));
        assert!(&low * &low < exact(2.0) && &high * &high > exact(2.0));
        assert!(&high - &low < dyadic(IBig::ONE, -180));
        let (low, high) = sqrt_bounds(&dyadic(3.into(), -400));
        assert!((&high - &low) / &low < dyadic(IBig::ONE, -180));
    }
}
