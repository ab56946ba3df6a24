//! Each function between two integers over `2^512`: series whose remainders are bounded, with every
//! rounding outward.

use certus_engine::num::functions::Function;
use dashu_int::ops::SquareRoot;

use crate::rational::{IBig, UBig, parts};

/// Binary places.
const PLACES: usize = 512;

/// Largest argument of all but the arc tangent.
pub const LARGEST: f32 = 100.0;

/// Whether `low <= f(x) <= high`, proved; `high` may be infinite. Work: half a millisecond.
///
/// # Panics
/// If x is 0, where values are known, or beyond [`LARGEST`] for another function than the arc
/// tangent.
pub fn holds(function: Function, x: f32, low: f64, high: f64) -> bool {
    assert!(x != 0.0 && (x.abs() <= LARGEST || function == Function::Atan), "{function:?} {x}");
    let one = Interval::whole(1);
    let z = Interval::float(x.into());
    let e = |z: &Interval| z.exp();
    let y = match function {
        Function::Exp => e(&z),
        Function::Expm1 => e(&z).sub(&one),
        Function::Sigmoid => one.add(&e(&z.minus())).reciprocal(),
        Function::Tanh => {
            // By the one of e^2x and e^-2x that is below 1.
            let power = e(&Interval { low: -z.size(), high: -z.size() }.mul(&Interval::whole(2)));
            let size = one.sub(&power).mul(&one.add(&power).reciprocal());
            if x > 0.0 { size } else { size.minus() }
        }
        Function::Atan => z.atan(),
        Function::NormalCdf => normal_cdf(&z),
        Function::NormalPdf => normal_pdf(&z),
        Function::Softplus => {
            // ln(1 + e^x) <= high if 1 + e^x <= e^high.
            let power = one.add(&e(&z));
            let above = high == f64::INFINITY || power.high <= e(&Interval::float(high)).low;
            return above && e(&Interval::float(low)).high <= power.low;
        }
    };
    let above = high == f64::INFINITY || y.high <= Interval::float(high).low;
    above && Interval::float(low).high <= y.low
}

/// `e^(-x^2/2) / sqrt(2 pi)`.
fn normal_pdf(x: &Interval) -> Interval {
    let two_pi = Interval::pi().mul(&Interval::whole(2));
    x.mul(x).over(2).minus().exp().mul(&two_pi.root().reciprocal())
}

/// `1/2 + phi(x) (x + x^3/3 + x^5/(3 5) + ..)` (Abramowitz and Stegun, 26.2.11).
///
/// The remainder is at most the last term once each is at most half of the one before. Far out,
/// where the difference says nothing, the tail is below `phi(a)/a` (26.2.12).
fn normal_cdf(x: &Interval) -> Interval {
    let size = Interval { low: x.size(), high: x.size() };
    if size.low > Interval::whole(17).low {
        let tail = Interval { low: IBig::ZERO, high: normal_pdf(x).mul(&size.reciprocal()).high };
        return if x.low < IBig::ZERO { tail } else { Interval::whole(1).sub(&tail) };
    }
    let square = x.mul(x);
    let (mut term, mut sum) = (x.clone(), x.clone());
    let mut odd = 1;
    while Interval::whole(odd).high < square.high.clone() * 2 || term.size() > IBig::ONE {
        odd += 2;
        term = term.mul(&square).over(odd);
        sum = sum.add(&term);
    }
    let size = term.size();
    Interval::whole(1).over(2).add(&normal_pdf(x).mul(&sum.widen(&size)))
}

/// `a / b` rounded down, b positive.
fn floor_div(a: &IBig, b: &IBig) -> IBig {
    let quotient = a / b;
    if *a < IBig::ZERO && &quotient * b != *a { quotient - IBig::ONE } else { quotient }
}

/// `a / b` rounded up, b positive.
fn ceil_div(a: &IBig, b: &IBig) -> IBig {
    -floor_div(&-a, b)
}

/// An interval, its ends times `2^512`.
#[derive(Clone, Debug)]
struct Interval {
    low: IBig,
    high: IBig,
}

impl Interval {
    fn whole(x: i64) -> Self {
        let x = IBig::from(x) << PLACES;
        Self { low: x.clone(), high: x }
    }

    /// A finite float: one point if its last place is among ours, as that of each f32 is.
    fn float(x: f64) -> Self {
        let (mantissa, exponent) = parts(x);
        let mantissa = IBig::from(mantissa);
        let shift = exponent + PLACES as i32;
        if shift >= 0 {
            let x = mantissa << shift as usize;
            return Self { low: x.clone(), high: x };
        }
        let one = IBig::ONE << shift.unsigned_abs() as usize;
        Self { low: floor_div(&mantissa, &one), high: ceil_div(&mantissa, &one) }
    }

    /// The largest magnitude, times `2^512`.
    fn size(&self) -> IBig {
        (-&self.low).max(self.high.clone())
    }

    fn widen(&self, by: &IBig) -> Self {
        Self { low: &self.low - by, high: &self.high + by }
    }

    fn add(&self, other: &Self) -> Self {
        Self { low: &self.low + &other.low, high: &self.high + &other.high }
    }

    fn minus(&self) -> Self {
        Self { low: -&self.high, high: -&self.low }
    }

    fn sub(&self, other: &Self) -> Self {
        self.add(&other.minus())
    }

    fn mul(&self, other: &Self) -> Self {
        let mut products = [
            &self.low * &other.low,
            &self.low * &other.high,
            &self.high * &other.low,
            &self.high * &other.high,
        ];
        products.sort();
        let [low, .., high] = products;
        let one = IBig::ONE << PLACES;
        Self { low: floor_div(&low, &one), high: ceil_div(&high, &one) }
    }

    /// Over a positive whole number.
    fn over(&self, n: i64) -> Self {
        let n = IBig::from(n);
        Self { low: floor_div(&self.low, &n), high: ceil_div(&self.high, &n) }
    }

    /// Of a positive interval.
    fn reciprocal(&self) -> Self {
        assert!(self.low > IBig::ZERO, "not positive");
        let one = IBig::ONE << (2 * PLACES);
        Self { low: floor_div(&one, &self.high), high: ceil_div(&one, &self.low) }
    }

    /// Of a positive interval.
    fn root(&self) -> Self {
        let root = |x: &IBig| IBig::from(UBig::try_from(x << PLACES).expect("positive").sqrt());
        Self { low: root(&self.low), high: root(&self.high) + IBig::ONE }
    }

    /// `e^x = (e^(x/2^k))^(2^k)` with `|x/2^k| <= 2^-8`; the series of that to its first term below
    /// our places, the rest of which is below twice the next term.
    fn exp(&self) -> Self {
        let mut halvings = 0;
        let mut x = self.clone();
        while x.size() > IBig::ONE << (PLACES - 8) {
            x = x.over(2);
            halvings += 1;
        }
        let (mut term, mut sum) = (Self::whole(1), Self::whole(1));
        let mut n = 0;
        while term.size() > IBig::ONE {
            n += 1;
            term = term.mul(&x).over(n);
            sum = sum.add(&term);
        }
        let mut power = sum.widen(&IBig::ONE);
        for _ in 0..halvings {
            power = power.mul(&power);
        }
        power
    }

    /// `pi/4 = 4 atan(1/5) - atan(1/239)` (Machin).
    fn pi() -> Self {
        let part = |n: i64| Self::whole(1).over(n).atan();
        part(5).mul(&Self::whole(4)).sub(&part(239)).mul(&Self::whole(4))
    }

    /// `-atan(-x)`, `pi/2 - atan(1/x)` and `pi/4 - atan((1 - x)/(1 + x))` bring the argument to
    /// `[0, 1/2]`; the series alternates, so that its remainder is below the next term.
    fn atan(&self) -> Self {
        let one = Self::whole(1);
        if self.high < IBig::ZERO {
            return self.minus().atan().minus();
        }
        if self.low > one.high {
            return Self::pi().over(2).sub(&self.reciprocal().atan());
        }
        if self.high > one.over(2).low {
            let ratio = one.sub(self).mul(&one.add(self).reciprocal());
            return Self::pi().over(4).sub(&ratio.atan());
        }
        let square = self.mul(self);
        let (mut power, mut sum) = (self.clone(), self.clone());
        let mut odd = 1;
        while power.size() > IBig::ONE {
            odd += 2;
            power = power.mul(&square).minus();
            sum = sum.add(&power.over(odd));
        }
        sum.widen(&IBig::ONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `x` lies within the interval, which is narrow.
    fn near(found: &Interval, whole: &str, places: usize) {
        // `whole` is the number times 10^places, rounded down.
        let scaled =
            |x: &IBig| floor_div(&(x * IBig::from(10).pow(places)), &(IBig::ONE << PLACES));
        assert_eq!(scaled(&found.low).to_string(), whole);
        assert_eq!(scaled(&found.high).to_string(), whole);
        assert!(&found.high - &found.low < IBig::ONE << 96);
    }

    #[test]
    fn known_digits() {
        near(&Interval::pi(), "3141592653589793238462643383279502884197", 39);
        near(&Interval::whole(1).exp(), "2718281828459045235360287471352662497757", 39);
        near(&Interval::whole(-2).exp(), "135335283236612691893999494972484403407", 39);
        near(&Interval::whole(2).root(), "1414213562373095048801688724209698078569", 39);
        near(&Interval::whole(2).atan(), "1107148717794090503017065460178537040070", 39);
        near(&Interval::whole(-2).atan(), "-1107148717794090503017065460178537040071", 39);
        near(&normal_cdf(&Interval::whole(1)), "841344746068542948585232545632", 30);
        near(&normal_cdf(&Interval::whole(-10)), "7619853024160526065973343251", 51);
        near(&normal_pdf(&Interval::whole(0)), "398942280401432677939946059934", 30);
    }

    #[test]
    fn refuses_what_is_false() {
        let ln_2 = std::f64::consts::LN_2;
        let x = f32::MIN_POSITIVE;
        assert!(holds(Function::Softplus, x, ln_2 - 1e-15, ln_2 + 1e-15));
        assert!(!holds(Function::Softplus, x, ln_2 + 1e-15, ln_2 + 2e-15));
        assert!(!holds(Function::Softplus, x, ln_2 - 2e-15, ln_2 - 1e-15));
        assert!(holds(Function::Tanh, 50.0, 1.0 - 1e-16, 1.0));
        assert!(!holds(Function::Tanh, -50.0, -1.0 + 1e-16, 0.0));
        assert!(holds(Function::Exp, 1e-45, 1.0, f64::INFINITY));
        assert!(!holds(Function::Exp, -1e-45, 1.0, f64::INFINITY));
    }
}
