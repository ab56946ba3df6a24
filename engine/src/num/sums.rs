//! Sums of products over rows, in a fixed order that bounds how often a term is rounded.
//!
//! Term `i` is added to lane `i mod L`, the lanes are added as a tree: no term passes through more
//! than [`depth`] roundings. The order is part of the contract: the same bits on every target.

// Fixed-size arrays with loops over their length: the compiler drops the checks and vectorises.
#![allow(clippy::indexing_slicing, clippy::needless_range_loop)]

use half::f16;

use super::NEGLIGIBLE;

mod cut;

pub use cut::{FlatCut, RoundCut, Ways, flat_cut, round_cut};

/// A stored weight.
pub trait Element: Copy {
    /// Zero.
    const ZERO: Self;
    /// Its exact value.
    fn value(self) -> f32;
}

impl Element for f32 {
    const ZERO: Self = 0.0;
    #[inline(always)]
    fn value(self) -> f32 {
        self
    }
}

impl Element for f16 {
    const ZERO: Self = f16::ZERO;
    #[inline(always)]
    fn value(self) -> f32 {
        self.to_f32()
    }
}

/// Most roundings that a term of a sum of `n` products passes through with `lanes` lanes: its
/// product, the additions of its lane, the tree.
pub const fn depth(n: usize, lanes: usize) -> u32 {
    1 + n.div_ceil(lanes) as u32 + lanes.next_power_of_two().trailing_zeros()
}

/// Up to so many lanes are a scalar processor's: they stay in its registers, and what is left of a row
/// is added lane by lane. More are a vector's, and the rest is padded.
const SCALAR: usize = 4;

/// The lanes' sum as a tree.
#[inline(always)]
fn tree<const L: usize>(lanes: &[f32; L]) -> f32 {
    if L <= SCALAR { fold(*lanes) } else { fold_apart(lanes) }
}

#[inline(always)]
fn fold<const L: usize>(mut lanes: [f32; L]) -> f32 {
    let mut width = L;
    while width > 1 {
        let half = width.div_ceil(2);
        for i in half..width {
            lanes[i - half] += lanes[i];
        }
        width = half;
    }
    lanes.first().copied().unwrap_or(0.0)
}

/// Not inlined: the lanes go through memory in their order, and the loop before that holds them in
/// vectors of neighbours. Inlined, vectors follow the tree and the loop is all shuffles.
#[inline(never)]
fn fold_apart<const L: usize>(lanes: &[f32; L]) -> f32 {
    fold(*lanes)
}

/// The lanes' sum in order; not inlined as [`fold_apart`].
#[inline(never)]
fn wide_sum<const D: usize>(lanes: &[f64; D]) -> f64 {
    lanes.iter().sum()
}

/// `x`, or 0 where it is [`NEGLIGIBLE`]; a NaN stays.
#[inline(always)]
pub fn drop_negligible(x: f32) -> f32 {
    if x.abs() < NEGLIGIBLE { 0.0 } else { x }
}

/// Element `i` of each rest of fewer than L elements. A lane that no element reaches gains nothing: it
/// began at +0, so that it is never -0, and +0 more would leave it as it is.
macro_rules! at {
    ($i:expr, $($rest:expr),+) => {
        ($($rest.get($i).copied()),+)
    };
}

/// A slice's last `len % L` elements, padded with zeros.
#[inline(always)]
fn pad<const L: usize, T: Element>(rest: &[T]) -> [T; L] {
    let mut out = [T::ZERO; L];
    for (to, from) in out.iter_mut().zip(rest) {
        *to = *from;
    }
    out
}

/// What one row meets over a box of midpoints and radii.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BoxSums {
    /// `sum w*mid`.
    pub centre: f32,
    /// `sum |w|*rad`.
    pub radius: f32,
    /// `sum |w|*|mid|`.
    pub size: f32,
}

/// The three sums of a row over a box, in one pass.
#[inline(always)]
pub fn box_sums<const L: usize, T: Element>(row: &[T], mid: &[f32], rad: &[f32]) -> BoxSums {
    /// Adds one chunk; a closure might not be inlined into the caller's instruction set.
    #[inline(always)]
    fn add<const L: usize, T: Element>(
        sums: &mut [[f32; L]; 3],
        w: &[T; L],
        m: &[f32; L],
        r: &[f32; L],
    ) {
        for i in 0..L {
            lane(sums, i, w[i], m[i], r[i]);
        }
    }
    #[inline(always)]
    fn lane<const L: usize, T: Element>(sums: &mut [[f32; L]; 3], i: usize, w: T, m: f32, r: f32) {
        let w = w.value();
        let product = w * m;
        sums[0][i] += product;
        sums[1][i] += w.abs() * r;
        sums[2][i] += product.abs();
    }
    let mut sums = [[0.0f32; L]; 3];
    let (w, w_rest) = row.as_chunks::<L>();
    let (m, m_rest) = mid.as_chunks::<L>();
    let (r, r_rest) = rad.as_chunks::<L>();
    for ((w, m), r) in w.iter().zip(m).zip(r) {
        add(&mut sums, w, m, r);
    }
    if L <= SCALAR {
        for i in 0..L {
            if let (Some(w), Some(m), Some(r)) = at!(i, w_rest, m_rest, r_rest) {
                lane(&mut sums, i, w, m, r);
            }
        }
    } else if !w_rest.is_empty() {
        add(&mut sums, &pad(w_rest), &pad(m_rest), &pad(r_rest));
    }
    let [centre, radius, size] = sums.each_ref().map(tree);
    BoxSums { centre, radius, size }
}

/// [`box_sums`] with its centre in f64 over `D` lanes, D a divisor of L: each product is exact, each
/// addition rounds by at most `2^-53`.
#[inline(always)]
pub fn box_sums_f64<const L: usize, const D: usize, T: Element>(
    row: &[T],
    mid: &[f32],
    rad: &[f32],
) -> (f64, BoxSums) {
    #[inline(always)]
    fn add<const L: usize, const D: usize, T: Element>(
        centre: &mut [f64; D],
        sums: &mut [[f32; L]; 2],
        w: &[T; L],
        m: &[f32; L],
        r: &[f32; L],
    ) {
        // Part by part, so that what is at hand fits the registers.
        for part in 0..L / D {
            for i in part * D..(part + 1) * D {
                let w = w[i].value();
                sums[0][i] += w.abs() * r[i];
                sums[1][i] += (w * m[i]).abs();
            }
            for i in 0..D {
                let at = part * D + i;
                centre[i] += f64::from(w[at].value()) * f64::from(m[at]);
            }
        }
    }
    let mut centre = [0.0f64; D];
    let mut sums = [[0.0f32; L]; 2];
    let (w, w_rest) = row.as_chunks::<L>();
    let (m, m_rest) = mid.as_chunks::<L>();
    let (r, r_rest) = rad.as_chunks::<L>();
    for ((w, m), r) in w.iter().zip(m).zip(r) {
        add(&mut centre, &mut sums, w, m, r);
    }
    if !w_rest.is_empty() {
        add(&mut centre, &mut sums, &pad(w_rest), &pad(m_rest), &pad(r_rest));
    }
    let [radius, size] = sums.each_ref().map(tree);
    let centre = wide_sum(&centre);
    (centre, BoxSums { centre: centre as f32, radius, size })
}

/// `sum w*x`.
#[inline(always)]
pub fn dot<const L: usize, T: Element>(row: &[T], x: &[f32]) -> f32 {
    #[inline(always)]
    fn add<const L: usize, T: Element>(sum: &mut [f32; L], w: &[T; L], x: &[f32; L]) {
        for i in 0..L {
            sum[i] += w[i].value() * x[i];
        }
    }
    let mut sum = [0.0f32; L];
    let (w, w_rest) = row.as_chunks::<L>();
    let (x, x_rest) = x.as_chunks::<L>();
    for (w, x) in w.iter().zip(x) {
        add(&mut sum, w, x);
    }
    if L <= SCALAR {
        for i in 0..L {
            if let (Some(w), Some(x)) = at!(i, w_rest, x_rest) {
                sum[i] += w.value() * x;
            }
        }
    } else if !w_rest.is_empty() {
        add(&mut sum, &pad(w_rest), &pad(x_rest));
    }
    tree(&sum)
}

/// `out += a*w`: one product and one addition for each entry.
#[inline(always)]
pub fn add_scaled(out: &mut [f32], a: f32, w: &[f32]) {
    // Chunks of a fixed size would be taken eight or sixteen at once, by gathers and scatters.
    for (out, w) in out.iter_mut().zip(w) {
        *out += a * w;
    }
}

/// `sum |w|*rad`.
#[inline(always)]
pub fn reach<const L: usize, T: Element>(row: &[T], rad: &[f32]) -> f32 {
    #[inline(always)]
    fn add<const L: usize, T: Element>(sum: &mut [f32; L], w: &[T; L], r: &[f32; L]) {
        for i in 0..L {
            sum[i] += w[i].value().abs() * r[i];
        }
    }
    let mut sum = [0.0f32; L];
    let (w, w_rest) = row.as_chunks::<L>();
    let (r, r_rest) = rad.as_chunks::<L>();
    for (w, r) in w.iter().zip(r) {
        add(&mut sum, w, r);
    }
    if L <= SCALAR {
        for i in 0..L {
            if let (Some(w), Some(r)) = at!(i, w_rest, r_rest) {
                sum[i] += w.value().abs() * r;
            }
        }
    } else if !w_rest.is_empty() {
        add(&mut sum, &pad(w_rest), &pad(r_rest));
    }
    tree(&sum)
}

/// What the norms of a row are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Norms {
    /// `sum |w|`.
    pub sum: f32,
    /// `sum w^2`.
    pub squares: f32,
    /// `max |w|`.
    pub largest: f32,
}

/// The three norms of a row, in one pass.
#[inline(always)]
pub fn norms<const L: usize, T: Element>(row: &[T]) -> Norms {
    #[inline(always)]
    fn add<const L: usize, T: Element>(
        sums: &mut [[f32; L]; 2],
        largest: &mut [f32; L],
        w: &[T; L],
    ) {
        for i in 0..L {
            let size = w[i].value().abs();
            sums[0][i] += size;
            sums[1][i] += size * size;
            largest[i] = if size > largest[i] { size } else { largest[i] };
        }
    }
    let (mut sums, mut largest) = ([[0.0f32; L]; 2], [0.0f32; L]);
    let (w, rest) = row.as_chunks::<L>();
    for w in w {
        add(&mut sums, &mut largest, w);
    }
    if !rest.is_empty() {
        add(&mut sums, &mut largest, &pad(rest));
    }
    let [sum, squares] = sums.each_ref().map(tree);
    // A NaN vanishes in a maximum, but not in a sum.
    let mut top = if sum.is_nan() { sum } else { 0.0 };
    for size in largest {
        top = if size > top { size } else { top };
    }
    Norms { sum, squares, largest: top }
}

/// The two lines of each neuron of a layer, and what a coefficient on it costs.
///
/// All slices have one entry per live neuron. With `mid` the middle of the activation's range and
/// `zc` the pre-activation at the middle of the layer's inputs, a line `slope*z + icpt` is held as
/// its slope and its *gain* `slope*zc + icpt - mid`: the line's height above `mid` at `zc`.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a> {
    /// Slope of the lower line.
    pub slope_lo: &'a [f32],
    /// Slope of the upper line.
    pub slope_up: &'a [f32],
    /// Gain of the lower line, rounded down.
    pub gain_lo: &'a [f32],
    /// Gain of the upper line, rounded up.
    pub gain_up: &'a [f32],
    /// Rounding budget of the neuron: what a coefficient of size 1 on its pre-activation may lose.
    pub budget: &'a [f32],
}

/// What relaxing a row gives beside its new coefficients.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RelaxSums {
    /// `sum a*g`, g the gain of the line taken.
    pub gain: f32,
    /// `sum |a*g|`.
    pub gain_size: f32,
    /// `sum |a'|*budget`, a' the new coefficient.
    pub budget: f32,
}

/// Replaces the coefficients of a row on activations by coefficients on pre-activations that keep
/// it a lower bound: `a*(sigma(z) - mid) >= a*slope*(z - zc) + a*gain` with the lower line where
/// `a > 0`, else the upper.
///
/// On a scalar processor: nothing of the line that is not taken. A term is added as often as there are
/// terms after it, [`depth`] with one lane: more lanes are half as many instructions again. Nothing is
/// dropped: small processors take no longer over subnormal numbers.
#[inline(always)]
pub fn relax_each(row: &mut [f32], lines: &Lines<'_>) -> RelaxSums {
    let mut sums = RelaxSums::default();
    let slopes = lines.slope_lo.iter().zip(lines.slope_up);
    let gains = lines.gain_lo.iter().zip(lines.gain_up);
    let lines = slopes.zip(gains).zip(lines.budget);
    for (a, ((slopes, gains), budget)) in row.iter_mut().zip(lines) {
        let x = *a;
        let (slope, gain) = if x > 0.0 { (*slopes.0, *gains.0) } else { (*slopes.1, *gains.1) };
        let (new, gain) = (x * slope, x * gain);
        sums.gain += gain;
        sums.gain_size += gain.abs();
        sums.budget += new.abs() * budget;
        *a = new;
    }
    sums
}

/// [`relax_each`] on vectors of lanes: both lines, one of them times 0. Coefficients below [`NEGLIGIBLE`]
/// are dropped, old and new ones.
#[inline(always)]
pub fn relax<const L: usize>(row: &mut [f32], lines: &Lines<'_>) -> RelaxSums {
    #[inline(always)]
    fn step<const L: usize>(sums: &mut [[f32; L]; 3], a: &mut [f32; L], l: [&[f32; L]; 5]) {
        for i in 0..L {
            // One part is 0 and its products add nothing: exact, and free of the gathers that
            // choosing between two slices compiles to. A NaN or an infinity makes `below` a NaN.
            let x = drop_negligible(a[i]);
            let above = if x > 0.0 { x } else { 0.0 };
            let below = x - above;
            let new = drop_negligible(above * l[0][i] + below * l[1][i]);
            let gain = above * l[2][i] + below * l[3][i];
            sums[0][i] += gain;
            sums[1][i] += gain.abs();
            sums[2][i] += new.abs() * l[4][i];
            a[i] = new;
        }
    }
    let mut sums = [[0.0f32; L]; 3];
    let (a, a_rest) = row.as_chunks_mut::<L>();
    let (l0, r0) = lines.slope_lo.as_chunks::<L>();
    let (l1, r1) = lines.slope_up.as_chunks::<L>();
    let (l2, r2) = lines.gain_lo.as_chunks::<L>();
    let (l3, r3) = lines.gain_up.as_chunks::<L>();
    let (l4, r4) = lines.budget.as_chunks::<L>();
    for (((((a, l0), l1), l2), l3), l4) in a.iter_mut().zip(l0).zip(l1).zip(l2).zip(l3).zip(l4) {
        step(&mut sums, a, [l0, l1, l2, l3, l4]);
    }
    if !a_rest.is_empty() {
        let mut a = pad(a_rest);
        let rest = [&pad(r0), &pad(r1), &pad(r2), &pad(r3), &pad(r4)];
        step(&mut sums, &mut a, rest);
        for (to, from) in a_rest.iter_mut().zip(a) {
            *to = from;
        }
    }
    let [gain, gain_size, budget] = sums.each_ref().map(tree);
    RelaxSums { gain, gain_size, budget }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_by_hand() {
        let w = [1.0f32, -2.0, 3.0, 0.5, -1.0];
        let m = [2.0f32, 1.0, -1.0, 4.0, 0.0];
        let r = [0.5f32, 0.25, 1.0, 0.0, 3.0];
        for sums in [
            box_sums::<1, f32>(&w, &m, &r),
            box_sums::<4, f32>(&w, &m, &r),
            box_sums::<16, f32>(&w, &m, &r),
        ] {
            assert_eq!(sums, BoxSums { centre: -1.0, radius: 7.0, size: 9.0 });
        }
        assert_eq!(dot::<4, f32>(&w, &m), -1.0);
        let expected = BoxSums { centre: -1.0, radius: 7.0, size: 9.0 };
        assert_eq!(box_sums_f64::<4, 2, f32>(&w, &m, &r), (-1.0, expected));
        assert_eq!(reach::<4, f32>(&w, &r), 7.0);
        assert_eq!(norms::<4, f32>(&w), Norms { sum: 7.5, squares: 15.25, largest: 3.0 });
        let h = w.map(f16::from_f32);
        assert_eq!(dot::<4, f16>(&h, &m), -1.0);
    }

    #[test]
    fn nan_survives_every_sum() {
        for at in 0..5 {
            let mut w = [1.0f32; 5];
            w[at] = f32::NAN;
            let Norms { sum, squares, largest } = norms::<4, f32>(&w);
            assert!(sum.is_nan() && squares.is_nan() && largest.is_nan(), "{at}");
            assert!(dot::<4, f32>(&w, &[0.0; 5]).is_nan());
        }
    }

    #[test]
    fn relax_takes_the_line_by_sign() {
        let lines = Lines {
            slope_lo: &[1.0, 0.0, 0.0],
            slope_up: &[1.0, 0.5, 0.25],
            gain_lo: &[0.0, 0.0, -1.0],
            gain_up: &[0.0, 2.0, 1.0],
            budget: &[1.0, 10.0, 100.0],
        };
        for relax in [relax_each, relax::<2>, relax::<16>] {
            let mut row = [2.0, -4.0, 3.0];
            let sums = relax(&mut row, &lines);
            assert_eq!(row, [2.0, -2.0, 0.0]);
            assert_eq!(sums, RelaxSums { gain: -11.0, gain_size: 11.0, budget: 22.0 });
            let mut row = [-2.0, 4.0, -3.0];
            let sums = relax(&mut row, &lines);
            assert_eq!(row, [-2.0, 0.0, -0.75]);
            assert_eq!(sums, RelaxSums { gain: -3.0, gain_size: 3.0, budget: 77.0 });
        }
    }

    #[test]
    fn depth_counts_product_lane_and_tree() {
        assert_eq!(depth(0, 1), 1);
        assert_eq!(depth(5, 1), 6);
        assert_eq!(depth(16, 8), 1 + 2 + 3);
        assert_eq!(depth(17, 8), 1 + 3 + 3);
    }
}
