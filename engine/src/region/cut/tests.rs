use core::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::bounds::{OverBox, Portable, Product};
use crate::num::sums::{FlatCut, Lines, Norms, RelaxSums, RoundCut};

/// [`Portable`], counting the passes over a cut ball.
#[derive(Default)]
struct Counted(AtomicUsize);

impl Arithmetic for Counted {
    fn row_depth(&self, n: usize) -> u32 {
        Portable.row_depth(n)
    }

    fn relax_depth(&self, n: usize) -> u32 {
        Portable.relax_depth(n)
    }

    fn product_depth(&self, n: usize) -> u32 {
        Portable.product_depth(n)
    }

    fn over_box(&self, row: Row<'_>, mid: &[f32], rad: &[f32], rounding: &Rounding) -> OverBox {
        Portable.over_box(row, mid, rad, rounding)
    }

    fn dot(&self, row: Row<'_>, x: &[f32]) -> f32 {
        Portable.dot(row, x)
    }

    fn reach(&self, row: Row<'_>, rad: &[f32]) -> f32 {
        Portable.reach(row, rad)
    }

    fn norms(&self, row: Row<'_>) -> Norms {
        Portable.norms(row)
    }

    fn flat_cut(&self, row: Row<'_>, ways: &Ways<'_>, t: f32) -> FlatCut {
        self.0.fetch_add(1, Ordering::Relaxed);
        Portable.flat_cut(row, ways, t)
    }

    fn round_cut(&self, row: Row<'_>, ways: &Ways<'_>, t: f32) -> RoundCut {
        self.0.fetch_add(1, Ordering::Relaxed);
        Portable.round_cut(row, ways, t)
    }

    fn relax(&self, row: &mut [f32], lines: &Lines<'_>) -> RelaxSums {
        Portable.relax(row, lines)
    }

    fn product(&mut self, product: &Product<'_>, out: &mut [f32]) {
        Portable.product(product, out);
    }
}

/// The passes that a row of pixels takes, between radii that few and that all of the box limit.
#[test]
fn a_few_passes_find_the_reach() {
    const N: usize = 300;
    let mut state = 1u32;
    let mut draw = || {
        state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        (state >> 8) as f32 / (1u32 << 24) as f32
    };
    let (lo, hi) = ([0.0; N], [1.0; N]);
    for (norm, radii, most) in [
        (Norm::L1, [(0.05, 2.0), (2.0, 10.0), (20.0, 10.0), (1e3, 1.0)], STEPS + 2),
        (Norm::L2, [(0.05, 2.5), (1.0, 3.0), (6.0, 4.5), (1e3, 3.0)], STEPS + 1),
    ] {
        for (radius, mean) in radii {
            let mut passes = 0;
            for _ in 0..50 {
                let a: [f32; N] = core::array::from_fn(|_| draw() + draw() + draw() - 1.5);
                // Most pixels are black or white.
                let center: [f32; N] =
                    core::array::from_fn(|_| (2.0 * draw() - 0.5).clamp(0.0, 1.0));
                let ball = Ball { center: &center, radius, norm };
                let rounding = Rounding::new(Portable.row_depth(N), N);
                let dual = super::super::dual_norm(&Portable, Row::F32(&a), &rounding, norm);
                let counted = Counted::default();
                cut_reach(&counted, Row::F32(&a), 1.0, &ball, &lo, &hi, dual);
                let count = counted.0.into_inner();
                assert!(count <= most, "{norm:?} {radius}: {count}");
                passes += count;
            }
            assert!(passes as f32 <= 50.0 * mean, "{norm:?} {radius}: {passes}");
        }
    }
}

/// The reach in l1 and near it: what pays most moves first.
#[test]
fn near_l1_the_heaviest_move_first() {
    let reach = |p: f32, a: &[f32], hi: &[f32]| {
        let (center, lo) = ([0.0; 3], [0.0; 3]);
        let norm = Norm::new(p).unwrap();
        let ball = Ball { center: &center, radius: 1.0, norm };
        cut_reach(&Portable, Row::F32(a), -1.0, &ball, &lo, hi, 6.0)
    };
    for p in [1.0, 1.000_001, 1.0001, 1.001] {
        for (a, hi, exact) in [
            ([5.0, 3.0, 1.0], [0.3, 1.0, 1.0], 0.3 * 5.0 + 0.7 * 3.0),
            ([5.0, 3.0, 1.0], [0.3, 0.4, 1.0], 0.3 * 5.0 + 0.4 * 3.0 + 0.3),
            ([5.0, 5.0, -1.0], [0.3, 0.4, 1.0], 3.5),
            ([5.0, -4.0, 1.0], [0.3, 0.4, 0.3], 0.3 * 5.0 + 0.3),
        ] {
            let found = reach(p, &a, &hi);
            let most = exact * (1.0 + 8.0 * (p - 1.0)) + 1e-3;
            assert!(found >= exact && found <= most, "{p} {a:?} {hi:?} {found} {exact}");
        }
    }
}
