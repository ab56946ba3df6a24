//! Linear programs: the engine's bound is the program's value, never above the truth, and whatever a
//! solver says costs a bound at most.

use std::sync::{Arc, Mutex};

use certus::attack::Worker;
use certus::blob::{WeightKind, pack};
use certus::cpu::Runner;
use certus::offline::lp::{
    self, Clarabel, Program, Settings, Solution, Solved, Solver, Start, Trouble,
};
use certus::plan::{LinearProgram, SharedStage};
use certus::question::Question;
use certus::report::Verdict;
use certus::slopes::{self, Around, Rows};
use certus_engine::bounds::{Method, Options, Semantics};
use certus_engine::model::{Activation, Model};
use certus_engine::region::Norm;
use certus_engine::spec::Spec;
use certus_tests::curved::curved;
use certus_tests::generate::{Kind, affine, network};
use certus_tests::outside::words;
use certus_tests::plan::{many, seed};
use certus_tests::region::{Norm as Length, Region};
use certus_tests::rows::{Asked, Crown, crown};
use fastrand::Rng;
use rayon::prelude::*;

const SEED: u64 = 811;

/// The net of [`by_hand`].
fn twice(c: f32) -> Vec<u32> {
    words(&network(vec![
        affine(&[&[1.0], &[1.0]], &[0.0, 0.0], Activation::Relu),
        affine(&[&[1.0, -1.0]], &[0.0], Activation::Relu),
        affine(&[&[-1.0], &[0.0]], &[c, 0.0], Activation::Identity),
    ]))
}

/// For the margin `c - relu(r - s)` against 0 of a net with one input in [-1, 1], where r and s are the
/// same `relu(x)` twice: whether it is proved, and its bound by one program.
fn by_hand(c: f32, all: bool) -> (bool, f32) {
    let words = twice(c);
    let model = Model::from_words(&words).expect("packed here");
    let mut runner = Runner::new(model, false);
    let around = Around { center: &[0.0], epsilon: 1.0, norm: Norm::Linf, clip: None };
    // What intervals know.
    let (mut lo, mut hi) = ([-1.0, -1.0, -1.0, -1.0, 0.0], [1.0, 1.0, 1.0, 1.0, 0.0]);
    let (semantics, start, settings) = (Semantics::Real, &lp::clarabel, Settings { all });
    let (mut once, mut lower, mut solved) = ([-1.0], [-1.0], Solved::default());
    let goal = f32::INFINITY;
    let mut rows = Rows { layer: 2, matrix: &[1.0, -1.0], lower: &mut once, goal };
    lp::tighten(&mut runner, &around, semantics, (&lo, &hi), &mut rows, start, &mut solved)
        .expect("small numbers");
    assert_eq!(solved, Solved { programs: 1, ..Solved::default() });
    let ends = (&mut lo[..], &mut hi[..]);
    let told = Mutex::new(Vec::new());
    let watch = |stand| told.lock().unwrap().push(stand);
    let (_, solved) =
        lp::improve(&mut runner, &around, semantics, ends, 0, &mut lower, &settings, start, &watch)
            .expect("small numbers");
    assert_eq!(told.lock().unwrap().len() as u64, solved.programs);
    (lower[0] > 0.0, once[0])
}

#[test]
fn the_barrier_is_where_it_is_by_hand() {
    // At x = 0 the triangles let r be 1/2 and s be 0, whose chord over [-1, 1] is 3/4; once the program
    // knows that `r - s` is in [-1/2, 1/2], it is 1/2.
    for (c, last, all) in
        [(0.76, true, true), (0.74, false, true), (0.51, false, true), (0.49, false, false)]
    {
        let found = [false, true].map(|all| by_hand(c, all));
        assert_eq!([found[0].0, found[1].0], [last, all], "{c}: {found:?}");
        let value = f64::from(c) - 0.75;
        let gap = value - f64::from(found[0].1);
        // What its f32 sums may be off by.
        assert!((0.0..32.0 * f64::from(f32::EPSILON)).contains(&gap), "{c}: {gap:e}");
    }
}

/// Gives up at once.
struct Stuck;

impl Solver for Stuck {
    fn solve(&mut self, _: &[f64], _: f64) -> Solution {
        let trouble = Some(Trouble::Iterations);
        Solution { value: f64::INFINITY, multipliers: Vec::new(), trouble }
    }
}

#[test]
fn a_sample_that_a_solver_failed_at_is_unknown_and_says_why() {
    let honest: fn(&Program<'_>) -> Box<dyn Solver> = lp::clarabel;
    let stuck: fn(&Program<'_>) -> Box<dyn Solver> = |_| Box::new(Stuck);
    // A little below the barrier, so that nothing is given up before there are programs.
    let words = twice(0.4995);
    let model = Model::from_words(&words).expect("packed here");
    for (start, trouble) in [(honest, None), (stuck, Some(Trouble::Iterations))] {
        let crown = Options::new(Method::Crown);
        let program = LinearProgram { crown, settings: Settings { all: true }, start };
        let question = Question::new(Norm::Linf, [Arc::new(program) as SharedStage]);
        let mut worker = Worker::new(model, false);
        let answer = question.certify(&mut worker, 0, &[0.0], Some(0), 1.0);
        assert_eq!(answer.record.verdict, Verdict::Unknown);
        assert!(answer.solved.programs > 0 && answer.solved.trouble == trouble);
        assert_eq!(answer.solved.troubled > 0, trouble.is_some());
    }
}

#[test]
fn dead_layers_and_points_are_no_trouble() {
    let dead = affine(&[&[1.0], &[2.0]], &[-9.0, -9.0], Activation::Relu);
    let bent = affine(&[&[1.0], &[-1.0]], &[0.0, 0.1], Activation::Relu);
    let single = affine(&[&[1.0], &[-1.0]], &[0.5, 0.0], Activation::Identity);
    let last = affine(&[&[1.0, 1.0], &[-1.0, 0.5]], &[0.5, 0.0], Activation::Identity);
    let between = affine(&[&[1.0, 1.0], &[1.0, -1.0]], &[-9.0, -9.0], Activation::Relu);
    for (name, layers, epsilon) in [
        ("no hidden layer", vec![single], 1.0),
        ("a dead layer", vec![dead, last.clone()], 1.0),
        ("a point", vec![bent.clone(), last.clone()], 0.0),
        // Its first layer bends, but nothing of that comes through.
        ("a dead layer behind another", vec![bent, between, last], 1.0),
    ] {
        let words = words(&network(layers));
        let model = Model::from_words(&words).expect("packed here");
        for (norm, clip) in [Norm::Linf, Norm::L2, Norm::L1, Norm::new(3.0).expect("a norm")]
            .into_iter()
            .flat_map(|norm| [(norm, None), (norm, Some((&[-1.0f32][..], &[1.0f32][..])))])
        {
            let around = Around { center: &[0.25], epsilon, norm, clip };
            let mut runner = Runner::new(model, false);
            let (spec, layer) = (Spec::Margins { class: 0 }, model.depth() - 1);
            let found = crown(&mut runner, &around, Semantics::Real, &spec).expect("small");
            let Crown { mut lower, lo, hi } = found;
            let (before, mut solved) = (lower[0], Solved::default());
            let (goal, start) = (f32::INFINITY, &lp::clarabel);
            let mut rows = Rows { layer, matrix: &[1.0, -1.0], lower: &mut lower, goal };
            let (semantics, ends) = (Semantics::Real, (&lo[..], &hi[..]));
            lp::tighten(&mut runner, &around, semantics, ends, &mut rows, start, &mut solved)
                .expect("small");
            assert_eq!(solved.troubled, 0, "{name}, {norm}: {solved:?}");
            assert!(lower[0] >= before && lower[0] < 10.0, "{name}, {norm}: {lower:?}");
            let programs = u64::from(name == "a dead layer behind another");
            assert_eq!(solved.programs, programs, "{name}, {norm}");
        }
    }
}

/// A solver that tells what it finds.
struct Told(Clarabel, Arc<Mutex<Vec<Solution>>>);

impl Solver for Told {
    fn solve(&mut self, objective: &[f64], constant: f64) -> Solution {
        let found = self.0.solve(objective, constant);
        self.1.lock().unwrap().push(found.clone());
        found
    }
}

/// A random net, the ball around a random point, cut by a box every other time.
struct Drawn {
    words: Vec<u32>,
    center: Vec<f32>,
    epsilon: f64,
    norm: Norm,
    clip: Option<(Vec<f32>, Vec<f32>)>,
    activation: Activation,
}

impl Drawn {
    fn new(rng: &mut Rng, index: u64) -> Self {
        let activations = [
            Activation::Relu,
            Activation::LeakyRelu(0.1),
            Activation::Tanh,
            Activation::Relu,
            Activation::Gelu,
        ];
        let activation = activations[index as usize % 5];
        let mut sizes: Vec<usize> = (0..rng.usize(3..6)).map(|_| rng.usize(3..14)).collect();
        sizes.push(3);
        let depth = sizes.len() - 1;
        let layers = sizes.windows(2).enumerate().map(|(k, pair)| {
            let scale = 2.5 / (pair[0] as f32).sqrt();
            let mut draw = |n: usize| -> Vec<f32> {
                (0..n).map(|_| scale * (rng.f32() + rng.f32() - 1.0)).collect()
            };
            let rows: Vec<Vec<f32>> = (0..pair[1]).map(|_| draw(pair[0])).collect();
            let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
            let activation = if k + 1 == depth { Activation::Identity } else { activation };
            affine(&rows, &draw(pair[1]), activation)
        });
        let words = words(&network(layers.collect()));
        let center: Vec<f32> = (0..sizes[0]).map(|_| rng.f32()).collect();
        let norms = [Norm::Linf, Norm::L2, Norm::L1, Norm::new(3.0).expect("a norm")];
        let clip = rng.bool().then(|| {
            let side = |by: f32| center.iter().map(|x| x + by).collect();
            (side(-0.05), side(0.3))
        });
        let epsilon = [0.1, 0.3, 1.0][rng.usize(..3)];
        Self { words, epsilon, norm: norms[rng.usize(..4)], clip, activation, center }
    }

    fn around(&self) -> Around<'_> {
        let Self { center, epsilon, norm, .. } = self;
        let clip = self.clip.as_ref().map(|(lo, hi)| (&lo[..], &hi[..]));
        Around { center, epsilon: *epsilon, norm: *norm, clip }
    }
}

#[test]
fn the_value_of_a_program_is_the_bound() {
    let seed = seed(SEED);
    let seen: Vec<(usize, f64, f64)> = (0..many(200) as u64)
        .into_par_iter()
        .map(|index| {
            let mut rng = Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(index));
            let drawn = Drawn::new(&mut rng, index);
            let model = Model::from_words(&drawn.words).expect("packed here");
            let (mut runner, around) = (Runner::new(model, false), drawn.around());
            let matrix = [1.0, -1.0, 0.0, 0.0, 1.0, 1.0];
            let spec = Spec::Rows { matrix: &matrix, rows: 2 };
            let crown = crown(&mut runner, &around, Semantics::Real, &spec).expect("small");
            let told = Arc::new(Mutex::new(Vec::new()));
            let start = |program: &Program<'_>| -> Box<dyn Solver> {
                Box::new(Told(Clarabel::new(program), Arc::clone(&told)))
            };
            let (mut gained, mut off, mut above) = (0, 0.0f64, 0.0f64);
            let mut solved = Solved::default();
            for r in 0..2 {
                let mut lower = [crown.lower[r]];
                let matrix = &matrix[3 * r..3 * r + 3];
                let layer = model.depth() - 1;
                let mut rows = Rows { layer, matrix, lower: &mut lower, goal: f32::INFINITY };
                let ends = (&crown.lo[..], &crown.hi[..]);
                let semantics = Semantics::Real;
                lp::tighten(&mut runner, &around, semantics, ends, &mut rows, &start, &mut solved)
                    .expect("small");
                let Some(found) = told.lock().unwrap().pop() else { continue };
                assert_eq!(found.trouble, None, "{index}");
                gained += usize::from(lower[0] > crown.lower[r] + 1e-3);
                let size =
                    crown.lo.iter().chain(&crown.hi).fold(1.0f64, |m, z| m.max(z.abs().into()));
                let gap = (found.value - f64::from(lower[0])) / size;
                off = off.max(gap);
                // A tangent of its own slope may be above the program's few.
                if drawn.activation.leak().is_some() {
                    above = above.max(-gap);
                }
            }
            assert!(off < 1e-5 && above < 1e-6, "{index}: {off:e}, {above:e}, {:?}", drawn.norm);
            (gained, off, above)
        })
        .collect();
    let gained: usize = seen.iter().map(|(gained, ..)| gained).sum();
    let most = |of: fn(&(usize, f64, f64)) -> f64| seen.iter().map(of).fold(0.0, f64::max);
    println!("{gained} gained; bounds {:e} below, {:e} above values", most(|s| s.1), most(|s| s.2));
    assert!(gained > seen.len() / 4);
}

/// A solver that lies, in one way or another.
struct Liar(Clarabel, Rng);

impl Solver for Liar {
    fn solve(&mut self, objective: &[f64], constant: f64) -> Solution {
        let Self(honest, rng) = self;
        let mut found = honest.solve(objective, constant);
        let m = &mut found.multipliers;
        match rng.usize(..9) {
            0 => m.fill(f64::NAN),
            1 => m.iter_mut().for_each(|m| *m = -*m),
            2 => m.iter_mut().for_each(|m| *m = 1e300 * rng.f64()),
            3 => m.truncate(rng.usize(..=m.len())),
            4 => m.fill(f64::INFINITY),
            5 => m.iter_mut().for_each(|m| *m = rng.f64() - 0.3),
            6 => m.clear(),
            7 => m.reverse(),
            _ => m.extend([1.0; 50]),
        }
        found.value =
            [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e9, found.value][rng.usize(..5)];
        let all = [Trouble::Close, Trouble::Iterations, Trouble::Infeasible, Trouble::Numbers];
        found.trouble = rng.bool().then(|| all[rng.usize(..4)]);
        found
    }
}

#[test]
fn no_bound_is_above_the_truth_by_an_honest_solver_or_a_liar() {
    let seed = seed(SEED + 1);
    let seen: Vec<usize> = (0..many(700) as u64)
        .into_par_iter()
        .map(|index| {
            let Some(asked) = Asked::draw(seed, index) else { return 0 };
            let (around, truth, name) = (asked.around(), &asked.truth, &asked.name);
            let model = Model::from_words(&asked.words).expect("packed here");
            let layer = model.depth() - 1;
            let matrix = &asked.matrix;
            let spec = Spec::Rows { matrix, rows: 2 };
            let mut runner = Runner::new(model, false);
            let mut solved = Solved::default();
            let honest = |program: &Program<'_>| -> Box<dyn Solver> { lp::clarabel(program) };
            let liar = |program: &Program<'_>| -> Box<dyn Solver> {
                Box::new(Liar(Clarabel::new(program), Rng::with_seed(index)))
            };
            let starts: [&Start<'_>; 2] = [&honest, &liar];
            for (semantics, start) in
                [Semantics::Real, Semantics::Deployed].iter().flat_map(|s| starts.map(|f| (*s, f)))
            {
                let Some(found) = crown(&mut runner, &around, semantics, &spec) else { return 0 };
                let Crown { mut lower, mut lo, mut hi } = found;
                slopes::ends(&mut runner, (&mut lo, &mut hi), &mut |runner, ends, rows| {
                    lp::tighten(runner, &around, semantics, ends, rows, start, &mut solved)
                })
                .expect("in range before");
                let mut rows = Rows { layer, matrix, lower: &mut lower, goal: f32::INFINITY };
                lp::tighten(
                    &mut runner,
                    &around,
                    semantics,
                    (&lo, &hi),
                    &mut rows,
                    start,
                    &mut solved,
                )
                .expect("in range before");
                for (bound, valid) in lower.iter().zip([truth.least[0], truth.least_negated[0]]) {
                    assert!(*bound <= valid, "{}: {bound:e} above {valid:e}", name);
                }
                for (i, (lo, hi)) in lo.iter().zip(&hi).enumerate() {
                    let (least, most) = truth.pre[i];
                    assert!(*lo <= least && *hi >= most, "{}: neuron {i}", name);
                }
            }
            solved.programs as usize
        })
        .collect();
    let asked = seen.iter().filter(|programs| **programs > 0).count();
    println!("{} programs for {asked} cases", seen.iter().sum::<usize>());
    assert!(asked > 100);
}

#[test]
fn curved_bounds_are_sound() {
    let mut rng = Rng::with_seed(seed(SEED + 2));
    let mut gained = 0;
    for index in 0..many(300) as u64 {
        let case = curved([Kind::Gaussian, Kind::Integer][index as usize % 2], index, &mut rng);
        let Region::Ball { center, eps, norm: Length::Linf } = &case.region else { continue };
        let around = Around { center, epsilon: *eps, norm: Norm::Linf, clip: None };
        let words = pack(&case.net, WeightKind::F32).expect("packs");
        let model = Model::from_words(&words).expect("packed here");
        let layer = model.depth() - 1;
        if model.layer(layer).is_none_or(|l| l.activation != Activation::Identity) {
            continue;
        }
        let spec = Spec::Rows { matrix: &case.spec_row, rows: 1 };
        let mut runner = Runner::new(model, false);
        let Some(found) = crown(&mut runner, &around, Semantics::Real, &spec) else { continue };
        let Crown { mut lower, lo, hi } = found;
        let (before, mut solved) = (lower[0], Solved::default());
        let goal = f32::INFINITY;
        let mut rows = Rows { layer, matrix: &case.spec_row, lower: &mut lower, goal };
        let (semantics, start) = (Semantics::Real, &lp::clarabel);
        lp::tighten(&mut runner, &around, semantics, (&lo, &hi), &mut rows, start, &mut solved)
            .expect("in range before");
        gained += usize::from(lower[0] > before);
        let points = certus_tests::members::members(&case.region, &[], 200, &mut rng);
        for x in points {
            let Some(values) = certus_tests::curved::evaluate(&case.net, &x) else { continue };
            let (value, off) = case.spec_row.iter().zip(&values.out).fold(
                (0.0, 0.0),
                |(value, off), (c, (y, error))| {
                    let c = f64::from(*c);
                    (value + c * y, off + c.abs() * (error + 1e-14 * y.abs()))
                },
            );
            assert!(f64::from(lower[0]) <= value + off, "{}: {} {value}", case.name, lower[0]);
        }
    }
    println!("{gained} gained");
    assert!(gained > 5);
}
