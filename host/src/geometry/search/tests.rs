use certus_engine::model::Activation::{Identity, LeakyRelu, Relu};
use certus_engine::model::Model;
use certus_engine::region::Norm;

use super::{Budget, Found, search};
use crate::blob::{WeightKind, pack};
use crate::network::{Affine, Network, affine};

const NORMS: [Norm; 3] = [Norm::L1, Norm::L2, Norm::Linf];

fn words(layers: Vec<Affine>) -> Vec<u32> {
    pack(&Network { inputs: layers[0].cols, layers }, WeightKind::F32).expect("a network")
}

/// `1 - relu(|x| - 1)` against 0, |x| by two neurons: lost where `|x| >= 2`.
fn hat() -> Vec<u32> {
    words(vec![
        affine(&[&[1.0], &[-1.0]], &[0.0, 0.0], Relu),
        affine(&[&[1.0, 1.0]], &[-1.0], Relu),
        affine(&[&[-1.0], &[0.0]], &[1.0, 0.0], Identity),
    ])
}

/// `7 - relu(3 x + 4 y)` against 0.
fn slope() -> Vec<u32> {
    words(vec![
        affine(&[&[3.0, 4.0]], &[0.0], Relu),
        affine(&[&[-1.0], &[0.0]], &[7.0, 0.0], Identity),
    ])
}

fn run(words: &[u32], x: &[f32], norm: Norm, clip: Option<(&[f32], &[f32])>) -> Found {
    let model = Model::from_words(words).expect("a model");
    search(&model, x, 0, norm, clip, &Budget::default()).expect("a search")
}

fn assert_exact(found: &Found, distance: f64) {
    let violation = found.violation.as_ref().expect("a violation");
    assert!(found.exact, "{found:?}");
    assert!(found.radius <= distance && distance <= violation.distance, "{found:?} {distance}");
    assert!(violation.distance - found.radius <= 1e-6 * distance, "{found:?} {distance}");
}

#[test]
fn crosses_facets_on_both_sides() {
    for norm in NORMS {
        // Over x = 1 to 2; the other side is farther, and nearer from the left.
        assert_exact(&run(&hat(), &[0.25], norm, None), 1.75);
        assert_exact(&run(&hat(), &[-0.25], norm, None), 1.75);
        // In the box only -2 is left, beyond two facets.
        let boxed = run(&hat(), &[0.25], norm, Some((&[-3.0], &[1.5])));
        assert_exact(&boxed, 2.25);
        assert!(boxed.regions >= 3);
        assert_eq!(boxed.violation.expect("one").point, [-2.0]);
    }
}

#[test]
fn starts_on_both_sides_of_a_facet() {
    for (norm, distance) in NORMS.into_iter().zip([1.75, 1.4, 1.0]) {
        assert_exact(&run(&slope(), &[0.0, 0.0], norm, None), distance);
    }
    // y <= 1/2 leaves x = 5/3.
    let clip: Option<(&[f32], &[f32])> = Some((&[-1.0, -1.0], &[2.0, 0.5]));
    for (norm, distance) in NORMS.into_iter().zip([13.0 / 6.0, (109.0f64 / 36.0).sqrt(), 5.0 / 3.0])
    {
        assert_exact(&run(&slope(), &[0.0, 0.0], norm, clip), distance);
    }
}

#[test]
fn a_box_without_a_violation_is_certified_to_the_limit() {
    for norm in NORMS {
        let found = run(&slope(), &[0.0, 0.0], norm, Some((&[-1.0, -1.0], &[0.99, 0.99])));
        assert_eq!((found.radius, found.violation), (Budget::default().limit, None));
    }
}

#[test]
fn leaky_and_cut_outputs() {
    // 1 + leaky(x) against 0, slope 1/4: lost for x <= -4.
    let leaky = words(vec![
        affine(&[&[1.0]], &[0.0], LeakyRelu(0.25)),
        affine(&[&[1.0], &[0.0]], &[1.0, 0.0], Identity),
    ]);
    // relu(x) against relu(x - 1): equal where x <= 0, though x > x - 1.
    let cut = words(vec![affine(&[&[1.0], &[1.0]], &[0.0, -1.0], Relu)]);
    for norm in NORMS {
        assert_exact(&run(&leaky, &[0.5], norm, None), 4.5);
        assert_exact(&run(&cut, &[3.0], norm, None), 3.0);
    }
}

#[test]
fn copies_bend_together() {
    // Ten copies of x + y, five of them negated, and zero neurons: few regions all the same.
    let (row, minus, zero) = ([1.0, 1.0], [-1.0, -1.0], [0.0, 0.0]);
    let mut rows: Vec<&[f32]> = vec![&row; 5];
    rows.extend(vec![&minus[..]; 5]);
    rows.extend(vec![&zero[..]; 5]);
    let mut up = vec![0.25; 5];
    up.extend(vec![0.5; 5]);
    up.extend(vec![1.0; 5]);
    // 1.25*relu(s) + 2.5*relu(-s) <= 5 for s = x + y: from s = 1 the nearest end is 4.
    let up: Vec<f32> = up.into_iter().map(|w: f32| -w).collect();
    let net = words(vec![
        affine(&rows, &[0.0; 15], Relu),
        affine(&[&up, &[0.0; 15]], &[5.0, 0.0], Identity),
    ]);
    for (norm, distance) in NORMS.into_iter().zip([3.0, 4.5f64.sqrt(), 1.5]) {
        let found = run(&net, &[1.0, 0.0], norm, None);
        assert_exact(&found, distance);
        assert!(found.regions <= 2, "{found:?}");
    }
    // On the facet; the left end, -2, is nearer.
    assert_exact(&run(&net, &[0.5, -0.5], Norm::L1, None), 2.0);
}

#[test]
fn misclassified_and_tied_points_have_no_radius() {
    for (x, norm) in [[5.0], [2.0], [-2.0]].into_iter().flat_map(|x| NORMS.map(|norm| (x, norm))) {
        let found = run(&hat(), &x, norm, None);
        assert_eq!((found.radius, found.exact), (0.0, true));
        assert_eq!(found.violation.expect("the point itself").distance, 0.0);
    }
}

/// A small network whose numbers are drawn from a fixed sequence.
fn drawn(seed: u32, sizes: &[usize]) -> Vec<u32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0
    };
    let mut layers: Vec<Affine> = sizes
        .windows(2)
        .map(|size| Affine {
            rows: size[1],
            cols: size[0],
            weights: (0..size[0] * size[1]).map(|_| next()).collect(),
            bias: (0..size[1]).map(|_| 0.5 * next()).collect(),
            activation: Relu,
            through: 0,
            weight_error: 0.0,
            bias_error: 0.0,
        })
        .collect();
    layers.last_mut().expect("a layer").activation = Identity;
    words(layers)
}

/// The margin of class 0 by plain arithmetic.
fn margin(model: &Model<'_>, x: &[f64]) -> f64 {
    let mut x = x.to_vec();
    for layer in model.layers() {
        let z = |i: usize| {
            let dot: f64 =
                x.iter().enumerate().map(|(j, x)| f64::from(layer.row(i).get(j)) * x).sum();
            let z = dot + f64::from(layer.bias[i]);
            if layer.activation == Relu { z.max(0.0) } else { z }
        };
        x = (0..layer.rows).map(z).collect();
    }
    x[1..].iter().map(|y| x[0] - y).fold(f64::INFINITY, f64::min)
}

fn length(d: [f64; 2], norm: Norm) -> f64 {
    match norm {
        Norm::L1 => d[0].abs() + d[1].abs(),
        Norm::L2 => d[0].hypot(d[1]),
        Norm::Linf => d[0].abs().max(d[1].abs()),
        Norm::Lp(_) => panic!("{norm} is not searched"),
    }
}

#[test]
fn a_grid_finds_nothing_nearer_and_something_as_near() {
    let mut closed = 0;
    for seed in 0..24 {
        // Every third has more neurons than a program takes at once.
        let sizes: &[usize] = if seed % 3 == 0 { &[2, 60, 3] } else { &[2, 8, 6, 3] };
        let net = drawn(seed, sizes);
        let model = Model::from_words(&net).expect("a model");
        let u = [0.1, -0.2];
        if margin(&model, &u.map(f64::from)) <= 0.0 {
            continue;
        }
        for norm in NORMS {
            let found = run(&net, &u, norm, None);
            let Some(violation) = &found.violation else { continue };
            assert!(found.exact, "{found:?}");
            closed += 1;
            // A grid a little wider than the ball.
            let (steps, reach) = (150i32, 1.05 * violation.distance);
            let step = reach / f64::from(steps);
            let mut least = f64::INFINITY;
            for (i, j) in (-steps..=steps).flat_map(|i| (-steps..=steps).map(move |j| (i, j))) {
                let d = [f64::from(i) * step, f64::from(j) * step];
                if margin(&model, &[f64::from(u[0]) + d[0], f64::from(u[1]) + d[1]]) <= 0.0 {
                    least = least.min(length(d, norm));
                }
            }
            assert!(least >= found.radius * (1.0 - 1e-9), "{least} within {found:?}");
            // Thin wedges may slip through the grid, but not by much.
            assert!(least <= violation.distance + 8.0 * step, "{least} beyond {found:?}");
        }
    }
    assert!(closed > 20, "{closed} closed");
}

#[test]
fn a_larger_budget_never_gives_less() {
    for seed in 0..12 {
        let net = drawn(seed, &[3, 10, 6, 3]);
        let model = Model::from_words(&net).expect("a model");
        let u = [0.1, -0.2, 0.3];
        for norm in NORMS {
            let ask = |regions: usize, programs: usize| {
                let budget = Budget { regions, programs, limit: 100.0 };
                search(&model, &u, 0, norm, None, &budget).expect("a search")
            };
            let full = ask(100_000, 1_000_000);
            for spent in [true, false] {
                let mut before = 0.0;
                for k in (0..8).map(|i| 1usize << i) {
                    let found = if spent { ask(k, 1_000_000) } else { ask(100_000, k) };
                    assert!(found.radius >= before, "{found:?} after {before}");
                    assert!(found.radius <= full.radius, "{found:?} beyond {full:?}");
                    let near = |found: &Found| found.violation.as_ref().map(|v| v.distance);
                    if let (Some(a), Some(b)) = (near(&found), near(&full)) {
                        assert!(found.radius <= a && full.radius <= b);
                    }
                    before = found.radius;
                }
            }
        }
    }
}

#[test]
fn original_weights_are_covered() {
    // 7 - a relu(b x + c y) with a, b, c a hundredth larger: 7 / (7.07*1.01) in linf.
    let mut layers = vec![
        affine(&[&[3.0, 4.0]], &[0.0], Relu),
        affine(&[&[-1.0], &[0.0]], &[7.0, 0.0], Identity),
    ];
    layers.iter_mut().for_each(|layer| layer.weight_error = 0.01);
    let found = run(&words(layers), &[0.0, 0.0], Norm::Linf, None);
    let worst = 7.0 / (7.07 * 1.01);
    assert!(found.radius <= worst * (1.0 + 1e-7) && found.radius > 0.97 * worst, "{found:?}");
    assert!(found.violation.is_none_or(|violation| violation.distance >= 1.0));
}

#[test]
fn what_overflows_certifies_nothing() {
    // f64 holds no product of nine such weights.
    let mut layers = vec![affine(&[&[1e38, -2e38], &[3e38, 1e38]], &[1.0, -1.0], Relu)];
    let inner = affine(&[&[1e38, 2e38], &[3e38, -1e38]], &[1.0, 2.0], Relu);
    layers.extend(vec![inner; 9]);
    layers.push(affine(&[&[1e38, 0.0], &[0.0, 1e38]], &[0.0, 0.0], Identity));
    let net = words(layers);
    for norm in NORMS {
        let found = run(&net, &[0.5, 0.25], norm, None);
        assert!(found.radius <= 1.0 && found.violation.is_none(), "{found:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let net = hat();
    let model = Model::from_words(&net).expect("a model");
    let ask = |x: &[f32], class, clip, limit| {
        let budget = Budget { limit, ..Budget::default() };
        search(&model, x, class, Norm::L2, clip, &budget).expect_err("refused").to_string()
    };
    assert!(ask(&[0.0, 1.0], 0, None, 1.0).contains("2 coordinates, the model has 1 inputs"));
    assert!(ask(&[f32::NAN], 0, None, 1.0).contains("coordinate 0"));
    assert!(ask(&[0.0], 2, None, 1.0).contains("class 2 of a model with 2 outputs"));
    assert!(ask(&[0.0], 0, Some((&[1.0], &[2.0])), 1.0).contains("no point in coordinate 0"));
    assert!(ask(&[0.0], 0, None, f64::NAN).contains("limit of NaN"));
    let lp = Norm::new(3.0).expect("a norm");
    let general = search(&model, &[0.0], 0, lp, None, &Budget::default()).expect_err("refused");
    assert!(general.to_string().contains("region search in l3, expected l1, l2 or linf"));
}
