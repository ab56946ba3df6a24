//! The matrix products of both arithmetics against exact sums: no term is rounded more often than
//! claimed.

use certus::blob::{WeightKind, pack};
use certus::cpu::Fast;
use certus_engine::bounds::{Arithmetic, Portable, Product};
use certus_engine::model::{Activation, Model};
use certus_engine::num::{NEGLIGIBLE, U};
use certus_tests::floats::Pattern;
use certus_tests::generate::{affine, network};
use certus_tests::plan::{many, seed};
use certus_tests::rational::{abs, dot, dyadic, exact};
use fastrand::Rng;

const SEED: u64 = 91;
const INNER: [usize; 9] = [1, 3, 31, 33, 63, 64, 65, 1000, 1025];

/// A product in up to two parts, as back-substitution does it.
struct Setup {
    words: Vec<u32>,
    live: Vec<u32>,
    columns: Option<Vec<u32>>,
    a: Vec<f32>,
    rows: usize,
    /// Where the second part begins.
    split: usize,
    /// What the result held before.
    before: Option<Vec<f32>>,
}

/// A random subset of `0..n` in a random order.
fn subset(rng: &mut Rng, n: usize, keep: usize) -> Vec<u32> {
    let mut all: Vec<u32> = (0..n as u32).collect();
    rng.shuffle(&mut all);
    all.truncate(keep);
    all
}

impl Setup {
    fn draw(rng: &mut Rng, inner: usize, pattern: Pattern) -> Self {
        let cols = [1, 2, 5, 8, 17, 40][rng.usize(0..6)];
        let rows = [1, 2, 3, 9, 33][rng.usize(0..5)];
        let neurons = inner + rng.usize(0..4);
        let weights = match pattern {
            // The terms themselves are the pattern, along the inner index.
            Pattern::Absorbed | Pattern::Slices | Pattern::Cancelling | Pattern::Vanishing => {
                vec![1.0; neurons * cols]
            }
            _ => pattern.draw(rng, neurons * cols, 1),
        };
        let each: Vec<&[f32]> = weights.chunks(cols).collect();
        let layer = affine(&each, &vec![0.0; neurons], Activation::Relu);
        let kind = if rng.u8(0..4) == 0 { WeightKind::F16 } else { WeightKind::F32 };
        let net = network(vec![layer]);
        let words = pack(&net, kind).or_else(|_| pack(&net, WeightKind::F32)).expect("packs");
        let columns = rng.bool().then(|| {
            let keep = rng.usize(1..=cols);
            subset(rng, cols, keep)
        });
        let width = columns.as_ref().map_or(cols, Vec::len);
        let pick = |rng: &mut Rng, n| Pattern::Even.draw(rng, n, 1);
        let before = rng.bool().then(|| pick(rng, rows * width));
        let factors = (0..rows).flat_map(|_| match pattern {
            Pattern::Wide | Pattern::Even => Pattern::Wide.draw(rng, inner, 1),
            _ => pattern.draw(rng, inner, 1),
        });
        let a = factors.collect();
        let live = subset(rng, neurons, inner);
        let split = if rng.bool() { rng.usize(0..=inner) } else { inner };
        Setup { words, live, columns, a, rows, split, before }
    }

    /// Runs it and compares; gives the largest share of the claim that an error takes.
    fn check<A: Arithmetic>(&self, arith: &mut A, every: usize) -> f64 {
        let model = Model::from_words(&self.words).unwrap();
        let weights = model.layer(0).unwrap();
        let inner = self.live.len();
        let whole = Product {
            layer: 0,
            weights,
            live: &self.live,
            from: 0,
            inner: self.split,
            columns: self.columns.as_deref(),
            a: &self.a,
            stride: inner,
            rows: self.rows,
            accumulate: self.before.is_some(),
        };
        let width = whole.width();
        let mut out = match &self.before {
            Some(before) => before.clone(),
            None => vec![f32::NAN; self.rows * width],
        };
        arith.forget(0);
        arith.product(&whole, &mut out);
        let mut depth = arith.product_depth(self.split);
        if self.split < inner {
            let rest = inner - self.split;
            depth += arith.product_depth(rest);
            let a = &self.a[self.split..];
            let second = Product { from: self.split, inner: rest, a, accumulate: true, ..whole };
            arith.product(&second, &mut out);
        }
        let t = exact(depth) * exact(U);
        let gamma = &t / (certus_tests::rational::Rational::ONE - &t);
        let mut worst = 0.0f64;
        for (at, found) in out.iter().enumerate().step_by(every) {
            let (r, c) = (at / width, at % width);
            let column = self.columns.as_ref().map_or(c, |columns| columns[c] as usize);
            let mut w: Vec<f32> =
                self.live.iter().map(|i| weights.row(*i as usize).get(column)).collect();
            let mut a = self.a[r * inner..(r + 1) * inner].to_vec();
            if let Some(before) = &self.before {
                w.push(1.0);
                a.push(before[at]);
            }
            let sizes = |x: &[f32]| x.iter().map(|x| x.abs()).collect::<Vec<f32>>();
            // Weights that may be dropped.
            let dropped = exact(NEGLIGIBLE) * certus_tests::rational::sum(&sizes(&a));
            let claim = &gamma * dot(&sizes(&a), &sizes(&w))
                + exact(inner as f64) * dyadic(1.into(), -150)
                + dropped;
            let error = abs(&(exact(*found) - dot(&a, &w)));
            assert!(error <= claim, "inner {inner}, split {}, entry {at}: {found:e}", self.split);
            if !claim.is_zero() {
                worst = worst.max((error / claim).to_f64_fast());
            }
        }
        worst
    }
}

#[test]
fn products_stay_within_their_depth() {
    let mut rng = Rng::with_seed(seed(SEED));
    // Kept from product to product, as in use.
    let mut fast = Fast::new(1, false);
    let (mut worst, mut count) = ([0.0f64; 2], 0);
    for _ in 0..many(1) {
        for inner in INNER {
            for pattern in Pattern::ALL {
                for _ in 0..if inner < 100 { 6 } else { 2 } {
                    let setup = Setup::draw(&mut rng, inner, pattern);
                    let every = 1 + setup.rows * inner / 3000;
                    worst[0] = worst[0].max(setup.check(&mut Portable, every));
                    worst[1] = worst[1].max(setup.check(&mut fast, every));
                    count += 2;
                }
            }
        }
    }
    println!("{count} products, the worst errors take {worst:.3?} of their claims");
    assert!(worst.iter().all(|share| *share > 0.2), "the sums are too easy: {worst:?}");
}

/// Blocks large enough to be spread over the cores.
#[test]
fn parallel_products_are_the_same() {
    let mut rng = Rng::with_seed(seed(SEED + 1));
    let (inner, rows, cols) = (700, 80, 90);
    let weights = Pattern::Even.draw(&mut rng, inner * cols, 1);
    let each: Vec<&[f32]> = weights.chunks(cols).collect();
    let net = network(vec![affine(&each, &vec![0.0; inner], Activation::Relu)]);
    let setup = Setup {
        words: pack(&net, WeightKind::F32).unwrap(),
        live: subset(&mut rng, inner, inner),
        columns: None,
        a: Pattern::Wide.draw(&mut rng, rows * inner, 1),
        rows,
        split: 100,
        before: None,
    };
    let worst = setup.check(&mut Fast::new(1, true), 97);
    println!("the worst error takes {worst:.3} of its claim");
}

/// NaN and infinite coefficients reach the result: they cannot end up in a bound.
#[test]
fn nothing_odd_is_lost() {
    let mut rng = Rng::with_seed(seed(SEED + 2));
    for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for inner in [1, 7, 8, 9, 64, 65, 200] {
            let mut setup = Setup::draw(&mut rng, inner, Pattern::Sparse);
            setup.split = inner;
            let row = rng.usize(0..setup.rows);
            setup.a[row * inner + rng.usize(0..inner)] = odd;
            let model = Model::from_words(&setup.words).unwrap();
            let product = Product {
                layer: 0,
                weights: model.layer(0).unwrap(),
                live: &setup.live,
                from: 0,
                inner,
                columns: None,
                a: &setup.a,
                stride: inner,
                rows: setup.rows,
                accumulate: false,
            };
            let width = product.width();
            let run = |arith: &mut dyn FnMut(&mut [f32])| {
                let mut out = vec![0.0; setup.rows * width];
                arith(&mut out);
                for (r, row_out) in out.chunks(width).enumerate() {
                    assert_eq!(row_out.iter().all(|x| !x.is_finite()), r == row, "{odd} {inner}");
                }
            };
            run(&mut |out| Portable.product(&product, out));
            run(&mut |out| Fast::new(1, false).product(&product, out));
        }
    }
}
