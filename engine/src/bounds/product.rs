//! The portable matrix product: loops that a scalar processor holds in its registers.
//!
//! A column of four rows of W meets two rows of coefficients: 31 instructions on a Cortex-M4F for eight
//! products, 21 for the four of a single row. Eight rows of W at a time do not fit: 50 for eight.

use super::arithmetic::Product;
use crate::num::sums::Element;

/// Rows of W that are added before the result is touched.
const TILE: usize = 4;

/// Most roundings that a term of a product over `n` inner entries passes through: its product, the sum
/// of TILE one after the other, one addition a tile.
pub(super) const fn depth(n: usize) -> u32 {
    (TILE + n.div_ceil(TILE)) as u32
}

/// Adds the product to `out`, two rows at a time: both rows of a neuron meet the same weights.
pub(super) fn rows<T: Element>(weights: &[T], p: &Product<'_>, width: usize, out: &mut [f32]) {
    let complete = p.range().len() == p.inner;
    let mut r = 0;
    while r < p.rows {
        // By hand: `chunks` panics at 0.
        let out = out.get_mut(r * width..).unwrap_or(&mut []);
        let Some((one, rest)) = out.split_at_mut_checked(width) else { return };
        let two = if r + 1 < p.rows { rest.get_mut(..width) } else { None };
        let a = |r: usize| p.a.get(r * p.stride..).and_then(|a| a.get(..p.inner));
        let known = match (a(r), a(r + 1), two) {
            _ if !complete => None,
            (Some(a), Some(b), Some(two)) => pair(weights, p, [a, b], one, two),
            (Some(a), _, None) => single(weights, p, a, one),
            _ => None,
        };
        if known.is_none() {
            // No such row or column: nothing is known, and nothing may be proved.
            out.iter_mut().take(2 * width).for_each(|x| *x = f32::NAN);
        }
        r += 2;
    }
}

/// One row; `None` where W lacks a row or a column.
fn single<T: Element>(weights: &[T], p: &Product<'_>, a: &[f32], out: &mut [f32]) -> Option<()> {
    let cols = p.weights.cols;
    let (live, live_rest) = p.range().as_chunks::<TILE>();
    let (a, a_rest) = a.as_chunks::<TILE>();
    let rest = (pad_rows(live_rest), pad(a_rest));
    let rest = (!live_rest.is_empty()).then_some((&rest.0, &rest.1));
    for (live, a) in live.iter().zip(a).chain(rest) {
        let [r0, r1, r2, r3] = tile(weights, cols, live)?;
        let [a0, a1, a2, a3] = *a;
        let sum = move |w0: T, w1: T, w2: T, w3: T| {
            a0 * w0.value() + a1 * w1.value() + a2 * w2.value() + a3 * w3.value()
        };
        match p.columns {
            Some(columns) => {
                for (out, j) in out.iter_mut().zip(columns) {
                    let j = *j as usize;
                    *out += sum(*r0.get(j)?, *r1.get(j)?, *r2.get(j)?, *r3.get(j)?);
                }
            }
            None => {
                for ((((out, w0), w1), w2), w3) in out.iter_mut().zip(r0).zip(r1).zip(r2).zip(r3) {
                    *out += sum(*w0, *w1, *w2, *w3);
                }
            }
        }
    }
    Some(())
}

/// Two rows at once.
fn pair<T: Element>(
    weights: &[T],
    p: &Product<'_>,
    [a, b]: [&[f32]; 2],
    one: &mut [f32],
    two: &mut [f32],
) -> Option<()> {
    let cols = p.weights.cols;
    let (live, live_rest) = p.range().as_chunks::<TILE>();
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<TILE>(), b.as_chunks::<TILE>());
    let rest = (pad_rows(live_rest), (pad(a_rest), pad(b_rest)));
    let rest = (!live_rest.is_empty()).then_some((&rest.0, (&rest.1.0, &rest.1.1)));
    for (live, (a, b)) in live.iter().zip(a.iter().zip(b)).chain(rest) {
        let [r0, r1, r2, r3] = tile(weights, cols, live)?;
        let [a0, a1, a2, a3] = *a;
        let [b0, b1, b2, b3] = *b;
        let add = |one: &mut f32, two: &mut f32, w0: T, w1: T, w2: T, w3: T| {
            let (w0, w1, w2, w3) = (w0.value(), w1.value(), w2.value(), w3.value());
            *one += a0 * w0 + a1 * w1 + a2 * w2 + a3 * w3;
            *two += b0 * w0 + b1 * w1 + b2 * w2 + b3 * w3;
        };
        match p.columns {
            Some(columns) => {
                for ((one, two), j) in one.iter_mut().zip(two.iter_mut()).zip(columns) {
                    let j = *j as usize;
                    add(one, two, *r0.get(j)?, *r1.get(j)?, *r2.get(j)?, *r3.get(j)?);
                }
            }
            None => {
                let outs = one.iter_mut().zip(two.iter_mut());
                for (((((one, two), w0), w1), w2), w3) in outs.zip(r0).zip(r1).zip(r2).zip(r3) {
                    add(one, two, *w0, *w1, *w2, *w3);
                }
            }
        }
    }
    Some(())
}

/// Rows of W, all of one length, so that a column is looked up once.
#[inline(always)]
fn tile<'a, T>(weights: &'a [T], cols: usize, live: &[u32; TILE]) -> Option<[&'a [T]; TILE]> {
    let row = |i: u32| weights.get(i as usize * cols..)?.get(..cols);
    let [i, j, k, l] = *live;
    Some([row(i)?, row(j)?, row(k)?, row(l)?])
}

/// Rows that are missing are the first once more, times 0.
fn pad_rows(live: &[u32]) -> [u32; TILE] {
    let mut all = [live.first().copied().unwrap_or(0); TILE];
    all.iter_mut().zip(live).for_each(|(slot, i)| *slot = *i);
    all
}

fn pad(a: &[f32]) -> [f32; TILE] {
    let mut all = [0.0; TILE];
    all.iter_mut().zip(a).for_each(|(slot, a)| *slot = *a);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::{Arithmetic, Portable};
    use crate::model::{Activation, Layer, Weights};

    /// `[1 1] W` for rows and columns of a 2 by 3 matrix.
    fn product(live: &[u32], columns: &[u32]) -> [f32; 2] {
        let weights = Layer {
            rows: 2,
            cols: 3,
            activation: Activation::Identity,
            through: 0,
            weights: Weights::F32(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            bias: &[0.0; 2],
            weight_error: 0.0,
            bias_error: 0.0,
        };
        let columns = Some(columns);
        let (a, inner) = (&[1.0, 1.0], 2);
        let product = Product {
            layer: 0,
            weights,
            live,
            from: 0,
            inner,
            columns,
            a,
            stride: 2,
            rows: 1,
            accumulate: false,
        };
        let mut out = [9.0; 2];
        Portable.product(&product, &mut out);
        out
    }

    #[test]
    fn a_row_or_a_column_that_is_missing_leaves_no_number() {
        assert_eq!(product(&[0, 1], &[2, 0]), [9.0, 5.0]);
        assert_eq!(product(&[1, 1], &[1, 1]), [10.0, 10.0]);
        assert!(product(&[0, 2], &[2, 0]).iter().all(|x| x.is_nan()));
        assert!(product(&[0, 1], &[0, 3]).iter().all(|x| x.is_nan()));
    }
}
