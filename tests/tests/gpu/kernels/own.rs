//! `anchors`, `slopes` and `relax_own`: rows after lines of slopes of their own, whatever those are.

use certus::gpu::Device;
use certus_engine::num::NEGLIGIBLE;
use certus_engine::num::sums::drop_negligible;
use certus_shaders::kernel::{ANCHORS, Kernel, RELAX_OWN, SLOPES};
use certus_shaders::layout::{self, DEPLOYED, LINES, SCALARS, SEARCH, Step};
use certus_shaders::{ETA, U, twin};
use certus_tests::rational::{Rational, dot, exact};
use fastrand::Rng;

use super::planted::found;
use super::relax::{depth, line};
use super::rows::Rows;
use super::{
    Draw, LEFT, Live, Outcome, at_least, at_most, bytes, floats, lines, listed, near, normal,
    planted, row_grid, run, same, set_rounding, steps, sums_apart,
};

/// What a search may propose: slopes, and what is none.
fn proposal(rng: &mut Rng) -> f32 {
    let none = [-3.0, 7.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN];
    match rng.u8(0..4) {
        0 => none[rng.usize(0..none.len())],
        1 => [0.0, 1.0, 1e-30, f32::MIN_POSITIVE / 3.0][rng.usize(0..4)],
        _ => rng.f32(),
    }
}

/// Samples and the places of the rows' slopes, which are not the rows' own order.
pub(super) fn places(rng: &mut Rng, rows: &Rows) -> Vec<[u32; 2]> {
    let mut places: Vec<u32> = (0..rows.slots.len() as u32).collect();
    rng.shuffle(&mut places);
    rows.slots.iter().zip(places).map(|([sample, _], place)| [*sample, place]).collect()
}

/// Draws `[samples][4][neurons]` anchors; fills of lists stay as they are.
pub(super) fn anchors(rng: &mut Rng, p: &Step, live: &Live, lines: &[f32], draw: Draw) -> Vec<f32> {
    let (n, first) = (p.neurons as usize, p.first as usize);
    let mut anchors = vec![LEFT; live.fill.len() * layout::ANCHORS * n];
    for (sample, fill) in live.fill.iter().enumerate() {
        for (k, fill) in fill.iter().enumerate() {
            let budget = lines[(LINES * sample + 4) * n + first + k];
            let least = [1.0, 0.0, 0.1][rng.usize(0..3)];
            let of = match draw {
                _ if *fill => [0.0, 0.0, 0.0, 1.0],
                // Gains of one sign and size.
                Draw::Absorbed => [0.0, 1.0, budget, 0.0],
                _ => {
                    let centre = normal(draw.one(rng));
                    [centre, normal(draw.one(rng)), budget * (1.0 + rng.f32()), least]
                }
            };
            for (array, x) in of.into_iter().enumerate() {
                anchors[(layout::ANCHORS * sample + array) * n + first + k] = x;
            }
        }
    }
    anchors
}

/// What `relax_own` reads, and what is there before it writes.
pub(super) struct Case {
    p: Step,
    places: Vec<[u32; 2]>,
    live: Live,
    lines: Vec<f32>,
    anchors: Vec<f32>,
    scalars: Vec<f32>,
    before: Found,
}

/// What it writes.
#[derive(Clone)]
pub(super) struct Found {
    search: Vec<f32>,
    floors: Vec<f32>,
    a: Vec<f32>,
}

impl Case {
    /// `close`: middles beside the lines, so that gains are what their products lose.
    pub(super) fn draw(
        rng: &mut Rng,
        [samples, most, neurons]: [usize; 3],
        flags: u32,
        draw: Draw,
        close: bool,
    ) -> Self {
        let rows = Rows::of_margins(rng, samples, most);
        let places = places(rng, &rows);
        let live = Live::draw(rng, samples, neurons, 2, samples == 1);
        let mut p = Step {
            samples: samples as u32,
            rows: neurons as u32,
            cols: 2,
            stride: listed(neurons) as u32 / 4 + 1,
            flags,
            ..Step::default()
        };
        live.set(&mut p);
        set_rounding(&mut p, depth(listed(neurons)), listed(neurons));
        let lines = live.lines(&p, |array| line(rng, draw, array));
        let mut anchors = anchors(rng, &p, &live, &lines, draw);
        let scalars = [4.0, 0.0, 0.0, 0.0, 1e-3, 2e-3, 1e-3].repeat(samples);
        let floors = Draw::Even.many(rng, places.len());
        let a = draw.rows(rng, [places.len(), 4 * p.stride as usize], 64);
        let n = p.neurons as usize;
        let mut search: Vec<f32> = (0..places.len() * SEARCH * n).map(|_| proposal(rng)).collect();
        if draw == Draw::Absorbed {
            // Of slope 0 a gain is exact.
            search.fill(0.0);
        }
        if close {
            // One slope for all rows of a neuron.
            for (sample, place) in &places_of(&places) {
                for k in p.first as usize..n {
                    let anchor = layout::ANCHORS * sample * n + k;
                    let slope = 0.1 + 0.9 * (k % 7) as f32 / 7.0;
                    search[SEARCH * place * n + k] = slope;
                    anchors[anchor + n] = normal(slope * anchors[anchor]);
                }
            }
        }
        let before = Found { search, floors, a };
        Self { p, places, live, lines, anchors, scalars, before }
    }

    pub(super) fn run(&self, device: &Device, kernel: &Kernel) -> Found {
        let Self { p, places, live, lines, anchors, scalars, before } = self;
        let read =
            [bytes(places), bytes(&live.words), bytes(lines), bytes(anchors), bytes(scalars)];
        let written = [bytes(&before.search), bytes(&before.floors), bytes(&before.a)];
        let found = run(device, kernel, p, &read, &written, row_grid(places.len()));
        Found { search: floats(&found[0]), floors: floats(&found[1]), a: floats(&found[2]) }
    }

    fn twin(&self) -> Found {
        let Self { p, places, live, lines, anchors, scalars, before } = self;
        let Found { mut search, mut floors, mut a } = before.clone();
        let (read, live) = ((lines, anchors, scalars), &live.words);
        let (lines, anchors, scalars) = read;
        twin::relax_own(p, places, live, lines, anchors, scalars, &mut search, &mut floors, &mut a);
        Found { search, floors, a }
    }

    /// The comparison with the twin; floors against exact sums of what was read and written.
    pub(super) fn check(&self, found: &Found) -> Outcome {
        let Self { p, places, live, lines, anchors, scalars, before } = self;
        let (stride, neurons) = (4 * p.stride as usize, p.neurons as usize);
        let mut floors = vec![0.0; before.floors.len()];
        let mut coefficients = vec![0.0; before.a.len()];
        for (slot, (sample, place)) in places_of(places).into_iter().enumerate() {
            let count = live.list(p, sample, 1).len();
            let at = p.first as usize;
            let of = |i: usize, k: usize| lines[(LINES * sample + i) * neurons + at + k];
            let anchor =
                |i: usize, k: usize| anchors[(layout::ANCHORS * sample + i) * neurons + at + k];
            let row = slot * stride..slot * stride + count;
            let (old, new) = (&before.a[row.clone()], &found.a[row]);
            let (mut most, mut gained, mut spread) = (exact(before.floors[slot]), 0.0, 0.0);
            let (mut sizes, mut budgets, mut lost) = (Vec::new(), Vec::new(), 0.0);
            for (k, (x, new)) in old.iter().zip(new).enumerate() {
                let old = drop_negligible(*x);
                if !new.is_finite() {
                    return Err(format!("coefficient {k} of slot {slot}: {new}"));
                }
                let side = usize::from(!(old > 0.0));
                let moves = anchor(3, k) < 1.0;
                let proposed = before.search[SEARCH * place * neurons + at + k];
                let own = twin::slope_within(proposed, anchor(3, k));
                let slope = if moves && old > 0.0 { own } else { of(side, k) };
                if moves {
                    assert!(own >= anchor(3, k) && own <= 1.0, "{own} of {proposed}");
                }
                let product = f64::from(old) * f64::from(slope);
                // One rounding; beside what is negligible either it or 0.
                let edge = (product.abs() - f64::from(NEGLIGIBLE)).abs() <= 2.0 * U * product.abs();
                let off = if edge { 1.01 * product.abs() } else { U * product.abs() };
                coefficients[slot * stride + k] = off;
                let budget = if moves { anchor(2, k) } else { of(4, k) };
                lost += off * f64::from(budget);
                sizes.push(new.abs());
                budgets.push(budget);
                if moves && old > 0.0 {
                    let (centre, middle) = (anchor(0, k), anchor(1, k));
                    most += exact(old) * (exact(own) * exact(centre) - exact(middle));
                    let size = f64::from(own) * f64::from(centre).abs() + f64::from(middle).abs();
                    gained += f64::from(old) * size;
                    // A product, a sum and two differences; negligible, or that.
                    spread += f64::from(old) * (steps(4, size) + 2.0 * f64::from(NEGLIGIBLE));
                } else {
                    most += exact(old) * exact(of(2 + side, k));
                    gained += (f64::from(old) * f64::from(of(2 + side, k))).abs();
                }
            }
            let apart = sums_apart(depth(count));
            let products = sizes.iter().zip(&budgets);
            let budget: f64 =
                products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() + lost;
            let own = scalars[sample * (SCALARS + 3) + SCALARS + 1];
            // As in `relax`.
            let rounding = f64::from(p.gamma) * gained;
            let loss = budget + 2.0 * rounding + f64::from(own) + 2.0 * f64::from(p.under);
            floors[slot] = apart * (gained + budget + rounding)
                + (lost + spread * (1.0 + apart))
                + steps(5, loss)
                + steps(2, f64::from(before.floors[slot]).abs() + gained + loss)
                + 8.0 * f64::from(p.under);
            let most = most - dot(&sizes, &budgets) - exact(own);
            at_most(&format!("floor {slot}"), found.floors[slot], &most)?;
        }
        let twin = self.twin();
        near("coefficient", &found.a, &twin.a, |i| coefficients[i])?;
        near("what is searched", &found.search, &twin.search, |_| 0.0)?;
        near("floor", &found.floors, &twin.floors, |i| floors[i])
    }
}

fn places_of(places: &[[u32; 2]]) -> Vec<(usize, usize)> {
    places.iter().map(|[sample, place]| (*sample as usize, *place as usize)).collect()
}

/// What `anchors` writes for the lines of a case, checked against its twin and exactly.
pub(super) fn anchored(device: &Device, kernel: &Kernel, case: &lines::Case) -> Outcome {
    let (p, layer) = (&case.p, case.twin());
    let (samples, n) = (p.samples as usize, p.neurons as usize);
    let room = vec![LEFT; samples * layout::ANCHORS * n];
    let read = [
        bytes(&case.known),
        bytes(&case.ends),
        bytes(&layer.feed),
        bytes(&layer.live),
        bytes(&layer.lines),
    ];
    let found = floats(&run(device, kernel, p, &read, &[bytes(&room)], [p.samples, 1, 1])[0]);
    let mut twin = room.clone();
    twin::anchors(p, &case.known, &case.ends, &layer.feed, &layer.live, &layer.lines, &mut twin);
    let mut allowed = vec![0.0; found.len()];
    for sample in 0..samples {
        let count = layer.live[sample * 3 + 1] as usize;
        let list = 2 * samples * 3 + sample * n + p.first as usize;
        for k in 0..count {
            let at = |array| (layout::ANCHORS * sample + array) * n + p.first as usize + k;
            let line = |array| layer.lines[(LINES * sample + array) * n + p.first as usize + k];
            let i = layer.live[list + k] as usize;
            let ([lo, hi], [.., centre, _]) = case.of(sample, i);
            let leak = if i < p.through as usize { 1.0 } else { p.leak };
            let open = lo < 0.0 && hi > 0.0 && leak < 1.0 && line(4) > 0.0;
            let least = if open { leak } else { 1.0 };
            same("least slope", &[found[at(3)]], &[least])?;
            if open {
                let (above, below) = (exact(hi) - exact(centre), exact(centre) - exact(lo));
                let off = if above > below { above } else { below };
                // Whatever the lines' own slopes, the rounding of a coefficient is charged.
                let mut rounding = exact(U) * off.clone();
                let unit = |slope: f32| slope == 0.0 || slope == 1.0;
                if !(unit(line(0)) && unit(line(1))) {
                    rounding = Rational::ZERO;
                }
                at_least("budget", found[at(2)], &(exact(line(4)) + rounding))?;
                let size = f64::from(line(4)) + U * (f64::from(hi) - f64::from(lo)).abs() * 4.0;
                allowed[at(2)] = steps(5, size);
            }
        }
    }
    near("anchor", &found, &twin, |i| allowed[i])
}

#[test]
fn rows_of_own_slopes_are_their_twin_and_sound() {
    let Some(device) = crate::device("rows_of_own_slopes_are_their_twin_and_sound") else { return };
    let mut rng = Rng::with_seed(41);
    // Samples, rows, neurons below.
    let shapes = [[1, 1, 1], [3, 5, 3], [4, 9, 31], [3, 3, 33], [2, 4, 1000], [1, 3, 1025]];
    for shape in shapes {
        for draw in Draw::ALL {
            for (flags, close) in [(0, false), (DEPLOYED, false), (0, true)] {
                let case = Case::draw(&mut rng, shape, flags, draw, close);
                let found = case.run(&device, &RELAX_OWN);
                case.check(&found)
                    .unwrap_or_else(|why| panic!("{shape:?} {draw:?} {flags} {close}: {why}"));
            }
        }
    }
}

#[test]
fn anchors_are_their_twin_and_hold_for_any_slope() {
    let test = "anchors_are_their_twin_and_hold_for_any_slope";
    let Some(device) = crate::device(test) else { return };
    let mut rng = Rng::with_seed(42);
    for shape in [[1, 1], [3, 3], [4, 31], [3, 33], [1, 1025]] {
        for (leak, slope) in [(0.0, 0), (0.1, 0), (1.0, 0), (0.0, 3)] {
            for draw in [Draw::Even, Draw::Wide, Draw::Subnormal] {
                let setting = (shape[1] as u32 / 3, leak, slope, 0);
                let case = lines::Case::draw(&mut rng, shape, setting, draw);
                anchored(&device, &ANCHORS, &case)
                    .unwrap_or_else(|why| panic!("{shape:?} {setting:?} {draw:?}: {why}"));
            }
        }
    }
}

#[test]
fn a_budget_takes_in_slopes_that_lines_of_0_and_1_do_not_have() {
    let test = "a_budget_takes_in_slopes_that_lines_of_0_and_1_do_not_have";
    let Some(device) = crate::device(test) else { return };
    let mut rng = Rng::with_seed(43);
    // A chord so flat that it is 0, and one that is 1.
    let mut case = lines::Case::draw(&mut rng, [1, 2], (0, 0.0, 0, 0), Draw::Even);
    let width = case.p.width as usize;
    for (i, (lo, hi)) in
        [(-2f32.powi(20), 2f32.powi(-50)), (-2f32.powi(-50), 1.0)].into_iter().enumerate()
    {
        (case.ends[i], case.ends[width + i]) = (lo, hi);
    }
    let lines = case.twin().lines;
    let first = case.p.first as usize;
    let both = [0, 1].map(|array| lines[array * case.p.neurons as usize + first]);
    assert!(both.iter().all(|slope| *slope == 0.0 || *slope == 1.0), "{both:?}");
    anchored(&device, &ANCHORS, &case).unwrap();
}

#[test]
fn a_search_begins_with_the_lines() {
    let Some(device) = crate::device("a_search_begins_with_the_lines") else { return };
    let mut rng = Rng::with_seed(44);
    for shape in [[1, 1, 1], [3, 5, 33], [1, 3, 1025]] {
        let case = Case::draw(&mut rng, shape, 0, Draw::Even, false);
        let Case { p, places, lines, before, .. } = &case;
        let read = [bytes(places), bytes(lines)];
        let written = [bytes(&before.search)];
        let found = run(&device, &SLOPES, p, &read, &written, row_grid(places.len()));
        let mut twin = before.search.clone();
        twin::slopes(p, places, lines, &mut twin);
        same("slope", &found[0], bytemuck::cast_slice(&twin)).unwrap();
    }
    // What a device may flush is no slope.
    assert_eq!(twin::slope_within(ETA as f32, 0.0), 0.0);
}

#[test]
fn mistakes_in_rows_of_own_slopes_are_found() {
    let Some(device) = crate::device("mistakes_in_rows_of_own_slopes_are_found") else { return };
    let mut rng = Rng::with_seed(49);
    let gain = "-gain_up(slope, 0.0, -anchors[anchor + k], -anchors[anchor + p.neurons + k])";
    let above = "gain_up(slope, 0.0, anchors[anchor + k], anchors[anchor + p.neurons + k])";
    for (name, from, to, draw, close) in [
        // What is lost of gains that all have one sign.
        ("own_gains", "inflate(total.z), gains)", "inflate(total.z), 0.0)", Draw::Absorbed, false),
        // A gain rounded the other way: some devices lose too little of one for less to show.
        ("own_gain", gain, above, Draw::Wide, true),
        ("own_any", "slope_within(search[own + k], least)", "search[own + k]", Draw::Even, false),
        ("own_budget", "abs(replaced) * budget", "0.9 * abs(replaced) * budget", Draw::Even, false),
        ("own_lines", "budget = anchors[anchor + 2u * p.neurons + k];", "", Draw::Even, false),
        ("own_upper", "if lower {", "if !lower {", Draw::Even, false),
        ("own_place", "places[slot].y * SEARCH", "slot * SEARCH", Draw::Even, false),
    ] {
        let wrong = planted(&RELAX_OWN, name, from, to);
        found(&RELAX_OWN, &wrong, |kernel| {
            let shape = if draw == Draw::Absorbed { [1, 3, 1000] } else { [3, 9, 65] };
            let case = Case::draw(&mut rng, shape, 0, draw, close);
            case.check(&case.run(&device, kernel))
        });
    }
    for (name, from, to) in [
        ("anchors_unit", "(lower == 0.0 || lower == 1.0) &&", "false &&"),
        ("anchors_open", "lo < 0.0 && hi > 0.0 && leak", "leak"),
        ("anchors_fill", "&& budget > 0.0;", ";"),
    ] {
        let wrong = planted(&ANCHORS, name, from, to);
        found(&ANCHORS, &wrong, |kernel| {
            // Chords of 0 as well.
            let mut case = lines::Case::draw(&mut rng, [3, 65], (0, 0.0, 0, 0), Draw::Even);
            let width = case.p.width as usize;
            (case.ends[0], case.ends[width]) = (-2f32.powi(20), 2f32.powi(-50));
            (case.ends[9], case.ends[width + 9]) = (-2f32.powi(20), 2f32.powi(-50));
            anchored(&device, kernel, &case)
        });
    }
}
