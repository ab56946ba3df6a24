//! `start` and `margins`: rows before their walk.

use certus::gpu::Device;
use certus_engine::num::{gamma, underflow};
use certus_shaders::kernel::{Kernel, MARGINS, START};
use certus_shaders::layout::{DEPLOYED, Step};
use certus_shaders::{ETA, twin};
use certus_tests::rational::{exact, sum};
use fastrand::Rng;

use super::rows::Rows;
use super::{
    Draw, LEFT, Live, Outcome, at_most, bytes, disturbance, floats, listed, near, normal, row_grid,
    run, steps,
};

/// What `start` reads.
pub(super) struct Case {
    p: Step,
    slots: Vec<[u32; 2]>,
    live: Live,
    w: Vec<f32>,
    known: Vec<f32>,
}

/// What both write.
pub(super) struct Found {
    floors: Vec<f32>,
    a: Vec<f32>,
}

impl Case {
    pub(super) fn draw(
        rng: &mut Rng,
        [samples, rows, cols]: [usize; 3],
        flags: u32,
        draw: Draw,
    ) -> Self {
        let slots = Rows::of_neurons(rng, samples, rows).slots;
        let live = Live::draw(rng, samples, rows, cols, samples == 1);
        let mut p = Step {
            samples: samples as u32,
            width: rows as u32 + 1,
            rows: rows as u32,
            cols: cols as u32,
            stride: listed(cols) as u32 / 4 + 1,
            flags,
            weight_error: if rng.bool() { 1e-4 } else { 0.0 },
            bias_error: 1e-6,
            relative: gamma(cols as u32 + 2),
            absolute: underflow(cols),
            ..Step::default()
        };
        live.set(&mut p);
        let w = draw.many(rng, rows * cols);
        let known = (0..4 * samples * p.width as usize).map(|i| {
            let x = draw.one(rng);
            match i / p.width as usize % 4 {
                0 | 1 => x.abs() + 1.0,
                2 => x,
                // With room for a centre that is flushed, as that of `interval`.
                _ => x.abs() * 1e-6 + 2.0 * f32::MIN_POSITIVE,
            }
        });
        Self { known: known.collect(), p, slots, live, w }
    }

    fn room(&self) -> Found {
        let words = self.slots.len() * 4 * self.p.stride as usize;
        Found { floors: vec![LEFT; self.slots.len()], a: vec![LEFT; words] }
    }

    pub(super) fn run(&self, device: &Device, kernel: &Kernel) -> Found {
        let Self { p, slots, live, w, known } = self;
        let Found { floors, a } = self.room();
        let read = [bytes(slots), bytes(&live.words), bytes(w), bytes(known)];
        let written = [bytes(&floors), bytes(&a)];
        let found = run(device, kernel, p, &read, &written, row_grid(slots.len()));
        Found { floors: floats(&found[0]), a: floats(&found[1]) }
    }

    /// The comparison with the twin; each floor at most the centre less all that it may be off.
    pub(super) fn check(&self, found: &Found) -> Outcome {
        let Self { p, slots, live, w, known } = self;
        let Found { mut floors, mut a } = self.room();
        twin::start(p, slots, &live.words, w, known, &mut floors, &mut a);
        // Copied, but for what is flushed.
        near("coefficient", &found.a, &a, |i| if a[i].is_subnormal() { ETA } else { 0.0 })?;
        let of = |slot: usize, array: u32| {
            let [sample, row] = slots[slot];
            let sign = if array == 2 && row % 2 == 1 { -1.0 } else { 1.0 };
            sign * known[((4 * sample + array) * p.width + row / 2) as usize]
        };
        near("floor", &found.floors, &floors, |slot| {
            let [mass, _, centre, error] = [0, 1, 2, 3].map(|k| f64::from(of(slot, k)));
            let rate = f64::from(p.weight_error) + f64::from(p.relative);
            let off = error + rate * mass + f64::from(p.bias_error) + f64::from(p.absolute);
            // A disturbance takes 5 roundings.
            steps(6, off) + steps(1, off + centre.abs()) + ETA
        })?;
        for (slot, floor) in found.floors.iter().enumerate() {
            let off = exact(of(slot, 3)) + disturbance(p, &exact(of(slot, 0)));
            // What is flushed of a centre is in its error.
            let most = exact(of(slot, 2)) - off + exact(ETA);
            at_most(&format!("floor {slot}"), *floor, &most)?;
        }
        Ok(())
    }
}

#[test]
fn start_is_its_twin_and_sound() {
    let Some(device) = crate::device("start_is_its_twin_and_sound") else { return };
    let mut rng = Rng::with_seed(16);
    for shape in [[1, 1, 1], [3, 31, 3], [4, 3, 33], [2, 33, 1000], [1, 3, 1025]] {
        for draw in Draw::ALL {
            for flags in [0, DEPLOYED] {
                let case = Case::draw(&mut rng, shape, flags, draw);
                let found = case.run(&device, &START);
                case.check(&found)
                    .unwrap_or_else(|why| panic!("{shape:?} {draw:?} {flags}: {why}"));
            }
        }
    }
}

#[test]
fn margins_are_their_twin_and_sound() {
    let Some(device) = crate::device("margins_are_their_twin_and_sound") else { return };
    let mut rng = Rng::with_seed(17);
    for [samples, rows] in [[1usize, 2usize], [3, 3], [2, 10], [1, 65]] {
        for draw in Draw::ALL {
            // The last layer, in the place of that below: all of its neurons live.
            let live = Live::draw(&mut rng, samples, 1, rows, true);
            let mut p = Step {
                samples: samples as u32,
                rows: rows as u32,
                stride: listed(rows) as u32 / 4,
                ..Step::default()
            };
            live.set(&mut p);
            (p.layer, p.first) = (0, p.below);
            let slots = Rows::of_margins(&mut rng, samples, rows).slots;
            let classes: Vec<u32> = (0..samples).map(|_| rng.u32(0..rows as u32)).collect();
            let feed: Vec<f32> =
                draw.many(&mut rng, samples * rows).into_iter().map(normal).collect();
            let (mut floors, mut a) =
                (vec![LEFT; slots.len()], vec![LEFT; slots.len() * 4 * p.stride as usize]);
            let read = [bytes(&slots), bytes(&classes), bytes(&feed), bytes(&live.words)];
            let written = [bytes(&floors), bytes(&a)];
            let found = run(&device, &MARGINS, &p, &read, &written, row_grid(slots.len()));
            twin::margins(&p, &slots, &classes, &feed, &live.words, &mut floors, &mut a);
            near("coefficient", &floats(&found[1]), &a, |_| 0.0).unwrap();
            let found = floats(&found[0]);
            // The class's own middle and another's negative.
            let terms = |slot: usize| {
                let [sample, row] = slots[slot];
                let middles = &feed[sample as usize * rows..][..rows];
                let class = classes[sample as usize] as usize;
                let other = (0..rows).filter(|i| *i != class).nth(row as usize);
                [middles[class], other.map_or(0.0, |other| -middles[other])]
            };
            near("floor", &found, &floors, |slot| {
                steps(1, terms(slot).iter().map(|x| f64::from(x.abs())).sum())
            })
            .unwrap();
            for (slot, floor) in found.iter().enumerate() {
                at_most(&format!("floor {slot}"), *floor, &sum(&terms(slot))).unwrap();
            }
        }
    }
}
