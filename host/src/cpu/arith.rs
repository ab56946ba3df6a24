//! The arithmetic of a runner: the host's, or a device's.

use certus_engine::bounds::{Arithmetic, OverBox, Portable, Product};
use certus_engine::model::Row;
use certus_engine::num::Rounding;
use certus_engine::num::sums::{FlatCut, Lines, Norms, RelaxSums, RoundCut, Ways};

use super::Fast;

/// One of the two arithmetics.
#[derive(Debug)]
pub enum Arith {
    /// Vectors and a fast GEMM.
    Fast(Box<Fast>),
    /// The engine's own: the same bits as on every device.
    Portable(Portable),
}

/// Calls the method of whichever it is.
macro_rules! either {
    ($self:ident, $arith:ident => $call:expr) => {
        match $self {
            Arith::Fast($arith) => $call,
            Arith::Portable($arith) => $call,
        }
    };
}

impl Arithmetic for Arith {
    fn row_depth(&self, n: usize) -> u32 {
        either!(self, arith => arith.row_depth(n))
    }

    fn relax_depth(&self, n: usize) -> u32 {
        either!(self, arith => arith.relax_depth(n))
    }

    fn product_depth(&self, n: usize) -> u32 {
        either!(self, arith => arith.product_depth(n))
    }

    fn over_box(&self, row: Row<'_>, mid: &[f32], rad: &[f32], rounding: &Rounding) -> OverBox {
        either!(self, arith => arith.over_box(row, mid, rad, rounding))
    }

    fn dot(&self, row: Row<'_>, x: &[f32]) -> f32 {
        either!(self, arith => arith.dot(row, x))
    }

    fn reach(&self, row: Row<'_>, rad: &[f32]) -> f32 {
        either!(self, arith => arith.reach(row, rad))
    }

    fn norms(&self, row: Row<'_>) -> Norms {
        either!(self, arith => arith.norms(row))
    }

    fn flat_cut(&self, row: Row<'_>, ways: &Ways<'_>, t: f32) -> FlatCut {
        either!(self, arith => arith.flat_cut(row, ways, t))
    }

    fn round_cut(&self, row: Row<'_>, ways: &Ways<'_>, t: f32) -> RoundCut {
        either!(self, arith => arith.round_cut(row, ways, t))
    }

    fn relax(&self, row: &mut [f32], lines: &Lines<'_>) -> RelaxSums {
        either!(self, arith => arith.relax(row, lines))
    }

    fn forget(&mut self, layer: usize) {
        either!(self, arith => arith.forget(layer));
    }

    fn each_row(
        &self,
        work: usize,
        rows: &mut [f32],
        width: usize,
        values: &mut [f32],
        f: impl Fn(usize, &mut [f32], &mut f32) + Sync,
    ) {
        either!(self, arith => arith.each_row(work, rows, width, values, f));
    }

    fn product(&mut self, product: &Product<'_>, out: &mut [f32]) {
        either!(self, arith => arith.product(product, out));
    }
}
