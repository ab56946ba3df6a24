//! The engine's [`Arithmetic`] with vectorised row sums and a GEMM from a library.

use std::sync::OnceLock;

use certus_engine::bounds::{Arithmetic, OverBox, Product};
use certus_engine::model::Row;
use certus_engine::num::sums::{
    self, BoxSums, Element, FlatCut, Lines, Norms, RelaxSums, RoundCut, Ways,
};
use certus_engine::num::{ETA, Rounding, U, add_up, mul_up};
use half::f16;
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, Axis, Slice};
use rayon::prelude::*;

/// Lanes of the row sums.
const LANES: usize = 32;

/// Most roundings of a term of a row sum over `n` entries, [`Arithmetic::dot`] among them.
pub const fn row_depth(n: usize) -> u32 {
    sums::depth(n, LANES)
}

/// Inner entries of one call of the GEMM, for a product over `n`: the calls' sums are added to the
/// result one after the other, so that a term passes through `slice + n/slice` roundings, not
/// through `n`. Short slices are slow, but small products have time.
pub const fn slice(n: usize) -> usize {
    match n {
        0..=64 => 16,
        65..=256 => 64,
        _ => 128,
    }
}

/// A product of fewer rows than this does not pay for gathering the weights.
const FEW_ROWS: usize = 24;

/// Products of fewer multiply-adds than this stay on one core.
const PARALLEL_MACS: usize = 4 << 20;

/// Passes over fewer coefficients than this stay on one core.
const PARALLEL_FLOATS: usize = 1 << 15;

/// The arithmetic of the host. Keeps the live rows and columns of each layer's weights gathered
/// until they change: one copy serves every walk through the layer.
#[derive(Debug)]
pub struct Fast {
    arch: pulp::Arch,
    gathered: Vec<Gathered>,
    /// One row of weights, and what a slice adds to each row of a small product.
    small: (Vec<f32>, Vec<f32>),
    parallel: bool,
    sliced: bool,
}

/// The live part of a layer's weights.
#[derive(Clone, Debug, Default)]
struct Gathered {
    weights: Vec<f32>,
    /// Whether they are those of the present live rows and columns.
    fresh: bool,
}

impl Fast {
    /// For models of `depth` layers; `parallel` spreads large products over the cores.
    pub fn new(depth: usize, parallel: bool) -> Self {
        Self {
            arch: pulp::Arch::new(),
            gathered: vec![Gathered::default(); depth],
            small: Default::default(),
            parallel,
            sliced: is_sliced(),
        }
    }
}

/// Runs one of the engine's sums with the widest instructions that the processor has.
macro_rules! dispatch {
    ($name:ident<$($life:lifetime)?; $($t:ident)?>($($field:ident: $type:ty),*) -> $out:ty, $body:expr) => {
        struct $name<$($life,)? $($t)?> { $($field: $type),* }
        impl<$($life,)? $($t: Element)?> pulp::NullaryFnOnce for $name<$($life,)? $($t)?> {
            type Output = $out;
            // Only what is inlined here is compiled with those instructions.
            #[inline(always)]
            fn call(self) -> $out {
                let Self { $($field),* } = self;
                $body
            }
        }
    };
}

dispatch!(BoxCall<'a; T>(row: &'a [T], mid: &'a [f32], rad: &'a [f32]) -> (f64, BoxSums),
    sums::box_sums_f64::<LANES, { LANES / 2 }, T>(row, mid, rad));
dispatch!(DotCall<'a; T>(row: &'a [T], x: &'a [f32]) -> f32, sums::dot::<LANES, T>(row, x));
dispatch!(ScaleCall<'a;>(out: &'a mut [f32], a: f32, w: &'a [f32]) -> (),
    sums::add_scaled(out, a, w));
dispatch!(ReachCall<'a; T>(row: &'a [T], rad: &'a [f32]) -> f32, sums::reach::<LANES, T>(row, rad));
dispatch!(NormCall<'a; T>(row: &'a [T]) -> Norms, sums::norms::<LANES, T>(row));
dispatch!(FlatCall<'a; T>(row: &'a [T], ways: &'a Ways<'a>, t: f32) -> FlatCut,
    sums::flat_cut::<LANES, T>(row, ways, t));
dispatch!(RoundCall<'a; T>(row: &'a [T], ways: &'a Ways<'a>, t: f32) -> RoundCut,
    sums::round_cut::<LANES, T>(row, ways, t));
dispatch!(RelaxCall<'a;>(row: &'a mut [f32], lines: &'a Lines<'a>) -> RelaxSums,
    sums::relax::<LANES>(row, lines));

impl Arithmetic for Fast {
    fn row_depth(&self, n: usize) -> u32 {
        row_depth(n)
    }

    fn relax_depth(&self, n: usize) -> u32 {
        self.row_depth(n)
    }

    fn product_depth(&self, n: usize) -> u32 {
        if self.sliced {
            (slice(n).min(n) + n.div_ceil(slice(n)) + 1) as u32
        } else {
            // Any order: each term, and what the result held before.
            n as u32 + 1
        }
    }

    /// The centre in f64: products are exact, the sum is off by at most `gamma(n)*size` with `u =
    /// 2^-53`, less than `2n*2^-53*size`, the rounding to f32 by half an ulp of the result.
    fn over_box(&self, row: Row<'_>, mid: &[f32], rad: &[f32], rounding: &Rounding) -> OverBox {
        let (_, sums) = match row {
            Row::F32(row) => self.arch.dispatch(BoxCall { row, mid, rad }),
            Row::F16(row) => self.arch.dispatch(BoxCall::<f16> { row, mid, rad }),
        };
        let size = rounding.inflate(sums.size);
        let share = 2.0 * mid.len() as f32 / (1u64 << 53) as f32;
        let half_ulp = mul_up(U, mul_up(1.000_001, sums.centre.abs()));
        OverBox {
            centre: sums.centre,
            error: add_up(add_up(mul_up(share, size), half_ulp), ETA),
            radius: rounding.inflate(sums.radius),
            size,
        }
    }

    fn dot(&self, row: Row<'_>, x: &[f32]) -> f32 {
        match row {
            Row::F32(row) => self.arch.dispatch(DotCall { row, x }),
            Row::F16(row) => self.arch.dispatch(DotCall::<f16> { row, x }),
        }
    }

    fn reach(&self, row: Row<'_>, rad: &[f32]) -> f32 {
        match row {
            Row::F32(row) => self.arch.dispatch(ReachCall { row, rad }),
            Row::F16(row) => self.arch.dispatch(ReachCall::<f16> { row, rad }),
        }
    }

    fn norms(&self, row: Row<'_>) -> Norms {
        match row {
            Row::F32(row) => self.arch.dispatch(NormCall { row }),
            Row::F16(row) => self.arch.dispatch(NormCall::<f16> { row }),
        }
    }

    fn flat_cut(&self, row: Row<'_>, ways: &Ways<'_>, t: f32) -> FlatCut {
        match row {
            Row::F32(row) => self.arch.dispatch(FlatCall { row, ways, t }),
            Row::F16(row) => self.arch.dispatch(FlatCall::<f16> { row, ways, t }),
        }
    }

    fn round_cut(&self, row: Row<'_>, ways: &Ways<'_>, t: f32) -> RoundCut {
        match row {
            Row::F32(row) => self.arch.dispatch(RoundCall { row, ways, t }),
            Row::F16(row) => self.arch.dispatch(RoundCall::<f16> { row, ways, t }),
        }
    }

    fn relax(&self, row: &mut [f32], lines: &Lines<'_>) -> RelaxSums {
        self.arch.dispatch(RelaxCall { row, lines })
    }

    fn forget(&mut self, layer: usize) {
        // A layer's columns are the live neurons of the one before.
        for gathered in self.gathered.iter_mut().skip(layer).take(2) {
            gathered.fresh = false;
        }
    }

    fn each_row(
        &self,
        work: usize,
        rows: &mut [f32],
        width: usize,
        values: &mut [f32],
        f: impl Fn(usize, &mut [f32], &mut f32) + Sync,
    ) {
        if width == 0 {
            return;
        }
        let count = rows.len() / width;
        let share = if self.parallel && count * work >= PARALLEL_FLOATS {
            count.div_ceil(4 * rayon::current_num_threads())
        } else {
            count.max(1)
        };
        let some = |(part, (rows, values)): (usize, (&mut [f32], &mut [f32]))| {
            let pairs = rows.chunks_exact_mut(width).zip(values).enumerate();
            pairs.for_each(|(i, (row, value))| f(part * share + i, row, value));
        };
        if share < count {
            let parts = rows.par_chunks_mut(share * width).zip(values.par_chunks_mut(share));
            parts.enumerate().for_each(some);
        } else {
            some((0, (rows, values)));
        }
    }

    fn product(&mut self, p: &Product<'_>, out: &mut [f32]) {
        let width = p.width();
        let rows = p.rows;
        if rows == 0 || width == 0 {
            return;
        }
        let out = &mut out[..rows * width];
        if p.inner == 0 {
            if !p.accumulate {
                out.fill(0.0);
            }
            return;
        }
        let gathered = &mut self.gathered[p.layer];
        if rows < FEW_ROWS && !gathered.fresh {
            return self.small_product(p, out);
        }
        if !gathered.fresh {
            gather(p, &mut gathered.weights, self.parallel);
            gathered.fresh = true;
        }
        let weights = &gathered.weights[p.from * width..(p.from + p.inner) * width];
        let weights = ArrayView2::from_shape((p.inner, width), weights).expect("inner x width");
        // The last row of `a` may end before its stride does.
        let strides = ndarray::ShapeBuilder::strides((rows, p.inner), (p.stride, 1));
        let a = ArrayView2::from_shape(strides, p.a).expect("rows within the block");
        let mut out = ArrayViewMut2::from_shape((rows, width), out).expect("rows x width");
        if self.parallel && rows * width * p.inner >= PARALLEL_MACS {
            // Split along the longer side: what the parts share is packed by each of them.
            let axis = Axis(usize::from(width > rows));
            let share = out.len_of(axis).div_ceil(3 * rayon::current_num_threads()).max(64);
            let parts: Vec<_> = out.axis_chunks_iter_mut(axis, share).enumerate().collect();
            parts.into_par_iter().for_each(|(i, out)| {
                let part = Slice::from(i * share..i * share + out.len_of(axis));
                let (mut a, mut weights) = (a, weights);
                if axis.index() == 0 {
                    a.slice_axis_inplace(axis, part);
                } else {
                    weights.slice_axis_inplace(axis, part);
                }
                sliced_product(a, weights, out, p.accumulate);
            });
        } else {
            sliced_product(a, weights, out, p.accumulate);
        }
    }
}

impl Fast {
    /// The product of a few rows: the weights are read once and not kept. In slices, as
    /// [`sliced_product`], so that [`Arithmetic::product_depth`] holds.
    fn small_product(&mut self, p: &Product<'_>, out: &mut [f32]) {
        let width = p.width();
        let (row, sums) = &mut self.small;
        row.resize(width, 0.0);
        if !p.accumulate {
            out.fill(0.0);
        }
        for (part, live) in p.range().chunks(slice(p.inner)).enumerate() {
            sums.clear();
            sums.resize(p.rows * width, 0.0);
            for (i, neuron) in live.iter().enumerate() {
                p.weights.row(*neuron as usize).gather(p.columns, row);
                let a = p.a.iter().skip(part * slice(p.inner) + i).step_by(p.stride);
                for (sums, a) in sums.chunks_exact_mut(width).zip(a) {
                    self.arch.dispatch(ScaleCall { out: sums, a: *a, w: row });
                }
            }
            for (out, sum) in out.iter_mut().zip(&*sums) {
                *out += sum;
            }
        }
    }
}

/// Copies the live rows and columns of the layer's weights.
fn gather(p: &Product<'_>, out: &mut Vec<f32>, parallel: bool) {
    let width = p.width();
    out.resize(p.live.len() * width, 0.0);
    let one = |(row, i): (&mut [f32], &u32)| {
        p.weights.row(*i as usize).gather(p.columns, row);
        row.iter_mut().for_each(|w| *w = sums::drop_negligible(*w));
    };
    if parallel && out.len() >= PARALLEL_FLOATS {
        out.par_chunks_exact_mut(width).zip(p.live).with_min_len(16).for_each(one);
    } else {
        out.chunks_exact_mut(width).zip(p.live).for_each(one);
    }
}

/// `out (+)= a * w` in slices of [`slice`] inner entries.
fn sliced_product(
    a: ArrayView2<'_, f32>,
    w: ArrayView2<'_, f32>,
    mut out: ArrayViewMut2<'_, f32>,
    accumulate: bool,
) {
    let inner = w.nrows();
    let mut from = 0;
    while from < inner {
        let to = (from + slice(inner)).min(inner);
        let beta = if accumulate || from > 0 { 1.0 } else { 0.0 };
        let part = Slice::from(from..to);
        let (a, w) = (a.slice_axis(Axis(1), part), w.slice_axis(Axis(0), part));
        general_mat_mul(1.0, &a, &w, beta, &mut out);
        from = to;
    }
}

/// Whether the GEMM sums a slice before it adds it to the result, on this machine's kernel: the
/// ones of a slice vanish one by one beside 2^24, but not together.
///
/// [`Arithmetic::product_depth`] rests on this; where it does not hold, on the any-order bound.
fn is_sliced() -> bool {
    static SLICED: OnceLock<bool> = OnceLock::new();
    *SLICED.get_or_init(|| {
        let shapes = [(1, 1), (3, 5), (9, 17), (64, 64), (70, 333)];
        let sums = |(rows, cols): (usize, usize), inner: usize| {
            let big = (1u32 << 24) as f32;
            let a = ndarray::Array2::<f32>::ones((rows, inner));
            let w = ndarray::Array2::<f32>::ones((inner, cols));
            let mut out = ndarray::Array2::<f32>::from_elem((rows, cols), big);
            sliced_product(a.view(), w.view(), out.view_mut(), true);
            out.iter().all(|x| *x == big + inner as f32)
        };
        shapes.iter().all(|shape| sums(*shape, 48) && sums(*shape, 384))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gemm_sums_slices_first() {
        assert!(is_sliced());
    }

    #[test]
    fn row_sums_agree_with_the_portable_ones_within_their_depth() {
        use certus_engine::bounds::Portable;
        let fast = Fast::new(1, false);
        for n in [1usize, 3, 31, 33, 1000, 1025] {
            let row: Vec<f32> = (0..n).map(|i| ((i * 37 % 101) as f32 - 50.0) / 7.0).collect();
            let mid: Vec<f32> = (0..n).map(|i| ((i * 53 % 97) as f32 - 48.0) / 11.0).collect();
            let rad = vec![0.125f32; n];
            let sums = |arith: &dyn Fn(&Rounding) -> OverBox, depth: u32| {
                let rounding = Rounding::new(depth, n);
                arith(&rounding)
            };
            let row = Row::F32(&row);
            let a = sums(&|r| fast.over_box(row, &mid, &rad, r), fast.row_depth(n));
            let b = sums(&|r| Portable.over_box(row, &mid, &rad, r), Portable.row_depth(n));
            assert!((a.centre - b.centre).abs() <= a.error + b.error, "{n}");
            let depth = fast.row_depth(n) + Portable.row_depth(n);
            let budget = certus_engine::num::gamma(depth) * a.size * 2.01;
            assert!((a.radius - b.radius).abs() <= budget);
        }
    }
}
