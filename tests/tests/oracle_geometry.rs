//! The oracle of distances on random and special nets: against itself by other ways, against exact
//! optima over balls, and against sampling.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use certus::network::Affine;
use certus_engine::model::Activation::{self, Identity};
use certus_tests::generate::{affine, network};
use certus_tests::geometry::{
    Adversarial, Case, Distance, Kind, Region, between, cases, nearest_adversarial,
};
use certus_tests::oracle::{forward, minimum, pre_activations};
use certus_tests::plan::{many, seed};
use certus_tests::rational::{Rational, exact, from_slice};
use certus_tests::region::{self, Norm};
use rayon::prelude::*;

const SEED: u64 = 31;
const NORMS: [Norm; 3] = [Norm::L1, Norm::L2, Norm::Linf];

/// `count` cases of every kind.
fn every_kind(seed: u64, count: usize) -> Vec<Case> {
    Kind::ALL.into_iter().flat_map(|kind| cases(seed, kind).take(count)).collect()
}

/// The margins of the class over the others at `x`.
fn margins(case: &Case, x: &[Rational]) -> Vec<(usize, Rational)> {
    let y = forward(&case.net, x);
    let others = (0..y.len()).filter(|&j| j != case.class);
    others.map(|j| (j, &y[case.class] - &y[j])).collect()
}

fn search(case: &Case, norm: Norm) -> Option<Adversarial> {
    nearest_adversarial(&case.net, &case.u, case.class, norm, case.within())
}

fn region_of(case: &Case) -> Region {
    let region = Region::at(&case.net, &case.u);
    match case.within() {
        Some((lo, hi)) => region.within(lo, hi),
        None => region,
    }
}

fn distance(found: &Option<Adversarial>) -> Distance {
    found.as_ref().map_or(Distance::INFINITE, |found| found.distance.clone())
}

/// The claims of one adversarial point: it is one, it is there, its pattern is there.
fn check_minimiser(case: &Case, norm: Norm, found: &Adversarial) {
    let name = &case.name;
    let (_, margin) =
        margins(case, &found.at).into_iter().find(|(j, _)| *j == found.other).unwrap();
    assert!(margin <= Rational::ZERO, "{name} {norm:?}: margin {margin}");
    if found.distance > Distance::ZERO {
        assert!(margin.is_zero(), "{name} {norm:?}: a nearer point lies on the segment");
    }
    assert_eq!(between(&found.at, &from_slice(&case.u), norm), found.distance, "{name} {norm:?}");
    let corners = case.within().map(|(lo, hi)| region::Region::cube(lo, hi));
    assert!(corners.is_none_or(|cube| cube.contains_rational(&found.at)), "{name} {norm:?}");
    for (k, (z, active)) in
        pre_activations(&case.net, &found.at).iter().zip(&found.active).enumerate()
    {
        let bends = Region::at(&case.net, &case.u).bends[k];
        for (z, &active) in z.iter().zip(active) {
            assert!(!bends || z.is_zero() || active == (*z > Rational::ZERO), "{name} {norm:?}");
        }
    }
}

/// What a run over the cases has met.
#[derive(Default)]
struct Seen {
    exact: AtomicUsize,
    between: AtomicUsize,
    none: AtomicUsize,
    zero: AtomicUsize,
    on_facet: AtomicUsize,
    other_region: AtomicUsize,
}

fn check_distances(case: &Case, seen: &Seen) {
    let name = &case.name;
    let region = region_of(case);
    let found = NORMS.map(|norm| search(case, norm));
    for (norm, found) in NORMS.into_iter().zip(&found) {
        let distance = distance(found);
        let (facet, decision) =
            (region.facet_distance(norm), region.decision_distance(case.class, norm));
        // Paper 001, theorem 3.1: a certificate, and exact where the decision is the nearer.
        let certified = facet.clone().min(decision.clone());
        assert!(certified <= distance, "{name} {norm:?}: {certified:?} of {distance:?}");
        let wrong = margins(case, &from_slice(&case.u)).iter().any(|(_, m)| *m <= Rational::ZERO);
        assert_eq!(distance == Distance::ZERO, wrong, "{name} {norm:?}");
        assert_eq!(decision <= Distance::ZERO, wrong, "{name} {norm:?}");
        if decision <= facet && !wrong {
            assert_eq!(decision, distance, "{name} {norm:?}: lemma 3.2");
        }
        if let Some(found) = found {
            check_minimiser(case, norm, found);
        }
        let count = |counter: &AtomicUsize, yes: bool| {
            counter.fetch_add(usize::from(yes), Relaxed);
        };
        count(&seen.zero, wrong);
        count(&seen.none, found.is_none());
        count(&seen.on_facet, facet == Distance::ZERO);
        count(&seen.exact, !wrong && decision <= facet);
        count(&seen.between, !wrong && found.is_some() && certified < distance);
        count(&seen.other_region, found.as_ref().is_some_and(|f| f.active != region.active));
    }
    let [l1, l2, linf] = found.map(|found| distance(&found));
    assert!(linf <= l2 && l2 <= l1, "{name}");
    // And back: |x|_1 <= sqrt(n) |x|_2 <= n |x|_inf, of the nearest points alike.
    let n = Rational::from(case.u.len());
    match (l1.square(), l2.square(), linf.square()) {
        (Some(l1), Some(l2), Some(linf)) => assert!(l1 <= &n * &l2 && l2 <= n * linf, "{name}"),
        (None, None, None) => {}
        _ => panic!("{name}: a point in one norm is a point in all"),
    }
}

#[test]
fn distances_agree_with_the_lemma_and_with_each_other() {
    let all = every_kind(seed(SEED), many(40));
    let seen = Seen::default();
    all.par_iter().for_each(|case| check_distances(case, &seen));
    let [exact, between, none, zero, on_facet, other] =
        [seen.exact, seen.between, seen.none, seen.zero, seen.on_facet, seen.other_region]
            .map(AtomicUsize::into_inner);
    println!(
        "{} cases: {exact} exact by the lemma, {between} above the certificate, {none} without, \
         {zero} at zero, {on_facet} on a facet, {other} in another region",
        all.len()
    );
    assert!(
        exact > 50 && between > 200 && none > 50 && zero > 100 && on_facet > 100 && other > 300
    );
}

/// The norm of a gradient that is dual to `norm`.
fn dual(plane: &[Rational], norm: Norm) -> Distance {
    let zero = vec![Rational::ZERO; plane.len()];
    let norm = match norm {
        Norm::L1 => Norm::Linf,
        Norm::L2 => Norm::L2,
        Norm::Linf => Norm::L1,
    };
    between(plane, &zero, norm)
}

/// Distances without a box against `|z| / |a|_q`, with `z` from the network's own evaluation.
#[test]
fn hyperplanes_by_the_dual_norm() {
    for case in every_kind(seed(SEED + 1), many(20)) {
        let at = from_slice(&case.u);
        let region = Region::at(&case.net, &case.u);
        let z = pre_activations(&case.net, &at);
        for norm in NORMS {
            for facet in region.facets(norm) {
                let (z, plane) =
                    (&z[facet.layer][facet.unit], &region.pre[facet.layer][facet.unit]);
                assert_eq!(plane.value(&at), *z, "{}", case.name);
                let dual = dual(&plane.a, norm).square().unwrap();
                match facet.at {
                    None => assert!(dual.is_zero() && !facet.distance.is_finite(), "{}", case.name),
                    Some(x) => {
                        assert_eq!(facet.distance.square().unwrap() * dual, z * z, "{}", case.name);
                        assert!(plane.value(&x).is_zero(), "{}", case.name);
                        assert_eq!(between(&x, &at, norm), facet.distance, "{}", case.name);
                    }
                }
            }
            for decision in region.decisions(case.class, norm) {
                let margins = margins(&case, &at);
                let (_, m) = margins.iter().find(|(j, _)| *j == decision.other).unwrap();
                let sign = m.cmp(&Rational::ZERO);
                assert_eq!(decision.distance.cmp(&Distance::ZERO), sign, "{}", case.name);
                let dual = dual(&decision.margin.a, norm).square().unwrap();
                match decision.distance.square() {
                    None => assert!(dual.is_zero() && !m.is_zero(), "{}", case.name),
                    Some(square) => assert_eq!(square * dual, m * m, "{}", case.name),
                }
            }
        }
    }
}

/// In a box, the hyperplane's distance by sorting is that of the search over cells of the
/// network that the function is alone.
#[test]
fn boxes_by_cells() {
    let all = every_kind(seed(SEED + 2), many(25));
    let (reached, missed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    all.par_iter().for_each(|case| {
        let Some(corners) = case.within() else { return };
        let layer = &case.net.layers[0];
        let region = region_of(case);
        let at = from_slice(&case.u);
        for norm in NORMS {
            for facet in region.facets(norm).iter().filter(|facet| facet.layer == 0) {
                let z = region.pre[0][facet.unit].value(&at);
                // The unit against zero, turned so that it is positive at u.
                let sign = if z < Rational::ZERO { -1.0 } else { 1.0 };
                let weights = &layer.weights[facet.unit * layer.cols..][..layer.cols];
                let row: Vec<f32> = weights.iter().map(|w| sign * w).collect();
                let zeros = vec![0.0; layer.cols];
                let bias = [sign * layer.bias[facet.unit], 0.0];
                let alone = network(vec![affine(&[&row, &zeros], &bias, Identity)]);
                let found = nearest_adversarial(&alone, &case.u, 0, norm, Some(corners));
                if zeros == row {
                    assert!(!facet.distance.is_finite());
                    continue;
                }
                assert_eq!(facet.distance, distance(&found), "{} {norm:?}", case.name);
                let counter = if found.is_some() { &reached } else { &missed };
                counter.fetch_add(1, Relaxed);
                if let Some(x) = &facet.at {
                    assert!(region.pre[0][facet.unit].value(x).is_zero(), "{}", case.name);
                    let cube = region::Region::cube(corners.0, corners.1);
                    assert!(cube.contains_rational(x), "{}", case.name);
                }
            }
        }
    });
    let (reached, missed) = (reached.into_inner(), missed.into_inner());
    println!("{reached} hyperplanes met, {missed} not");
    assert!(reached > 500 && missed > 500);
}

/// Within the certified ball the functions of the region are the network's.
#[test]
fn functions_hold_up_to_the_facets() {
    let mut rng = fastrand::Rng::with_seed(SEED);
    let mut checked = 0;
    for case in every_kind(seed(SEED + 3), many(20)) {
        let region = Region::at(&case.net, &case.u);
        let reach = region.facet_distance(Norm::Linf).floor().min(4.0);
        for _ in 0..4 {
            let step = |_| exact((2.0 * rng.f64() - 1.0) * reach * 0.999);
            let x: Vec<_> =
                from_slice(&case.u).into_iter().zip((0..).map(step)).map(|(u, d)| u + d).collect();
            let z = pre_activations(&case.net, &x);
            for (planes, z) in region.pre.iter().zip(&z) {
                let values: Vec<_> = planes.iter().map(|plane| plane.value(&x)).collect();
                assert_eq!(&values, z, "{}", case.name);
            }
            let outputs: Vec<_> = region.outputs.iter().map(|plane| plane.value(&x)).collect();
            assert_eq!(outputs, forward(&case.net, &x), "{}", case.name);
            checked += usize::from(reach > 0.0);
        }
    }
    assert!(checked > 400, "{checked}");
}

/// The least margin over a ball, as exactly as it is known: below and above.
fn least_margin(case: &Case, eps: f64, norm: Norm) -> (Rational, Rational) {
    let ball = region::Region::ball(&case.u, eps, norm);
    let ball = match case.within() {
        Some((lo, hi)) => ball.cut(lo, hi),
        None => ball,
    };
    let others = (0..case.net.outputs()).filter(|&j| j != case.class);
    let least = others.map(|j| {
        let mut row = vec![0.0; case.net.outputs()];
        (row[case.class], row[j]) = (1.0, -1.0);
        let found = minimum(&case.net, &ball, &row).expect("the ball has its centre");
        (found.outer, found.inner)
    });
    let (outer, inner): (Vec<_>, Vec<_>) = least.unzip();
    (outer.into_iter().min().expect("a class"), inner.into_iter().min().expect("a class"))
}

/// Just below the distance the least margin over the ball is positive, at it it is not: another
/// enumeration, from the ball's corners inwards.
#[test]
fn distances_agree_with_optima_over_balls() {
    let all = every_kind(seed(SEED + 4), many(20));
    let two_sided = AtomicUsize::new(0);
    all.par_iter().filter(|case| case.u.len() < 4).for_each(|case| {
        for norm in NORMS {
            let found = search(case, norm);
            let distance = distance(&found);
            if distance == Distance::ZERO {
                continue;
            }
            let below = distance.floor().min(100.0).next_down();
            let (outer, _) = least_margin(case, below, norm);
            assert!(outer > Rational::ZERO, "{} {norm:?} below {below}", case.name);
            if distance.is_finite() {
                let (_, inner) = least_margin(case, distance.ceil().next_up(), norm);
                assert!(inner <= Rational::ZERO, "{} {norm:?} at {distance:?}", case.name);
                two_sided.fetch_add(1, Relaxed);
            }
        }
    });
    let two_sided = two_sided.into_inner();
    println!("{two_sided} distances met from both sides");
    assert!(two_sided > 100);
}

/// No sampled point within the distance is adversarial, and of those on the way to a sampled
/// adversarial point none.
#[test]
fn no_sample_is_nearer() {
    let all = every_kind(seed(SEED + 5), many(20));
    let (inside, outside) = (AtomicUsize::new(0), AtomicUsize::new(0));
    all.par_iter().for_each(|case| {
        let mut rng = fastrand::Rng::with_seed(SEED);
        let u = from_slice(&case.u);
        let cube = case.within().map(|(lo, hi)| region::Region::cube(lo, hi));
        for norm in NORMS {
            let found = search(case, norm);
            let distance = distance(&found);
            if distance == Distance::ZERO {
                continue;
            }
            let reach = distance.floor().min(20.0);
            for i in 0..30 {
                // Around u, and from u towards the nearest point with some noise.
                let noise = if i % 2 == 0 { 1.3 } else { 0.1 };
                let mut x: Vec<Rational> =
                    u.iter().map(|u| u + exact((2.0 * rng.f64() - 1.0) * reach * noise)).collect();
                if let (1, Some(found)) = (i % 2, &found) {
                    x.iter_mut().zip(&u).zip(&found.at).for_each(|((x, u), at)| *x += at - u);
                }
                if cube.as_ref().is_some_and(|cube| !cube.contains_rational(&x)) {
                    continue;
                }
                let adversarial = margins(case, &x).iter().any(|(_, m)| *m <= Rational::ZERO);
                let nearer = between(&x, &u, norm) < distance;
                assert!(!(adversarial && nearer), "{} {norm:?} at {x:?}", case.name);
                inside.fetch_add(usize::from(nearer), Relaxed);
                outside.fetch_add(usize::from(adversarial), Relaxed);
            }
        }
    });
    let (inside, outside) = (inside.into_inner(), outside.into_inner());
    println!("{inside} samples nearer, {outside} adversarial");
    assert!(inside > 2000 && outside > 500);
}

/// Mirrored through the origin, and with its inputs exchanged, a case has the same distances.
#[test]
fn symmetries() {
    let all = every_kind(seed(SEED + 6), many(6));
    all.par_iter().for_each(|case| {
        let mut turned = case.clone();
        let first = &mut turned.net.layers[0];
        first.weights.chunks_mut(first.cols).for_each(|row| row.reverse());
        first.weights.iter_mut().for_each(|w| *w = -*w);
        let turn = |x: &[f32]| x.iter().rev().map(|x| -x).collect::<Vec<f32>>();
        turned.u = turn(&case.u);
        turned.corners = case.within().map(|(lo, hi)| (turn(hi), turn(lo)));
        for norm in NORMS {
            let (here, there) = (search(case, norm), search(&turned, norm));
            assert_eq!(distance(&here), distance(&there), "{} {norm:?}", case.name);
            let (here, there) = (region_of(case), region_of(&turned));
            assert_eq!(here.facet_distance(norm), there.facet_distance(norm), "{}", case.name);
        }
    });
}

fn is_on_border(case: &Case) -> bool {
    let Some((lo, hi)) = case.within() else { return false };
    case.u.iter().zip(lo).zip(hi).any(|((u, lo), hi)| u == lo || u == hi)
}

/// Every kind is what it says, on all of its cases.
/// Whether a unit's weights are those of another, or their opposites.
fn has_copy(layer: &Affine) -> bool {
    let rows: Vec<&[f32]> = layer.weights.chunks(layer.cols).collect();
    let same = |a: &[f32], b: &[f32], sign: f32| a.iter().zip(b).all(|(a, b)| *a == sign * b);
    rows.iter()
        .enumerate()
        .any(|(i, a)| rows[..i].iter().any(|b| same(a, b, 1.0) || same(a, b, -1.0)))
}

#[test]
fn cases_are_what_they_say() {
    let mut copies = 0;
    for kind in Kind::ALL {
        for case in cases(seed(SEED + 7), kind).take(40) {
            let name = &case.name;
            let hidden = &case.net.layers[..case.net.layers.len() - 1];
            assert!((2..=4).contains(&case.u.len()) && (1..=3).contains(&hidden.len()), "{name}");
            assert!(hidden.iter().map(|l| l.rows).sum::<usize>() <= 12, "{name}");
            let at = from_slice(&case.u);
            let region = Region::at(&case.net, &case.u);
            let margins = margins(&case, &at);
            let least = margins.iter().map(|(_, m)| m).min().unwrap();
            let z = pre_activations(&case.net, &at);
            match kind {
                Kind::Misclassified => assert!(*least < Rational::ZERO, "{name}"),
                Kind::Tie => assert!(least.is_zero(), "{name}"),
                Kind::Border => assert!(is_on_border(&case), "{name}"),
                Kind::OnFacet => assert!(z.concat().iter().any(Rational::is_zero), "{name}"),
                Kind::Dead => {
                    let dead = |layer: &Vec<bool>| !layer.contains(&true);
                    assert!(region.active.iter().any(dead), "{name}");
                }
                Kind::ZeroRows => {
                    let zero = |l: &Affine| {
                        l.weights.chunks(l.cols).any(|row| row.iter().all(|w| *w == 0.0))
                    };
                    assert!(hidden.iter().any(zero), "{name}");
                }
                Kind::Integer => {
                    let all = hidden.iter().flat_map(|l| l.weights.iter().chain(&l.bias));
                    assert!(all.clone().all(|w| w.fract() == 0.0), "{name}");
                }
                // A unit may be drawn as its own copy.
                Kind::Duplicated => copies += usize::from(hidden.iter().any(has_copy)),
                Kind::Leaky => {
                    let bends = |l: &Affine| l.activation != Activation::Relu;
                    assert!(hidden.iter().any(bends), "{name}");
                }
                Kind::Gaussian => {
                    assert!(hidden.iter().all(|l| l.activation == Activation::Relu), "{name}");
                }
            }
            let largest = !matches!(kind, Kind::Misclassified);
            assert!(!largest || *least >= Rational::ZERO, "{name}");
        }
    }
    assert!(copies > 30, "{copies}");
    let first: Vec<Case> = cases(7, Kind::Leaky).take(3).collect();
    assert_eq!(first, cases(7, Kind::Leaky).take(3).collect::<Vec<_>>());
    assert_ne!(first[0].net, first[1].net);
}
