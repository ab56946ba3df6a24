//! The arithmetic that bounds are made of: sums over rows, and one matrix product.
//!
//! A backend implements [`Arithmetic`]: [`Portable`] here, one with a fast GEMM in the host. What a
//! backend must promise is only how often a term may be rounded; every rounding budget is derived
//! from that (`soundness.md` 2, 3).

use crate::model::{Layer, Row};
#[cfg(doc)]
use crate::num::NEGLIGIBLE;
use crate::num::Rounding;
use crate::num::sums::{self, FlatCut, Lines, Norms, RelaxSums, RoundCut, Ways};

/// `out[r][c] (+)= sum_i a[r][i] * W[inner[i]][columns[c]]`.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a> {
    /// Index of the layer whose weights are multiplied.
    pub layer: usize,
    /// That layer.
    pub weights: Layer<'a>,
    /// All rows of W that matter: the layer's live neurons.
    pub live: &'a [u32],
    /// Where in `live` the rows of this product begin.
    pub from: usize,
    /// How many of them.
    pub inner: usize,
    /// The columns of W that matter; all if `None`.
    pub columns: Option<&'a [u32]>,
    /// Left-hand rows; row r begins at `r * stride`, its first entry belongs to `live[from]`.
    pub a: &'a [f32],
    /// Distance of two rows of `a`.
    pub stride: usize,
    /// Rows of `a` and of the result.
    pub rows: usize,
    /// Add to what `out` holds, else replace it.
    pub accumulate: bool,
}

impl<'a> Product<'a> {
    /// Width of the result.
    pub fn width(&self) -> usize {
        self.columns.map_or(self.weights.cols, <[u32]>::len)
    }

    /// The rows of W of this product.
    pub fn range(&self) -> &'a [u32] {
        self.live.get(self.from..).and_then(|tail| tail.get(..self.inner)).unwrap_or(&[])
    }
}

/// What a row meets over a box, roundings included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OverBox {
    /// Close to `sum w*mid`.
    pub centre: f32,
    /// Upper bound of how far it is off.
    pub error: f32,
    /// Upper bound of `sum |w|*rad`.
    pub radius: f32,
    /// Upper bound of `sum |w*mid|`.
    pub size: f32,
}

/// Sums and products with a known number of roundings.
pub trait Arithmetic: Sync {
    /// Most roundings of a term in the row sums below over `n` entries.
    fn row_depth(&self, n: usize) -> u32;

    /// Most roundings that a term of [`Arithmetic::product`] over `n` inner entries passes through,
    /// and at least as many as what `out` held before passes through.
    fn product_depth(&self, n: usize) -> u32;

    /// What a stored row meets over the box of midpoints and radii; `rounding` is that of
    /// [`Arithmetic::row_depth`]. A backend that has f64 at hand centres better than a row sum.
    fn over_box(&self, row: Row<'_>, mid: &[f32], rad: &[f32], rounding: &Rounding) -> OverBox;

    /// [`sums::dot`] of a stored row.
    fn dot(&self, row: Row<'_>, x: &[f32]) -> f32;

    /// [`sums::reach`] of a stored row.
    fn reach(&self, row: Row<'_>, rad: &[f32]) -> f32;

    /// [`sums::norms`] of a stored row.
    fn norms(&self, row: Row<'_>) -> Norms;

    /// [`sums::flat_cut`] of a stored row.
    fn flat_cut(&self, row: Row<'_>, ways: &Ways<'_>, t: f32) -> FlatCut;

    /// [`sums::round_cut`] of a stored row.
    fn round_cut(&self, row: Row<'_>, ways: &Ways<'_>, t: f32) -> RoundCut;

    /// [`sums::relax`].
    fn relax(&self, row: &mut [f32], sign: f32, lines: &Lines<'_>) -> RelaxSums;

    /// Says that the live rows and columns of `layer` have changed: what was gathered is stale.
    fn forget(&mut self, layer: usize) {
        let _ = layer;
    }

    /// Calls `f` with the index of each row of `width` entries, the row and its value; a backend
    /// may spread the rows over cores. `work` is how many floats one call reads.
    fn each_row(
        &self,
        work: usize,
        rows: &mut [f32],
        width: usize,
        values: &mut [f32],
        f: impl Fn(usize, &mut [f32], &mut f32) + Sync,
    ) {
        let _ = work;
        if width > 0 {
            for (i, (row, value)) in rows.chunks_exact_mut(width).zip(values).enumerate() {
                f(i, row, value);
            }
        }
    }

    /// The matrix product; rows of `out` are [`Product::width`] apart. Weights below [`NEGLIGIBLE`]
    /// may be taken as 0.
    fn product(&mut self, product: &Product<'_>, out: &mut [f32]);
}

/// The portable arithmetic: plain loops in a fixed order, the same bits on every target.
#[derive(Clone, Copy, Debug, Default)]
pub struct Portable;

/// Lanes of the portable row sums.
const LANES: usize = 4;
/// Rows of W that the portable product adds before it touches the result.
const TILE: usize = 8;

/// Calls one of the generic sums for the row's element type.
macro_rules! by_element {
    ($row:expr, $w:ident => $call:expr) => {
        match $row {
            Row::F32($w) => $call,
            Row::F16($w) => $call,
        }
    };
}

impl Arithmetic for Portable {
    fn row_depth(&self, n: usize) -> u32 {
        sums::depth(n, LANES)
    }

    fn product_depth(&self, n: usize) -> u32 {
        // The product, a tree of TILE, one addition a tile.
        1 + TILE.trailing_zeros() + n.div_ceil(TILE) as u32
    }

    fn over_box(&self, row: Row<'_>, mid: &[f32], rad: &[f32], rounding: &Rounding) -> OverBox {
        let sums = by_element!(row, w => sums::box_sums::<LANES, _>(w, mid, rad));
        OverBox {
            centre: sums.centre,
            error: rounding.error(sums.size),
            radius: rounding.inflate(sums.radius),
            size: rounding.inflate(sums.size),
        }
    }

    fn dot(&self, row: Row<'_>, x: &[f32]) -> f32 {
        by_element!(row, w => sums::dot::<LANES, _>(w, x))
    }

    fn reach(&self, row: Row<'_>, rad: &[f32]) -> f32 {
        by_element!(row, w => sums::reach::<LANES, _>(w, rad))
    }

    fn norms(&self, row: Row<'_>) -> Norms {
        by_element!(row, w => sums::norms::<LANES, _>(w))
    }

    fn flat_cut(&self, row: Row<'_>, ways: &Ways<'_>, t: f32) -> FlatCut {
        by_element!(row, w => sums::flat_cut::<LANES, _>(w, ways, t))
    }

    fn round_cut(&self, row: Row<'_>, ways: &Ways<'_>, t: f32) -> RoundCut {
        by_element!(row, w => sums::round_cut::<LANES, _>(w, ways, t))
    }

    fn relax(&self, row: &mut [f32], sign: f32, lines: &Lines<'_>) -> RelaxSums {
        sums::relax::<LANES>(row, sign, lines)
    }

    fn product(&mut self, p: &Product<'_>, out: &mut [f32]) {
        let width = p.width();
        if !p.accumulate {
            out.iter_mut().take(p.rows * width).for_each(|x| *x = 0.0);
        }
        if width == 0 || p.stride == 0 {
            return;
        }
        for (out, a) in out.chunks_exact_mut(width).zip(p.a.chunks(p.stride)).take(p.rows) {
            for (live, a) in p.range().chunks(TILE).zip(a.chunks(TILE)) {
                tile(&p.weights, live, a, p.columns, out);
            }
        }
    }
}

/// Adds up to [`TILE`] weighted rows of W to `out`.
fn tile(weights: &Layer<'_>, live: &[u32], a: &[f32], columns: Option<&[u32]>, out: &mut [f32]) {
    let mut rows = [Row::F32(&[]); TILE];
    let mut factors = [0.0f32; TILE];
    let mut used = false;
    for ((row, factor), (i, a)) in rows.iter_mut().zip(&mut factors).zip(live.iter().zip(a)) {
        (*row, *factor) = (weights.row(*i as usize), *a);
        used |= *a != 0.0;
    }
    // A relaxed row is often 0 on many neurons.
    if !used {
        return;
    }
    let [r0, r1, r2, r3, r4, r5, r6, r7] = rows;
    let [f0, f1, f2, f3, f4, f5, f6, f7] = factors;
    let at = |j: usize| {
        let low = (f0 * r0.get(j) + f1 * r1.get(j)) + (f2 * r2.get(j) + f3 * r3.get(j));
        let high = (f4 * r4.get(j) + f5 * r5.get(j)) + (f6 * r6.get(j) + f7 * r7.get(j));
        low + high
    };
    match columns {
        Some(columns) => {
            for (out, j) in out.iter_mut().zip(columns) {
                *out += at(*j as usize);
            }
        }
        None => {
            for (j, out) in out.iter_mut().enumerate() {
                *out += at(j);
            }
        }
    }
}
