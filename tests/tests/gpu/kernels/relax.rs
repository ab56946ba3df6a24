//! `relax`: rows after lines.

use certus::gpu::Device;
use certus_engine::num::NEGLIGIBLE;
use certus_engine::num::sums::drop_negligible;
use certus_shaders::kernel::{Kernel, RELAX};
use certus_shaders::layout::{BOUNDED, LINES, NEURONS, SCALARS, Step};
use certus_shaders::{ETA, U, twin};
use certus_tests::rational::{dot, exact};
use fastrand::Rng;

use super::rows::Rows;
use super::{
    Draw, Live, Outcome, at_most, bytes, floats, listed, near, normal, row_grid, run, set_rounding,
    steps, sums_apart,
};

/// Roundings of a term: its product, a thread's sum, the tree.
pub(super) fn depth(n: usize) -> u32 {
    7 + n.div_ceil(64) as u32
}

/// A number of a neuron's lines. Gains are 0 or not negligible, nothing is subnormal.
pub(super) fn line(rng: &mut Rng, draw: Draw, array: usize) -> f32 {
    let x = draw.one(rng);
    match array {
        0 | 1 if draw == Draw::Absorbed => 1.0,
        2 | 3 if draw == Draw::Absorbed => -1.0,
        0 | 1 => [0.0, 1.0, 0.1, rng.f32()][rng.usize(0..4)],
        2 | 3 => drop_negligible(x),
        4 => x.abs() * 1e-3 + 1e-30,
        _ => normal(x.abs()),
    }
}

/// What the kernel reads, and what is there before it writes.
pub(super) struct Case {
    p: Step,
    rows: Rows,
    live: Live,
    lines: Vec<f32>,
    scalars: Vec<f32>,
    before: Found,
}

/// What it writes.
#[derive(Clone)]
pub(super) struct Found {
    ends: Vec<f32>,
    floors: Vec<f32>,
    a: Vec<f32>,
}

impl Case {
    pub(super) fn draw(
        rng: &mut Rng,
        [samples, most, neurons]: [usize; 3],
        flags: u32,
        draw: Draw,
    ) -> Self {
        let rows = match flags & NEURONS {
            0 => Rows::of_margins(rng, samples, most),
            _ => Rows::of_neurons(rng, samples, most),
        };
        let live = Live::draw(rng, samples, neurons, 2, samples == 1);
        let mut p = Step {
            samples: samples as u32,
            width: most.max(neurons) as u32 + 1,
            rows: neurons as u32,
            cols: 2,
            stride: listed(neurons) as u32 / 4 + 1,
            flags,
            ..Step::default()
        };
        live.set(&mut p);
        set_rounding(&mut p, depth(listed(neurons)), listed(neurons));
        let lines = live.lines(&p, |array| line(rng, draw, array));
        let scalars = [4.0, 0.0, 0.0, 0.0, 1e-3, 2e-3, 1e-3].repeat(samples);
        let words = [rows.slots.len(), 4 * p.stride as usize];
        let floors = Draw::Even.many(rng, rows.slots.len());
        let ends = (0..2 * samples * p.width as usize)
            .map(|i| if (i / p.width as usize).is_multiple_of(2) { -1e3 } else { 1e3 } * rng.f32())
            .collect();
        let before = Found { ends, floors, a: draw.rows(rng, words, 64) };
        Self { p, rows, live, lines, scalars, before }
    }

    pub(super) fn run(&self, device: &Device, kernel: &Kernel) -> Found {
        let Self { p, rows, live, lines, scalars, before } = self;
        let read = [
            bytes(&rows.slots),
            bytes(&rows.rows),
            bytes(&live.words),
            bytes(lines),
            bytes(scalars),
        ];
        let written = [bytes(&before.ends), bytes(&before.floors), bytes(&before.a)];
        let found = run(device, kernel, p, &read, &written, row_grid(rows.slots.len()));
        Found { ends: floats(&found[0]), floors: floats(&found[1]), a: floats(&found[2]) }
    }

    fn twin(&self) -> Found {
        let Self { p, rows, live, lines, scalars, before } = self;
        let Found { mut ends, mut floors, mut a } = before.clone();
        let (slots, rows, live) = (&rows.slots, &rows.rows, &live.words);
        twin::relax(p, slots, rows, live, lines, scalars, &mut ends, &mut floors, &mut a);
        Found { ends, floors, a }
    }

    /// The comparison with the twin; floors and ends against exact sums of what was read and written.
    pub(super) fn check(&self, found: &Found) -> Outcome {
        let Self { p, rows, live, lines, scalars, before } = self;
        let (stride, neurons) = (4 * p.stride as usize, p.neurons as usize);
        let mut ends = vec![0.0; before.ends.len()];
        let mut floors = vec![0.0; before.floors.len()];
        let mut coefficients = vec![0.0; before.a.len()];
        for (slot, sample) in rows.in_use(p.samples as usize) {
            let count = live.list(p, sample, 1).len();
            let of =
                |i: usize, k: usize| lines[(LINES * sample + i) * neurons + p.first as usize + k];
            let row = slot * stride..slot * stride + count;
            let (old, new) = (&before.a[row.clone()], &found.a[row]);
            let (mut olds, mut gains, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
            let (mut budgets, mut radii, mut old_sizes) = (Vec::new(), Vec::new(), Vec::new());
            let mut lost = 0.0;
            for (k, (x, new)) in old.iter().zip(new).enumerate() {
                let old = drop_negligible(*x);
                let lower = usize::from(!(old > 0.0));
                let product = f64::from(old) * f64::from(of(lower, k));
                // One rounding; beside what is negligible either it or 0.
                let edge = (product.abs() - f64::from(NEGLIGIBLE)).abs() <= 2.0 * U * product.abs();
                let off = if edge { 1.01 * product.abs() } else { U * product.abs() };
                coefficients[slot * stride + k] = off;
                lost += off * f64::from(of(4, k));
                olds.push(old);
                gains.push(of(2 + lower, k));
                sizes.push(new.abs());
                budgets.push(of(4, k));
                old_sizes.push(x.abs());
                radii.push(of(5, k));
            }
            let size = |a: &[f32], b: &[f32]| -> f64 {
                a.iter().zip(b).map(|(a, b)| (f64::from(*a) * f64::from(*b)).abs()).sum()
            };
            let apart = sums_apart(depth(count));
            let small = 8.0 * f64::from(p.under) + ETA * size(&old_sizes, &vec![1.0; count]);
            let floor = f64::from(before.floors[slot]).abs();
            let (gain, budget) = (size(&olds, &gains), size(&sizes, &budgets) + lost);
            let own = f64::from(scalars[sample * (SCALARS + 3) + SCALARS + 1]);
            // Budget and the sizes of gains are inflated in 2 roundings; then 3 and 2 more; the floor has 2.
            let rounding = f64::from(p.gamma) * gain;
            let loss = budget + 2.0 * rounding + own + 2.0 * f64::from(p.under);
            floors[slot] = (apart * gain + apart * budget + lost)
                + apart * rounding
                + steps(5, loss)
                + steps(2, floor + gain + loss)
                + small;
            let floor = exact(before.floors[slot]);
            let taken =
                dot(&sizes, &budgets) + exact(scalars[sample * (SCALARS + 3) + SCALARS + 1]);
            let most = &floor + dot(&olds, &gains) - taken;
            at_most(&format!("floor {slot}"), found.floors[slot], &most)?;
            if p.flags & (BOUNDED | NEURONS) == BOUNDED | NEURONS {
                let [sample, row] = rows.slots[slot];
                let at = ((2 * sample + row % 2) * p.width + row / 2) as usize;
                let reach = size(&old_sizes, &radii);
                // Inflated, and taken from the floor.
                ends[at] = apart * reach
                    + steps(2, reach)
                    + steps(1, reach + f64::from(before.floors[slot]).abs())
                    + small
                    + ETA * size(&radii, &vec![1.0; count]);
                let most = floor - dot(&old_sizes, &radii);
                let end = if row % 2 == 0 { found.ends[at] } else { -found.ends[at] };
                let was = if row % 2 == 0 { before.ends[at] } else { -before.ends[at] };
                // A subnormal coefficient that is flushed is charged where it arose.
                let flushed = exact(ETA) * dot(&radii, &vec![1.0; count]);
                if end != was {
                    at_most(&format!("end of slot {slot}"), end, &(most + flushed))?;
                }
            }
        }
        let twin = self.twin();
        near("coefficient", &found.a, &twin.a, |i| coefficients[i])?;
        near("floor", &found.floors, &twin.floors, |i| floors[i])?;
        near("end", &found.ends, &twin.ends, |i| ends[i])
    }
}

#[test]
fn relax_is_its_twin_and_sound() {
    let Some(device) = crate::device("relax_is_its_twin_and_sound") else { return };
    let mut rng = Rng::with_seed(13);
    // Samples, rows (of neurons twice as many), neurons below.
    let shapes = [[1, 1, 1], [3, 5, 3], [4, 9, 31], [3, 3, 33], [2, 4, 1000], [1, 3, 1025]];
    for shape in shapes {
        for draw in Draw::ALL {
            for flags in [0, BOUNDED, NEURONS, BOUNDED | NEURONS] {
                let case = Case::draw(&mut rng, shape, flags, draw);
                let found = case.run(&device, &RELAX);
                case.check(&found)
                    .unwrap_or_else(|why| panic!("{shape:?} {draw:?} {flags}: {why}"));
            }
        }
    }
}
