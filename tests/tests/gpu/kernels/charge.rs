//! `charge` and `length`: rows through layers whose neurons keep their sides, and over the inputs.

use certus::gpu::Device;
use certus_engine::num::gamma;
use certus_shaders::kernel::{CHARGE, Kernel, LENGTH};
use certus_shaders::layout::{GRAIN, Step};
use certus_shaders::{ETA, twin};
use certus_tests::rational::{Rational, abs, dot, exact};
use fastrand::Rng;

use super::relax::depth;
use super::rows::Rows;
use super::{
    Draw, LEFT, Outcome, at_least, bytes, floats, listed, near, normal, row_grid, run,
    set_rounding, steps, sums_apart,
};

/// Layers, and entries of lists before those of the layer at hand.
const LAYERS: usize = 3;
const FIRST: u32 = 3;

/// What `charge` reads, and what is there before it writes.
pub(super) struct Case {
    p: Step,
    slots: Vec<[u32; 2]>,
    live: Vec<u32>,
    points: Vec<f32>,
    totals: Vec<f32>,
    marks: Vec<[f32; 2]>,
    a: Vec<f32>,
}

/// What it writes.
pub(super) struct Found {
    marks: Vec<f32>,
    a: Vec<f32>,
}

impl Case {
    pub(super) fn draw(
        rng: &mut Rng,
        [samples, most, neurons]: [usize; 3],
        layer: u32,
        draw: Draw,
    ) -> Self {
        let slots = Rows::of_margins(rng, samples, most).slots;
        let mut p = Step {
            samples: samples as u32,
            neurons: FIRST + listed(neurons) as u32 + 2,
            layers: LAYERS as u32,
            layer,
            first: FIRST,
            rows: neurons as u32,
            cols: 40,
            stride: listed(neurons) as u32 / 4 + 1,
            share: gamma(100),
            ..Step::default()
        };
        set_rounding(&mut p, depth(listed(neurons)), listed(neurons));
        let lists = 2 * samples * LAYERS;
        let mut live = vec![0u32; lists + samples * p.neurons as usize];
        let (mut points, mut totals) = (Vec::new(), Vec::new());
        for sample in 0..samples {
            // All of the first, some of the second, none of the third.
            let lives = |rng: &mut Rng| sample % 3 == 0 || sample % 3 == 1 && rng.bool();
            let list: Vec<u32> = (0..neurons as u32).filter(|_| lives(rng)).collect();
            let at = lists + sample * p.neurons as usize + FIRST as usize;
            live[at..at + list.len()].copy_from_slice(&list);
            let count = sample * LAYERS + layer as usize;
            live[count] = list.len().next_multiple_of(GRAIN) as u32;
            live[samples * LAYERS + count] = list.len() as u32;
            points.extend((0..4 * p.neurons).map(|_| match draw {
                Draw::Absorbed => 1.0,
                _ => normal(draw.one(rng).abs()),
            }));
            totals.extend((0..2 * LAYERS).map(|_| normal(draw.one(rng).abs())));
        }
        // Beside what is tiny, nothing.
        let before = if draw == Draw::Tiny { 0.0 } else { 1e-3 };
        let marks = (0..slots.len()).map(|_| [rng.f32() * before, rng.f32() * before]).collect();
        let a = draw.rows(rng, [slots.len(), 4 * p.stride as usize], 64);
        Self { p, slots, live, points, totals, marks, a }
    }

    pub(super) fn run(&self, device: &Device, kernel: &Kernel) -> Found {
        let Self { p, slots, live, points, totals, marks, a } = self;
        let read = [bytes(slots), bytes(live), bytes(points), bytes(totals)];
        let written = [bytes(marks), bytes(a)];
        let found = run(device, kernel, p, &read, &written, row_grid(slots.len()));
        Found { marks: floats(&found[0]), a: floats(&found[1]) }
    }

    /// The comparison with the twin; each charge at least what is claimed, with exact values.
    pub(super) fn check(&self, found: &Found) -> Outcome {
        let Self { p, slots, live, points, totals, marks, a } = self;
        let (mut twin_marks, mut twin_a) = (marks.clone(), a.clone());
        twin::charge(p, slots, live, points, totals, &mut twin_marks, &mut twin_a);
        // Kept as they were, but for what is flushed.
        near("coefficient", &found.a, &twin_a, |i| if a[i].is_subnormal() { ETA } else { 0.0 })?;
        let (samples, neurons) = (p.samples as usize, p.neurons as usize);
        let mut allowed = Vec::new();
        for (slot, [sample, _]) in slots.iter().enumerate() {
            let sample = *sample as usize;
            let count = live[(samples + sample) * LAYERS + p.layer as usize] as usize;
            let list = &live[2 * samples * LAYERS + sample * neurons + FIRST as usize..][..count];
            let row: Vec<f32> =
                a[slot * 4 * p.stride as usize..][..count].iter().map(|a| a.abs()).collect();
            let of = |array: usize| -> Vec<f32> {
                let at = (4 * sample + array) * neurons + FIRST as usize;
                list.iter().map(|i| points[at + *i as usize]).collect()
            };
            // A subnormal coefficient that is flushed meets what `under` is charged for.
            let kept: Vec<f32> = row.iter().map(|a| normal(*a)).collect();
            let [error, rate, own] = [1, 2, 3].map(of);
            let at = 2 * (sample * LAYERS + p.layer as usize);
            let met = match p.layer {
                0 => [p.cols as f32, 0.0],
                _ => [totals[at - 2], totals[at - 1]],
            };
            let under = |k: usize| exact(p.under) * (exact(met[k]) + exact(totals[at + k]));
            let share = exact(p.share);
            let off =
                exact(marks[slot][0]) + dot(&kept, &own) + &share * dot(&kept, &error) + under(1);
            let slope = exact(marks[slot][1]) + &share * dot(&kept, &rate) + under(0);
            at_least(&format!("off {slot}"), found.marks[2 * slot], &off)?;
            at_least(&format!("slope {slot}"), found.marks[2 * slot + 1], &slope)?;
            let met: f64 = row
                .iter()
                .chain(&error)
                .chain(&rate)
                .chain(&own)
                .fold(0.0, |sum, x| sum + f64::from(*x));
            let small = 8.0 * f64::from(p.under) + 2.0 * ETA * met;
            for size in twin_marks[slot].map(f64::from) {
                // Inflated, times the share, and added: 9 roundings at most.
                allowed.push(
                    sums_apart(depth(listed(p.rows as usize))) * size + steps(9, size) + small,
                );
            }
        }
        near("mark", &found.marks, bytemuck::cast_slice(&twin_marks), |i| allowed[i])
    }
}

#[test]
fn charge_is_its_twin_and_sound() {
    let Some(device) = crate::device("charge_is_its_twin_and_sound") else { return };
    let mut rng = Rng::with_seed(33);
    for shape in [[1, 1, 1], [3, 5, 3], [3, 9, 31], [3, 3, 33], [2, 4, 1000], [3, 3, 1025]] {
        for draw in Draw::ALL {
            for layer in [0, 2] {
                let case = Case::draw(&mut rng, shape, layer, draw);
                case.check(&case.run(&device, &CHARGE))
                    .unwrap_or_else(|why| panic!("{shape:?} {draw:?} {layer}: {why}"));
            }
        }
    }
}

/// What `length` reads.
pub(super) struct Lengths {
    p: Step,
    slots: Vec<[u32; 2]>,
    a: Vec<f32>,
}

impl Lengths {
    pub(super) fn draw(
        rng: &mut Rng,
        [samples, most, cols]: [usize; 3],
        norm: u32,
        draw: Draw,
    ) -> Self {
        let slots = Rows::of_margins(rng, samples, most).slots;
        let stride = cols.div_ceil(4) as u32 + 1;
        let mut p = Step { cols: cols as u32, stride, norm, ..Step::default() };
        set_rounding(&mut p, depth(cols), cols);
        let entries = draw.rows(rng, [slots.len(), cols], 64);
        let mut a = vec![f32::NAN; slots.len() * 4 * stride as usize];
        for (row, entries) in a.chunks_exact_mut(4 * stride as usize).zip(entries.chunks(cols)) {
            row[..cols].copy_from_slice(entries);
        }
        Self { p, slots, a }
    }

    pub(super) fn run(&self, device: &Device, kernel: &Kernel) -> Vec<f32> {
        let Self { p, slots, a } = self;
        let room = vec![LEFT; slots.len()];
        let (read, written) = ([bytes(slots), bytes(a)], [bytes(&room)]);
        floats(&run(device, kernel, p, &read, &written, row_grid(slots.len()))[0])
    }

    /// The comparison with the twin; each length at least the exact one.
    pub(super) fn check(&self, found: &[f32]) -> Outcome {
        let Self { p, slots, a } = self;
        let mut twin = vec![LEFT; slots.len()];
        twin::length(p, slots, a, &mut twin);
        let cols = p.cols as usize;
        for (slot, found) in found.iter().enumerate() {
            let row = &a[slot * 4 * p.stride as usize..][..cols];
            let least = match p.norm {
                1 => exact(row.iter().fold(0.0f32, |most, a| most.max(a.abs()))),
                2 => dot(row, row),
                _ => row.iter().fold(Rational::ZERO, |sum, a| sum + abs(&exact(*a))),
            };
            at_least(&format!("length {slot}"), *found, &least)?;
        }
        near("length", found, &twin, |slot| {
            let size = f64::from(twin[slot]);
            let sum = sums_apart(depth(cols)) * size + steps(2, size) + 2.0 * f64::from(p.under);
            if p.norm == 1 { ETA } else { sum + ETA * cols as f64 }
        })
    }
}

#[test]
fn length_is_its_twin_and_sound() {
    let Some(device) = crate::device("length_is_its_twin_and_sound") else { return };
    let mut rng = Rng::with_seed(34);
    for shape in [[1, 1, 1], [3, 5, 3], [4, 9, 31], [3, 3, 33], [2, 4, 1000], [1, 3, 1025]] {
        for draw in Draw::ALL {
            for norm in 0..3 {
                // Squares of the widest are out of a model's range.
                if norm == 2 && draw == Draw::Wide {
                    continue;
                }
                let case = Lengths::draw(&mut rng, shape, norm, draw);
                case.check(&case.run(&device, &LENGTH))
                    .unwrap_or_else(|why| panic!("{shape:?} {draw:?} {norm}: {why}"));
            }
        }
    }
}

#[test]
fn a_row_that_is_no_number_has_no_length() {
    let Some(device) = crate::device("a_row_that_is_no_number_has_no_length") else { return };
    let mut rng = Rng::with_seed(35);
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for norm in 0..3 {
            let mut case = Lengths::draw(&mut rng, [1, 3, 70], norm, Draw::Even);
            case.a[67] = wrong;
            let found = case.run(&device, &LENGTH);
            // By which nothing is divided to a distance.
            assert!(!(found[0] < f32::INFINITY), "{wrong} {norm}: {found:?}");
            assert!(found[1].is_finite() && found[2].is_finite(), "{wrong} {norm}: {found:?}");
        }
    }
}
