//! Hand-computed bounds of a small network, in every method.

extern crate std;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::model::{Model, blob};
use crate::region::{Norm, Region};
use crate::spec::Spec;

/// Rows, columns, activation code, weights, biases.
pub(crate) type Layer<'a> = (usize, usize, u32, &'a [f32], &'a [f32]);

/// Every method, intervals first.
const METHODS: [Method; 6] = [
    Method::Ibp,
    Method::CrownIbp,
    Method::FastLin,
    Method::Crown,
    Method::Forward,
    Method::ForwardBackward,
];

/// A blob of these layers.
pub(crate) fn build(layers: &[Layer<'_>]) -> Vec<u32> {
    let mut words = vec![0u32; blob::align(8 + blob::ENTRY_WORDS * layers.len())];
    for (k, (rows, cols, code, weights, bias)) in layers.iter().enumerate() {
        let w = words.len();
        words.extend(weights.iter().map(|x| x.to_bits()));
        words.resize(blob::align(words.len()), 0);
        let b = words.len();
        words.extend(bias.iter().map(|x| x.to_bits()));
        words.resize(blob::align(words.len()), 0);
        let entry = [*rows as u32, *cols as u32, *code, 0, w as u32, b as u32, 0, 0];
        words[8 + blob::ENTRY_WORDS * k..][..8].copy_from_slice(&entry);
    }
    let header = [
        blob::MAGIC,
        blob::VERSION,
        words.len() as u32,
        0,
        layers.len() as u32,
        layers[0].1 as u32,
        layers[layers.len() - 1].0 as u32,
        0,
    ];
    words[..8].copy_from_slice(&header);
    words[3] = blob::crc(&words);
    words
}

/// `y = relu(x0 + x1) + relu(x0 - x1) - 1` (a trained-net miniature of two hidden neurons).
fn two_neurons() -> Vec<u32> {
    build(&[
        (2, 2, blob::RELU, &[1.0, 1.0, 1.0, -1.0], &[0.0, 0.0]),
        (1, 2, blob::IDENTITY, &[1.0, 1.0], &[-1.0]),
    ])
}

fn run(words: &[u32], region: &Region<'_>, spec: &Spec<'_>, options: &Options) -> Vec<f32> {
    let model = Model::from_words(words).unwrap();
    let size = Size::of_options(&model, options, 4);
    let (mut floats, mut indices) = (vec![f32::NAN; size.floats], vec![9; size.indices]);
    let workspace = Workspace { floats: &mut floats, indices: &mut indices };
    let mut out = vec![0.0; spec.count(model.outputs())];
    lower_bounds(&mut Portable, &model, region, spec, options, workspace, &mut out).unwrap();
    out
}

fn close(found: f32, exact: f32) -> bool {
    found <= exact && found >= exact - 3e-5
}

#[test]
fn linf_by_hand() {
    let words = two_neurons();
    let region = Region::ball(&[0.5, 0.0], 1.0, Norm::Linf);
    // Both pre-activations lie in [-1.5, 2.5]: upper line 0.625 z + 0.9375, lower line z (Adaptive),
    // 0.625 z (Fast-Lin). y - bounds from below: IBP 0+0-1; CROWN (x0+x1)+(x0-x1)-1 = 2 x0 - 1 >= -2;
    // Fast-Lin 0.625*2*x0 - 1 >= -1.625. From above: 2*0.625*x0 + 1.875 - 1 <= 2.75, IBP 4.
    let bounds = |method| run(&words, &region, &Spec::Outputs, &Options::new(method));
    let ibp = bounds(Method::Ibp);
    assert!(close(ibp[0], -1.0) && close(ibp[1], -4.0), "{ibp:?}");
    let crown = bounds(Method::Crown);
    assert!(close(crown[0], -2.0) && close(crown[1], -2.75), "{crown:?}");
    let fast = bounds(Method::FastLin);
    assert!(close(fast[0], -1.625) && close(fast[1], -2.75), "{fast:?}");
}

/// Bounds, lower and upper ends, and work of a call on a workspace of exactly its size.
fn report(
    words: &[u32],
    region: &Region<'_>,
    spec: &Spec<'_>,
    options: &Options,
) -> (Vec<f32>, Vec<f32>, Vec<f32>, Work) {
    let model = Model::from_words(words).unwrap();
    let size = Size::of_options(&model, options, 1);
    let (mut floats, mut indices) = (vec![f32::NAN; size.floats], vec![9; size.indices]);
    let workspace = Workspace { floats: &mut floats, indices: &mut indices };
    let mut out = vec![0.0; spec.count(model.outputs())];
    let found = lower_bounds(&mut Portable, &model, region, spec, options, workspace, &mut out);
    let Bounds { work, lo, hi } = found.unwrap();
    let (lo, hi) = (lo.to_vec(), hi.to_vec());
    (out, lo, hi, work)
}

#[test]
fn carried_functions_by_hand() {
    // As `linf_by_hand`: x0' + x1' - 1 >= (x0 + x1) + (x0 - x1) - 1, from above by 0.625 z + 0.9375.
    let region = Region::ball(&[0.5, 0.0], 1.0, Norm::Linf);
    let plain = |method| Options { intersect: false, ..Options::new(method) };
    for method in [Method::Forward, Method::ForwardBackward] {
        let found = run(&two_neurons(), &region, &Spec::Outputs, &plain(method));
        assert!(close(found[0], -2.0) && close(found[1], -2.75), "{method:?} {found:?}");
    }
    // Over the boxes of the activations y >= 0 + 0 - 1.
    let found = run(&two_neurons(), &region, &Spec::Outputs, &Options::new(Method::Forward));
    assert!(close(found[0], -1.0) && close(found[1], -2.75), "{found:?}");

    // a = relu(x), x <= a <= x/2 + 1/2; z = (a + 2, 2 - a), y = z0 + z1 = 4. Carried forward
    // x + 2 <= z0 <= x/2 + 5/2 and 3/2 - x/2 <= z1 <= 2 - x: 7/2 + x/2 <= y <= 9/2 - x/2.
    let words = build(&[
        (1, 1, blob::RELU, &[1.0], &[0.0]),
        (2, 1, blob::RELU, &[1.0, -1.0], &[2.0, 2.0]),
        (1, 2, blob::IDENTITY, &[1.0, 1.0], &[0.0]),
    ]);
    let region = Region::ball(&[0.0], 1.0, Norm::Linf);
    let ask = |options: &Options| report(&words, &region, &Spec::Outputs, options);
    let all = |found: &[f32], exact: &[f32]| {
        found.iter().zip(exact).all(|(found, exact)| close(*found, *exact))
    };
    let negated = |hi: &[f32]| hi.iter().map(|x| -x).collect::<Vec<_>>();
    let every = Options { every_neuron: true, ..plain(Method::Forward) };
    let (out, lo, hi, _) = ask(&every);
    assert!(all(&out, &[3.0, -5.0]), "{out:?}");
    assert!(all(&lo, &[-1.0, 1.0, 1.0, 3.0]), "{lo:?}");
    assert!(all(&negated(&hi), &[-1.0, -3.0, -3.0, -5.0]), "{hi:?}");
    let (out, lo, hi, work) = ask(&Options::new(Method::Forward));
    assert!(all(&out, &[3.0, -5.0]) && all(&lo[1..3], &[2.0, 1.0]), "{out:?} {lo:?}");
    assert!(all(&negated(&hi)[1..3], &[-3.0, -2.0]), "{hi:?}");
    // Layer 1: a row each of M and R for two neurons. The rows: back through two neurons, then M and R.
    assert_eq!((work.product_macs, work.dense_macs), (4 + 4 + 8, 4 + 2 * (2 + 4)));
    let (out, ..) = ask(&Options::new(Method::ForwardBackward));
    assert!(all(&out, &[4.0, -4.0]), "{out:?}");
}

#[test]
fn functions_follow_the_sign_of_slopes() {
    // Slopes -1 and 1, both exact.
    let words = build(&[
        (2, 1, blob::ABS, &[1.0, -2.0], &[0.0, 0.0]),
        (2, 2, blob::ABS, &[1.0, -1.0, -1.0, -1.0], &[0.0, 0.0]),
        (1, 2, blob::IDENTITY, &[1.0, 2.0], &[0.0]),
    ]);
    // a = (-x, -2x), b = (|x|, |3x|) = (-x, -3x), y = -7x.
    let region = Region::ball(&[-0.5], 0.25, Norm::Linf);
    for method in [Method::Forward, Method::ForwardBackward] {
        let found = run(&words, &region, &Spec::Outputs, &Options::new(method));
        assert!(close(found[0], 1.75) && close(found[1], -5.25), "{method:?} {found:?}");
    }
}

#[test]
fn what_the_products_drop_is_charged() {
    // y = (1 + 1023/2^25) x over [-1, 1]: beside the 1, its lane of the sum drops 2^-25 each time.
    const N: usize = 1024;
    let mut first = [1.0 / (1u32 << 25) as f32; N];
    first[0] = 1.0;
    let words = build(&[
        (N, 1, blob::IDENTITY, &first, &[0.0; N]),
        (1, N, blob::IDENTITY, &[1.0; N], &[0.0]),
        (1, 1, blob::IDENTITY, &[1.0], &[0.0]),
    ]);
    let region = Region::ball(&[0.0], 1.0, Norm::Linf);
    let exact = 1.0 + 1023.0 / f64::from(1u32 << 25);
    let merged = build(&[
        (N, 1, blob::IDENTITY, &first, &[0.0; N]),
        (1, N, blob::IDENTITY, &[1.0; N], &[0.0]),
    ]);
    for words in [words, merged] {
        let options =
            Options { intersect: false, every_neuron: true, ..Options::new(Method::Forward) };
        let (out, lo, hi, _) = report(&words, &region, &Spec::Outputs, &options);
        for least in [out[0], out[1], lo[N], -hi[N]] {
            assert!(f64::from(least) <= -exact && least > -1.001, "{least}");
        }
    }
}

#[test]
fn rows_that_pass_by_are_carried_as_they_are() {
    // a = (x, relu(x)) over [-1, 1], y = relu(x) - x = max(0, -x) as x <= relu(x) <= x/2 + 1/2.
    let mut words = build(&[
        (2, 1, blob::RELU, &[1.0, 1.0], &[0.0, 0.0]),
        (2, 2, blob::IDENTITY, &[1.0, 0.0, 0.0, 1.0], &[0.0, 0.0]),
        (1, 2, blob::IDENTITY, &[-1.0, 1.0], &[0.0]),
    ]);
    words[8 + 9] = 1;
    words[blob::CRC_WORD] = blob::crc(&words);
    let region = Region::ball(&[0.0], 1.0, Norm::Linf);
    for method in [Method::Crown, Method::Forward, Method::ForwardBackward] {
        let found = run(&words, &region, &Spec::Outputs, &Options::new(method));
        // From above 1/2 - x/2 <= 1.
        assert!(close(found[0], 0.0) && close(found[1], -1.0), "{method:?} {found:?}");
    }
}

#[test]
fn walks_after_functions_are_as_tight_and_fewer() {
    let words = build(&[
        (1, 1, blob::RELU, &[1.0], &[0.0]),
        (2, 1, blob::RELU, &[1.0, -1.0], &[-0.25, 0.5]),
        (2, 2, blob::RELU, &[1.0, 1.0, 1.0, -1.0], &[-0.375, 0.0]),
        (1, 2, blob::IDENTITY, &[1.0, 1.0], &[0.0]),
    ]);
    let region = Region::ball(&[0.0], 1.0, Norm::Linf);
    let crown = Options::new(Method::Crown);
    let both = Options { tighten: Tighten::Both, ..crown };
    let (plain, _, _, walked) = report(&words, &region, &Spec::Outputs, &crown);
    let (found, _, _, work) = report(&words, &region, &Spec::Outputs, &both);
    assert!(found.iter().zip(&plain).all(|(found, plain)| *found >= *plain - 1e-5));
    // Nothing is known better of layer 1 by a walk back.
    assert!(work.neurons + 2 <= walked.neurons, "{work:?} {walked:?}");
}

#[test]
fn l1_and_l2_by_hand() {
    let words = two_neurons();
    let bounds = |norm, method| {
        let region = Region::ball(&[2.0, 0.0], 1.0, norm);
        run(&words, &region, &Spec::Outputs, &Options::new(method))
    };
    // Both neurons are active (z >= 2 - sqrt 2 or more): y = 2 x0 - 1, gradient norm 2 either way.
    for norm in [Norm::L1, Norm::L2] {
        for method in [Method::Crown, Method::Forward] {
            let found = bounds(norm, method);
            assert!(close(found[0], 1.0) && close(found[1], -5.0), "{norm:?} {found:?}");
        }
    }
}

#[test]
fn general_norms_by_hand() {
    // ||(3, 4, 5)||_3 = 6, ||(4, 9, 1)||_1.5 = 36^(2/3).
    let root = 36f32.powf(2.0 / 3.0);
    for (p, a, dual) in [(1.5, [3.0, -4.0, 5.0], 6.0), (3.0, [4.0, -9.0, 1.0], root)] {
        let words = build(&[(1, 3, blob::IDENTITY, &a, &[1.0])]);
        let norm = Norm::new(p).unwrap();
        let ask = |region: &Region<'_>| {
            run(&words, region, &Spec::Outputs, &Options::new(Method::Crown))[0]
        };
        let x = [0.5; 3];
        let value = 1.0 + 0.5 * a.iter().sum::<f32>();
        assert!(close(ask(&Region::ball(&x, 0.25, norm)), value - 0.25 * dual), "{p}");
        // A box that does not cut, and one that leaves the first coordinate alone.
        let far = Region::ball_in_box(&x, 0.25, norm, &[-1.0; 3], &[2.0; 3]);
        assert!(close(ask(&far), value - 0.25 * dual), "{p}");
        let (lo, hi) = ([0.25, 0.5, 0.5], [0.75, 0.5, 0.5]);
        let line = Region::ball_in_box(&x, 0.25, norm, &lo, &hi);
        assert!(close(ask(&line), value - 0.25 * a[0]), "{p}");
    }
    // Cut at x0 >= 0.4: x0 moves 0.1, x1 (0.5^p - 0.1^p)^(1/p).
    let words = build(&[(1, 2, blob::IDENTITY, &[3.0, 4.0], &[0.0])]);
    for p in [1.25f64, 1.5, 3.0, 8.0] {
        let norm = Norm::new(p as f32).unwrap();
        let (x, lo, hi) = ([0.5f32, 0.5], [0.4f32, -9.0], [1.0f32, 9.0]);
        let cut = Region::ball_in_box(&x, 0.5, norm, &lo, &hi);
        let found = run(&words, &cut, &Spec::Outputs, &Options::new(Method::Crown))[0];
        let moved = (0.5f64.powf(p) - 0.1f64.powf(p)).powf(1.0 / p);
        let exact = (3.5 - 0.3 - 4.0 * moved) as f32;
        assert!(found <= exact + 1e-6 && found > exact - 1e-3, "{p}: {found} {exact}");
    }
}

#[test]
fn a_cut_ball_is_tighter() {
    let words = build(&[(1, 2, blob::IDENTITY, &[3.0, 4.0], &[0.0])]);
    let (x, lo, hi) = ([0.5f32, 0.5], [0.4f32, 0.0], [1.0f32, 1.0]);
    let bound =
        |region: &Region<'_>| run(&words, region, &Spec::Outputs, &Options::new(Method::Crown))[0];
    // Uncut: 3.5 - 0.5*5. Cut at x0 >= 0.4: x0 moves 0.1, x1 sqrt(0.25-0.01).
    assert!(close(bound(&Region::ball(&x, 0.5, Norm::L2)), 1.0));
    let exact = 3.5 - 0.3 - 4.0 * 0.24f32.sqrt();
    let cut = bound(&Region::ball_in_box(&x, 0.5, Norm::L2, &lo, &hi));
    assert!(cut <= exact && cut > exact - 1e-2, "{cut} {exact}");
    // l1: all of eps on x1 where it pays 4; it has room for it.
    let cut = bound(&Region::ball_in_box(&x, 0.45, Norm::L1, &lo, &hi));
    assert!(close(cut, 3.5 - 0.45 * 4.0));
    // l1 beyond the room of x1: 0.5 on x1, 0.1 on x0.
    let cut = bound(&Region::ball_in_box(&x, 0.6, Norm::L1, &lo, &hi));
    assert!(cut <= 3.5 - 2.0 - 0.3 && cut > 1.2 - 1e-2, "{cut}");
}

#[test]
fn deployed_is_never_above_real_and_covers_the_forward_pass() {
    let words = two_neurons();
    let model = Model::from_words(&words).unwrap();
    let x = [0.3f32, 0.1];
    let region = Region::ball(&x, 0.0, Norm::Linf);
    for method in METHODS {
        let real = Options::new(method);
        let deployed = Options { semantics: Semantics::Deployed, ..real };
        let real = run(&words, &region, &Spec::Outputs, &real)[0];
        let deployed = run(&words, &region, &Spec::Outputs, &deployed)[0];
        let mut y = [0.0];
        forward(&Portable, &model, &x, &mut [0.0; 4], &mut y).unwrap();
        assert!(deployed <= real && deployed <= y[0] && deployed > y[0] - 1e-4);
    }
}

#[test]
fn a_dead_layer_leaves_the_bias() {
    let words = build(&[
        (3, 1, blob::RELU, &[1.0, -1.0, 2.0], &[-9.0, -9.0, -9.0]),
        (2, 3, blob::RELU, &[1.0; 6], &[1.0, -1.0]),
        (2, 2, blob::IDENTITY, &[1.0, 0.0, 0.0, 1.0], &[0.0, 0.0]),
    ]);
    let region = Region::ball(&[0.0], 1.0, Norm::L2);
    for method in METHODS {
        let out = run(&words, &region, &Spec::Margins { class: 0 }, &Options::new(method));
        assert!(close(out[0], 1.0), "{method:?} {out:?}");
    }
}

#[test]
fn a_last_relu_costs_a_margin_nothing() {
    // z0 = x + 1, z1 = x - 1 over x in [-0.5, 3.5]: z0 - z1 = 2, z0 >= 0.5.
    let words = build(&[
        (1, 1, blob::IDENTITY, &[1.0], &[0.0]),
        (2, 1, blob::RELU, &[1.0, 1.0], &[1.0, -1.0]),
    ]);
    let region = Region::ball(&[1.5], 2.0, Norm::Linf);
    for method in &METHODS[1..] {
        let method = *method;
        let options = Options::new(method);
        let out = run(&words, &region, &Spec::Margins { class: 0 }, &options);
        assert!(close(out[0], 0.5), "{method:?} {out:?}");
        // Where the class's own output may be 0, so may the margin.
        let far = Region::ball(&[1.5], 2.5, Norm::Linf);
        let out = run(&words, &far, &Spec::Margins { class: 0 }, &options);
        assert!(close(out[0], 0.0), "{method:?} {out:?}");
        let out = run(&words, &region, &Spec::Margins { class: 1 }, &options);
        assert!(close(out[0], -2.0), "{method:?} {out:?}");
    }
}

#[test]
fn bad_calls_are_errors() {
    let words = two_neurons();
    let model = Model::from_words(&words).unwrap();
    let options = Options::new(Method::Crown);
    let spec = Spec::Outputs;
    let call = |region: &Region<'_>, spec: &Spec<'_>, floats: usize, outs: usize| {
        let (mut floats, mut indices) = (vec![0.0; floats], vec![0; 1000]);
        let workspace = Workspace { floats: &mut floats, indices: &mut indices };
        let mut out = vec![0.0; outs];
        lower_bounds(&mut Portable, &model, region, spec, &options, workspace, &mut out)
            .map(|bounds| bounds.work)
    };
    let x = [0.5f32, 0.0];
    let good = Region::ball(&x, 1.0, Norm::L2);
    assert!(call(&good, &spec, 1000, 2).is_ok());
    assert_eq!(call(&good, &spec, 10, 2), Err(Error::Workspace));
    assert_eq!(call(&good, &spec, 1000, 1), Err(Error::Workspace));
    assert_eq!(call(&good, &Spec::Margins { class: 1 }, 1000, 2), Err(Error::Spec));
    for radius in [-1.0, f64::NAN, f64::INFINITY, 1e31] {
        let region = Region::ball(&x, radius, Norm::L2);
        assert_eq!(call(&region, &spec, 1000, 2), Err(Error::Region(RegionError::Radius)));
    }
    let region = Region::ball(&x, 1e30, Norm::L2);
    assert_eq!(call(&region, &spec, 1000, 2), Err(Error::Magnitude { layer: 0 }));
    let nan = [0.5, f32::NAN];
    let region = Region::ball(&nan, 1.0, Norm::L2);
    assert_eq!(call(&region, &spec, 1000, 2), Err(Error::Region(RegionError::Entry(1))));
    let region = Region::Box { lo: &x, hi: &[0.4, 1.0] };
    assert_eq!(call(&region, &spec, 1000, 2), Err(Error::Region(RegionError::Empty(0))));
}
