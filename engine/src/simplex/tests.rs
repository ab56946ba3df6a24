//! Hand-computed distances.

extern crate std;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::bounds::tests::{Layer, build};
use crate::bounds::{Portable, Semantics};
use crate::model::blob;
use crate::spec::Spec;

/// `z = (x0 + x1, x0 - x1)`, relu; outputs `a0 + a1` and `2 a1 + 1`.
fn two_classes() -> Vec<u32> {
    build(&[
        (2, 2, blob::RELU, &[1.0, 1.0, 1.0, -1.0], &[0.0, 0.0]),
        (2, 2, blob::IDENTITY, &[1.0, 1.0, 0.0, 2.0], &[0.0, 1.0]),
    ])
}

fn run(words: &[u32], query: &Query<'_>, block: usize) -> (Simplex<4>, Vec<f32>) {
    let model = Model::from_words(words).unwrap();
    let size = size(&model, block);
    let (mut floats, mut indices) = (vec![f32::NAN; size.floats], vec![9; size.indices]);
    let workspace = Workspace { floats: &mut floats, indices: &mut indices };
    let mut nearest = vec![f32::NAN; model.inputs()];
    let found = simplex(&mut Portable, &model, query, workspace, &mut nearest).unwrap();
    (found, nearest)
}

/// Just below `expected`.
#[track_caller]
fn near(found: f32, expected: f64) {
    let found = f64::from(found);
    assert!(found <= expected && found > expected * (1.0 - 3e-5), "{found} {expected}");
}

#[test]
fn distances_in_every_norm() {
    // z = (5, 1): both live; f = (6, 3), and f0 - f1 = z0 - z1 - 1 = 2 x1 - 1 = 3 at x = (3, 2).
    let words = two_classes();
    let x = [3.0, 2.0];
    let root = 2f64.sqrt();
    for (norm, facets, decision) in [
        (Norm::Linf, [0.5, 2.5], 1.5),
        (Norm::L2, [1.0 / root, 5.0 / root], 1.5),
        (Norm::L1, [1.0, 5.0], 1.5),
    ] {
        for block in [1, 2] {
            let (found, row) = run(&words, &Query::margins(&x, norm, 0), block);
            assert_eq!(found.facets.as_slice().len(), 2);
            for (face, (expected, neuron)) in
                found.facets.as_slice().iter().zip(facets.into_iter().zip([1, 0]))
            {
                near(face.distance, expected);
                assert_eq!((face.layer, face.row), (0, neuron));
            }
            near(found.decision(), decision);
            assert_eq!((row, found.value), (vec![0.0, 2.0], 3.0));
            assert!(!found.is_exact());
            near(found.radius(), facets[0]);
        }
    }
}

#[test]
fn limits_are_rows_with_offsets() {
    // f = (2 x0, 2 (x0 - x1) + 1) = (20, 17) at x = (10, 2) while z = (12, 8) is live, dB = 4 (linf).
    let words = two_classes();
    let model = Model::from_words(&words).unwrap();
    for (lo, hi, row, distance) in [
        ([0.0, 7.0], [30.0, 40.0], 1, 2.5),
        ([0.0, 0.0], [26.0, 40.0], 2, 3.0),
        ([14.0, 0.0], [30.0, 40.0], 0, 3.0),
        ([0.0, 0.0], [30.0, 23.0], 3, 1.5),
    ] {
        let offsets = [-lo[0], -lo[1], hi[0], hi[1]];
        let query = Query {
            spec: Spec::Outputs,
            offsets: Some(&offsets),
            ..Query::margins(&[10.0, 2.0], Norm::Linf, 0)
        };
        let (found, nearest) = run(&words, &query, 1);
        near(found.decision(), distance);
        assert_eq!(found.decisions.first().map(|face| face.row), Some(row));
        assert!(found.is_exact());
        let mut x = [0.0; 2];
        let (mut floats, mut indices) = (vec![f32::NAN; 200], vec![9; 100]);
        let workspace = Workspace { floats: &mut floats, indices: &mut indices };
        let value = found.value;
        let violation =
            nearest_violation(&mut Portable, &model, &query, &nearest, value, workspace, &mut x);
        let violation = f64::from(violation.unwrap().unwrap().distance);
        assert!(violation >= distance && violation < distance * 1.001, "{violation}");
        // Kept at the point itself, broken where a limit is beyond it.
        let broken = [-21.0, -lo[1], hi[0], hi[1]];
        let (found, _) = run(&words, &Query { offsets: Some(&broken), ..query }, 1);
        assert_eq!(found.radius(), 0.0);
        assert!(found.decision() < 0.0);
    }
    for offsets in [&[0.0; 3][..], &[f32::NAN; 4], &[0.0, 0.0, 0.0, 1e31]] {
        let query = Query {
            spec: Spec::Outputs,
            offsets: Some(offsets),
            ..Query::margins(&[10.0, 2.0], Norm::Linf, 0)
        };
        assert_eq!(query.check(&model), Err(Error::Spec));
    }
}

/// A last ReLU keeps the order of outputs, not how far they are apart.
#[test]
fn an_offset_is_more_than_an_order() {
    // f = (relu(x + 1), relu(x - 1)) at x = 3: f0 - f1 = 2 until f1 is 0, at x = 1.
    let words = build(&[(2, 1, blob::RELU, &[1.0, 1.0], &[1.0, -1.0])]);
    for (margin, distance) in [(1.0, 2.0), (1.5, 2.0), (2.5, 0.0)] {
        let offsets = [-margin];
        let query = Query { offsets: Some(&offsets), ..Query::margins(&[3.0], Norm::L2, 0) };
        let (found, _) = run(&words, &query, 1);
        let radius = f64::from(found.radius());
        assert!(radius <= distance && radius >= distance * (1.0 - 1e-5), "{radius}");
    }
}

/// The bound of the work is reached: every neuron is walked to the end.
#[test]
fn most_work_is_reached() {
    // 3 inputs, 4 and 2 neurons; each as near as those before it, so that none is left out.
    let w0: Vec<f32> = (0..12).map(|i| if i % 5 == 0 { 1.0 } else { 0.25 }).collect();
    let w1 = [0.25, -0.25, 0.25, -0.25, 0.25, 0.25, -0.25, -0.25];
    let words = build(&[
        (4, 3, blob::RELU, &w0, &[4.0, 5.0, 6.0, 7.0]),
        (2, 4, blob::RELU, &w1, &[0.5, 0.25]),
        (2, 2, blob::IDENTITY, &[1.0, 0.5, -1.0, 0.5], &[0.0, 0.0]),
    ]);
    let model = Model::from_words(&words).unwrap();
    let spec = Spec::Outputs;
    let offsets = [8.0, 8.0, 16.0, 16.0];
    let x = [0.5, 0.25, -0.5];
    let query = Query { spec, offsets: Some(&offsets), ..Query::margins(&x, Norm::L1, 0) };
    let (found, _) = run(&words, &query, 1);
    // Four faces are asked for, more than most layers have: all are walked.
    let most = most_macs(&model, &spec);
    let macs = found.work.macs();
    assert!(macs <= most && macs as f64 >= 0.85 * most as f64, "{macs} of {most}");
}

#[test]
fn an_exact_distance_with_its_violation() {
    // z = (12, 8), f0 - f1 = 2 x1 - 1 = 3 at x = (10, 2): dD = 1.5 < dB = 4 (linf).
    let words = two_classes();
    let model = Model::from_words(&words).unwrap();
    let (lo, hi) = ([0.0, 0.4], [12.0, 3.0]);
    for norm in [Norm::Linf, Norm::L2, Norm::L1] {
        for clip in [None, Some((&lo[..], &hi[..]))] {
            let query = Query { clip, ..Query::margins(&[10.0, 2.0], norm, 0) };
            let (found, row) = run(&words, &query, 2);
            near(found.decision(), 1.5);
            assert!(found.is_exact());
            let (mut floats, mut indices) = (vec![0.0; 100], vec![0; 100]);
            let workspace = Workspace { floats: &mut floats, indices: &mut indices };
            let mut x = [f32::NAN; 2];
            let violation = nearest_violation(
                &mut Portable,
                &model,
                &query,
                &row,
                found.value,
                workspace,
                &mut x,
            );
            let violation = violation.unwrap().unwrap();
            assert!(violation.distance >= 1.5 && violation.distance < 1.5 * 1.001);
            assert!(2.0 * x[1] - 1.0 <= 0.0);
        }
    }
}

#[test]
fn distances_in_a_general_norm() {
    let words = two_classes();
    let model = Model::from_words(&words).unwrap();
    // Row (1, -1) of value 1, q = 1.5 and 3: 1/||(1, -1)||_q = 2^(-1/q).
    for (p, facet) in [(3.0, 0.5f64.powf(2.0 / 3.0)), (1.5, 0.5f64.cbrt())] {
        let norm = Norm::new(p).unwrap();
        let (found, row) = run(&words, &Query::margins(&[3.0, 2.0], norm, 0), 2);
        near(found.facets.first().unwrap().distance, facet);
        near(found.decision(), 1.5);
        assert_eq!(row, vec![0.0, 2.0]);
        // x1 stays above 1.5, so x0 has to fall by 0.75 at least where x1 rises by 0.25.
        let (lo, hi) = ([0.0, 1.5], [9.0, 2.25]);
        let query = Query { clip: Some((&lo, &hi)), ..Query::margins(&[3.0, 2.0], norm, 0) };
        let (found, _) = run(&words, &query, 2);
        let p = f64::from(p);
        near(
            found.facets.first().unwrap().distance,
            (0.75f64.powf(p) + 0.25f64.powf(p)).powf(1.0 / p),
        );
        assert_eq!(found.decision(), f32::INFINITY);
        // The exact distance is known: 2 x1 - 1 = 3.
        let (lo, hi) = ([0.0, 0.4], [12.0, 3.0]);
        for clip in [None, Some((&lo[..], &hi[..]))] {
            let query = Query { clip, ..Query::margins(&[10.0, 2.0], norm, 0) };
            let (found, row) = run(&words, &query, 2);
            assert!(found.is_exact());
            let (mut floats, mut indices) = (vec![0.0; 100], vec![0; 100]);
            let workspace = Workspace { floats: &mut floats, indices: &mut indices };
            let mut x = [f32::NAN; 2];
            let at = found.value;
            let violation =
                nearest_violation(&mut Portable, &model, &query, &row, at, workspace, &mut x);
            let violation = violation.unwrap().unwrap();
            assert!(violation.distance >= 1.5 && violation.distance < 1.5 * 1.001);
            assert!(2.0 * x[1] - 1.0 <= 0.0);
        }
    }
}

#[test]
fn a_box_moves_faces_away() {
    // In the box x1 cannot fall below 1.5, so f0 - f1 = 2 x1 - 1 stays positive, and z1 = x0 - x1
    // needs 1: with x1 up to 2.25 only, x0 falls by 0.75 at least.
    let words = two_classes();
    let (lo, hi) = ([0.0, 1.5], [9.0, 2.25]);
    let query = Query { clip: Some((&lo, &hi)), ..Query::margins(&[3.0, 2.0], Norm::Linf, 0) };
    let (found, _) = run(&words, &query, 2);
    near(found.facets.first().unwrap().distance, 0.75);
    assert_eq!(found.decision(), f32::INFINITY);
    let query = Query { clip: Some((&lo, &hi)), ..Query::margins(&[3.0, 2.0], Norm::L2, 0) };
    let (found, _) = run(&words, &query, 2);
    // (0.75, 0.25) away.
    near(found.facets.first().unwrap().distance, (0.75f64 * 0.75 + 0.0625).sqrt());
    let query = Query { clip: Some((&lo, &hi)), ..Query::margins(&[3.0, 2.0], Norm::L1, 0) };
    near(run(&words, &query, 2).0.facets.first().unwrap().distance, 1.0);
}

#[test]
fn wrong_classes_and_points_on_facets() {
    let words = two_classes();
    let (found, _) = run(&words, &Query::margins(&[3.0, 2.0], Norm::Linf, 1), 1);
    assert!((found.decision() + 1.5).abs() < 1e-4 && found.radius() == 0.0);
    // x0 = x1: z1 = 0.
    let (found, _) = run(&words, &Query::margins(&[2.0, 2.0], Norm::Linf, 0), 1);
    assert_eq!((found.boundary(), found.radius()), (0.0, 0.0));
    assert!(!found.is_exact());
    // f0 = f1 at x1 = 0.5.
    let (found, _) = run(&words, &Query::margins(&[3.0, 0.5], Norm::Linf, 0), 1);
    assert_eq!(found.decision(), 0.0);
    assert!(found.boundary() > 1.0);
}

#[test]
fn rows_of_zeros_never_bind() {
    let words = build(&[
        (3, 2, blob::RELU, &[1.0, 1.0, 0.0, 0.0, 0.0, 0.0], &[0.0, 0.0, -0.5]),
        (2, 3, blob::IDENTITY, &[1.0, 1.0, 1.0, 0.0, 5.0, 5.0], &[0.0, 1.0]),
    ]);
    let (found, _) = run(&words, &Query::margins(&[3.0, 2.0], Norm::Linf, 0), 1);
    near(found.boundary(), 2.5);
    near(found.decision(), 2.0);
}

#[test]
fn outputs_cut_at_zero() {
    // relu(x0), relu(x0 - 5): at x0 = 3 the margin is x0 itself, and 5 from class 1 and on.
    let words = build(&[(2, 1, blob::RELU, &[1.0, 1.0], &[0.0, -5.0])]);
    let (found, _) = run(&words, &Query::margins(&[3.0], Norm::L2, 0), 1);
    near(found.decision(), 3.0);
    assert_eq!(found.boundary(), f32::INFINITY);
    assert_eq!(found.decisions.as_slice().len(), 2);
    // As a specification of its own, the facets count.
    let spec = Spec::Rows { matrix: &[1.0, 0.0], rows: 1 };
    let (found, _) = run(&words, &Query { spec, ..Query::margins(&[3.0], Norm::L2, 0) }, 1);
    near(found.boundary(), 2.0);
}

#[test]
fn leaky_slopes_carry_on() {
    // z = (x, -x), leaky 0.5 at x = 2: a = (2, -1); f0 - f1 = a0 + a1 = 1 with slope 0.5.
    let layers: &[Layer<'_>] = &[
        (2, 1, blob::LEAKY_RELU, &[1.0, -1.0], &[0.0, 0.0]),
        (2, 2, blob::IDENTITY, &[1.0, 1.0, 0.0, 0.0], &[0.0, 0.0]),
    ];
    let mut words = build(layers);
    words[8 + 3] = 0.5f32.to_bits();
    words[3] = blob::crc(&words);
    let query = Query::margins(&[2.0], Norm::L2, 0);
    let (found, row) = run(&words, &query, 1);
    near(found.boundary(), 2.0);
    near(found.decision(), 2.0);
    assert_eq!(row, [0.5]);
    let (deployed, _) = run(&words, &Query { semantics: Semantics::Deployed, ..query }, 1);
    near(deployed.decision(), 2.0);
    assert!(deployed.decision() < found.decision());
}

#[test]
fn bad_queries_are_refused() {
    let words = two_classes();
    let model = Model::from_words(&words).unwrap();
    let refused = |query: &Query<'_>, floats: usize| {
        let (mut floats, mut indices) = (vec![0.0; floats], vec![0; 100]);
        let workspace = Workspace { floats: &mut floats, indices: &mut indices };
        simplex::<_, 1>(&mut Portable, &model, query, workspace, &mut []).unwrap_err()
    };
    let query = Query::margins(&[1.0, 2.0], Norm::L2, 0);
    assert_eq!(
        refused(&Query { x: &[1.0], ..query }, 100),
        refused(&Query { x: &[1.0], ..query }, 9)
    );
    assert!(matches!(refused(&Query { x: &[1.0, f32::NAN], ..query }, 100), Error::Region(_)));
    let clip = Some((&[0.0f32, 0.0][..], &[1.0f32, 1.0][..]));
    assert!(matches!(refused(&Query { clip, ..query }, 100), Error::Region(_)));
    assert_eq!(refused(&Query { spec: Spec::Margins { class: 2 }, ..query }, 100), Error::Spec);
    let size = size(&model, 1);
    assert_eq!(refused(&query, size.floats - 1), Error::Workspace);
    let fits = size.floats;
    let (mut floats, mut indices) = (vec![0.0; fits], vec![0; size.indices]);
    let workspace = Workspace { floats: &mut floats, indices: &mut indices };
    assert!(simplex::<_, 1>(&mut Portable, &model, &query, workspace, &mut []).is_ok());
}
