//! `reach`: bounds of rows over the region.

use certus::gpu::Device;
use certus_shaders::kernel::{Kernel, REACH};
use certus_shaders::layout::{NEURONS, SCALARS, Step};
use certus_shaders::{ETA, U, twin};
use certus_tests::rational::{dot, exact, sqrt_bounds};
use fastrand::Rng;

use super::relax::depth;
use super::rows::Rows;
use super::{
    Draw, LEFT, Outcome, at_most, bytes, floats, near, normal, row_grid, run, set_rounding, steps,
    sums_apart,
};

/// What the kernel reads, and the ends before it writes.
pub(super) struct Case {
    p: Step,
    rows: Rows,
    feed: Vec<f32>,
    scalars: Vec<f32>,
    floors: Vec<f32>,
    a: Vec<f32>,
    ends: Vec<f32>,
}

/// What it writes.
pub(super) struct Found {
    ends: Vec<f32>,
    found: Vec<f32>,
}

impl Case {
    pub(super) fn draw(
        rng: &mut Rng,
        [samples, most, cols]: [usize; 3],
        norm: u32,
        flags: u32,
        draw: Draw,
    ) -> Self {
        let rows = match flags & NEURONS {
            0 => Rows::of_margins(rng, samples, most),
            _ => Rows::of_neurons(rng, samples, most),
        };
        let mut p = Step {
            samples: samples as u32,
            layers: 3,
            width: most as u32 + 1,
            cols: cols as u32,
            stride: cols.div_ceil(4) as u32 + 1,
            outputs: most as u32,
            norm,
            flags,
            ..Step::default()
        };
        set_rounding(&mut p, depth(cols), cols);
        let mut feed = vec![f32::NAN; samples * cols];
        let mut scalars = Vec::new();
        for _ in 0..samples {
            let radius = rng.f32() * 0.1;
            scalars.extend([f32::NAN, radius, 0.0, 0.0, 0.0, 0.0, 0.0]);
            // A ball may be cut by a box.
            feed.extend((0..cols).map(|_| match norm {
                0 => normal(draw.one(rng).abs()),
                _ => radius * if rng.bool() { 1.0 } else { rng.f32() },
            }));
        }
        let stride = 4 * p.stride as usize;
        let mut a = vec![f32::NAN; rows.slots.len() * stride];
        let entries = draw.rows(rng, [rows.slots.len(), cols], 64);
        for (row, entries) in a.chunks_exact_mut(stride).zip(entries.chunks_exact(cols)) {
            row[..cols].copy_from_slice(entries);
        }
        let floors = draw.many(rng, rows.slots.len()).into_iter().map(normal).collect();
        let ends = (0..2 * samples * p.width as usize)
            .map(|i| if (i / p.width as usize).is_multiple_of(2) { -1e3 } else { 1e3 } * rng.f32())
            .collect();
        Self { p, rows, feed, scalars, floors, a, ends }
    }

    fn room(&self) -> Vec<f32> {
        vec![LEFT; (self.p.samples * self.p.outputs) as usize]
    }

    pub(super) fn run(&self, device: &Device, kernel: &Kernel) -> Found {
        let Self { p, rows, feed, scalars, floors, a, ends } = self;
        let read = [
            bytes(&rows.slots),
            bytes(&rows.rows),
            bytes(feed),
            bytes(scalars),
            bytes(floors),
            bytes(a),
        ];
        let written = [bytes(ends), bytes(&self.room())].map(<[u8]>::to_vec);
        let written = [&written[0][..], &written[1][..]];
        let found = run(device, kernel, p, &read, &written, row_grid(rows.slots.len()));
        Found { ends: floats(&found[0]), found: floats(&found[1]) }
    }

    fn twin(&self) -> Found {
        let Self { p, rows, feed, scalars, floors, a, ends } = self;
        let (mut ends, mut found) = (ends.clone(), self.room());
        let (slots, rows) = (&rows.slots, &rows.rows);
        twin::reach(p, slots, rows, feed, scalars, floors, a, &mut ends, &mut found);
        Found { ends, found }
    }

    /// The comparison with the twin; each bound at most the floor less the exact reach.
    pub(super) fn check(&self, found: &Found) -> Outcome {
        let Self { p, rows, feed, scalars, floors, .. } = self;
        let (cols, stride) = (p.cols as usize, 4 * p.stride as usize);
        let samples = p.samples as usize;
        let (mut ends, mut bounds) = (vec![0.0; self.ends.len()], vec![0.0; found.found.len()]);
        for (slot, sample) in rows.in_use(samples) {
            let a: Vec<f32> = self.a[slot * stride..][..cols].iter().map(|a| a.abs()).collect();
            let radii = &feed[(samples + sample) * cols..][..cols];
            let radius = scalars[sample * (SCALARS + 3) + 1];
            let over_box = dot(&a, radii);
            let largest = a.iter().fold(0.0f32, |most, a| most.max(*a));
            let (ball, ball_off) = match p.norm {
                0 => (over_box.clone(), 0.0),
                1 => (exact(largest) * exact(radius), U),
                // The root of an inflated sum, the device's up to 4.5 units off and then raised by at
                // most 8 times 2 units until its square suffices; scaling and three roundings more.
                _ => {
                    let norm = sqrt_bounds(&dot(&a, &a)).0;
                    (norm * exact(radius), sums_apart(depth(cols)) + 26.0 * U)
                }
            };
            let reach = if ball < over_box { ball } else { over_box };
            let size = reach.to_f64_fast();
            // The region's reach is inflated in 2 roundings, its sum off by less than `small`; the root
            // of a sum that underflows is still below `2^-28`.
            let small = 4.0 * f64::from(p.under)
                + ETA * a.iter().chain(radii).map(|x| f64::from(*x)).sum::<f64>()
                + if p.norm == 2 { 2f64.powi(-28) * f64::from(radius) } else { 0.0 };
            let off = size * (sums_apart(depth(cols)).max(ball_off) + 2.0 * U) + small;
            let off = off + steps(3, size) + steps(1, size + f64::from(floors[slot]).abs());
            // A subnormal coefficient that is flushed is charged where it arose.
            let flushed: f32 = radii.iter().fold(radius, |most, radius| most.max(*radius));
            let most =
                exact(floors[slot]) - &reach + exact(ETA) * exact(flushed) * exact(cols as f64);
            let row = rows.slots[slot][1];
            let name = format!("bound of slot {slot}");
            if p.flags & NEURONS == 0 {
                let at = sample * p.outputs as usize + row as usize;
                bounds[at] = off;
                at_most(&name, found.found[at], &most)?;
            } else {
                let at = (2 * sample + row as usize % 2) * p.width as usize + row as usize / 2;
                ends[at] = off;
                if found.ends[at] != self.ends[at] {
                    let sign = if row % 2 == 0 { 1.0 } else { -1.0 };
                    at_most(&name, sign * found.ends[at], &most)?;
                }
            }
        }
        let twin = self.twin();
        near("bound", &found.found, &twin.found, |i| bounds[i])?;
        near("end", &found.ends, &twin.ends, |i| ends[i])
    }
}

#[test]
fn reach_is_its_twin_and_sound() {
    let Some(device) = crate::device("reach_is_its_twin_and_sound") else { return };
    let mut rng = Rng::with_seed(14);
    // Samples, rows (of neurons twice as many), inputs.
    let shapes = [[1, 1, 1], [3, 5, 3], [4, 9, 31], [3, 3, 33], [2, 4, 1000], [1, 3, 1025]];
    for shape in shapes {
        for draw in Draw::ALL {
            for norm in 0..3 {
                for flags in [0, NEURONS] {
                    let case = Case::draw(&mut rng, shape, norm, flags, draw);
                    let found = case.run(&device, &REACH);
                    case.check(&found)
                        .unwrap_or_else(|why| panic!("{shape:?} {draw:?} {norm} {flags}: {why}"));
                }
            }
        }
    }
}

#[test]
fn roots_of_any_size_are_upper_bounds() {
    let Some(device) = crate::device("roots_of_any_size_are_upper_bounds") else { return };
    let mut rng = Rng::with_seed(27);
    for exponent in [40, 10, -14, -15, -16, -30, -31, -45, -60, -61, -64, -100] {
        let mut case = Case::draw(&mut rng, [2, 9, 33], 2, 0, Draw::Even);
        for a in &mut case.a {
            *a *= 2f32.powi(exponent);
        }
        case.floors.fill(0.0);
        let found = case.run(&device, &REACH);
        case.check(&found).unwrap_or_else(|why| panic!("2^{exponent}: {why}"));
    }
}

#[test]
fn a_row_that_is_no_number_has_no_bound() {
    let Some(device) = crate::device("a_row_that_is_no_number_has_no_bound") else { return };
    let mut rng = Rng::with_seed(15);
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for norm in 0..3 {
            let mut case = Case::draw(&mut rng, [1, 3, 70], norm, 0, Draw::Even);
            case.a[67] = wrong;
            let Found { found, .. } = case.run(&device, &REACH);
            // Nothing that counts as positive.
            assert!(!(found[0] > f32::NEG_INFINITY), "{wrong} {norm}: {found:?}");
            assert!(found[1].is_finite() && found[2].is_finite(), "{wrong} {norm}: {found:?}");
        }
    }
}
