//! Region search against the exact oracle of distances.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use certus::blob::{WeightKind, pack};
use certus::geometry::search::{Budget, Found, search};
use certus_engine::model::Model;
use certus_engine::region;
use certus_tests::geometry::{Adversarial, Case, Kind, cases, nearest_adversarial};
use certus_tests::plan::{many, seed};
use certus_tests::region::Norm;
use rayon::prelude::*;

const SEED: u64 = 41;
const NORMS: [(Norm, region::Norm); 3] = [
    (Norm::L1, region::Norm::L1),
    (Norm::L2, region::Norm::L2),
    (Norm::Linf, region::Norm::Linf),
];

/// Searches and exact distances must agree to this.
const CLOSE: f64 = 1e-5;

/// How far the search is asked to look where there is nothing to find.
const LIMIT: f64 = 1e4;

/// What became of the searches.
#[derive(Default)]
struct Tally {
    asked: AtomicUsize,
    /// Nothing to find, and none found up to the limit or in all the box.
    clear: AtomicUsize,
    /// Radius and violation agree with the oracle.
    closed: AtomicUsize,
    regions: AtomicUsize,
    programs: AtomicUsize,
}

fn budget() -> Budget {
    Budget { regions: 5000, programs: 100_000, limit: LIMIT }
}

fn check(case: &Case, words: &[u32], boxed: bool, tally: &Tally) {
    let model = Model::from_words(words).expect("a packed model");
    let corners = if boxed { case.within() } else { None };
    for (norm, engine) in NORMS {
        let found = search(&model, &case.u, case.class, engine, corners, &budget()).unwrap();
        let nearest = nearest_adversarial(&case.net, &case.u, case.class, norm, corners);
        let name = format!("{} {norm:?} boxed {boxed}: {found:?}", case.name);
        refute(&found, nearest.as_ref(), &name);
        tally.asked.fetch_add(1, Relaxed);
        tally.regions.fetch_add(found.regions, Relaxed);
        tally.programs.fetch_add(found.programs, Relaxed);
        let count = match nearest.map(|nearest| nearest.distance.to_f64()) {
            Some(exact) if exact < LIMIT => {
                let low = found.radius >= exact * (1.0 - CLOSE);
                let high = found.violation.as_ref().is_some_and(|v| v.distance <= exact * (1.0 + CLOSE));
                if !(low && high) { println!("open: {name}, exact {exact}"); }
                if low && high { Some(&tally.closed) } else { None }
            }
            _ => (found.radius == LIMIT && found.violation.is_none()).then_some(&tally.clear),
        };
        count.map(|count| count.fetch_add(1, Relaxed));
    }
}

/// Panics if something claimed is not true.
fn refute(found: &Found, nearest: Option<&Adversarial>, name: &str) {
    match nearest {
        Some(nearest) => {
            assert!(nearest.distance.at_least(found.radius), "radius beyond {nearest:?}: {name}");
            if let Some(violation) = &found.violation {
                assert!(nearest.distance.at_most(violation.distance), "nearer than {nearest:?}: {name}");
            }
        }
        None => assert!(found.violation.is_none(), "there is none: {name}"),
    }
}

fn run(kind: Kind, count: usize) -> Tally {
    let tally = Tally::default();
    let all: Vec<Case> = cases(seed(SEED), kind).take(many(count)).collect();
    all.par_iter().for_each(|case| {
        let words = pack(&case.net, WeightKind::F32).expect("a network that fits");
        check(case, &words, false, &tally);
        if case.corners.is_some() {
            check(case, &words, true, &tally);
        }
    });
    tally
}

#[test]
fn all_kinds() {
    for kind in Kind::ALL {
        let tally = run(kind, 40);
        let [asked, clear, closed, regions, programs] =
            [tally.asked, tally.clear, tally.closed, tally.regions, tally.programs]
                .map(AtomicUsize::into_inner);
        println!("{kind:?}: {asked} asked, {clear} clear, {closed} closed, {regions} regions, {programs} programs");
    }
}
