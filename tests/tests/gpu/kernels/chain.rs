//! `chain`: neurons at points, how fast they move, and what feeds the next layer.

use certus::gpu::Device;
use certus_engine::num::{NEGLIGIBLE, gamma, underflow};
use certus_shaders::kernel::{CHAIN, Kernel};
use certus_shaders::layout::{DEPLOYED, SCALARS, Step};
use certus_shaders::twin;
use certus_tests::rational::{Rational, abs, exact};
use fastrand::Rng;

use super::{
    Draw, LEFT, Outcome, at_least, bytes, disturbance, floats, listed, near, normal, run, same,
    set_rounding, steps, sums_apart,
};

/// Roundings of a term of the sums over a layer: its own sum, a thread's, the tree.
fn depth(rows: usize) -> u32 {
    9 + rows.div_ceil(256) as u32
}

/// Layers, and entries of lists before those of the layer at hand.
const LAYERS: usize = 3;
const FIRST: u32 = 5;

/// What the kernel reads, and what is there before it writes.
pub(super) struct Case {
    p: Step,
    rates: Vec<f32>,
    errors: Vec<f32>,
    before: Found,
}

/// What it writes.
#[derive(Clone)]
pub(super) struct Found {
    scalars: Vec<f32>,
    live: Vec<u32>,
    points: Vec<f32>,
    totals: Vec<f32>,
    rated: Vec<f32>,
    erring: Vec<f32>,
}

impl Case {
    pub(super) fn draw(
        rng: &mut Rng,
        [samples, rows]: [usize; 2],
        (layer, leak, flags): (u32, f32, u32),
        draw: Draw,
    ) -> Self {
        let mut p = Step {
            samples: samples as u32,
            neurons: FIRST + listed(rows) as u32 + 2,
            layers: LAYERS as u32,
            width: rows as u32 + 2,
            layer,
            first: FIRST,
            rows: rows as u32,
            cols: 50,
            flags,
            leak,
            share: if rng.bool() { gamma(52) } else { 0.0 },
            weight_error: if rng.bool() { 1e-4 } else { 0.0 },
            bias_error: 1e-6,
            relative: gamma(52),
            absolute: underflow(50),
            ..Step::default()
        };
        set_rounding(&mut p, depth(rows), rows);
        let words = 4 * samples * p.width as usize;
        let (mut rates, mut errors) = (vec![LEFT; words], vec![LEFT; words]);
        for sample in 0..samples {
            for i in 0..rows {
                let z = match sample {
                    // All dead, and all live.
                    1 => -normal(draw.one(rng)).abs() - f32::MIN_POSITIVE,
                    2 => normal(draw.one(rng)).abs() + f32::MIN_POSITIVE,
                    _ => normal(draw.one(rng)),
                };
                let size = |rng: &mut Rng| normal(draw.one(rng).abs());
                let carried = size(rng);
                let known = [size(rng) + carried, carried, z, size(rng) * 1e-6];
                for (k, x) in known.into_iter().enumerate() {
                    errors[(4 * sample + k) * p.width as usize + i] = x;
                }
                // Of this pass its spread alone counts.
                rates[(4 * sample + 1) * p.width as usize + i] = size(rng);
            }
        }
        let neurons = samples * p.neurons as usize;
        let feed = 2 * samples * rows;
        let mut totals = vec![LEFT; 2 * samples * LAYERS];
        if layer > 0 {
            for of in totals.chunks_exact_mut(2 * LAYERS) {
                let below = 2 * layer as usize - 2;
                of[below] = rng.f32() * 100.0;
                of[below + 1] = rng.f32() * 1e-3;
            }
        }
        let before = Found {
            scalars: [LEFT, LEFT, 0.0, LEFT, LEFT, LEFT, LEFT].repeat(samples),
            live: vec![u32::MAX; 2 * samples * LAYERS + neurons],
            points: vec![LEFT; 4 * neurons],
            totals,
            rated: vec![LEFT; feed],
            erring: vec![LEFT; feed],
        };
        Self { p, rates, errors, before }
    }

    pub(super) fn run(&self, device: &Device, kernel: &Kernel) -> Found {
        let Self { p, rates, errors, before } = self;
        let Found { scalars, live, points, totals, rated, erring } = before;
        let read = [bytes(rates), bytes(errors)];
        let written = [
            bytes(scalars),
            bytes(live),
            bytes(points),
            bytes(totals),
            bytes(rated),
            bytes(erring),
        ];
        let found = run(device, kernel, p, &read, &written, [p.samples, 1, 1]);
        let of = |k: usize| floats(&found[k]);
        Found {
            scalars: of(0),
            live: found[1].clone(),
            points: of(2),
            totals: of(3),
            rated: of(4),
            erring: of(5),
        }
    }

    fn twin(&self) -> Found {
        let mut found = self.before.clone();
        let Found { scalars, live, points, totals, rated, erring } = &mut found;
        twin::chain(
            &self.p,
            &self.rates,
            &self.errors,
            scalars,
            live,
            points,
            totals,
            rated,
            erring,
        );
        found
    }

    /// The sums of rates and of errors of what feeds the layer.
    fn met(&self, sample: usize) -> [f32; 2] {
        match self.p.layer as usize {
            0 => [self.p.cols as f32, 0.0],
            layer => {
                let at = 2 * (sample * LAYERS + layer - 1);
                [self.before.totals[at], self.before.totals[at + 1]]
            }
        }
    }

    /// The comparison with the twin, and what is claimed of each neuron with exact values.
    pub(super) fn check(&self, found: &Found) -> Outcome {
        let (p, twin) = (&self.p, self.twin());
        let (samples, rows, neurons) = (p.samples as usize, p.rows as usize, p.neurons as usize);
        same("live", &found.live, &twin.live)?;
        let mut points = vec![0.0; found.points.len()];
        let mut feeds = [vec![0.0; found.rated.len()], vec![0.0; found.erring.len()]];
        let mut totals = vec![0.0; found.totals.len()];
        let mut scalars = vec![0.0; found.scalars.len()];
        for sample in 0..samples {
            let [met_rate, met_error] = self.met(sample).map(exact);
            let place = 4 * sample * neurons + p.first as usize;
            let mut sums = [Rational::ZERO, Rational::ZERO, Rational::ZERO];
            let mut apart = [0.0; 2];
            for i in 0..rows {
                let of = |known: &[f32], k: usize| known[(4 * sample + k) * p.width as usize + i];
                let at = |k: usize| place + k * neurons + i;
                let [z, error, rate, own] = [0, 1, 2, 3].map(|k| found.points[at(k)]);
                let sizes = [0, 1, 2, 3].map(|k| f64::from(twin.points[at(k)]));
                // A disturbance takes 5 roundings.
                points[at(3)] = steps(9, sizes[3]);
                points[at(1)] = steps(10, sizes[1]);
                points[at(2)] = steps(5, sizes[2]);
                let least = exact(of(&self.errors, 3))
                    + disturbance(p, &exact(of(&self.errors, 0)))
                    + exact(NEGLIGIBLE) * &met_error;
                at_least(&format!("own error {i}"), own, &least)?;
                let least = exact(of(&self.errors, 1)) + exact(own);
                at_least(&format!("error {i}"), error, &least)?;
                let fast = exact(of(&self.rates, 1));
                let least = &fast + &fast * exact(p.share) + exact(2f32.powi(-39)) * &met_rate;
                at_least(&format!("rate {i}"), rate, &least)?;
                let alive = p.leak == 1.0 || z > 0.0;
                if alive {
                    for (sum, x) in sums.iter_mut().zip([z, rate, error]) {
                        *sum += abs(&exact(x));
                    }
                    apart[0] += points[at(2)];
                    apart[1] += points[at(1)];
                    let radius = (samples + sample) * rows + i;
                    (feeds[0][radius], feeds[1][radius]) = (points[at(2)], points[at(1)]);
                    // What feeds the next layer is what the neuron was given.
                    same("radius", &[found.rated[radius], found.erring[radius]], &[rate, error])?;
                }
            }
            let total = 2 * (sample * LAYERS + p.layer as usize);
            let off = |size: f32, apart: f64| {
                let size = f64::from(size);
                sums_apart(depth(rows)) * size + steps(2, size) + apart + 2.0 * f64::from(p.under)
            };
            for (k, apart) in apart.into_iter().enumerate() {
                totals[total + k] = off(twin.totals[total + k], apart);
                at_least("total", found.totals[total + k], &sums[k + 1])?;
            }
            let of_sample = sample * (SCALARS + LAYERS);
            scalars[of_sample] = off(twin.scalars[of_sample], apart[1])
                + steps(1, f64::from(twin.scalars[of_sample]))
                + totals[total + 1];
            at_least("scalar", found.scalars[of_sample], &(&sums[0] + &sums[2]))?;
        }
        near("point", &found.points, &twin.points, |i| points[i])?;
        near("total", &found.totals, &twin.totals, |i| totals[i])?;
        near("scalar", &found.scalars, &twin.scalars, |i| scalars[i])?;
        near("rated", &found.rated, &twin.rated, |i| feeds[0][i])?;
        near("erring", &found.erring, &twin.erring, |i| feeds[1][i])
    }
}

#[test]
fn chain_is_its_twin_and_sound() {
    let Some(device) = crate::device("chain_is_its_twin_and_sound") else { return };
    let mut rng = Rng::with_seed(31);
    for shape in [[1, 1], [3, 3], [4, 31], [3, 33], [3, 1000], [3, 1025]] {
        for draw in Draw::ALL {
            for setting in [(0, 0.0, 0), (1, 0.0, DEPLOYED), (2, 1.0, 0), (2, 1.0, DEPLOYED)] {
                let case = Case::draw(&mut rng, shape, setting, draw);
                case.check(&case.run(&device, &CHAIN))
                    .unwrap_or_else(|why| panic!("{shape:?} {draw:?} {setting:?}: {why}"));
            }
        }
    }
}

#[test]
fn magnitudes_out_of_range_are_refused() {
    let Some(device) = crate::device("magnitudes_out_of_range_are_refused") else { return };
    let mut rng = Rng::with_seed(32);
    for wrong in [2f32.powi(100), f32::INFINITY, f32::NAN] {
        for of_rates in [false, true] {
            let mut case = Case::draw(&mut rng, [2, 300], (1, 0.0, 0), Draw::Even);
            let width = case.p.width as usize;
            match of_rates {
                true => case.rates[width + 290] = wrong,
                false => case.errors[290] = wrong,
            }
            let found = case.run(&device, &CHAIN).scalars;
            assert_eq!((found[2], found[SCALARS + LAYERS + 2]), (1.0, 0.0), "{wrong}");
        }
    }
}
