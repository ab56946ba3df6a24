//! `lines`: lines of a layer, their budgets, and what feeds the next one.

use certus::gpu::Device;
use certus_engine::num::{MAGNITUDE_LIMIT, NEGLIGIBLE, gamma, underflow};
use certus_shaders::kernel::{Kernel, LINES};
use certus_shaders::layout::{self, DEPLOYED, SCALARS, Step};
use certus_shaders::{ETA, U, twin};
use certus_tests::rational::{Rational, abs, exact};
use fastrand::Rng;

use super::{
    Draw, LEFT, Outcome, at_least, at_most, bytes, disturbance, floats, listed, near, normal, run,
    same, set_rounding, steps, sums_apart,
};

/// Roundings of a term of the outputs' magnitudes: its own sum, a thread's, the tree.
fn depth(rows: usize) -> u32 {
    9 + rows.div_ceil(256) as u32
}

/// What the kernel reads, and the scalars before it writes.
pub(super) struct Case {
    pub p: Step,
    pub known: Vec<f32>,
    pub ends: Vec<f32>,
    scalars: Vec<f32>,
}

/// What it writes.
pub(super) struct Found {
    scalars: Vec<f32>,
    pub live: Vec<u32>,
    pub lines: Vec<f32>,
    pub feed: Vec<f32>,
}

/// Settings of a layer: neurons that pass by, slope below 0, choice of lower slopes, flags.
pub(super) type Setting = (u32, f32, u32, u32);

/// Layers and neurons around the one at hand.
const FIRST: u32 = 5;

impl Case {
    pub(super) fn draw(
        rng: &mut Rng,
        [samples, rows]: [usize; 2],
        (through, leak, slope, flags): Setting,
        draw: Draw,
    ) -> Self {
        let mut p = Step {
            samples: samples as u32,
            neurons: FIRST + listed(rows) as u32 + 2,
            layers: 3,
            width: rows as u32 + 2,
            layer: 1,
            first: FIRST,
            rows: rows as u32,
            cols: 50,
            through,
            slope,
            flags,
            leak,
            share: gamma(120),
            weight_error: if rng.bool() { 1e-4 } else { 0.0 },
            bias_error: 1e-6,
            relative: gamma(52),
            absolute: underflow(50),
            ..Step::default()
        };
        set_rounding(&mut p, depth(rows), rows);
        let words = samples * p.width as usize;
        let (mut known, mut ends) = (vec![LEFT; 4 * words], vec![LEFT; 2 * words]);
        let mut scalars = Vec::new();
        for sample in 0..samples {
            // As all stages write them, ends are not subnormal.
            let least = 2f32.powi(-122);
            for i in 0..rows {
                let (a, b) = (draw.one(rng), draw.one(rng));
                let size = |x: f32| normal(x).abs().max(least);
                let (lo, hi) = match (rng.u8(0..6), sample) {
                    // All dead, or whatever passes by.
                    (_, 1) => (-size(a) - 1.0, -size(b).min(0.5)),
                    // All live.
                    (_, 2) | (0, _) => (size(a).min(0.5), size(b) + 1.0),
                    (1, _) => (-size(a) - 1.0, -size(b).min(0.5)),
                    (2, _) => (-size(a), 0.0),
                    _ => (-size(a), size(b)),
                };
                ends[2 * sample * p.width as usize + i] = lo;
                ends[(2 * sample + 1) * p.width as usize + i] = hi;
                let spread = draw.one(rng).abs() + least;
                let centre = match rng.u8(0..4) {
                    0 => draw.one(rng),
                    1 => 0.5 * lo + 0.5 * hi,
                    _ => lo + (hi - lo) * rng.f32(),
                };
                let error = (spread * 1e-6).max(2.0 * f32::MIN_POSITIVE);
                for (k, x) in [lo.abs() + hi.abs(), spread, centre, error].into_iter().enumerate() {
                    known[(4 * sample + k) * p.width as usize + i] = x;
                }
            }
            scalars.extend([rng.f32() * 100.0, 0.0, 0.0, 0.0, LEFT, LEFT, LEFT]);
        }
        Self { p, known, ends, scalars }
    }

    fn room(&self) -> Found {
        let p = &self.p;
        let neurons = (p.samples * p.neurons) as usize;
        Found {
            scalars: self.scalars.clone(),
            live: vec![u32::MAX; (2 * p.samples * p.layers) as usize + neurons],
            lines: vec![LEFT; layout::LINES * neurons],
            feed: vec![LEFT; (2 * p.samples * p.rows) as usize],
        }
    }

    pub(super) fn run(&self, device: &Device, kernel: &Kernel) -> Found {
        let Self { p, known, ends, .. } = self;
        let Found { scalars, live, lines, feed } = self.room();
        let written = [bytes(&scalars), bytes(&live), bytes(&lines), bytes(&feed)];
        let read = [bytes(known), bytes(ends)];
        let found = run(device, kernel, p, &read, &written, [p.samples, 1, 1]);
        Found {
            scalars: floats(&found[0]),
            live: found[1].clone(),
            lines: floats(&found[2]),
            feed: floats(&found[3]),
        }
    }

    pub(super) fn twin(&self) -> Found {
        let Found { mut scalars, mut live, mut lines, mut feed } = self.room();
        let Self { p, known, ends, .. } = self;
        twin::lines(p, known, ends, &mut scalars, &mut live, &mut lines, &mut feed);
        Found { scalars, live, lines, feed }
    }

    /// Ends and the four that are known of a neuron.
    pub(super) fn of(&self, sample: usize, i: usize) -> ([f32; 2], [f32; 4]) {
        let width = self.p.width as usize;
        let known = |k: usize| self.known[(4 * sample + k) * width + i];
        let ends = |k: usize| self.ends[(2 * sample + k) * width + i];
        ([0, 1].map(ends), [0, 1, 2, 3].map(known))
    }

    /// The comparison with the twin, and what is claimed of each line with exact values.
    pub(super) fn check(&self, found: &Found) -> Outcome {
        let (p, twin) = (&self.p, self.twin());
        let (samples, rows, neurons) = (p.samples as usize, p.rows as usize, p.neurons as usize);
        same("live", &found.live, &twin.live)?;
        let mut lines = vec![0.0; found.lines.len()];
        let mut feed = vec![0.0; found.feed.len()];
        let mut scalars = vec![0.0; found.scalars.len()];
        for sample in 0..samples {
            let place = layout::LINES * sample * neurons + p.first as usize;
            let list = 2 * samples * 3 + sample * neurons + p.first as usize;
            let count = twin.live[sample * 3 + 1] as usize;
            let (mut moved, mut largest, mut alive) = (0.0, Rational::ZERO, 0.0);
            for k in 0..count {
                let i = twin.live[list + k] as usize;
                let of = |from: &Found, array: usize| from.lines[place + array * neurons + k];
                if of(&twin, 4) == 0.0 {
                    // No neuron.
                    continue;
                }
                alive += 1.0;
                let mid = found.feed[sample * rows + i];
                let mine = [0, 1, 2, 3, 4, 5].map(|array| of(found, array));
                let theirs = [0, 1, 2, 3, 4, 5].map(|array| f64::from(of(&twin, array)));
                let apart = self.apart(sample, i, f64::from(mid), theirs);
                for (array, apart) in apart.into_iter().enumerate() {
                    lines[place + array * neurons + k] = apart;
                }
                let [lo, hi] = self.of(sample, i).0.map(f64::from);
                feed[sample * rows + i] = steps(3, lo.abs().max(hi.abs()));
                feed[(samples + sample) * rows + i] = apart[5];
                moved += steps(3, lo.abs().max(hi.abs())) + apart[5];
                let met = self
                    .claims(sample, i, mid, mine)
                    .map_err(|why| format!("exactly, neuron {i} of sample {sample}: {why}"))?;
                largest = if met > largest { met } else { largest };
            }
            let of_sample = sample * (SCALARS + 3);
            let (total, under) = (twin.scalars[of_sample], twin.scalars[of_sample + SCALARS + 1]);
            // Inflated in 2 roundings; the largest is off by 2 of its own, 9 more follow.
            scalars[of_sample] = sums_apart(depth(rows)) * f64::from(total)
                + steps(2, f64::from(total))
                + moved
                + 2.0 * f64::from(p.under);
            scalars[of_sample + SCALARS + 1] = steps(12, f64::from(under));
            let met = exact(4.0 * alive) * largest;
            let before = exact(self.scalars[of_sample]);
            let least = exact(p.under) * (before + &met + exact(2.0)) + exact(NEGLIGIBLE) * met;
            at_least("under", found.scalars[of_sample + SCALARS + 1], &least)?;
            let radii = (samples + sample) * rows;
            let sizes = (0..rows)
                .map(|i| abs(&exact(found.feed[sample * rows + i])) + exact(found.feed[radii + i]));
            let sizes = sizes.fold(Rational::ZERO, |sum, size| sum + size);
            at_least("sum of magnitudes", found.scalars[of_sample], &sizes)?;
            let refused = (0..rows).any(|i| !(self.of(sample, i).1[0] < MAGNITUDE_LIMIT));
            if (found.scalars[of_sample + 2] != 0.0) != refused {
                return Err(format!("sample {sample}: refused or not"));
            }
        }
        near("line", &found.lines, &twin.lines, |i| lines[i])?;
        near("feed", &found.feed, &twin.feed, |i| feed[i])?;
        near("scalar", &found.scalars, &twin.scalars, |i| scalars[i])
    }

    /// By how much the six numbers of a neuron may differ from the twin's, where those are `of`.
    fn apart(&self, sample: usize, i: usize, mid: f64, of: [f64; 6]) -> [f64; 6] {
        let ([lo, hi], [.., centre, _]) = self.of(sample, i);
        let (most, centre) = (f64::from(lo.abs().max(hi.abs())), f64::from(centre.abs()));
        // A chord takes 3 roundings and a quotient, 2.5 units off on a device; half of that each and half
        // a unit in the twin; it may be cut off at 1 in one of them only. A slope that is none is the
        // same.
        let open = lo < 0.0 && hi > 0.0;
        let chord = [open && self.p.slope == 3, open];
        let fixed = |s: f64| s == 0.0 || s == 1.0 || s == f64::from(self.p.leak);
        let slope = |k: usize| if fixed(of[k]) && !chord[k] { 0.0 } else { 8.0 * U * of[k] };
        let slopes = [0, 1].map(slope);
        // An intercept: a difference of slopes, times an end.
        let icpt = (slopes[1] + steps(1, 1.0)) * most + steps(1, most);
        let middle = steps(3, most);
        let gain = |k: usize, icpt: f64| {
            let size = of[k] * centre + most + mid.abs();
            // A product, a sum and a difference, then what underflow takes; a gain that is
            // negligible may be that or 0.
            slopes[k] * centre + icpt + middle + steps(4, size) + f64::from(NEGLIGIBLE)
        };
        // Seventeen roundings of parts of it, and of what is off a device's unit.
        let mut budget = steps(17, of[4]) + 2.0 * U * steps(2, most + centre);
        let edges = [1.0, f64::from(self.p.leak)];
        let cut = |s: f64| edges.iter().any(|edge| (s - edge).abs() <= 8.0 * U * edge);
        if (0..2).any(|k| chord[k] && cut(of[k])) {
            // Only a slope that rounds the coefficient takes a unit of the distance to the centre.
            budget += 2.0 * U * (most + centre);
        }
        [slopes[0], slopes[1], gain(0, 0.0), gain(1, icpt), budget, middle + steps(3, most)]
    }

    /// What is claimed of a live neuron: lines around the activation, a radius that covers it, a budget
    /// for all that a coefficient may lose. Gives the largest that an error of a coefficient may meet.
    fn claims(
        &self,
        sample: usize,
        i: usize,
        mid: f32,
        lines: [f32; 6],
    ) -> Result<Rational, String> {
        let p = &self.p;
        let ([lo, hi], [mass, spread, centre, error]) = self.of(sample, i);
        let leak = exact(if i < p.through as usize { 1.0 } else { p.leak });
        let [lower, upper, gain_lo, gain_up, budget, radius] = lines;
        let (lo, hi, centre, mid) = (exact(lo), exact(hi), exact(centre), exact(mid));
        let mut points = vec![lo.clone(), hi.clone()];
        if lo < Rational::ZERO && hi > Rational::ZERO {
            points.push(Rational::ZERO);
        }
        for z in points {
            let value = if z < Rational::ZERO { &leak * &z } else { z.clone() };
            let above = |slope: f32| &value - &mid - exact(slope) * (&z - &centre);
            // A centre that is flushed is charged to its error.
            at_least("upper line", gain_up, &(above(upper) - exact(ETA)))?;
            at_most("lower line", gain_lo, &(above(lower) + exact(ETA)))?;
            at_least("radius", radius, &abs(&(value - &mid)))?;
        }
        let max = |a: Rational, b: Rational| if a > b { a } else { b };
        let size = max(abs(&lo), abs(&hi));
        let off = max(&hi - &centre, &centre - &lo);
        let mut least = exact(error)
            + disturbance(p, &exact(mass))
            + exact(p.share) * exact(spread)
            + exact(NEGLIGIBLE) * exact(self.scalars[sample * (SCALARS + 3)]);
        let unit = |slope: f32| slope == 0.0 || slope == 1.0;
        if !unit(lower) || !unit(upper) {
            least += exact(U) * &off;
        }
        if p.flags & DEPLOYED != 0 && leak != exact(1.0) && leak != Rational::ZERO {
            least += exact(U) * &size;
        }
        at_least("budget", budget, &least)?;
        Ok(max(max(off, size), exact(radius)))
    }
}

#[test]
fn lines_are_their_twin_and_sound() {
    let Some(device) = crate::device("lines_are_their_twin_and_sound") else { return };
    let mut rng = Rng::with_seed(20);
    // Samples and neurons.
    let shapes = [[1, 1], [3, 3], [4, 31], [3, 33], [3, 257], [1, 1025]];
    for shape in shapes {
        let some = shape[1] as u32 / 3;
        for leak in [0.0, 0.1, 1.0] {
            for (slope, draw) in (0..4).zip([Draw::Even, Draw::Wide, Draw::Subnormal, Draw::Even]) {
                for (through, flags) in [(0, 0), (some, DEPLOYED)] {
                    let setting = (through, leak, slope, flags);
                    let case = Case::draw(&mut rng, shape, setting, draw);
                    let found = case.run(&device, &LINES);
                    case.check(&found)
                        .unwrap_or_else(|why| panic!("{shape:?} {setting:?} {draw:?}: {why}"));
                }
            }
        }
    }
}

#[test]
fn a_mass_out_of_range_is_refused() {
    let Some(device) = crate::device("a_mass_out_of_range_is_refused") else { return };
    let mut rng = Rng::with_seed(21);
    for (mass, refused) in [
        (MAGNITUDE_LIMIT, true),
        (f32::INFINITY, true),
        (f32::NAN, true),
        (MAGNITUDE_LIMIT.next_down(), false),
    ] {
        let mut case = Case::draw(&mut rng, [2, 300], (0, 0.0, 0, 0), Draw::Even);
        case.known[299] = mass;
        let found = case.run(&device, &LINES);
        let flags = [2, SCALARS + 5].map(|at| found.scalars[at] != 0.0);
        assert_eq!(flags, [refused, false], "{mass}");
    }
}

#[test]
fn nothing_subnormal_is_passed_on() {
    let Some(device) = crate::device("nothing_subnormal_is_passed_on") else { return };
    let mut rng = Rng::with_seed(26);
    let least = 2f32.powi(-122);
    // Chords that vanish, and, passing by, a range whose middle does.
    let all = [(-2f32.powi(20), least), (-1.0, 2f32.powi(-100)), (-least, least.next_up())];
    let mut case = Case::draw(&mut rng, [1, 3], (0, 0.0, 3, 0), Draw::Even);
    for (through, leak) in [(0, 0.0), (0, 0.5), (3, 0.0)] {
        (case.p.through, case.p.leak) = (through, leak);
        for (i, (lo, hi)) in all.into_iter().enumerate() {
            (case.ends[i], case.ends[case.p.width as usize + i]) = (lo, hi);
        }
        let found = case.run(&device, &LINES);
        case.check(&found).unwrap();
        let mut written = found.lines.iter().chain(&found.feed).chain(&found.scalars);
        assert!(!written.any(|x| x.is_subnormal()), "{through} {leak}: {:?}", found.lines);
    }
}
