//! The semidefinite relaxation's bounds are its optimum: none is above the value at a matrix that meets all
//! that paper 002's equation 7 asks, which is found out here from the weights anew.

use certus::cpu::Runner;
use certus::network::{Affine, Network};
use certus::offline::sdp::{self, Interior, Program, Solver};
use certus::slopes::Around;
use certus_engine::bounds::Semantics;
use certus_engine::model::{Activation, Model};
use certus_engine::region::Norm;
use certus_engine::spec::Spec;
use certus_tests::outside::words;
use certus_tests::plan::{many, seed};
use certus_tests::rows::{Crown, crown, random};
use fastrand::Rng;
use ndarray::{Array1, Array2};

const SEED: u64 = 908;

/// The entries of `v = (1, t)` that a network's quantities are functions of, re-derived: a row for each
/// input and each neuron, and what equation 7 says of them.
struct Layered {
    rows: Vec<Vec<Vec<f64>>>,
    ends: Vec<Vec<(f64, f64)>>,
}

fn wide(ends: (f32, f32)) -> (f64, f64) {
    (ends.0.into(), ends.1.into())
}

impl Layered {
    fn new(net: &Network, around: &Around<'_>, (lo, hi): (&[f32], &[f32]), order: usize) -> Self {
        let mut next = 1;
        let mut fresh = |(lo, hi): (f64, f64)| {
            let mut row = vec![0.0; order];
            (row[0], row[next]) = (0.5 * (lo + hi), 0.5 * (hi - lo));
            next += 1;
            row
        };
        let ends = around.center.iter().map(|x| {
            let x = f64::from(*x);
            (x - around.epsilon, x + around.epsilon)
        });
        let ends: Vec<(f64, f64)> = ends.collect();
        let mut all =
            Self { rows: vec![ends.iter().map(|e| fresh(*e)).collect()], ends: vec![ends] };
        let mut from = 0;
        for layer in &net.layers[..net.layers.len() - 1] {
            let before = &all.rows[all.rows.len() - 1];
            let (mut rows, mut ends) = (Vec::new(), Vec::new());
            for i in 0..layer.rows {
                let (lo, hi) = wide((lo[from + i], hi[from + i]));
                ends.push((lo.max(0.0), hi.max(0.0)));
                rows.push(if lo >= 0.0 {
                    sum(layer, i, before)
                } else if hi <= 0.0 {
                    vec![0.0; order]
                } else {
                    fresh((0.0, hi))
                });
            }
            from += layer.rows;
            all.rows.push(rows);
            all.ends.push(ends);
        }
        assert_eq!(next, order);
        all
    }
}

/// A neuron's pre-activation over the rows of the layer before.
fn sum(layer: &Affine, i: usize, before: &[Vec<f64>]) -> Vec<f64> {
    let mut sum = vec![0.0; before[0].len()];
    sum[0] = layer.bias[i].into();
    for (w, row) in layer.weights[i * layer.cols..][..layer.cols].iter().zip(before) {
        sum.iter_mut().zip(row).for_each(|(sum, a)| *sum += f64::from(*w) * a);
    }
    sum
}

/// Whether a symmetric matrix has no eigenvalue much below 0.
fn is_semidefinite(x: &Array2<f64>) -> bool {
    let n = x.nrows();
    let mut l = x + &(Array2::<f64>::eye(n) * 1e-9);
    for j in 0..n {
        for k in 0..j {
            let factor = l[[j, k]];
            for i in j..n {
                let known = l[[i, k]];
                l[[i, j]] -= known * factor;
            }
        }
        if !(l[[j, j]] > 0.0) {
            return false;
        }
        let root = l[[j, j]].sqrt();
        (j..n).for_each(|i| l[[i, j]] /= root);
    }
    true
}

#[test]
fn bounds_are_the_optimum_by_a_point_of_equation_7() {
    // Weak duality, both ways round.
    let (seed, mut most, mut tied) = (seed(SEED), 0.0f64, 0);
    for index in 0..many(60) as u64 {
        let mut rng = Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(index));
        let mut sizes: Vec<usize> = (0..rng.usize(2..5)).map(|_| rng.usize(2..16)).collect();
        sizes.push(2);
        let depth = sizes.len() - 1;
        let net = random(&mut rng, &sizes, Activation::Relu);
        let center: Vec<f32> = (0..sizes[0]).map(|_| rng.f32()).collect();
        let epsilon = [0.0625, 0.25, 1.0][rng.usize(..3)];
        let around = Around { center: &center, epsilon, norm: Norm::Linf, clip: None };
        let words = words(&net);
        let model = Model::from_words(&words).expect("packed here");
        let (mut runner, semantics) = (Runner::new(model, false), Semantics::Real);
        let (spec, row) = (Spec::Margins { class: 0 }, [1.0, -1.0]);
        let Crown { lower: crown, lo, hi } =
            crown(&mut runner, &around, semantics, &spec).expect("small");
        let program = Program::new(&model, &around, semantics, (&lo, &hi)).expect("ReLUs");
        let objective = program.objective(&row);
        let found = Interior::default().solve(&program, &objective, &mut |_, _| false);
        assert_eq!(
            found.trouble, None,
            "{index} {sizes:?} {epsilon} order {} value {}",
            program.order, found.value
        );
        let bound = sdp::proof::lower(&program, &objective, &found.multipliers);
        let x = found.products.expect("an optimum has one");

        let layered = Layered::new(&net, &around, (&lo, &hi), program.order);
        let at =
            |a: &[f64], b: &[f64]| Array1::from(a.to_vec()).dot(&x.dot(&Array1::from(b.to_vec())));
        let mut one = vec![0.0; program.order];
        one[0] = 1.0;
        let size = lo.iter().chain(&hi).fold(1.0f64, |m, z| m.max(z.abs().into()));
        let near = 1e-6 * size * size;
        assert!((x[[0, 0]] - 1.0).abs() < 1e-6 && is_semidefinite(&x), "{index}");
        for (k, (rows, ends)) in layered.rows.iter().zip(&layered.ends).enumerate() {
            for (i, (z, (lo, hi))) in rows.iter().zip(ends).enumerate() {
                let (square, first) = (at(z, z), at(z, &one));
                assert!(square <= (lo + hi) * first - lo * hi + near, "{index}: {k}, {i}");
                if k > 0 && *hi > 0.0 {
                    let w = sum(&net.layers[k - 1], i, &layered.rows[k - 1]);
                    assert!(first >= -near && first >= at(&w, &one) - near, "{index}: {k}, {i}");
                    assert!((square - at(&w, z)).abs() <= near, "{index}: {k}, {i}");
                }
            }
        }
        let last = &net.layers[depth - 1];
        let before = &layered.rows[depth - 1];
        let value = at(&sum(last, 0, before), &one) - at(&sum(last, 1, before), &one);
        let gap = (value - bound) / size.max(value.abs());
        most = most.max(gap);
        assert!(gap < 1e-5 && gap > -1e-6, "{index}: {value} {bound}");
        tied += usize::from(bound > f64::from(crown[0]) + 1e-3 * size);
    }
    println!("gaps up to {most:.1e}; {tied} above CROWN");
    assert!(tied > 10);
}
