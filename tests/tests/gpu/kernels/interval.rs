//! `interval` and `interval_few`: masses, centres and ends.

use certus::gpu::Device;
use certus_engine::num::{from_f64_up, gamma, underflow};
use certus_shaders::kernel::{INTERVAL, INTERVAL_FEW, Kernel};
use certus_shaders::layout::{DEPLOYED, SCALARS, Step};
use certus_shaders::{ETA, U, twin};
use certus_tests::rational::{Rational, abs, dot, exact, sqrt_bounds};
use fastrand::Rng;

use super::{
    Draw, LEFT, Outcome, at_least, at_most, bytes, disturbance, floats, near, normal, run,
    set_rounding, steps, sums_apart,
};

/// Roundings of a term, of the sums and of the centre's: for many samples the product, a block of 64, the
/// blocks, and the product, four blocks of four, the last blocks; for few the product, a thread's sum, the
/// tree of 256.
fn depths(few: bool, cols: usize) -> [u32; 2] {
    let of = |block: usize| cols.div_ceil(block) as u32;
    match few {
        true => [9 + of(256); 2],
        false => [1 + cols.min(64) as u32 + of(64), 17 + of(256)],
    }
}

/// What the kernel reads.
pub(super) struct Case {
    p: Step,
    few: bool,
    w: Vec<f32>,
    bias: Vec<f32>,
    feed: Vec<f32>,
    scalars: Vec<f32>,
}

/// What it writes.
pub(super) struct Found {
    known: Vec<f32>,
    ends: Vec<f32>,
}

impl Case {
    pub(super) fn draw(
        rng: &mut Rng,
        few: bool,
        [samples, rows, cols]: [usize; 3],
        norm: u32,
        flags: u32,
        draw: Draw,
    ) -> Self {
        let mut p = Step {
            samples: samples as u32,
            layers: 3,
            layer: 1,
            width: rows as u32 + 2,
            rows: rows as u32,
            cols: cols as u32,
            norm,
            flags,
            relative: gamma(cols as u32 + 2),
            absolute: underflow(cols),
            ..Step::default()
        };
        if rng.bool() {
            (p.weight_error, p.bias_error) = (2f32.powi(-12), 1e-6);
        }
        let [sums, centres] = depths(few, cols);
        set_rounding(&mut p, sums, cols);
        p.share = gamma(2 * centres);
        let w = draw.rows(rng, [rows, cols], 1);
        let mut bias = draw.rows(rng, [1, rows], 1);
        for w in w.chunks_exact(cols) {
            let squares: f64 = w.iter().map(|w| f64::from(*w).powi(2)).sum();
            let largest = w.iter().fold(0.0f32, |most, w| most.max(w.abs()));
            // Above the root of a sum in f64 by more than that is off.
            bias.push(if norm == 2 {
                from_f64_up(squares.sqrt() * (1.0 + 1e-12))
            } else {
                largest
            });
        }
        bias.push(0.0);
        let mut feed: Vec<f32> = draw.many(rng, samples * cols).into_iter().map(normal).collect();
        let mut scalars = Vec::new();
        for sample in 0..samples {
            let radius = rng.f32() * 0.1;
            let radii: Vec<f32> = (0..cols)
                .map(|_| if norm == 0 { normal(draw.one(rng).abs()) } else { radius })
                .collect();
            let middles = &feed[sample * cols..][..cols];
            let total: f64 =
                middles.iter().zip(&radii).map(|(m, r)| f64::from(m.abs()) + f64::from(*r)).sum();
            scalars.extend([from_f64_up(total * (1.0 + 1e-12)), radius, 0.0, 0.0, 0.0, 0.0, 0.0]);
            feed.extend(radii);
        }
        Self { p, few, w, bias, feed, scalars }
    }

    fn room(&self) -> Found {
        let words = (self.p.samples * self.p.width) as usize;
        Found { known: vec![LEFT; 4 * words], ends: vec![LEFT; 2 * words] }
    }

    pub(super) fn run(&self, device: &Device, kernel: &Kernel) -> Found {
        let Found { known, ends } = self.room();
        let read = [&self.w, &self.bias, &self.feed, &self.scalars].map(|buffer| bytes(buffer));
        let groups = match self.few {
            true => [self.p.rows, self.p.samples, 1],
            false => [self.p.rows.div_ceil(32), self.p.samples.div_ceil(32), 1],
        };
        let found = run(device, kernel, &self.p, &read, &[bytes(&known), bytes(&ends)], groups);
        Found { known: floats(&found[0]), ends: floats(&found[1]) }
    }

    fn twin(&self) -> Found {
        let Found { mut known, mut ends } = self.room();
        let Self { p, few, w, bias, feed, scalars } = self;
        let twin = if *few { twin::interval_few } else { twin::interval };
        twin(p, w, bias, feed, scalars, &mut known, &mut ends);
        Found { known, ends }
    }

    /// The comparison with the twin, and what is claimed of some neurons with exact values.
    pub(super) fn check(&self, found: &Found) -> Outcome {
        self.compare(found)?;
        let (rows, samples) = (self.p.rows as usize, self.p.samples as usize);
        let all = rows * samples;
        // Neighbours in all directions, but no more than some ten thousand terms.
        let stride = (all * self.p.cols as usize / 30_000).max(1) | 1;
        for at in (0..all).step_by(stride) {
            self.claims(found, at / rows, at % rows).map_err(|why| format!("exactly, {why}"))?;
        }
        Ok(())
    }

    fn compare(&self, found: &Found) -> Outcome {
        let (p, twin) = (&self.p, self.twin());
        let width = p.width as usize;
        let apart = sums_apart(depths(self.few, p.cols as usize)[0]);
        // What neuron and sample at this place may differ by: mass, spread, centre, error, end.
        let allowed = |sample: usize, neuron: usize| {
            let known = |k: usize| f64::from(twin.known[(4 * sample + k) * width + neuron]);
            let [mass, spread, centre, error] = [0, 1, 2, 3].map(known);
            let total = f64::from(self.scalars[sample * (SCALARS + 3)]);
            // Underflow and flushed weights: in each sum of either, and in what is made of them.
            let small = 8.0 * (f64::from(p.under) + 2.0 * ETA * (total + 1.0));
            // An inflated sum takes 2 roundings, two more of them make a mass, 2 others of its own.
            let mass = apart * mass + steps(6, mass) + small;
            let reach = apart * spread + steps(3, spread) + small;
            // What both claim to be off from the same number.
            let theirs = f64::from(found.known[(4 * sample + 3) * width + neuron]);
            let off = error + theirs;
            let error_off = apart * error + steps(8, error) + 2.0 * U * off + small;
            let rate = f64::from(p.weight_error) + f64::from(p.relative);
            let size = rate * known(0) + f64::from(p.bias_error) + f64::from(p.absolute);
            let end = off + reach + error_off + rate * mass + steps(6, size);
            [mass, reach, off, error_off, end + steps(3, centre.abs() + spread + error + size)]
        };
        let place = |i: usize, arrays: usize| (i / (arrays * width), i / width % arrays, i % width);
        let within = |neuron: usize| neuron < p.rows as usize;
        near("known", &found.known, &twin.known, |i| {
            let (sample, k, neuron) = place(i, 4);
            if within(neuron) { allowed(sample, neuron)[k] } else { 0.0 }
        })?;
        near("ends", &found.ends, &twin.ends, |i| {
            let (sample, _, neuron) = place(i, 2);
            if within(neuron) { allowed(sample, neuron)[4] } else { 0.0 }
        })
    }

    /// `|centre - (W mid + b)| <= error`, mass and spread at least what they stand for, ends around what
    /// the neuron comes to over the region, disturbance included.
    fn claims(&self, found: &Found, sample: usize, neuron: usize) -> Outcome {
        let p = &self.p;
        let (cols, width) = (p.cols as usize, p.width as usize);
        let w = &self.w[neuron * cols..][..cols];
        let middles = &self.feed[sample * cols..][..cols];
        let radii = &self.feed[(p.samples as usize + sample) * cols..][..cols];
        let sizes = |x: &[f32]| x.iter().map(|x| x.abs()).collect::<Vec<f32>>();
        let b = exact(self.bias[neuron]);
        let centre = dot(w, middles) + &b;
        let spread = dot(&sizes(w), radii);
        let mass = dot(&sizes(w), &sizes(middles)) + &spread + abs(&b);
        let known = [0, 1, 2, 3].map(|k| found.known[(4 * sample + k) * width + neuron]);
        let radius = exact(self.scalars[sample * (SCALARS + 3) + 1]);
        // A lower bound of how far it reaches over the region, which with a norm is a whole ball.
        let reach = match p.norm {
            0 => spread.clone(),
            1 => exact(w.iter().fold(0.0f32, |most, w| most.max(w.abs()))) * radius,
            _ => sqrt_bounds(&dot(w, w)).0 * radius,
        };
        let name = |what: &str| format!("{what} of neuron {neuron} of sample {sample}");
        at_least(&name("mass"), known[0], &mass)?;
        // Weights that are flushed are in the error; a product may drop more of each.
        let flushed = exact(ETA) * exact(self.scalars[sample * (SCALARS + 3)]);
        at_least(&name("spread"), known[1], &(&reach - flushed))?;
        let off: Rational = abs(&(exact(known[2]) - &centre));
        at_least(&name("error"), known[3], &off)?;
        let wide = reach + disturbance(p, &mass);
        at_most(&name("lower end"), found.ends[2 * sample * width + neuron], &(&centre - &wide))?;
        at_least(
            &name("upper end"),
            found.ends[(2 * sample + 1) * width + neuron],
            &(centre + wide),
        )
    }
}

#[test]
fn intervals_are_their_twins_and_sound() {
    let Some(device) = crate::device("intervals_are_their_twins_and_sound") else { return };
    let mut rng = Rng::with_seed(11);
    // Samples, neurons, inputs.
    let shapes = [[1, 1, 1], [3, 31, 33], [33, 3, 31], [2, 33, 1000], [1, 5, 1025], [31, 65, 64]];
    for (i, shape) in shapes.into_iter().enumerate() {
        for draw in Draw::ALL {
            for norm in 0..3 {
                let flags = if (i as u32 + norm).is_multiple_of(2) { DEPLOYED } else { 0 };
                // A workgroup for each neuron and sample takes its time where there are many.
                let small = shape[0] * shape[1] <= 100;
                for (few, kernel) in [(false, INTERVAL), (true, INTERVAL_FEW)] {
                    if few && !small {
                        continue;
                    }
                    let case = Case::draw(&mut rng, few, shape, norm, flags, draw);
                    let found = case.run(&device, &kernel);
                    case.check(&found).unwrap_or_else(|why| {
                        panic!("{} {shape:?} {draw:?} {norm}: {why}", kernel.name)
                    });
                }
            }
        }
    }
}
