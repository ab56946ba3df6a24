//! `join`: both rows of each pair after the lines of their first step.

use certus::gpu::Device;
use certus_engine::num::NEGLIGIBLE;
use certus_engine::num::sums::drop_negligible;
use certus_shaders::kernel::{JOIN, Kernel};
use certus_shaders::layout::{LINES, SCALARS, Step};
use certus_shaders::{U, twin};
use certus_tests::rational::{dot, exact};
use fastrand::Rng;

use super::relax::{depth, line};
use super::rows::Rows;
use super::{
    Draw, Live, Outcome, at_most, bytes, floats, listed, near, row_grid, run, set_rounding, steps,
    sums_apart,
};

/// What the kernel reads, and what is there before it writes.
pub(super) struct Case {
    p: Step,
    slots: Vec<[u32; 2]>,
    live: Live,
    lines: Vec<f32>,
    scalars: Vec<f32>,
    before: Found,
}

/// What it writes.
#[derive(Clone)]
pub(super) struct Found {
    floors: Vec<f32>,
    a: Vec<f32>,
}

impl Case {
    pub(super) fn draw(rng: &mut Rng, [samples, most, neurons]: [usize; 3], draw: Draw) -> Self {
        let slots = Rows::of_neurons(rng, samples, most).slots;
        let live = Live::draw(rng, samples, neurons, 2, samples == 1);
        let mut p = Step {
            samples: samples as u32,
            rows: neurons as u32,
            cols: 2,
            stride: listed(neurons) as u32 / 4 + 1,
            ..Step::default()
        };
        live.set(&mut p);
        set_rounding(&mut p, depth(listed(neurons)), listed(neurons));
        let mut lines = live.lines(&p, |array| line(rng, draw, array));
        // One slope of those that are shared.
        let n = p.neurons as usize;
        for sample in 0..samples {
            let lower = LINES * sample * n + p.first as usize;
            let shared = live.shared(&p, sample);
            lines.copy_within(lower..lower + shared, lower + n);
        }
        let scalars = [4.0, 0.0, 0.0, 0.0, 1e-3, 2e-3, 1e-3].repeat(samples);
        let floors = Draw::Even.many(rng, slots.len());
        let a = draw.rows(rng, [slots.len(), 4 * p.stride as usize], 64);
        Self { before: Found { floors, a }, p, slots, live, lines, scalars }
    }

    pub(super) fn run(&self, device: &Device, kernel: &Kernel) -> Found {
        let Self { p, slots, live, lines, scalars, before } = self;
        let read = [bytes(slots), bytes(&live.words), bytes(lines), bytes(scalars)];
        let written = [bytes(&before.floors), bytes(&before.a)];
        let found = run(device, kernel, p, &read, &written, row_grid(slots.len() / 2));
        Found { floors: floats(&found[0]), a: floats(&found[1]) }
    }

    fn twin(&self) -> Found {
        let Self { p, slots, live, lines, scalars, before } = self;
        let Found { mut floors, mut a } = before.clone();
        twin::join(p, slots, &live.words, lines, scalars, &mut floors, &mut a);
        Found { floors, a }
    }

    /// The comparison with the twin; each floor against exact sums of what was read and written.
    pub(super) fn check(&self, found: &Found) -> Outcome {
        let Self { p, slots, live, lines, scalars, before } = self;
        let (stride, neurons) = (4 * p.stride as usize, p.neurons as usize);
        let mut floors = vec![0.0; before.floors.len()];
        let mut coefficients = vec![0.0; before.a.len()];
        for (slot, [sample, _]) in slots.iter().enumerate() {
            let sample = *sample as usize;
            let count = live.list(p, sample, 1).len();
            let of =
                |i: usize, k: usize| lines[(LINES * sample + i) * neurons + p.first as usize + k];
            // Both rows begin with the first's coefficients, the second with their negatives.
            let sign = if slot % 2 == 0 { 1.0 } else { -1.0 };
            let begun = &before.a[slot / 2 * 2 * stride..][..count];
            let olds: Vec<f32> = begun.iter().map(|x| drop_negligible(sign * x)).collect();
            let new: Vec<f32> =
                found.a[slot * stride..][..count].iter().map(|new| new.abs()).collect();
            let lines_of = |i: usize| (0..count).map(|k| of(i, k)).collect::<Vec<f32>>();
            let side = |x: f32| usize::from(!(x > 0.0));
            let gains: Vec<f32> =
                olds.iter().enumerate().map(|(k, old)| of(2 + side(*old), k)).collect();
            let mut lost = 0.0;
            for (k, old) in olds.iter().enumerate() {
                // A slope is one where it is shared, whichever sign.
                let product = (f64::from(*old) * f64::from(of(side(*old), k))).abs();
                let edge = (product - f64::from(NEGLIGIBLE)).abs() <= 2.0 * U * product;
                let off = if edge { 1.01 * product } else { U * product };
                coefficients[slot * stride + k] = off;
                lost += off * f64::from(of(4, k));
            }
            let size = |a: &[f32], b: &[f32]| -> f64 {
                a.iter().zip(b).map(|(a, b)| (f64::from(*a) * f64::from(*b)).abs()).sum()
            };
            let budgets = lines_of(4);
            let apart = sums_apart(depth(count));
            let (gain, budget) = (size(&olds, &gains), size(&new, &budgets) + lost);
            let own = scalars[sample * (SCALARS + 3) + SCALARS + 1];
            // As in `relax`.
            let rounding = f64::from(p.gamma) * gain;
            let loss = budget + 2.0 * rounding + f64::from(own) + 2.0 * f64::from(p.under);
            floors[slot] = apart * (gain + budget + rounding)
                + lost
                + steps(5, loss)
                + steps(2, f64::from(before.floors[slot]).abs() + gain + loss)
                + 8.0 * f64::from(p.under);
            let taken = dot(&new, &budgets) + exact(own);
            let most = exact(before.floors[slot]) + dot(&olds, &gains) - taken;
            at_most(&format!("floor {slot}"), found.floors[slot], &most)?;
        }
        let twin = self.twin();
        near("coefficient", &found.a, &twin.a, |i| coefficients[i])?;
        near("floor", &found.floors, &twin.floors, |i| floors[i])
    }
}

#[test]
fn join_is_its_twin_and_sound() {
    let Some(device) = crate::device("join_is_its_twin_and_sound") else { return };
    let mut rng = Rng::with_seed(30);
    // Samples, pairs, neurons below.
    let shapes = [[1, 1, 1], [3, 5, 3], [4, 9, 31], [3, 3, 33], [2, 4, 1000], [1, 3, 1025]];
    for shape in shapes {
        for draw in Draw::ALL {
            let case = Case::draw(&mut rng, shape, draw);
            let found = case.run(&device, &JOIN);
            case.check(&found).unwrap_or_else(|why| panic!("{shape:?} {draw:?}: {why}"));
        }
    }
}
