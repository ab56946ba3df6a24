//! The oracles against hand-computed values, brute force and sampling; the breakers against
//! verifiers that forget rounding.

use certus::network::{Affine, Network};
use certus_engine::model::Activation::{Identity, LeakyRelu, Relu};
use certus_tests::generate::{Case, Kind, affine, breakers, case, cases, network};
use certus_tests::members::{least, members};
use certus_tests::naive;
use certus_tests::oracle::{Range, analyse, minimum, pre_activations, specification};
use certus_tests::rational::{Rational, abs, compare, exact, from_slice};
use certus_tests::region::{Norm, Region};

const SEED: u64 = 20;
const NORMS: [Norm; 3] = [Norm::L1, Norm::L2, Norm::Linf];

fn ratio(n: i32, d: u32) -> Rational {
    Rational::from_parts(n.into(), d.into())
}

/// `relu(x + y) - relu(x - y)`.
fn wedge() -> Network {
    network(vec![
        affine(&[&[1.0, 1.0], &[1.0, -1.0]], &[0.0, 0.0], Relu),
        affine(&[&[1.0, -1.0]], &[0.0], Identity),
    ])
}

#[test]
fn by_hand_on_polytopes() {
    let origin = [0.0, 0.0];
    let linf = minimum(&wedge(), &Region::ball(&origin, 1.0, Norm::Linf), &[1.0]).unwrap();
    assert_eq!(linf.exact(), Some(&exact(-2.0)));
    assert_eq!(linf.at, [exact(1.0), exact(-1.0)]);
    let l1 = minimum(&wedge(), &Region::ball(&origin, 1.0, Norm::L1), &[1.0]).unwrap();
    assert_eq!(l1.exact(), Some(&exact(-1.0)));
    // The l1 ball cut at y >= -1/4: at (3/4, -1/4) it is 1/2 - 1.
    let cut = Region::ball(&origin, 1.0, Norm::L1).cut(&[-1.0, -0.25], &[1.0, 1.0]);
    let cut = minimum(&wedge(), &cut, &[1.0]).unwrap();
    assert_eq!(cut.exact(), Some(&exact(-0.5)));
}

#[test]
fn by_hand_on_euclidean_balls() {
    // The least is -sqrt(2) on the diagonal, where both units bend or not.
    let ball = Region::ball(&[0.0, 0.0], 1.0, Norm::L2);
    let disc = minimum(&wedge(), &ball, &[1.0]).unwrap();
    assert!(disc.outer < disc.inner && &disc.inner * &disc.inner < exact(2.0));
    assert!(&disc.outer * &disc.outer > exact(2.0) && ball.contains_rational(&disc.at));
    // 3 x + 4 y is least at (-3/5, -4/5); the root is rational.
    let line = network(vec![affine(&[&[3.0, 4.0]], &[0.0], Identity)]);
    let least = minimum(&line, &ball, &[1.0]).unwrap();
    assert_eq!(least.exact(), Some(&exact(-5.0)));
    assert_eq!(least.at, [ratio(-3, 5), ratio(-4, 5)]);
    // Cut at y >= 0 the least is at (-1, 0); at y >= -3/5 on the edge, x = -4/5.
    let upper = ball.clone().cut(&[-1.0, 0.0], &[1.0, 1.0]);
    assert_eq!(minimum(&line, &upper, &[1.0]).unwrap().exact(), Some(&exact(-3.0)));
    let steep = network(vec![affine(&[&[0.0, 1.0, 1.0]], &[0.0], Identity)]);
    let solid = Region::ball(&[0.0; 3], 5.0, Norm::L2).cut(&[3.0, -5.0, 0.0], &[3.0, 5.0, 0.0]);
    assert_eq!(minimum(&steep, &solid, &[1.0]).unwrap().exact(), Some(&exact(-4.0)));
}

#[test]
fn by_hand_on_three_inputs() {
    // |x| + |y| + |z| - 1 over a cube and a cross-polytope off the centre.
    let rows: [&[f32]; 6] = [
        &[1.0, 0.0, 0.0],
        &[-1.0, 0.0, 0.0],
        &[0.0, 1.0, 0.0],
        &[0.0, -1.0, 0.0],
        &[0.0, 0.0, 1.0],
        &[0.0, 0.0, -1.0],
    ];
    let net =
        network(vec![affine(&rows, &[0.0; 6], Relu), affine(&[&[1.0; 6]], &[-1.0], Identity)]);
    let range = |region: &Region| {
        let found = analyse(&net, region, &[vec![1.0]]).unwrap();
        (
            found.spec[0].min.exact().cloned().unwrap(),
            found.spec[0].max.exact().cloned().unwrap(),
            found.cells,
        )
    };
    assert_eq!(range(&Region::ball(&[0.0; 3], 1.0, Norm::Linf)), (exact(-1.0), exact(2.0), 8));
    assert_eq!(range(&Region::ball(&[0.0; 3], 2.0, Norm::L1)), (exact(-1.0), exact(1.0), 8));
    assert_eq!(range(&Region::ball(&[0.0, 0.0, 4.0], 1.0, Norm::L1)), (exact(2.0), exact(4.0), 4));
}

#[test]
fn leaky_identity_and_trailing_activations() {
    // leaky(x - 1) with slope 1/2, then identity, then relu(3 - z).
    let net = network(vec![
        affine(&[&[1.0]], &[-1.0], LeakyRelu(0.5)),
        affine(&[&[2.0]], &[0.0], Identity),
        affine(&[&[-1.0]], &[3.0], Relu),
    ]);
    let found = analyse(&net, &Region::cube(&[-3.0], &[4.0]), &[vec![1.0], vec![-2.0]]).unwrap();
    let ends = |range: &Range| (range.min.inner.clone(), range.max.inner.clone());
    assert_eq!(ends(&found.pre[0][0]), (exact(-4.0), exact(3.0)));
    assert_eq!(ends(&found.pre[1][0]), (exact(-4.0), exact(6.0)));
    assert_eq!(ends(&found.pre[2][0]), (exact(-3.0), exact(7.0)));
    assert_eq!(ends(&found.spec[0]), (exact(0.0), exact(7.0)));
    assert_eq!(ends(&found.spec[1]), (exact(-14.0), exact(0.0)));
}

#[test]
fn points_segments_and_nothing() {
    for norm in NORMS {
        let point = Region::ball(&[0.25, -0.5], 0.0, norm);
        let found = minimum(&wedge(), &point, &[1.0]).unwrap();
        assert_eq!(found.exact(), Some(&exact(-0.75)), "{norm:?}");
        let far = Region::ball(&[0.0, 0.0], 1.0, norm).cut(&[1.5, -1.0], &[2.0, 1.0]);
        assert_eq!(minimum(&wedge(), &far, &[1.0]), None, "{norm:?}");
        let touch = Region::ball(&[0.0, 0.0], 1.0, norm).cut(&[1.0, 0.0], &[2.0, 1.0]);
        let least = minimum(&wedge(), &touch, &[1.0]).unwrap();
        assert_eq!(least.exact(), Some(&exact(0.0)), "{norm:?}");
    }
    let corner = Region::ball(&[0.0, 0.0], 1.0, Norm::L2).cut(&[0.9, 0.9], &[1.0, 1.0]);
    assert_eq!(minimum(&wedge(), &corner, &[1.0]), None);
}

/// The exact minimum on the segment from `p` to `q`, by its breakpoints: layer by layer they are
/// solved for on each piece known so far.
fn brute_force(net: &Network, row: &[f32], p: &[Rational], q: &[Rational]) -> Rational {
    let at = |t: &Rational| p.iter().zip(q).map(|(p, q)| p + (q - p) * t).collect::<Vec<_>>();
    let mut breaks = vec![Rational::ZERO, Rational::ONE];
    for k in 0..net.layers.len() {
        let mut more = Vec::new();
        for pair in breaks.windows(2) {
            let ends = [&pair[0], &pair[1]].map(|t| pre_activations(net, &at(t)).swap_remove(k));
            for (a, b) in ends[0].iter().zip(&ends[1]) {
                if (a > &Rational::ZERO) != (b > &Rational::ZERO) && a != b {
                    more.push(&pair[0] + (&pair[1] - &pair[0]) * (a / (a - b)));
                }
            }
        }
        breaks.extend(more);
        breaks.sort();
        breaks.dedup();
    }
    breaks.iter().map(|t| specification(net, row, &at(t))).min().unwrap()
}

/// Cases without the nets of hundreds of units, on which rationals are slow.
fn small_cases(seed: u64, kind: Kind) -> impl Iterator<Item = Case> {
    cases(seed, kind).filter(|case| case.net.layers[0].rows <= 20)
}

#[test]
fn one_input_agrees_with_brute_force() {
    for kind in Kind::ALL {
        for case in small_cases(SEED, kind).filter(|case| case.net.inputs == 1).take(40) {
            let (lo, hi) = case.region.bounding_box().unwrap();
            let found = minimum(&case.net, &case.region, &case.spec_row).unwrap();
            let truth = brute_force(&case.net, &case.spec_row, &lo, &hi);
            assert_eq!(found.exact(), Some(&truth), "{}", case.name);
        }
    }
}

/// Nets of one input side by side: over a box the sum of their outputs is least where each is.
#[test]
fn separable_nets_add_up() {
    let deep = small_cases(SEED, Kind::Gaussian).filter(|case| case.net.layers.len() == 3);
    let nets: Vec<Network> = deep.take(90).map(|case| first_input(case.net)).collect();
    let (lo, hi) = ([-2.0f32, -0.7, -1.1], [1.5f32, 3.0, 0.9]);
    let mut cells = 0;
    for nets in nets.chunks(3) {
        let alone = (0..3).map(|i| brute_force(&nets[i], &[1.0], &[exact(lo[i])], &[exact(hi[i])]));
        let truth = alone.fold(Rational::ZERO, |sum, part| sum + part);
        let found = analyse(&side_by_side(nets), &Region::cube(&lo, &hi), &[vec![1.0; 3]]).unwrap();
        assert_eq!(found.spec[0].min.exact(), Some(&truth));
        cells += found.cells;
    }
    assert!(cells > 1000, "{cells} cells test little");
}

/// The net of its first input and first output alone.
fn first_input(mut net: Network) -> Network {
    let first = &mut net.layers[0];
    first.weights = first.weights.chunks(first.cols).map(|row| row[0]).collect();
    first.cols = 1;
    let last = net.layers.last_mut().unwrap();
    last.weights.truncate(last.cols);
    last.bias.truncate(1);
    last.rows = 1;
    net.inputs = 1;
    net
}

/// One block-diagonal net.
fn side_by_side(nets: &[Network]) -> Network {
    let layers = (0..nets[0].layers.len()).map(|k| {
        let blocks = || nets.iter().map(move |net| &net.layers[k]);
        let cols: usize = blocks().map(|b| b.cols).sum();
        let (mut weights, mut bias, mut before) = (Vec::new(), Vec::new(), 0);
        for block in blocks() {
            for (row, b) in block.weights.chunks(block.cols).zip(&block.bias) {
                let mut wide = vec![0.0; cols];
                wide[before..before + block.cols].copy_from_slice(row);
                weights.extend(wide);
                bias.push(*b);
            }
            before += block.cols;
        }
        Affine { rows: bias.len(), cols, weights, bias, ..nets[0].layers[k].clone() }
    });
    network(layers.collect())
}

/// No segment through a region falls below the minimum found, nor the one through its minimiser.
#[test]
fn no_segment_falls_below() {
    let mut rng = fastrand::Rng::with_seed(SEED);
    for kind in Kind::ALL {
        for case in small_cases(SEED + 4, kind).filter(|case| case.net.inputs > 1).take(40) {
            let found = minimum(&case.net, &case.region, &case.spec_row).unwrap();
            let points: Vec<_> = members(&case.region, &[], 6, &mut rng);
            let points: Vec<_> = points.iter().map(|x| from_slice(x)).chain([found.at]).collect();
            for _ in 0..4 {
                let (p, q) =
                    (&points[rng.usize(0..points.len())], &points[rng.usize(0..points.len())]);
                assert!(
                    brute_force(&case.net, &case.spec_row, p, q) >= found.outer,
                    "{}",
                    case.name
                );
            }
        }
    }
}

fn check_extremes(case: &Case) {
    let name = &case.name;
    let found = analyse(&case.net, &case.region, std::slice::from_ref(&case.spec_row)).expect(name);
    let spec = &found.spec[0];
    for end in [&spec.min, &spec.max] {
        assert!(case.region.contains_rational(&end.at), "{name}");
        assert_eq!(specification(&case.net, &case.spec_row, &end.at), end.inner, "{name}");
    }
    for (k, layer) in found.pre.iter().enumerate() {
        for (i, range) in layer.iter().enumerate() {
            for end in [&range.min, &range.max] {
                assert_eq!(pre_activations(&case.net, &end.at)[k][i], end.inner, "{name} {k} {i}");
            }
            assert!(
                range.min.outer <= range.min.inner && range.max.inner <= range.max.outer,
                "{name}"
            );
        }
    }
    let gap = &spec.min.inner - &spec.min.outer;
    let size = abs(&spec.min.inner).max(abs(&spec.max.inner));
    assert!(gap <= size * exact(1e-30), "{name}: enclosure");
    let mut rng = fastrand::Rng::with_seed(SEED);
    let hints = [spec.min.at.clone(), spec.max.at.clone()];
    for x in members(&case.region, &hints, 12, &mut rng) {
        let x = from_slice(&x);
        let value = specification(&case.net, &case.spec_row, &x);
        assert!(spec.min.outer <= value && value <= spec.max.outer, "{name} at {x:?}");
        for (z, ranges) in pre_activations(&case.net, &x).iter().zip(&found.pre) {
            for (z, range) in z.iter().zip(ranges) {
                assert!(&range.min.outer <= z && z <= &range.max.outer, "{name} at {x:?}");
            }
        }
    }
}

#[test]
fn extremes_are_reached_and_never_passed() {
    println!("seed {SEED}");
    for kind in Kind::ALL {
        small_cases(SEED, kind).take(100).for_each(|case| check_extremes(&case));
        cases(SEED, kind).take(8).for_each(|case| check_extremes(&case));
    }
}

#[test]
fn symmetries() {
    for case in cases(SEED + 1, Kind::Gaussian).take(60) {
        let truth = minimum(&case.net, &case.region, &case.spec_row).unwrap();
        // Turned around: the maximum of the negated row.
        let negated: Vec<f32> = case.spec_row.iter().map(|c| -c).collect();
        let turned = analyse(&case.net, &case.region, &[negated]).unwrap();
        assert_eq!(turned.spec[0].max.inner, -&truth.inner, "{}", case.name);
        // Mirrored through the origin, weights and region alike.
        let mut mirrored = case.clone();
        mirrored.net.layers[0].weights.iter_mut().for_each(|w| *w = -*w);
        let flip = |x: &[f32]| x.iter().map(|x| -x).collect::<Vec<f32>>();
        mirrored.region = match &case.region {
            Region::Ball { center, eps, norm } => Region::ball(&flip(center), *eps, *norm),
            Region::Box { lo, hi } => Region::cube(&flip(hi), &flip(lo)),
            Region::BallInBox { center, eps, norm, lo, hi } => {
                Region::ball(&flip(center), *eps, *norm).cut(&flip(hi), &flip(lo))
            }
        };
        let other = minimum(&mirrored.net, &mirrored.region, &case.spec_row).unwrap();
        assert_eq!((other.inner, other.outer), (truth.inner, truth.outer), "{}", case.name);
    }
}

#[test]
fn norms_are_nested() {
    for case in cases(SEED + 2, Kind::Gaussian).take(60) {
        let Some((center, eps, _)) = case.region.as_ball() else { continue };
        let [l1, l2, linf] = NORMS.map(|norm| {
            minimum(&case.net, &Region::ball(center, eps, norm), &case.spec_row).unwrap()
        });
        assert!(l1.inner >= l2.outer && l2.inner >= linf.inner, "{}", case.name);
    }
}

#[test]
fn breakers_have_the_stated_margins() {
    let all = breakers();
    assert!(all.len() >= 20);
    for breaker in &all {
        let Case { net, region, spec_row, name } = &breaker.case;
        let found = minimum(net, region, spec_row).expect(name);
        assert_eq!(found.exact(), Some(&breaker.margin), "{name}");
        assert_eq!(breaker.margin > Rational::ZERO, name.contains("positive"), "{name}");
    }
}

#[test]
fn breakers_deceive_forgetful_verifiers() {
    for breaker in breakers() {
        let Case { net, region, spec_row, name } = &breaker.case;
        let claims = naive::claims(net, region, spec_row);
        let wrong = |claim: f32| claim.is_nan() || compare(claim, &breaker.margin).is_gt();
        let deceived: Vec<_> = claims.iter().filter(|(_, claim)| wrong(*claim)).collect();
        println!("{name}: margin {}, claims {claims:?}", breaker.margin.to_f64_fast());
        assert!(!deceived.is_empty(), "{name}: {claims:?} against {}", breaker.margin);
    }
}

#[test]
fn cancelling_cases_are_tight() {
    let (mut zero, mut below, mut above, mut deceived) = (0, 0, 0, 0);
    for case in cases(SEED + 3, Kind::Cancelling).take(150) {
        let margin = minimum(&case.net, &case.region, &case.spec_row).unwrap();
        let bias = case.net.layers.last().unwrap().bias[0];
        let ulp = exact(bias.abs().next_up()) - exact(bias.abs());
        assert!(
            abs(&margin.inner) <= ulp * exact(3.0),
            "{}: {}",
            case.name,
            margin.inner.to_f64_fast()
        );
        match margin.inner.cmp(&Rational::ZERO) {
            std::cmp::Ordering::Less => below += 1,
            std::cmp::Ordering::Equal => zero += 1,
            std::cmp::Ordering::Greater => above += 1,
        }
        let claims = naive::claims(&case.net, &case.region, &case.spec_row);
        deceived += usize::from(claims.iter().any(|(_, claim)| margin.refutes_lower(*claim)));
    }
    println!("margins: {below} below, {zero} zero, {above} above; {deceived} deceive");
    assert!(below > 20 && zero > 5 && above > 20 && deceived > 30);
}

#[test]
fn cases_are_reproducible_and_varied() {
    for kind in Kind::ALL {
        let first: Vec<Case> = cases(7, kind).take(20).collect();
        assert_eq!(first[13], case(7, kind, 13));
        assert_ne!(first[0].net, first[1].net);
        assert_ne!(first[0].net, case(8, kind, 0).net);
    }
    let dims = |n| cases(SEED, Kind::Gaussian).take(50).any(|c| c.net.inputs == n);
    assert!(dims(1) && dims(2) && dims(3));
}

#[test]
fn forward_passes_run_on_members() {
    let ball = Region::ball(&[0.0, 0.0], 1.0, Norm::L2);
    let truth = minimum(&wedge(), &ball, &[1.0]).unwrap();
    let points = members(&ball, &[truth.at], 20, &mut fastrand::Rng::with_seed(SEED));
    let (value, at) = least(&points, |x| (x[0] + x[1]).max(0.0) - (x[0] - x[1]).max(0.0)).unwrap();
    assert!(ball.contains(at) && (f64::from(value) + 2f64.sqrt()).abs() < 1e-6, "{value}");
}
