//! The oracle of distances on nets computed by hand.

use certus::network::Network;
use certus_engine::model::Activation::{Identity, LeakyRelu, Relu};
use certus_tests::generate::{affine, network};
use certus_tests::geometry::{Adversarial, Distance, Region, nearest_adversarial};
use certus_tests::rational::{Rational, exact, from_slice};
use certus_tests::region::Norm;

const NORMS: [Norm; 3] = [Norm::L1, Norm::L2, Norm::Linf];

fn ratio(n: i32, d: u32) -> Rational {
    Rational::from_parts(n.into(), d.into())
}

fn value(n: i32, d: u32) -> Distance {
    Distance::Exact(ratio(n, d))
}

fn root(n: i32, d: u32) -> Distance {
    Distance::root(ratio(n, d))
}

/// `relu(x + y) - relu(x - y)` against 0.
fn wedge() -> Network {
    network(vec![
        affine(&[&[1.0, 1.0], &[1.0, -1.0]], &[0.0, 0.0], Relu),
        affine(&[&[1.0, -1.0], &[0.0, 0.0]], &[0.0, 0.0], Identity),
    ])
}

/// `7 - relu(3 x + 4 y)` against 0.
fn slope() -> Network {
    network(vec![
        affine(&[&[3.0, 4.0]], &[0.0], Relu),
        affine(&[&[-1.0], &[0.0]], &[7.0, 0.0], Identity),
    ])
}

/// The distance within a box from 0 to `far`.
fn within(net: &Network, norm: Norm, far: [f32; 2]) -> Option<Adversarial> {
    nearest_adversarial(net, &[0.0, 0.0], 0, norm, Some((&[-1.0, -1.0], &far)))
}

#[test]
fn by_hand_where_the_decision_is_nearest() {
    let u = [2.0, 1.0];
    let at = Region::at(&wedge(), &u);
    // x + y = 0 and x - y = 0 from (2, 1), and 2 y = 0.
    let facets = [[value(3, 1), value(1, 1)], [root(9, 2), root(1, 2)], [value(3, 2), value(1, 2)]];
    for (norm, expected) in NORMS.into_iter().zip(facets) {
        let found = at.facets(norm);
        assert_eq!(found.iter().map(|f| f.distance.clone()).collect::<Vec<_>>(), expected);
        assert_eq!(at.facet_distance(norm), expected[1]);
        assert_eq!(at.decision_distance(0, norm), value(1, 1));
        assert_eq!(at.decision_distance(1, norm), value(-1, 1));
        let nearest = nearest_adversarial(&wedge(), &u, 0, norm, None).unwrap();
        assert_eq!((nearest.distance, nearest.other), (value(1, 1), 1), "{norm:?}");
        assert_eq!(nearest.at[1], Rational::ZERO);
        let wrong = nearest_adversarial(&wedge(), &u, 1, norm, None).unwrap();
        assert_eq!((wrong.distance, wrong.at), (Distance::ZERO, from_slice(&u)));
    }
    let euclidean = nearest_adversarial(&wedge(), &u, 0, Norm::L2, None).unwrap();
    assert_eq!(euclidean.at, [exact(2.0), exact(0.0)]);
    assert_eq!(euclidean.active, [[true, true]]);
    // Ties are adversarial, and 0 on a facet.
    let corner = Region::at(&wedge(), &[1.0, 1.0]);
    assert_eq!(corner.facet_distance(Norm::L2), Distance::ZERO);
    assert_eq!(corner.active, [[true, false]]);
}

#[test]
fn by_hand_over_a_facet() {
    // The region at 0 is constant; beyond the facet through 0 the nearest point is 3 x + 4 y = 7.
    let at = Region::at(&slope(), &[0.0, 0.0]);
    let nearest = |norm| nearest_adversarial(&slope(), &[0.0, 0.0], 0, norm, None).unwrap();
    for (norm, distance) in NORMS.into_iter().zip([value(7, 4), value(7, 5), value(1, 1)]) {
        assert_eq!(at.facet_distance(norm), Distance::ZERO);
        assert_eq!(at.decision_distance(0, norm), Distance::INFINITE);
        assert_eq!(at.decision_distance(1, norm), -Distance::INFINITE);
        assert_eq!(nearest(norm).distance, distance);
    }
    assert_eq!(nearest(Norm::L1).at, [exact(0.0), ratio(7, 4)]);
    assert_eq!(nearest(Norm::L2).at, [ratio(21, 25), ratio(28, 25)]);
    assert_eq!(nearest(Norm::Linf).at, [exact(1.0), exact(1.0)]);
    assert_eq!(nearest(Norm::L2).active, [[true]]);
}

#[test]
fn by_hand_in_a_box() {
    // y <= 1/2 leaves x = 5/3; y <= 1 only x = 1; at x <= 1, y <= 1 the corner; below it nothing.
    for (norm, distance) in NORMS.into_iter().zip([value(13, 6), root(109, 36), value(5, 3)]) {
        let found = within(&slope(), norm, [2.0, 0.5]).unwrap();
        assert_eq!((found.distance, &found.at[..]), (distance, &[ratio(5, 3), ratio(1, 2)][..]));
    }
    for (norm, distance) in NORMS.into_iter().zip([value(2, 1), root(2, 1), value(1, 1)]) {
        assert_eq!(within(&slope(), norm, [2.0, 1.0]).unwrap().distance, distance);
        assert_eq!(within(&slope(), norm, [1.0, 1.0]).unwrap().distance, distance);
        assert_eq!(within(&slope(), norm, [1.0, 1f32.next_down()]), None);
    }
    // The hyperplane 3 x + 4 y = 7 itself, from (1, 1/2) in the same box as a facet.
    let shifted = network(vec![
        affine(&[&[3.0, 4.0]], &[-7.0], Relu),
        affine(&[&[1.0], &[0.0]], &[0.0, 1.0], Identity),
    ]);
    let u = [1.0, 0.5];
    let free = Region::at(&shifted, &u);
    let tight = free.clone().within(&[0.0, 0.0], &[2.0, 0.75]);
    // 2 short: y gives 1 of it, x by 1/3 the rest.
    let expected = [[value(1, 2), value(7, 12)], [value(2, 5), root(25, 144)]];
    for (norm, [alone, boxed]) in [Norm::L1, Norm::L2].into_iter().zip(expected) {
        assert_eq!(free.facet_distance(norm), alone);
        assert_eq!(tight.facet_distance(norm), boxed);
    }
    assert_eq!(free.facet_distance(Norm::Linf), value(2, 7));
    assert_eq!(tight.facet_distance(Norm::Linf), value(1, 3));
    let shut = free.within(&[0.0, 0.0], &[1.25, 0.75]);
    assert_eq!(shut.facet_distance(Norm::Linf), Distance::INFINITE);
}

#[test]
fn by_hand_in_depth() {
    // 1 - relu(|x| - 1) against 0, |x| by two units.
    let net = network(vec![
        affine(&[&[1.0], &[-1.0]], &[0.0, 0.0], Relu),
        affine(&[&[1.0, 1.0]], &[-1.0], Relu),
        affine(&[&[-1.0], &[0.0]], &[1.0, 0.0], Identity),
    ]);
    for norm in NORMS {
        let at = Region::at(&net, &[0.25]);
        let distances: Vec<_> = at.facets(norm).into_iter().map(|f| f.distance).collect();
        assert_eq!(distances, [value(1, 4), value(1, 4), value(3, 4)]);
        assert_eq!(at.decision_distance(0, norm), Distance::INFINITE);
        let found = nearest_adversarial(&net, &[0.25], 0, norm, None).unwrap();
        assert_eq!((found.distance, found.at), (value(7, 4), vec![exact(2.0)]));
        assert_eq!(found.active, [vec![true, false], vec![true]]);
        let left = nearest_adversarial(&net, &[0.25], 0, norm, Some((&[-3.0], &[1.5]))).unwrap();
        assert_eq!((left.distance, left.at), (value(9, 4), vec![exact(-2.0)]));
    }
    // leaky(x) with slope 1/4 against -1: 1 + leaky(x) = 0 at x = -4.
    let net = network(vec![
        affine(&[&[1.0]], &[0.0], LeakyRelu(0.25)),
        affine(&[&[1.0], &[0.0]], &[0.0, -1.0], Identity),
    ]);
    let at = Region::at(&net, &[-1.0]);
    assert_eq!(at.facet_distance(Norm::L2), value(1, 1));
    assert_eq!(at.decision_distance(0, Norm::L2), value(3, 1));
    for norm in NORMS {
        let found = nearest_adversarial(&net, &[1.0], 0, norm, None).unwrap();
        assert_eq!((found.distance, found.at), (value(5, 1), vec![exact(-4.0)]));
    }
}

#[test]
fn by_hand_constant_units_and_classes() {
    // A unit of zeros, one of zeros and a bias, and a layer that does not bend.
    let net = network(vec![
        affine(&[&[0.0, 0.0], &[0.0, 0.0]], &[0.0, 2.0], Relu),
        affine(&[&[1.0, 1.0]], &[0.0], Identity),
        affine(&[&[1.0], &[1.0], &[1.0]], &[0.0, 0.0, -1.0], Identity),
    ]);
    let at = Region::at(&net, &[0.5, 0.5]);
    for norm in NORMS {
        assert_eq!(at.facets(norm).len(), 2);
        assert_eq!(at.facet_distance(norm), Distance::INFINITE);
        let decisions = at.decisions(0, norm);
        assert_eq!(decisions[0].distance, Distance::ZERO);
        assert_eq!(decisions[1].distance, Distance::INFINITE);
        assert_eq!(at.decisions(2, norm)[0].distance, -Distance::INFINITE);
        assert!(at.decision_distance(2, norm).at_most(f64::NEG_INFINITY));
    }
    let alone = network(vec![
        affine(&[&[1.0, 2.0]], &[0.0], Relu),
        affine(&[&[1.0], &[0.0]], &[1.0, 0.0], Identity),
    ]);
    for norm in NORMS {
        assert_eq!(nearest_adversarial(&alone, &[0.5, 0.5], 0, norm, None), None);
    }
}
