//! The forward pass with its enclosure, and the class of its outputs.

use certus::blob::{WeightKind, pack};
use certus::cpu::Fast;
use certus_engine::bounds::{
    Arithmetic, Error, Method, Portable, Semantics, Size, Workspace, argmax, forward,
    forward_enclosed,
};
use certus_engine::model::Model;
use certus_engine::region::RegionError;
use certus_tests::ask::storable;
use certus_tests::generate::{Kind, case};
use certus_tests::members::members;
use certus_tests::oracle;
use certus_tests::passes::{Order, pass};
use certus_tests::plan::{many, seed};
use certus_tests::rational::{compare, from_slice};

const SEED: u64 = 101;

fn enclosed<A: Arithmetic>(
    arith: &mut A,
    model: &Model<'_>,
    x: &[f32],
    semantics: Semantics,
) -> Result<Vec<(f32, f32)>, Error> {
    let size = Size::of(model, Method::Ibp, 2);
    let (mut floats, mut indices) = (vec![f32::NAN; size.floats], vec![0; size.indices]);
    let workspace = Workspace { floats: &mut floats, indices: &mut indices };
    let n = model.outputs();
    let mut out = vec![f32::NAN; 2 * n];
    forward_enclosed(arith, model, x, semantics, workspace, &mut out)?;
    Ok((0..n).map(|i| (out[i], -out[n + i])).collect())
}

#[test]
fn outputs_lie_in_their_enclosures() {
    let seed = seed(SEED);
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut points, mut refused) = (0, 0);
    for kind in Kind::ALL {
        for index in 0..many(80) as u64 {
            let mut case = case(seed, kind, index);
            storable(&mut case.net);
            let words = pack(&case.net, WeightKind::F32).unwrap();
            let model = Model::from_words(&words).unwrap();
            let mut fast = Fast::new(model.depth(), false);
            for x in members(&case.region, &[], 3, &mut rng).iter().take(8) {
                let truth = oracle::forward(&case.net, &from_slice(x));
                for semantics in [Semantics::Real, Semantics::Deployed] {
                    let portable = enclosed(&mut Portable, &model, x, semantics);
                    let hosted = enclosed(&mut fast, &model, x, semantics);
                    let (Ok(portable), Ok(hosted)) = (portable, hosted) else {
                        assert!(matches!(kind, Kind::Wide), "{}: refused", case.name);
                        refused += 1;
                        continue;
                    };
                    for ends in [&portable, &hosted] {
                        for ((lo, hi), y) in ends.iter().zip(&truth) {
                            let inside = compare(*lo, y).is_le() && compare(*hi, y).is_ge();
                            assert!(inside, "{}: {x:?}", case.name);
                        }
                        if semantics == Semantics::Real {
                            continue;
                        }
                        for order in Order::ALL {
                            for ((lo, hi), y) in ends.iter().zip(pass(&case.net, x, order).1) {
                                assert!(*lo <= y && y <= *hi, "{}: {order:?}", case.name);
                            }
                        }
                    }
                    points += 1;
                }
            }
        }
    }
    println!("{points} enclosures, {refused} refused");
    assert!(points > 2000);
}

#[test]
fn classes_and_odd_inputs() {
    assert_eq!(argmax(&[]), None);
    assert_eq!(argmax(&[1.0, 3.0, 3.0]), Some(1));
    assert_eq!(argmax(&[-0.0, 0.0]), Some(0));
    assert_eq!(argmax(&[f32::NEG_INFINITY; 2]), Some(0));
    assert_eq!(argmax(&[1.0, f32::INFINITY]), Some(1));
    for at in 0..3 {
        let mut y = [1.0, 2.0, 3.0];
        y[at] = f32::NAN;
        assert_eq!(argmax(&y), None);
    }
    let case = case(seed(SEED), Kind::Gaussian, 3);
    let words = pack(&case.net, WeightKind::F32).unwrap();
    let model = Model::from_words(&words).unwrap();
    let n = model.inputs();
    let mut out = vec![0.0; model.outputs()];
    let mut scratch = vec![0.0; 2 * model.width()];
    for at in 0..n {
        let mut x = vec![0.5; n];
        x[at] = f32::NAN;
        // A NaN is not taken for a 0 by the activations.
        forward(&Portable, &model, &x, &mut scratch, &mut out).unwrap();
        assert!(out.iter().all(|y| y.is_nan()));
        assert_eq!(argmax(&out), None);
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2f32.powi(100)] {
            x[at] = odd;
            let found = enclosed(&mut Portable, &model, &x, Semantics::Real);
            assert_eq!(found, Err(Error::Region(RegionError::Entry(at))));
        }
    }
    let x = vec![0.5; n];
    let short = &mut scratch[1..];
    assert_eq!(forward(&Portable, &model, &x, short, &mut out), None);
    assert_eq!(forward(&Portable, &model, &x[1..], &mut scratch, &mut out), None);
    let none = &mut out[1..];
    assert_eq!(forward(&Portable, &model, &x, &mut scratch, none), None);
}
