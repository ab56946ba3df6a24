//! The simplex certificate against exact distances.

use certus_engine::bounds::{Arithmetic, Portable, Semantics, Workspace};
use certus_engine::model::Model;
use certus_engine::region::Norm;
use certus_engine::simplex::{
    self, Face, Known, Query, Simplex, first_rates, nearest_violation, row_norms, simplex,
};
use certus_tests::geometry::{Case, Distance, Kind, Region, between, case, nearest_adversarial};
use certus_tests::oracle::forward;
use certus_tests::outside::words;
use certus_tests::plan::{many, seed};
use certus_tests::rational::from_slice;
use certus_tests::region::Norm as Exact;
use rayon::prelude::*;

const SEED: u64 = 9;
const NORMS: [(Norm, Exact); 3] =
    [(Norm::L1, Exact::L1), (Norm::L2, Exact::L2), (Norm::Linf, Exact::Linf)];

/// More than any case has faces.
const ALL: usize = 32;

/// What one arithmetic finds, and the violation if it calls the distance exact.
struct Found<const K: usize> {
    simplex: Simplex<K>,
    violation: Option<(f32, Vec<f32>)>,
}

fn find<A: Arithmetic, const K: usize>(
    mut arith: A,
    model: &Model<'_>,
    query: &Query<'_>,
    block: usize,
) -> Found<K> {
    let size = simplex::size(model, block);
    let (mut floats, mut indices) = (vec![f32::NAN; size.floats], vec![7; size.indices]);
    let mut nearest = vec![f32::NAN; model.inputs()];
    let workspace = Workspace { floats: &mut floats, indices: &mut indices };
    let simplex = simplex::<A, K>(&mut arith, model, query, workspace, &mut nearest).expect("fits");
    let mut violation = None;
    if simplex.is_exact() {
        let (mut floats, mut indices) = (vec![f32::NAN; 4000], vec![7; 1000]);
        let workspace = Workspace { floats: &mut floats, indices: &mut indices };
        let mut x = vec![f32::NAN; model.inputs()];
        let value = simplex.value;
        violation = nearest_violation(&mut arith, model, query, &nearest, value, workspace, &mut x)
            .expect("fits")
            .map(|violation| (violation.distance, x));
    }
    Found { simplex, violation }
}

/// What the exact distances of a case are.
struct Truth {
    /// By layer and neuron.
    facets: Vec<(usize, usize, Distance)>,
    /// By row of the margins.
    decisions: Vec<Distance>,
    adversarial: Distance,
}

impl Truth {
    fn of(case: &Case, norm: Exact) -> Self {
        let mut region = Region::at(&case.net, &case.u);
        if let Some((lo, hi)) = case.within() {
            region = region.within(lo, hi);
        }
        let facets = region.facets(norm).into_iter();
        let adversarial = nearest_adversarial(&case.net, &case.u, case.class, norm, case.within());
        Self {
            facets: facets.map(|facet| (facet.layer, facet.unit, facet.distance)).collect(),
            decisions: region.decisions(case.class, norm).into_iter().map(|d| d.distance).collect(),
            adversarial: adversarial.map_or(Distance::INFINITE, |found| found.distance),
        }
    }
}

/// How far listed distances fall short of those of the real network, in units of `1 + distance`; and
/// how often is exact.
#[derive(Default)]
struct Tally {
    /// In real and in deployed semantics.
    short: [f64; 2],
    deployed: bool,
    exact: usize,
    replayed: usize,
    unsettled: usize,
    answers: usize,
}

/// A listed face against its exact distance: never beyond it, and not far short.
fn face(what: &str, face: &Face, truth: &Distance, tally: &mut Tally) {
    assert!(truth.at_least(face.distance), "{what}: {face:?} beyond {}", truth.to_f64());
    // Slopes of 1e-30 put hyperplanes where rounding is all there is.
    if truth.at_most(100.0) && !truth.is_negative() {
        let truth = truth.to_f64();
        let short = &mut tally.short[usize::from(tally.deployed)];
        *short = short.max((truth - f64::from(face.distance)) / (1.0 + truth));
    }
}

fn check<const K: usize>(
    what: &str,
    found: &Found<K>,
    truth: &Truth,
    case: &Case,
    norm: Exact,
    tally: &mut Tally,
) {
    let Found { simplex, violation } = found;
    tally.answers += 1;
    let settled = simplex.facets.first().is_none_or(|facet| facet.distance > 0.0);
    tally.unsettled += usize::from(!settled);
    for listed in simplex.facets.as_slice() {
        let (_, _, distance) = truth
            .facets
            .iter()
            .find(|(layer, unit, _)| (*layer, *unit) == (listed.layer, listed.row))
            .unwrap_or_else(|| panic!("{what}: no facet {listed:?}"));
        face(what, listed, distance, tally);
    }
    if settled {
        // What is not listed is not nearer.
        let last = simplex.facets.as_slice().last().map_or(f32::INFINITY, |facet| facet.distance);
        for (layer, unit, distance) in &truth.facets {
            let mut listed = simplex.facets.as_slice().iter();
            let is_listed = listed.any(|face| (face.layer, face.row) == (*layer, *unit));
            let far = simplex.facets.as_slice().len() < K || distance.at_least(last);
            assert!(
                is_listed || (far && distance.at_least(simplex.boundary())),
                "{what}: {layer} {unit}"
            );
        }
        assert_eq!(simplex.decisions.as_slice().len(), K.min(truth.decisions.len()), "{what}");
        for listed in simplex.decisions.as_slice() {
            assert_eq!(listed.layer, case.net.layers.len());
            let distance = &truth.decisions[listed.row];
            assert!(!(listed.distance > 0.0) || distance.at_least(listed.distance), "{what}");
            // A sign that is settled is the right one.
            assert!(!(listed.distance < 0.0) || distance.is_negative(), "{what}");
            if listed.distance > 0.0 || (listed.distance == 0.0 && !distance.is_negative()) {
                face(what, listed, distance, tally);
            }
        }
    }
    assert!(truth.adversarial.at_least(simplex.radius()), "{what}: radius {}", simplex.radius());
    if simplex.is_exact() {
        // Weights of 0 and rounding make hyperplanes that are not there, far away; and at 1e-3 an
        // enclosure in f32 may be as wide as 0.4 % of the margin.
        let far = simplex.decision() > 1e12 && !truth.adversarial.is_finite();
        let near = simplex.decision() < 1e-3;
        tally.exact += usize::from(!far && !near);
        if let Some((distance, x)) = violation {
            tally.replayed += usize::from(!near);
            assert!(truth.adversarial.at_most(*distance), "{what}: violation at {distance}");
            let outputs = forward(&case.net, &from_slice(x));
            let mut others = outputs.iter().enumerate().filter(|(j, _)| *j != case.class);
            assert!(others.any(|(_, y)| *y >= outputs[case.class]), "{what}: none at {x:?}");
            let away = between(&from_slice(x), &from_slice(&case.u), norm);
            assert!(away.at_most(*distance), "{what}: {x:?} is beyond {distance}");
            let near = f64::from(simplex.decision());
            assert!(f64::from(*distance) <= near * 1.01 + 1e-4, "{what}: {distance} {near}");
            let inside = case.within().is_none_or(|(lo, hi)| {
                x.iter().zip(lo.iter().zip(hi)).all(|(x, (lo, hi))| lo <= x && x <= hi)
            });
            assert!(inside, "{what}: {x:?}");
        }
    }
}

#[test]
fn distances_hold_and_are_tight() {
    let seed = seed(SEED);
    let cases: Vec<(Kind, u64)> = Kind::ALL
        .into_iter()
        .flat_map(|kind| (0..many(30) as u64).map(move |index| (kind, index)))
        .collect();
    let tallies: Vec<(Kind, Tally)> = cases
        .par_iter()
        .map(|(kind, index)| {
            let case = case(seed, *kind, *index);
            let words = words(&case.net);
            let model = Model::from_words(&words).expect("packed here");
            let mut tally = Tally::default();
            for (norm, exact) in NORMS {
                let truth = Truth::of(&case, exact);
                let (mut first, mut rows) = (vec![0.0; model.rows(0)], vec![0.0; model.neurons()]);
                first_rates(&Portable, &model, norm, &mut first);
                row_norms(&Portable, &model, &mut rows);
                // No spectral norm exceeds the Frobenius norm.
                let layers = case.net.layers.iter();
                let spectral: Vec<f32> = layers
                    .map(|layer| {
                        let squares = layer.weights.iter().map(|w| f64::from(*w) * f64::from(*w));
                        (squares.sum::<f64>().sqrt() * 1.000_001) as f32
                    })
                    .collect();
                let known = Known { first: &first, rows: &rows, spectral: &spectral };
                for semantics in [Semantics::Real, Semantics::Deployed] {
                    let query = Query {
                        clip: case.within(),
                        semantics,
                        ..Query::margins(&case.u, norm, case.class)
                    };
                    tally.deployed = semantics == Semantics::Deployed;
                    let what = format!("{} {norm:?} {semantics:?}", case.name);
                    let portable = find::<_, ALL>(Portable, &model, &query, 1);
                    check(&what, &portable, &truth, &case, exact, &mut tally);
                    let blocks = find::<_, ALL>(Portable, &model, &query, 5);
                    assert_eq!(bits(&blocks.simplex), bits(&portable.simplex), "{what}");
                    let few = find::<_, 2>(Portable, &model, &query, 2);
                    check(&what, &few, &truth, &case, exact, &mut tally);
                    fewer(&what, &few.simplex, &portable.simplex, query.clip.is_some());
                    let fast = certus::cpu::Fast::new(model.depth(), false);
                    check(
                        &what,
                        &find::<_, ALL>(fast, &model, &query, 3),
                        &truth,
                        &case,
                        exact,
                        &mut tally,
                    );
                    let query = Query { known: Some(known), ..query };
                    let known = find::<_, 3>(Portable, &model, &query, 1);
                    check(&what, &known, &truth, &case, exact, &mut tally);
                }
            }
            (*kind, tally)
        })
        .collect();
    let mut exact = 0;
    for kind in Kind::ALL {
        let all = tallies.iter().filter(|(k, _)| *k == kind).map(|(_, tally)| tally);
        let mut sum = Tally::default();
        for tally in all {
            sum.short = [0, 1].map(|i| sum.short[i].max(tally.short[i]));
            sum.exact += tally.exact;
            sum.replayed += tally.replayed;
            sum.unsettled += tally.unsettled;
            sum.answers += tally.answers;
        }
        println!(
            "{kind:?}: {} answers, {} unsettled, {} exact, {} of them replayed, short by {:?}",
            sum.answers, sum.unsettled, sum.exact, sum.replayed, sum.short
        );
        // Deployed networks are nearer to a change than the real one.
        assert!(sum.short[0] < 2e-4 && sum.short[1] < 1e-3, "{kind:?}");
        // Where a facet meets the decision, the tie can be the only violation, and no float.
        let meet = matches!(kind, Kind::Integer | Kind::OnFacet | Kind::Tie);
        let least = if meet { 90 } else { 99 };
        assert!(sum.replayed * 100 >= sum.exact * least, "{kind:?}");
        exact += sum.exact;
    }
    assert!(exact > 300, "{exact}");
}

/// Two facets kept of many are the first two of them.
///
/// In a box a row is left out where it cannot reach 0 within the second distance, and its own
/// distance is bisected where nothing is left out: the bound of what it reaches is no monotone
/// function of the radius in its last bits, so that the bisection may end a little below.
fn fewer(what: &str, few: &Simplex<2>, all: &Simplex<ALL>, cut: bool) {
    let (few, all) = (bits(few), bits(all));
    if !cut {
        assert_eq!(few, all[..few.len()], "{what}");
    }
    assert_eq!(few.len(), all.len().min(2), "{what}");
    for (kept, first) in few.iter().zip(&all) {
        assert!(all.contains(kept), "{what}: {few:?} of {all:?}");
        let [kept, first] = [kept, first].map(|(.., bits)| f32::from_bits(*bits));
        assert!(first <= kept && kept <= first * 1.000_01, "{what}: {kept} for {first}");
    }
}

/// The facets as bits.
fn bits<const K: usize>(simplex: &Simplex<K>) -> Vec<(usize, usize, u32)> {
    let faces = simplex.facets.as_slice().iter();
    faces.map(|face| (face.layer, face.row, face.distance.to_bits())).collect()
}
