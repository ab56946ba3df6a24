//! Sums of a row over a ball cut by a box: a part of each coefficient is priced over the ball, the
//! rest over the box.
//!
//! Both take for D_j the way from the centre to the side of the box that the coefficient drives
//! towards, at most the radius, with one rounding. A way that is 0 is exactly 0: a tiny one in its
//! place would make every product subnormal.

// As in the parent.
#![allow(clippy::indexing_slicing, clippy::needless_range_loop)]

use super::{Element, pad, tree};

/// A ball cut by a box, and whether a row is driven down (1) or up (-1).
#[derive(Clone, Copy, Debug)]
pub struct Ways<'a> {
    /// The ball's centre.
    pub center: &'a [f32],
    /// Its radius.
    pub radius: f32,
    /// Lower ends of the box.
    pub lo: &'a [f32],
    /// Upper ends of the box.
    pub hi: &'a [f32],
    /// 1, or -1 for the row negated.
    pub sign: f32,
}

/// What [`flat_cut`] finds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FlatCut {
    /// `sum (|a_j| - t)*D_j` over the coefficients larger than t.
    pub rest: f32,
    /// `sum D_j` over them.
    pub beyond: f32,
    /// The largest `|a_j|` of those with the whole radius for D_j, 0 if there is none.
    pub top: f32,
}

/// What [`round_cut`] finds, with `e_j = D_j/radius`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RoundCut {
    /// `sum (|a_j| - t*e_j)*D_j` over the coefficients larger than `t*e_j`.
    pub rest: f32,
    /// `sum e_j^2` over them.
    pub limited: f32,
    /// `sum a_j^2` over the others.
    pub free: f32,
}

/// All bits if the sign's is set, else none: a choice by masks. Where choices are compiled to
/// branches, those on signs are mispredicted and keep the loop from vectors.
#[inline(always)]
fn negative(x: f32) -> u32 {
    (x.to_bits() as i32 >> 31) as u32
}

/// D_j, the radius where something is NaN.
#[inline(always)]
fn way(a: f32, x: f32, lo: f32, hi: f32, ways: &Ways<'_>) -> f32 {
    let (down, up) = (x - lo, hi - x);
    let mask = negative(ways.sign * a);
    let way = f32::from_bits((down.to_bits() & !mask) | (up.to_bits() & mask));
    let way = if way < ways.radius { way } else { ways.radius };
    if way > 0.0 { way } else { 0.0 }
}

/// The sums of a row with t taken from each coefficient, in one pass.
#[inline(always)]
pub fn flat_cut<const L: usize, T: Element>(row: &[T], ways: &Ways<'_>, t: f32) -> FlatCut {
    #[inline(always)]
    fn add<const L: usize, T: Element>(
        sums: &mut [[f32; L]; 2],
        top: &mut [f32; L],
        a: &[T; L],
        [x, lo, hi]: [&[f32; L]; 3],
        ways: &Ways<'_>,
        t: f32,
    ) {
        for i in 0..L {
            let a = a[i].value();
            let d = way(a, x[i], lo[i], hi[i], ways);
            let size = a.abs();
            // A NaN in `size` survives.
            let p = if size > t { t } else { size };
            sums[0][i] += (size - p) * d;
            sums[1][i] += if size > t { d } else { 0.0 };
            let whole = if d < ways.radius { 0.0 } else { size };
            top[i] = if whole > top[i] { whole } else { top[i] };
        }
    }
    let (mut sums, mut tops) = ([[0.0f32; L]; 2], [0.0f32; L]);
    for (((a, x), lo), hi) in chunks(row, ways) {
        add(&mut sums, &mut tops, a, [x, lo, hi], ways, t);
    }
    if !row.len().is_multiple_of(L) {
        let (a, ends) = last(row, ways);
        add(&mut sums, &mut tops, &a, ends.each_ref(), ways, t);
    }
    let [rest, beyond] = sums.each_ref().map(tree);
    let mut top = 0.0;
    for size in tops {
        top = if size > top { size } else { top };
    }
    FlatCut { rest, beyond, top }
}

/// The sums of a row with `t*e_j` taken from each coefficient, in one pass.
#[inline(always)]
pub fn round_cut<const L: usize, T: Element>(row: &[T], ways: &Ways<'_>, t: f32) -> RoundCut {
    #[inline(always)]
    fn add<const L: usize, T: Element>(
        sums: &mut [[f32; L]; 3],
        a: &[T; L],
        [x, lo, hi]: [&[f32; L]; 3],
        ways: &Ways<'_>,
        [t, inverse]: [f32; 2],
    ) {
        for i in 0..L {
            let a = a[i].value();
            let d = way(a, x[i], lo[i], hi[i], ways);
            let size = a.abs();
            let e = d * inverse;
            let limit = t * e;
            // A NaN in `size` survives in the rest, on whichever side it is taken.
            let over = negative(limit - size);
            let own = size.to_bits() & !over;
            let p = f32::from_bits((limit.to_bits() & over) | own);
            let (e, own) = (f32::from_bits(e.to_bits() & over), f32::from_bits(own));
            sums[0][i] += (size - p) * d;
            sums[1][i] += e * e;
            sums[2][i] += own * own;
        }
    }
    let mut sums = [[0.0f32; L]; 3];
    let inverse = 1.0 / ways.radius;
    for (((a, x), lo), hi) in chunks(row, ways) {
        add(&mut sums, a, [x, lo, hi], ways, [t, inverse]);
    }
    if !row.len().is_multiple_of(L) {
        let (a, ends) = last(row, ways);
        add(&mut sums, &a, ends.each_ref(), ways, [t, inverse]);
    }
    let [rest, limited, free] = sums.each_ref().map(tree);
    RoundCut { rest, limited, free }
}

/// A chunk of a row, of the centre and of both ends.
type Chunk<'a, T, const L: usize> = (((&'a [T; L], &'a [f32; L]), &'a [f32; L]), &'a [f32; L]);

/// The whole chunks.
#[inline(always)]
fn chunks<'a, const L: usize, T>(
    row: &'a [T],
    ways: &Ways<'a>,
) -> impl Iterator<Item = Chunk<'a, T, L>> {
    let (x, lo, hi) = (ways.center.as_chunks::<L>(), ways.lo.as_chunks(), ways.hi.as_chunks());
    row.as_chunks::<L>().0.iter().zip(x.0).zip(lo.0).zip(hi.0)
}

/// What is left, padded with zeros.
#[inline(always)]
fn last<const L: usize, T: Element>(row: &[T], ways: &Ways<'_>) -> ([T; L], [[f32; L]; 3]) {
    let rest = |x: &[f32]| pad(x.as_chunks::<L>().1);
    (pad(row.as_chunks::<L>().1), [rest(ways.center), rest(ways.lo), rest(ways.hi)])
}
