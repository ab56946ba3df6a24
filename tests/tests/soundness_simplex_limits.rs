//! The simplex certificate of rows with offsets: within its radius outputs stay within limits and
//! margins above a number, exactly and, in deployed semantics, as any forward pass computes them.

use certus::blob::{WeightKind, pack};
use certus::cpu::Runner;
use certus::network::Network;
use certus_engine::bounds::{Semantics, argmax};
use certus_engine::model::Model;
use certus_engine::region::Norm as Of;
use certus_engine::simplex::{Query, Simplex};
use certus_engine::spec::Spec;
use certus_tests::ask::storable;
use certus_tests::generate::{Kind, case};
use certus_tests::members::members;
use certus_tests::monitored::outputs;
use certus_tests::passes::{Order, pass};
use certus_tests::plan::{many, seed};
use certus_tests::rational::{Rational, exact};
use certus_tests::region::{Norm, Region};
use certus_tests::truth::{Truth, magnitudes};
use fastrand::Rng;

const SEED: u64 = 71;
const NORMS: [(Norm, Of); 3] = [(Norm::L1, Of::L1), (Norm::L2, Of::L2), (Norm::Linf, Of::Linf)];

/// Radii above 0, those that end at a decision, forward passes.
#[derive(Debug, Default)]
struct Tally {
    radii: usize,
    decisions: usize,
    passes: usize,
}

/// The rows of a specification, as the oracle takes them.
fn rows(spec: &Spec<'_>, n: usize) -> Vec<Vec<f32>> {
    (0..spec.count(n)).map(|r| (0..n).map(|j| spec.coefficient(r, j, n)).collect()).collect()
}

fn check(name: &str, net: &Network, query: &Query<'_>, rng: &mut Rng, tally: &mut Tally) {
    let words = pack(net, WeightKind::F32).expect(name);
    let model = Model::from_words(&words).expect(name);
    let offsets = query.offsets.expect("asked with offsets");
    let rows = rows(&query.spec, net.outputs());
    let norm = NORMS.iter().find(|(_, of)| *of == query.norm).expect("one of three").0;
    for mut runner in [Runner::new(model, false), Runner::device(model)] {
        let Ok(found) = runner.simplex(query) else { continue };
        let found: Simplex<1> = found;
        let radius = found.radius();
        if radius == 0.0 {
            continue;
        }
        tally.radii += 1;
        tally.decisions += usize::from(found.is_exact());
        // The certificate is of the open ball.
        let ball = Region::ball(query.x, f64::from(radius.min(1e9)).next_down(), norm);
        let truth = Truth::find(net, &ball, &rows).expect(name);
        let mut hints: Vec<Vec<Rational>> = Vec::new();
        for (range, offset) in truth.exact.spec.iter().zip(offsets) {
            let least = &range.min.inner + exact(*offset);
            assert!(least > exact(0.0f32), "{name}: {query:?}: {least} within {radius}");
            hints.push(range.min.at.clone());
        }
        if query.semantics == Semantics::Real {
            continue;
        }
        for x in members(&ball, &hints, 4, rng) {
            for y in Order::ALL.iter().map(|order| pass(net, &x, *order).1) {
                tally.passes += 1;
                for (row, offset) in rows.iter().zip(offsets) {
                    let terms = row.iter().zip(&y).map(|(c, y)| exact(*c) * exact(*y));
                    let value = terms.fold(exact(*offset), |sum, term| sum + term);
                    assert!(value > exact(0.0f32), "{name}: {query:?}: {y:?} at {x:?}");
                }
            }
        }
    }
}

#[test]
fn limits_and_margins() {
    let seed = seed(SEED);
    let mut rng = Rng::with_seed(seed);
    let mut tally = Tally::default();
    for kind in Kind::UNIFORM {
        for index in 0..many(40) as u64 {
            let mut case = case(seed, kind, index);
            storable(&mut case.net);
            let large = magnitudes(&case.net, &case.region);
            let Some((u, ..)) = case.region.as_ball() else { continue };
            if large.iter().flatten().any(|m| *m > 2f64.powi(80)) {
                continue;
            }
            let words = pack(&case.net, WeightKind::F32).unwrap();
            let y = outputs(&Model::from_words(&words).unwrap(), u);
            let size = y.iter().fold(1e-6f32, |most, y| most.max(y.abs()));
            let away = size * [1.0, 0.1, 1e-3, 1e-6][rng.usize(0..4)];
            // `y_j - lo_j`, then `hi_j - y_j`.
            let limits: Vec<f32> =
                y.iter().map(|y| away - y).chain(y.iter().map(|y| y + away)).collect();
            let class = argmax(&y).unwrap();
            let others = y.iter().enumerate().filter(|(j, _)| *j != class);
            let gap = others.map(|(_, other)| y[class] - other).fold(f32::INFINITY, f32::min);
            let margins = vec![-gap * rng.f32(); y.len() - 1];
            for (_, norm) in NORMS {
                for semantics in [Semantics::Real, Semantics::Deployed] {
                    let query = Query { semantics, ..Query::margins(u, norm, class) };
                    let kept = Query { spec: Spec::Outputs, offsets: Some(&limits), ..query };
                    check(&case.name, &case.net, &kept, &mut rng, &mut tally);
                    if !margins.is_empty() {
                        let ahead = Query { offsets: Some(&margins), ..query };
                        check(&case.name, &case.net, &ahead, &mut rng, &mut tally);
                    }
                }
            }
        }
    }
    println!("{tally:?}");
    assert!(tally.radii > 500 && tally.decisions > 100 && tally.passes > 10_000, "{tally:?}");
}
