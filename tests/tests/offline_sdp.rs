//! The semidefinite relaxation: values by hand, never a bound above the truth, and whatever a solver says
//! costs a bound at most.

use std::sync::Arc;

use certus::attack::Worker;
use certus::cpu::Runner;
use certus::network::Network;
use certus::offline::lp::{self, Solved, Trouble};
use certus::offline::sdp::gradient;
use certus::offline::sdp::program::Form;
use certus::offline::sdp::{self, Interior, Objective, Program, Solution, Solver, Stand, Start};
use certus::plan::{Semidefinite, SharedStage};
use certus::question::Question;
use certus::report::Verdict;
use certus::slopes::{Around, Rows};
use certus_engine::bounds::{Method, Options, Semantics};
use certus_engine::model::{Activation, Model};
use certus_engine::region::Norm;
use certus_engine::spec::Spec;
use certus_tests::generate::{affine, network};
use certus_tests::outside::words;
use certus_tests::plan::{many, seed};
use certus_tests::rows::{Asked, Crown, crown, random};
use fastrand::Rng;
use ndarray::{Array1, Array2};
use rayon::prelude::*;

const SEED: u64 = 907;

/// A row's bound by a program alone, and what it took.
fn bound(model: Model<'_>, around: &Around<'_>, row: &[f32], start: Start) -> (f32, Solved) {
    let (mut runner, semantics) = (Runner::new(model, false), Semantics::Real);
    let spec = Spec::Rows { matrix: row, rows: 1 };
    let Crown { lo, hi, .. } = crown(&mut runner, around, semantics, &spec).expect("small");
    let (mut lower, mut solved) = ([f32::NEG_INFINITY], Solved::default());
    let layer = model.depth() - 1;
    let mut rows = Rows { layer, matrix: row, lower: &mut lower, goal: f32::INFINITY };
    let how = (start, false);
    let ends = (&lo[..], &hi[..]);
    sdp::tighten(&runner, around, semantics, ends, &mut rows, how, &|_, _, _| (), &mut solved)
        .expect("small");
    (lower[0], solved)
}

#[test]
fn two_neurons_are_tied_as_by_hand() {
    // Paper 002, section 4.2: z1 = relu(x1 + x2), z2 = relu(x1 - x2) over |x| <= eps; z1 + z2 is at most
    // 2 eps. A linear program looks at each alone and allows 3 eps: at x = (eps, 0) both are at their
    // chords' 3/2. In the relaxation z1 + z2 = x1 + (|x1 + x2| + |x1 - x2|) / 2, and what the squares
    // allow the vectors of the absolute values is sqrt(2) eps.
    let words = words(&network(vec![
        affine(&[&[1.0, 1.0], &[1.0, -1.0]], &[0.0, 0.0], Activation::Relu),
        affine(&[&[1.0, 1.0]], &[0.0], Activation::Identity),
    ]));
    let model = Model::from_words(&words).expect("packed here");
    for epsilon in [1.0, 0.125, 1e-3, 1e3] {
        let around = Around { center: &[0.0, 0.0], epsilon, norm: Norm::Linf, clip: None };
        let (lower, solved) = bound(model, &around, &[-1.0], sdp::interior);
        assert_eq!(solved, Solved { programs: 1, ..Solved::default() });
        let value = f64::from(lower) / epsilon;
        let exact = -(1.0 + 2f64.sqrt());
        assert!(value <= exact + 1e-6 && value > exact - 1e-5, "{epsilon}: {value}");
        let mut runner = Runner::new(model, false);
        let spec = Spec::Rows { matrix: &[-1.0], rows: 1 };
        let Crown { mut lower, lo, hi } =
            crown(&mut runner, &around, Semantics::Real, &spec).expect("small");
        let (layer, goal, mut solved) = (1, f32::INFINITY, Solved::default());
        let mut rows = Rows { layer, matrix: &[-1.0], lower: &mut lower, goal };
        let (ends, start) = ((&lo[..], &hi[..]), &lp::clarabel);
        lp::tighten(&mut runner, &around, Semantics::Real, ends, &mut rows, start, &mut solved)
            .expect("small");
        assert!((f64::from(lower[0]) / epsilon + 3.0).abs() < 1e-5, "{epsilon}: {lower:?}");
    }
}

/// A solver that lies, in one way or another.
struct Liar;

impl Solver for Liar {
    fn solve(
        &mut self,
        program: &Program,
        objective: &Objective,
        watch: &mut dyn FnMut(Stand, &Array1<f64>) -> bool,
    ) -> Solution {
        // The same lies of the same question.
        let mut rng = Rng::with_seed(objective.size.to_bits() ^ program.order as u64);
        let mut found = Interior::default().solve(program, objective, &mut |_, _| false);
        let m = &mut found.multipliers;
        match rng.usize(..10) {
            0 => m.fill(f64::NAN),
            1 => *m *= -1.0,
            2 => m.iter_mut().for_each(|m| *m = 1e300 * rng.f64()),
            3 => *m = Array1::zeros(rng.usize(..2 * m.len())),
            4 => m.fill(f64::INFINITY),
            5 => m.iter_mut().for_each(|m| *m = rng.f64() - 0.3),
            6 => m.iter_mut().for_each(|m| *m *= 0.9),
            7 => m.iter_mut().for_each(|m| *m *= 1.0 + 1e-6 * (rng.f64() - 0.5)),
            // All that costs is left out.
            8 => m.iter_mut().for_each(|m| *m = m.min(0.0)),
            _ => {
                let k = rng.usize(..m.len());
                m[k] += rng.f64() - 0.5;
            }
        }
        let any = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e9, 0.0];
        let mut any = || any[rng.usize(..5)];
        let (bound, value) = (any(), any());
        watch(Stand { bound, value }, &found.multipliers);
        found.value = any();
        let all = [Trouble::Close, Trouble::Iterations, Trouble::Infeasible, Trouble::Numbers];
        found.trouble = rng.bool().then(|| all[rng.usize(..4)]);
        found
    }
}

fn liar() -> Box<dyn Solver> {
    Box::new(Liar)
}

#[test]
fn no_bound_is_above_the_truth_by_an_honest_solver_or_a_liar() {
    let seed = seed(SEED);
    let seen: Vec<[usize; 2]> = (0..many(700) as u64)
        .into_par_iter()
        .map(|index| {
            let Some(asked) = Asked::draw(seed, index) else { return [0; 2] };
            let (around, truth, name) = (asked.around(), &asked.truth, &asked.name);
            let model = Model::from_words(&asked.words).expect("packed here");
            let layer = model.depth() - 1;
            let matrix = &asked.matrix;
            let spec = Spec::Rows { matrix, rows: 2 };
            let mut runner = Runner::new(model, false);
            let (mut solved, mut better) = (Solved::default(), 0);
            let starts: [Start; 2] = [sdp::interior, liar];
            for (semantics, start) in
                [Semantics::Real, Semantics::Deployed].iter().flat_map(|s| starts.map(|f| (*s, f)))
            {
                let Some(Crown { lower: crown, lo, hi }) =
                    crown(&mut runner, &around, semantics, &spec)
                else {
                    return [0; 2];
                };
                let mut lower = [f32::NEG_INFINITY; 2];
                let mut rows = Rows { layer, matrix, lower: &mut lower, goal: f32::INFINITY };
                let (how, ends) = ((start, false), (&lo[..], &hi[..]));
                let watch = |_, _, _: Stand| ();
                sdp::tighten(
                    &runner,
                    &around,
                    semantics,
                    ends,
                    &mut rows,
                    how,
                    &watch,
                    &mut solved,
                )
                .expect("in range before");
                for (bound, valid) in lower.iter().zip([truth.least[0], truth.least_negated[0]]) {
                    assert!(*bound <= valid, "{}: {bound:e} above {valid:e}", name);
                }
                better += lower.iter().zip(crown).filter(|(new, old)| *new > old).count();
            }
            [solved.programs as usize, better]
        })
        .collect();
    let asked = seen.iter().filter(|[programs, _]| *programs > 0).count();
    let better = seen.iter().map(|[_, better]| better).sum::<usize>();
    println!("{asked} cases, better than CROWN {better} times");
    assert!(asked > 100 && better > asked);
}

#[test]
fn a_bounded_gradient_bounds_margins() {
    // 1 - relu(x) against 0: the gradient is at most 1.
    let net = network(vec![
        affine(&[&[1.0]], &[0.0], Activation::Relu),
        affine(&[&[-1.0], &[0.0]], &[1.0, 0.0], Activation::Identity),
    ]);
    let ask = |net: &Network, around: &Around<'_>| {
        let words = words(net);
        let model = Model::from_words(&words).expect("packed here");
        let (lower, _, solved) =
            gradient::lower_bounds(&model, around, 0, sdp::interior, &|_, _, _| ()).expect("fits");
        assert_eq!(solved.troubled, 0);
        f64::from(lower[0])
    };
    for norm in [Norm::Linf, Norm::L2] {
        for epsilon in [0.25, 0.4999, 0.5001] {
            let lower = ask(&net, &Around { center: &[0.5], epsilon, norm, clip: None });
            // It ends once it is above 0, or cannot come there.
            assert!((lower > 0.0) == (epsilon < 0.5) && lower <= 0.5 - epsilon, "{norm}: {lower}");
        }
    }
    let (seed, mut proved) = (seed(SEED + 3), 0);
    for index in 0..many(60) as u64 {
        let mut rng = Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(index));
        let sizes = [rng.usize(1..8), rng.usize(1..12), 2];
        let net = random(&mut rng, &sizes, Activation::Relu);
        let center: Vec<f32> = (0..sizes[0]).map(|_| rng.f32()).collect();
        let (norm, epsilon) = ([Norm::Linf, Norm::L2][index as usize % 2], 0.125 * rng.f64());
        let lower = ask(&net, &Around { center: &center, epsilon, norm, clip: None });
        proved += usize::from(lower > 0.0);
        for _ in 0..200 {
            let way: Vec<f64> = match norm {
                Norm::Linf => center.iter().map(|_| if rng.bool() { 1.0 } else { -1.0 }).collect(),
                _ => center.iter().map(|_| rng.f64() - 0.5).collect(),
            };
            let length = match norm {
                Norm::Linf => 1.0,
                _ => way.iter().map(|w| w * w).sum::<f64>().sqrt(),
            };
            let reach = (1.0 - 1e-5) * epsilon / length;
            let move_by = |(x, w): (&f32, &f64)| (f64::from(*x) + reach * w) as f32;
            let x: Vec<f32> = center.iter().zip(&way).map(move_by).collect();
            let out = outputs(&net, &x);
            assert!(lower <= out[0] - out[1] + 1e-6 * epsilon, "{index}: {lower} {out:?}");
        }
    }
    assert!(proved > 5, "{proved}");
}

#[test]
fn dead_layers_and_points_are_no_trouble() {
    let dead = affine(&[&[1.0], &[2.0]], &[-9.0, -9.0], Activation::Relu);
    let bent = affine(&[&[1.0], &[-1.0]], &[0.0, 0.1], Activation::Relu);
    let last = affine(&[&[1.0, 1.0], &[-1.0, 0.5]], &[0.5, 0.0], Activation::Identity);
    let between = affine(&[&[1.0, 1.0], &[1.0, -1.0]], &[-9.0, -9.0], Activation::Relu);
    for (name, layers, epsilon, least) in [
        ("a dead layer", vec![dead, last.clone()], 1.0, 0.5),
        // 2 relu(x) + relu(0.1 - x) / 2 + 1/2 at 1/4.
        ("a point", vec![bent.clone(), last.clone()], 0.0, 1.0),
        ("a dead layer behind another", vec![bent, between, last], 1.0, 0.5),
    ] {
        let words = words(&network(layers));
        let model = Model::from_words(&words).expect("packed here");
        let norms = [Norm::Linf, Norm::L2, Norm::L1, Norm::new(3.0).expect("a norm")];
        for norm in norms {
            for clip in [None, Some((&[-1.0f32][..], &[1.0f32][..]))] {
                let around = Around { center: &[0.25], epsilon, norm, clip };
                let (lower, solved) = bound(model, &around, &[1.0, -1.0], sdp::interior);
                let lower = f64::from(lower);
                assert_eq!(solved.troubled, 0, "{name}, {norm}: {solved:?}");
                assert!(lower <= least && lower > least - 1e-5, "{name}, {norm}: {lower}");
            }
        }
    }
}

#[test]
fn what_is_no_number_proves_nothing() {
    let words = words(&network(vec![
        affine(&[&[1.0], &[-1.0]], &[0.0, 0.1], Activation::Relu),
        affine(&[&[1.0, 1.0], &[-1.0, 0.5]], &[0.5, 0.0], Activation::Identity),
    ]));
    let model = Model::from_words(&words).expect("packed here");
    let good = Around { center: &[0.25], epsilon: 0.5, norm: Norm::Linf, clip: None };
    let (nan, far) = (f32::NAN, f32::INFINITY);
    let ask = |around: &Around<'_>, ends: (&[f32], &[f32]), row: &[f32]| {
        let (mut lower, mut solved) = ([f32::NEG_INFINITY], Solved::default());
        let mut rows = Rows { layer: 1, matrix: row, lower: &mut lower, goal: 0.0 };
        let (runner, how) = (Runner::new(model, false), (sdp::interior as Start, false));
        let watch = |_, _, _: Stand| ();
        let semantics = Semantics::Real;
        let done =
            sdp::tighten(&runner, around, semantics, ends, &mut rows, how, &watch, &mut solved);
        (done.is_ok(), lower[0])
    };
    let (lo, hi) = ([-0.25, -0.65, 0.0, 0.0], [0.75, 0.35, 0.0, 0.0]);
    let row = [1.0, -1.0];
    assert!(ask(&good, (&lo, &hi), &row).1 > 0.0);
    for i in 0..2 {
        for (low, high) in [(nan, hi[i]), (lo[i], nan), (nan, nan), (lo[i], far), (hi[i], lo[i])] {
            let (mut lo, mut hi) = (lo, hi);
            (lo[i], hi[i]) = (low, high);
            let found = ask(&good, (&lo, &hi), &row);
            assert_eq!(found, (true, f32::NEG_INFINITY), "{i}: {low} {high}");
        }
    }
    assert_eq!(ask(&good, (&lo[..1], &hi), &row), (false, f32::NEG_INFINITY));
    for row in [[nan, 1.0], [far, 1.0]] {
        assert_eq!(ask(&good, (&lo, &hi), &row).1, f32::NEG_INFINITY);
    }
    let clip = Some((&[nan][..], &[1.0f32][..]));
    for bad in [
        Around { center: &[nan], ..good },
        Around { center: &[], ..good },
        Around { epsilon: f64::NAN, ..good },
        Around { epsilon: -1.0, ..good },
        Around { clip, ..good },
    ] {
        assert_eq!(ask(&bad, (&lo, &hi), &row), (false, f32::NEG_INFINITY), "{bad:?}");
        let none = gradient::lower_bounds(&model, &bad, 0, sdp::interior, &|_, _, _| ());
        assert!(none.is_err(), "{bad:?}");
    }
}

/// Gives up at once, and says that all is well with a bound.
struct Stuck;

impl Solver for Stuck {
    fn solve(
        &mut self,
        program: &Program,
        _: &Objective,
        watch: &mut dyn FnMut(Stand, &Array1<f64>) -> bool,
    ) -> Solution {
        let multipliers = Array1::zeros(program.multipliers());
        watch(Stand { bound: 1.0, value: 2.0 }, &multipliers);
        let trouble = Some(Trouble::Iterations);
        Solution { multipliers, value: 2.0, products: None, trouble, macs: 0 }
    }
}

#[test]
fn a_sample_that_a_solver_failed_at_is_unknown_and_says_why() {
    // 2.5 - (z1 + z2) of the neurons that are tied: at most 2 is true, 2.42 proved, 3 what single ones have.
    let words = words(&network(vec![
        affine(&[&[1.0, 1.0], &[1.0, -1.0]], &[0.0, 0.0], Activation::Relu),
        affine(&[&[-1.0, -1.0], &[0.0, 0.0]], &[2.5, 0.0], Activation::Identity),
    ]));
    let stuck: Start = || Box::new(Stuck);
    for (start, verdict, trouble) in [
        (sdp::interior as Start, Verdict::Certified, None),
        (stuck, Verdict::Unknown, Some(Trouble::Iterations)),
    ] {
        let stage = Semidefinite { inside: Options::new(Method::Crown), start };
        let question = Question::new(Norm::Linf, [Arc::new(stage) as SharedStage]);
        let model = Model::from_words(&words).expect("packed here");
        let mut worker = Worker::new(model, false);
        let answer = question.certify(&mut worker, 0, &[0.0, 0.0], Some(0), 1.0);
        assert_eq!((answer.record.verdict, answer.solved.trouble), (verdict, trouble));
        assert_eq!(answer.solved.programs, 1);
    }
}

#[test]
fn a_multiplier_of_the_wrong_sign_counts_for_nothing() {
    // relu(x) over |x| <= 1 is at most 1. That it is at least 0, taken the wrong way round, would say 0.
    let words = words(&network(vec![
        affine(&[&[1.0]], &[0.0], Activation::Relu),
        affine(&[&[1.0]], &[0.0], Activation::Identity),
    ]));
    let model = Model::from_words(&words).expect("packed here");
    let around = Around { center: &[0.0], epsilon: 1.0, norm: Norm::Linf, clip: None };
    let ends = (&[-1.0, 0.0][..], &[1.0, 1.0][..]);
    let program = Program::new(&model, &around, Semantics::Real, ends).expect("a ReLU");
    let objective = program.objective(&[-1.0]);
    let at_least_0 = |form: &Form| form.sign < 0.0 && form.q.row < program.order;
    let index = program.forms.iter().position(at_least_0).expect("z >= 0");
    let mut multipliers = Array1::zeros(program.multipliers());
    for k in (0..program.forms.len()).filter(|k| program.square(*k).is_some()) {
        multipliers[k] = 1e-3;
    }
    multipliers[index] = -0.5;
    // What that would be good for: all of the matrix but the squares is gone.
    let sum = program.sum(&multipliers) + &objective.matrix;
    assert!((&sum - &(Array2::<f64>::eye(3) * 1e-3)).iter().all(|a| a.abs() < 1e-9), "{sum}");
    assert!(sdp::proof::lower(&program, &objective, &multipliers) <= -1.0);
    let found = Interior::default().solve(&program, &objective, &mut |_, _| false);
    let bound = sdp::proof::lower(&program, &objective, &found.multipliers);
    assert!((bound + 1.0).abs() < 1e-6, "{bound}");
}

/// The outputs at a point, in f64.
fn outputs(net: &Network, x: &[f32]) -> Vec<f64> {
    let mut x: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
    for layer in &net.layers {
        let rows = layer.weights.chunks(layer.cols).zip(&layer.bias);
        let leak = f64::from(layer.activation.leak().expect("of two lines"));
        let next = rows.map(|(w, b)| {
            let z: f64 = w.iter().zip(&x).map(|(w, x)| f64::from(*w) * x).sum();
            (z + f64::from(*b)).max(leak * (z + f64::from(*b)))
        });
        x = next.collect();
    }
    x
}

#[test]
fn no_point_of_a_cut_ball_is_below_a_bound() {
    let (seed, mut above, mut nearest) = (seed(SEED + 2), 0, f64::INFINITY);
    for index in 0..many(120) as u64 {
        let mut rng = Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(index));
        let mut sizes: Vec<usize> = (0..rng.usize(2..5)).map(|_| rng.usize(2..10)).collect();
        sizes.push(2);
        let activation = [Activation::Relu, Activation::LeakyRelu(0.1), Activation::LeakyRelu(0.5)];
        let net = random(&mut rng, &sizes, activation[index as usize % 3]);
        let norms = [Norm::Linf, Norm::L2, Norm::L1, Norm::new(3.0).expect("a norm")];
        let norm = norms[index as usize % 4];
        let center: Vec<f32> = (0..sizes[0]).map(|_| rng.f32()).collect();
        let side = |by: f32| -> Vec<f32> { center.iter().map(|x| x + by).collect() };
        let sides = (side(-0.0625), side(0.25));
        let clip = rng.bool().then_some((&sides.0[..], &sides.1[..]));
        let epsilon = [0.125, 0.5, 1.0][rng.usize(..3)];
        let around = Around { center: &center, epsilon, norm, clip };
        let words = words(&net);
        let model = Model::from_words(&words).expect("packed here");
        let (lower, solved) = bound(model, &around, &[1.0, -1.0], sdp::interior);
        assert_eq!(solved.troubled, 0, "{index}: {solved:?}");
        let mut least = f64::INFINITY;
        for _ in 0..300 {
            let way: Vec<f64> = match norm {
                Norm::Linf => center.iter().map(|_| if rng.bool() { 1.0 } else { -1.0 }).collect(),
                _ => center.iter().map(|_| rng.f64() - 0.5).collect(),
            };
            let p = match norm {
                Norm::Linf => f64::INFINITY,
                Norm::L2 => 2.0,
                Norm::L1 => 1.0,
                Norm::Lp(p) => f64::from(p.get()),
            };
            let length = if p.is_infinite() {
                1.0
            } else {
                way.iter().map(|w| w.abs().powf(p)).sum::<f64>().powf(1.0 / p)
            };
            // A little within, so that the rounded point is no other's.
            let reach = (1.0 - 1e-5) * epsilon / length;
            let x: Vec<f32> = center
                .iter()
                .zip(&way)
                .zip(sides.0.iter().zip(&sides.1))
                .map(|((x, w), (lo, hi))| {
                    let x = (f64::from(*x) + reach * w) as f32;
                    if clip.is_some() { x.clamp(*lo, *hi) } else { x }
                })
                .collect();
            let out = outputs(&net, &x);
            least = least.min(out[0] - out[1]);
        }
        assert!(f64::from(lower) <= least + 1e-9, "{index} {norm}: {lower} above {least}");
        nearest = nearest.min(least - f64::from(lower));
        above += usize::from(lower > -1e3);
    }
    println!("{above} bounds; the nearest is {nearest:.1e} below a point");
    assert!(above > 100);
}
