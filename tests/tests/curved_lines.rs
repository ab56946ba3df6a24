//! Lines of curved activations as the host makes them for a device: around the activation at thousands of
//! points, the engine's own, and with all that rounding on a device may take.

use std::fmt::Display;

use certus::gpu::curved::{Known, Told, bends, given, lines, size, steepest};
use certus_engine::model::Activation;
use certus_engine::num::{MAGNITUDE_LIMIT, NEGLIGIBLE, from_f64_up, gamma, underflow};
use certus_engine::relax::{LowerSlope, Relaxation, apply_error, is_unstable, range, relax};
use certus_shaders::U;
use certus_shaders::layout::{DEPLOYED, GIVEN, GRAIN, LINES, SCALARS, Step};
use certus_tests::curves::{activations, interval, points, reference};
use certus_tests::plan::{many, seed};
use certus_tests::rational::{Rational, abs, compare, exact};
use fastrand::Rng;

type Outcome = Result<(), String>;

/// Random points of each neuron's interval, beside those where a line may fail.
const POINTS: usize = 1000;

/// A layer of a sample.
struct Case {
    p: Step,
    activation: Activation,
    lower: LowerSlope,
    ends: Vec<f32>,
    known: Vec<f32>,
    scalars: Vec<f32>,
}

/// What the host makes of it.
#[derive(Clone)]
struct Found {
    mid: Vec<f32>,
    rad: Vec<f32>,
    scalars: Vec<f32>,
    given: Vec<u32>,
}

/// A live neuron: where it stands in the list, which it is, its lines.
struct Entry {
    slot: usize,
    neuron: usize,
    lines: [f32; LINES],
}

/// Layers of the network.
const LAYERS: usize = 3;

impl Case {
    fn draw(rng: &mut Rng, activation: Activation, rows: usize, flags: u32) -> Self {
        let depth = 12;
        let p = Step {
            samples: 1,
            layers: LAYERS as u32,
            layer: 1,
            width: rows as u32 + 2,
            rows: rows as u32,
            cols: 50,
            through: if rng.u8(0..3) == 0 { rows as u32 / 3 } else { 0 },
            flags,
            share: gamma(120),
            weight_error: if rng.bool() { 1e-4 } else { 0.0 },
            bias_error: 1e-6,
            relative: gamma(52),
            absolute: underflow(50),
            gamma: gamma(depth),
            factor: from_f64_up(1.0 / (1.0 - f64::from(gamma(depth)))),
            under: underflow(rows),
            ..Step::default()
        };
        let width = p.width as usize;
        let (mut ends, mut known) = (vec![0.0; 2 * width], vec![0.0; 4 * width]);
        for i in 0..rows {
            let (lo, hi) = interval(rng);
            let centre = match rng.u8(0..4) {
                // Beyond ends that were tightened.
                0 => hi + (hi - lo) * rng.f32(),
                1 => 0.5 * lo + 0.5 * hi,
                _ => lo + (hi - lo) * rng.f32(),
            };
            let size = lo.abs().max(hi.abs());
            let spread = (hi - lo).max(1e-6 * size) + f32::MIN_POSITIVE;
            let error = (spread * 1e-6).max(2.0 * f32::MIN_POSITIVE);
            (ends[i], ends[width + i]) = (lo, hi);
            for (k, x) in [2.0 * size + spread, spread, centre, error].into_iter().enumerate() {
                known[k * width + i] = x;
            }
        }
        let mut scalars = vec![0.0; SCALARS + LAYERS];
        scalars[0] = rng.f32() * 100.0;
        let lower = [LowerSlope::Adaptive, LowerSlope::SameAsUpper][rng.usize(0..2)];
        Self { p, activation, lower, ends, known, scalars }
    }

    fn found(&self) -> Found {
        let rows = self.p.rows as usize;
        let mut found = Found {
            mid: vec![f32::NAN; rows],
            rad: vec![f32::NAN; rows],
            scalars: self.scalars.clone(),
            given: vec![u32::MAX; given(rows)],
        };
        let Found { mid, rad, scalars, given } = &mut found;
        let known = Known { ends: &self.ends, known: &self.known };
        let mut told = Told { mid, rad, scalars, given };
        lines(&self.p, self.activation, self.lower, known, &mut told);
        found
    }

    fn activation(&self, i: usize) -> Activation {
        if i < self.p.through as usize { Activation::Identity } else { self.activation }
    }

    /// Ends and the four that are known.
    fn of(&self, i: usize) -> ([f32; 2], [f32; 4]) {
        let width = self.p.width as usize;
        let ends = [0, 1].map(|k| self.ends[k * width + i]);
        (ends, [0, 1, 2, 3].map(|k| self.known[k * width + i]))
    }

    /// All that is claimed.
    fn check(&self, found: &Found, rng: &mut Rng) -> Outcome {
        let entries = self.entries(found)?;
        let mut largest = Rational::ZERO;
        for entry in &entries {
            let at = |why: String| format!("{:?}, neuron {}: {why}", self.activation, entry.neuron);
            self.encloses(found, entry, rng).map_err(at)?;
            let met = self.claims(found, entry).map_err(at)?;
            largest = if met > largest { met } else { largest };
        }
        let sizes = found.mid.iter().zip(&found.rad);
        let total = sizes.fold(Rational::ZERO, |sum, (m, r)| sum + abs(&exact(*m)) + exact(*r));
        at_least("sum of magnitudes", found.scalars[0], &total)?;
        let met = exact(4.0 * entries.len() as f32) * largest;
        let least = exact(self.p.under) * (exact(self.scalars[0]) + &met + exact(2.0))
            + exact(NEGLIGIBLE) * met;
        at_least("under", found.scalars[SCALARS + 1], &least)?;
        let others = [1, 2, 3, SCALARS, SCALARS + 2];
        if others.iter().any(|k| found.scalars[*k].to_bits() != self.scalars[*k].to_bits()) {
            return Err("a scalar that is none of its own".to_owned());
        }
        let lines = entries.iter().flat_map(|entry| entry.lines);
        let mut told = lines.chain(found.mid.iter().chain(&found.rad).copied());
        match told.find(|x| x.is_subnormal()) {
            Some(x) => Err(format!("subnormal: {x:e}")),
            None => Ok(()),
        }
    }

    /// The live neurons: each once, the shared ones first, filled up with lines of 0; all others are 0.
    fn entries(&self, found: &Found) -> Result<Vec<Entry>, String> {
        let rows = self.p.rows as usize;
        let (counts, lists) = found.given.split_at(GIVEN);
        let (count, shared) = (counts[0] as usize, counts[1] as usize);
        let room = lists.len() / (1 + LINES);
        if shared > count || count > room || count % GRAIN != 0 || shared % GRAIN != 0 {
            return Err(format!("{shared} shared ones of {count}"));
        }
        let (mut entries, mut seen) = (Vec::new(), vec![false; rows]);
        for slot in 0..count {
            let neuron = lists[slot] as usize;
            let lines = [0, 1, 2, 3, 4, 5].map(|k| f32::from_bits(lists[(1 + k) * room + slot]));
            if lines == [0.0; LINES] {
                continue;
            }
            if neuron >= rows || std::mem::replace(&mut seen[neuron], true) {
                return Err(format!("neuron {neuron} again, or none"));
            }
            if (slot < shared) != (lines[0] == lines[1]) {
                return Err(format!("neuron {neuron} is shared, or is not"));
            }
            entries.push(Entry { slot, neuron, lines });
        }
        let shares = entries.iter().filter(|entry| entry.slot < shared).count();
        if shared - shares >= GRAIN || count - shared - (entries.len() - shares) >= GRAIN {
            return Err(format!("{shares} of {shared} shared ones, {} of {count}", entries.len()));
        }
        for (i, _) in seen.iter().enumerate().filter(|(_, seen)| !**seen) {
            let ([lo, hi], _) = self.of(i);
            if range(self.activation(i), lo, hi) != (0.0, 0.0) || found.mid[i] != 0.0 {
                return Err(format!("neuron {i} is not dead"));
            }
        }
        Ok(entries)
    }

    /// The activation lies between the lines, and within the radius of the middle.
    fn encloses(&self, found: &Found, entry: &Entry, rng: &mut Rng) -> Outcome {
        let Entry { neuron, lines: [lower, upper, gain_lo, gain_up, _, radius], .. } = *entry;
        let activation = self.activation(neuron);
        let ([lo, hi], [_, _, centre, _]) = self.of(neuron);
        let mid = f64::from(found.mid[neuron]);
        let near = |slope: f32, gain: f32| {
            (f64::from(gain) + mid - f64::from(slope) * f64::from(centre)) as f32
        };
        let line = Relaxation {
            slope_lo: lower,
            icpt_lo: near(lower, gain_lo),
            slope_up: upper,
            icpt_up: near(upper, gain_up),
        };
        let values = |z: f32| match activation {
            Activation::Identity => [f64::from(z); 2],
            curved => reference(curved, z),
        };
        let mut all = match activation {
            Activation::Identity => vec![lo, hi],
            curved => points(curved, lo, hi, &line),
        };
        all.extend((0..POINTS).map(|_| (lo + rng.f32() * (hi - lo)).clamp(lo, hi)));
        let off = self.p.flags & DEPLOYED != 0;
        for z in all {
            let way = f64::from(z) - f64::from(centre);
            let rounded = off.then(|| f64::from(activation.apply(z)));
            for y in values(z).into_iter().chain(rounded) {
                let [below, above] = [(lower, gain_lo), (upper, gain_up)]
                    .map(|(slope, gain)| f64::from(gain) + f64::from(slope) * way);
                let steep = f64::from(lower.abs().max(upper.abs()));
                let slack = 1e-14
                    * (steep * (f64::from(z).abs() + f64::from(centre).abs())
                        + y.abs()
                        + mid.abs())
                    + 1e-44;
                if !(below <= y - mid + slack && above >= y - mid - slack) {
                    return Err(format!("[{lo:e}, {hi:e}] at {z:e}: {below:e} {above:e}"));
                }
                if !((y - mid).abs() <= f64::from(radius) + 1e-15 * (y.abs() + mid.abs())) {
                    return Err(format!("[{lo:e}, {hi:e}] at {z:e}: radius {radius:e}"));
                }
            }
        }
        Ok(())
    }

    /// The engine's lines where these have their slopes, with what the forward pass may be off; a budget for
    /// all that a coefficient may lose. Gives the largest that an error of a coefficient may meet.
    fn claims(&self, found: &Found, entry: &Entry) -> Result<Rational, String> {
        let Entry { neuron, lines: [lower, upper, gain_lo, gain_up, budget, radius], .. } = *entry;
        let p = &self.p;
        let activation = self.activation(neuron);
        let ([lo, hi], [mass, spread, centre, error]) = self.of(neuron);
        let (mid, zc) = (exact(found.mid[neuron]), exact(centre));
        let own = relax(activation, lo, hi, self.lower);
        let most = steepest(activation);
        for slope in [lower, upper] {
            if !(slope.abs() <= most && (slope == 0.0 || slope.abs() >= NEGLIGIBLE)) {
                return Err(format!("slope {slope:e}"));
            }
        }
        let deployed = p.flags & DEPLOYED != 0;
        let off = exact(if deployed { apply_error(activation, lo, hi) } else { 0.0 });
        if (lower, upper) == (own.slope_lo, own.slope_up) {
            let gain = |slope: f32, icpt: f32| exact(slope) * &zc + exact(icpt) - &mid;
            at_least("upper gain", gain_up, &(gain(upper, own.icpt_up) + &off))?;
            at_most("lower gain", gain_lo, &(gain(lower, own.icpt_lo) - &off))?;
        } else {
            let fair = |slope: f32, own: f32| {
                slope == own || own.abs() > most || (slope == 0.0 && own.abs() < NEGLIGIBLE)
            };
            if !(fair(lower, own.slope_lo) && fair(upper, own.slope_up)) {
                return Err(format!("slopes {lower:e} {upper:e} for {own:?}"));
            }
        }
        let mut least = exact(error)
            + exact(p.weight_error) * exact(mass)
            + exact(p.bias_error)
            + exact(p.share) * exact(spread)
            + exact(NEGLIGIBLE) * exact(self.scalars[0]);
        if deployed {
            least += exact(p.relative) * exact(mass) + exact(p.absolute);
        }
        let way = |a: Rational, b: Rational| if a > b { a } else { b };
        let off = way(exact(hi) - &zc, &zc - exact(lo));
        let unit = |s: f32| s == 0.0 || s == 1.0;
        if !(unit(lower) && unit(upper)) {
            least += exact(U as f32) * &off;
        }
        at_least("budget", budget, &least)?;
        let met = [abs(&exact(lo)), abs(&exact(hi)), exact(radius), exact(gain_lo.abs())];
        Ok(met.into_iter().fold(way(off, exact(gain_up.abs())), way))
    }
}

fn at_least(what: impl Display, found: f32, least: &Rational) -> Outcome {
    match !found.is_nan() && compare(found, least).is_ge() {
        true => Ok(()),
        false => Err(format!("{what}: {found:e} is below {:e}", least.to_f64_fast())),
    }
}

fn at_most(what: impl Display, found: f32, most: &Rational) -> Outcome {
    match !found.is_nan() && compare(found, most).is_le() {
        true => Ok(()),
        false => Err(format!("{what}: {found:e} is above {:e}", most.to_f64_fast())),
    }
}

#[test]
fn lines_enclose_and_are_the_engines() {
    let mut rng = Rng::with_seed(seed(101));
    let mut neurons = 0;
    for _ in 0..many(1) {
        for activation in activations() {
            for rows in [1, 3, 31, 33] {
                for flags in [0, DEPLOYED] {
                    let case = Case::draw(&mut rng, activation, rows, flags);
                    let found = case.found();
                    case.check(&found, &mut rng).unwrap_or_else(|why| panic!("{rows}: {why}"));
                    neurons += rows;
                }
            }
        }
    }
    println!("{neurons} neurons");
}

#[test]
fn large_layers_have_their_lists_in_order() {
    let mut rng = Rng::with_seed(seed(102));
    for (rows, activation) in [
        (1000, Activation::Step),
        (1025, Activation::Clip(0.0, 6.0)),
        (1040, Activation::Tanh),
        (1025, Activation::Identity),
    ] {
        let case = Case::draw(&mut rng, activation, rows, 0);
        let found = case.found();
        let entries = case.entries(&found).unwrap_or_else(|why| panic!("{activation:?}: {why}"));
        let some = matches!(activation, Activation::Step | Activation::Clip(..));
        assert_eq!(entries.len() < rows, some, "{activation:?}");
    }
}

#[test]
fn what_is_no_number_or_out_of_range_is_refused() {
    let mut rng = Rng::with_seed(seed(103));
    let (rows, width) = (33, 35);
    // Where in ends and known, and what.
    for (known, at, what, refused) in [
        (false, 7, f32::NAN, true),
        (false, 7, f32::NEG_INFINITY, true),
        (false, width + 7, f32::INFINITY, true),
        (false, width + 7, f32::NAN, true),
        (false, width + 7, f32::MIN, true),
        (true, 7, MAGNITUDE_LIMIT, true),
        (true, 7, MAGNITUDE_LIMIT.next_down(), false),
        (true, 7, f32::NAN, true),
        (true, width + 7, f32::INFINITY, true),
        (true, 2 * width + 7, f32::NAN, true),
        (true, 3 * width + 7, f32::NAN, true),
        // Behind the last neuron.
        (false, 34, f32::NAN, false),
    ] {
        let mut case = Case::draw(&mut rng, Activation::Sigmoid, rows, 0);
        (if known { &mut case.known } else { &mut case.ends })[at] = what;
        let found = case.found();
        assert_eq!(found.scalars[2] != 0.0, refused, "{known} {at} {what}");
        if refused {
            assert_eq!(found.given[..GIVEN], [0, 0]);
            assert!(
                found.mid.iter().chain(&found.rad).chain(&found.scalars).all(|x| x.is_finite())
            );
        } else {
            case.check(&found, &mut rng).unwrap();
        }
    }
    let mut case = Case::draw(&mut rng, Activation::Sigmoid, rows, 0);
    case.scalars[0] = f32::INFINITY;
    assert!(case.found().scalars[2] != 0.0);
}

/// Slopes at either side of what would be flushed, and jumps that are steeper than any coefficient may meet.
#[test]
fn slopes_that_no_device_may_have_are_moved() {
    let mut rng = Rng::with_seed(seed(104));
    let mut case = Case::draw(&mut rng, Activation::Sigmoid, 31, DEPLOYED);
    let width = case.p.width as usize;
    let set = |case: &mut Case, ends: &dyn Fn(f32) -> [f32; 2]| {
        for i in 0..31 {
            let [lo, hi] = ends(i as f32);
            (case.ends[i], case.ends[width + i]) = (lo, hi);
            case.known[2 * width + i] = 0.5 * lo + 0.5 * hi;
        }
        case.p.through = 0;
    };
    set(&mut case, &|i| [-104.0 + 2.0 * i, -103.0 + 2.0 * i]);
    let found = case.found();
    case.check(&found, &mut rng).unwrap();
    let tiny = (0..31).filter(|i| {
        let line = relax(Activation::Sigmoid, case.ends[*i], case.ends[width + i], case.lower);
        line.slope_up != 0.0 && line.slope_up < NEGLIGIBLE
    });
    assert!(tiny.count() > 5);
    for activation in [Activation::Sign, Activation::Step] {
        case.activation = activation;
        set(&mut case, &|i| [-(0.25f32.powf(i)), 0.25f32.powf(i) * 0.9]);
        let found = case.found();
        case.check(&found, &mut rng).unwrap();
        assert!(relax(activation, case.ends[30], case.ends[width + 30], case.lower).slope_up > 1e9);
    }
}

/// Mistakes in what the host tells: each is found.
#[test]
fn mistakes_are_found() {
    type Mistake = fn(&Case, &mut Found, &Entry);
    fn put(found: &mut Found, entry: &Entry, k: usize, value: f32) {
        let room = (found.given.len() - GIVEN) / (1 + LINES);
        found.given[GIVEN + (1 + k) * room + entry.slot] = value.to_bits();
    }
    /// The gain of the least line above with the slope given, to the nearest float.
    fn nearest(case: &Case, found: &Found, entry: &Entry) -> f32 {
        let (slope, i) = (f64::from(entry.lines[1]), entry.neuron);
        let ([lo, hi], [_, _, centre, _]) = case.of(i);
        let above = |z: f32| reference(case.activation, z)[0] - slope * f64::from(z);
        let line =
            Relaxation { slope_lo: 0.0, icpt_lo: 0.0, slope_up: entry.lines[1], icpt_up: 0.0 };
        let all = points(case.activation, lo, hi, &line);
        let most = all.into_iter().map(above).fold(f64::MIN, f64::max);
        (slope * f64::from(centre) + most - f64::from(found.mid[i])) as f32
    }
    let mistakes: [(&str, Mistake); 9] = [
        ("an intercept to the nearest", |case, found, entry| {
            let gain = nearest(case, found, entry);
            put(found, entry, 3, gain);
        }),
        ("slopes swapped", |_, found, entry| {
            put(found, entry, 0, entry.lines[1]);
            put(found, entry, 1, entry.lines[0]);
        }),
        ("gains swapped", |_, found, entry| {
            put(found, entry, 2, entry.lines[3]);
            put(found, entry, 3, entry.lines[2]);
        }),
        ("a radius too small", |_, found, entry| put(found, entry, 5, 0.999 * entry.lines[5])),
        ("a forward pass without errors", |case, found, entry| {
            let ([lo, hi], _) = case.of(entry.neuron);
            let off = apply_error(case.activation, lo, hi);
            put(found, entry, 3, (entry.lines[3] - off).next_down());
        }),
        ("a coefficient that does not round", |case, found, entry| {
            let ([lo, hi], [_, _, centre, _]) = case.of(entry.neuron);
            let off = (hi - centre).max(centre - lo);
            put(found, entry, 4, entry.lines[4] - U as f32 * off);
        }),
        ("half a disturbance", |case, found, entry| {
            let (_, [mass, ..]) = case.of(entry.neuron);
            put(found, entry, 4, entry.lines[4] - 0.5 * case.p.relative * mass);
        }),
        ("a middle that moved", |_, found, entry| found.mid[entry.neuron] *= 1.001),
        ("half a sum", |_, found, _| found.scalars[0] *= 0.5),
    ];
    for (name, mistake) in mistakes {
        let mut rng = Rng::with_seed(seed(105));
        let mut case = Case::draw(&mut rng, Activation::Tanh, 33, DEPLOYED);
        (case.p.through, case.lower) = (0, LowerSlope::Adaptive);
        let right = case.found();
        case.check(&right, &mut rng).unwrap();
        let mut wrong = right.clone();
        for entry in case.entries(&right).unwrap() {
            mistake(&case, &mut wrong, &entry);
        }
        let why = case.check(&wrong, &mut rng).err();
        println!("{name}: {}", why.unwrap_or_else(|| panic!("{name}: not found")));
    }
}

#[test]
fn bends_are_where_the_engine_has_them() {
    let mut rng = Rng::with_seed(seed(106));
    let all = [Activation::Identity, Activation::Relu, Activation::LeakyRelu(0.1)];
    for activation in activations().into_iter().chain(all) {
        let [a, b, c, d] = bends(activation);
        for _ in 0..many(1000) {
            let (lo, hi) = interval(&mut rng);
            if lo == hi || [lo, hi].contains(&0.0) || activation == Activation::Identity {
                continue;
            }
            let open = (lo < a && hi > b) || (lo < c && hi > d);
            assert_eq!(open, is_unstable(activation, lo, hi), "{activation:?} [{lo:e}, {hi:e}]");
            // No slope of a line between its ends is steeper, but for jumps.
            let line = relax(activation, lo, hi, LowerSlope::Adaptive);
            let steep = line.slope_lo.abs().max(line.slope_up.abs());
            let jumps = matches!(activation, Activation::Sign | Activation::Step);
            let fits = steep <= steepest(activation) || hi - lo < 1e-5 * lo.abs().max(hi.abs());
            assert!(fits || jumps, "{activation:?} [{lo:e}, {hi:e}]: {steep}");
            let most = f64::from(lo.abs().max(hi.abs()));
            let (least, top) = range(activation, lo, hi);
            assert!(f64::from(top.max(-least)) <= size(activation, most), "{activation:?}");
        }
    }
    assert_eq!(size(Activation::Tanh, 1e40), f64::INFINITY);
    assert_eq!(size(Activation::Relu, 1e40), 1e40);
}
