//! Attacks and their replay, checked by exact rationals: a falsification is always one.

use certus::attack::{
    Aim, Attack, Cpu, Descent, Gradient, Method, Nearest, Refusal, Threat, Witness, Worker, replay,
};
use certus::blob::{WeightKind, pack};
use certus::cpu::Runner;
use certus::network::Network;
use certus_engine::model::{Activation, Model};
use certus_engine::region as engine;
use certus_engine::simplex::{Query, Simplex};
use certus_tests::ask::storable;
use certus_tests::generate::{Kind, affine, breakers, case, network};
use certus_tests::oracle::{forward, pre_activations};
use certus_tests::plan::{many, seed};
use certus_tests::rational::{Rational, Sign, abs, dyadic, exact, from_slice, sqrt_bounds};
use certus_tests::region::{Norm, Region};

const SEED: u64 = 71;

const NORMS: [(engine::Norm, Norm); 3] =
    [(engine::Norm::L1, Norm::L1), (engine::Norm::L2, Norm::L2), (engine::Norm::Linf, Norm::Linf)];

const METHODS: [Method; 4] = [Method::Fgsm, Method::Ifgsm, Method::Pgd, Method::DeepFool];

fn words(net: &Network) -> Vec<u32> {
    pack(net, WeightKind::F32).unwrap_or_else(|error| panic!("{error}"))
}

fn model(words: &[u32]) -> Model<'_> {
    Model::from_words(words).expect("packed here")
}

/// A classifier of a kind with the centre of its region.
fn classifier(seed: u64, kind: Kind, index: u64) -> Option<(Network, Vec<f32>, f64)> {
    let mut case = case(seed, kind, index);
    storable(&mut case.net);
    let (center, eps, _) = case.region.as_ball()?;
    (case.net.outputs() > 1).then(|| (case.net.clone(), center.to_vec(), eps))
}

/// Asserts, exactly, that the witness lies in the threat and that its class is level or ahead.
fn recheck(net: &Network, threat: &Threat<'_>, norm: Norm, class: usize, witness: &Witness) {
    let point = witness.point();
    let ball = Region::ball(threat.center, witness.distance(), norm);
    assert!(ball.contains(point), "{point:?} beyond {}", witness.distance());
    assert!(witness.distance() <= threat.epsilon);
    if let Some((lo, hi)) = threat.clip {
        assert!(point.iter().all(|x| (lo..=hi).contains(x)), "{point:?}");
    }
    let outputs = forward(net, &from_slice(point));
    let lead = &outputs[witness.class()] - &outputs[class];
    assert!(witness.class() != class && lead >= Rational::ZERO, "{point:?}");
    assert!(witness.lead() >= 0.0 && exact(witness.lead()) <= lead, "{}", witness.lead());
}

/// Central differences of the exact forward pass, within one linear region.
#[test]
fn gradients_are_differences_of_the_exact_forward_pass() {
    let seed = seed(SEED);
    let mut compared = 0;
    for index in 0..many(150) as u64 {
        let kind = [Kind::Gaussian, Kind::Leaky, Kind::Skipping][index as usize % 3];
        let Some((net, center, eps)) = classifier(seed, kind, index) else { continue };
        let mut rng = fastrand::Rng::with_seed(index);
        let n = net.inputs;
        let points: Vec<f32> =
            (0..3 * n).map(|i| center[i % n] + (2.0 * rng.f32() - 1.0) * eps as f32).collect();
        let outputs = net.outputs();
        let seeds: Vec<f32> = (0..6 * outputs).map(|_| rng.f32() - 0.5).collect();
        let words = words(&net);
        let mut gradient = Cpu::new(model(&words));
        let values = gradient.forward(&points).to_vec();
        let found = gradient.backward(&seeds, 2).to_vec();
        for (p, point) in points.chunks(n).enumerate() {
            let at = from_slice(point);
            let truth = forward(&net, &at);
            for (value, truth) in values[p * outputs..].iter().zip(&truth) {
                let (value, truth) = (f64::from(*value), truth.to_f64_fast());
                assert!((value - truth).abs() <= 1e-4 * (1.0 + truth.abs()), "{value} {truth}");
            }
            for i in 0..n {
                // Far below any distance to a kink that f32 inputs can have by chance.
                let h = dyadic(1.into(), -80);
                let side = |h: &Rational| {
                    let mut x = at.clone();
                    x[i] = &x[i] + h;
                    x
                };
                let (above, below) = (side(&h), side(&-&h));
                let signs = |x: &[Rational]| -> Vec<bool> {
                    let layers = pre_activations(&net, x);
                    layers.iter().flatten().map(|z| z.sign() == Sign::Positive).collect()
                };
                if signs(&above) != signs(&below) {
                    continue;
                }
                let (above, below) = (forward(&net, &above), forward(&net, &below));
                for each in 0..2 {
                    let seeds = &seeds[(2 * p + each) * outputs..][..outputs];
                    let mut truth = 0.0;
                    let mut scale = 1.0;
                    for ((a, b), s) in above.iter().zip(&below).zip(seeds) {
                        let slope = ((a - b) / (&h + &h)).to_f64_fast() * f64::from(*s);
                        truth += slope;
                        scale += slope.abs();
                    }
                    let found = f64::from(found[(2 * p + each) * n + i]);
                    assert!((found - truth).abs() <= 1e-4 * scale, "{index}: {found} {truth}");
                    compared += 1;
                }
            }
        }
    }
    println!("{compared} derivatives");
    assert!(compared > many(600));
}

/// Every falsification, of any method, norm and box, is one in exact arithmetic.
#[test]
fn falsifications_are_exact() {
    let seed = seed(SEED + 1);
    let (mut falsified, mut asked) = (0, 0);
    for index in 0..many(120) as u64 {
        let kind = Kind::ALL[index as usize % Kind::ALL.len()];
        let Some((net, center, eps)) = classifier(seed, kind, index) else { continue };
        let words = words(&net);
        let mut worker = Worker::new(model(&words), false);
        let Some(class) = worker.runner.predict(&center) else { continue };
        for (norm, exact_norm) in NORMS {
            let most = center.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            for clip in [None, Some((-most, most))] {
                let threat = Threat { center: &center, epsilon: eps, norm, clip };
                let mut attacks: Vec<Attack> = METHODS.map(Attack::new).to_vec();
                attacks[2].descent = Descent { aim: Aim::Each, momentum: 0.5, ..Descent::PGD };
                for attack in attacks {
                    let found = attack.run(&mut worker, &threat, class, index as usize);
                    asked += 1;
                    if let Some(witness) = found.witness {
                        falsified += 1;
                        recheck(&net, &threat, exact_norm, class, &witness);
                    }
                }
            }
        }
    }
    println!("{falsified} falsified of {asked}");
    assert!(falsified > many(100) && falsified < asked);
}

/// Where sums cancel to below their rounding, replay must not believe the floats.
#[test]
fn breakers_are_not_falsified_by_rounding() {
    let mut rng = fastrand::Rng::with_seed(SEED);
    let (mut fooled, mut settled, mut asked) = (0, 0, 0);
    let mut cases: Vec<_> = breakers().into_iter().map(|breaker| breaker.case).collect();
    cases.extend((0..many(200) as u64).map(|index| case(SEED, Kind::Cancelling, index)));
    for mut case in cases {
        storable(&mut case.net);
        if case.spec_row.iter().all(|c| *c == 0.0) {
            continue;
        }
        // The specification as the lead of a class over a constant 0.
        let last = case.net.layers.last_mut().expect("a layer");
        if last.activation != Activation::Identity || last.rows != 1 {
            continue;
        }
        last.rows = 2;
        last.weights.extend(vec![0.0; last.cols]);
        last.bias.push(0.0);
        let Some((lo, hi)) = case.region.bounding_box() else { continue };
        let words = words(&case.net);
        let mut runner = Runner::new(model(&words), false);
        for _ in 0..20 {
            let point: Vec<f32> = lo
                .iter()
                .zip(&hi)
                .map(|(lo, hi)| {
                    let (lo, hi) = (lo.to_f64_fast(), hi.to_f64_fast());
                    (lo + (hi - lo) * f64::from(rng.u8(0..=4)) / 4.0) as f32
                })
                .collect();
            if point.iter().any(|x| !(x.abs() < 2f32.powi(99))) {
                continue;
            }
            let norm = engine::Norm::Linf;
            let threat = Threat { center: &point, epsilon: 0.0, norm, clip: None };
            let outputs = forward(&case.net, &from_slice(&point));
            let floats = runner.forward(&point);
            for class in 0..2 {
                asked += 1;
                let truly = outputs[1 - class] >= outputs[class];
                fooled += usize::from(!truly && floats[1 - class] >= floats[class]);
                if let Ok(witness) = replay(&mut runner, &threat, class, &point) {
                    settled += 1;
                    assert!(truly, "{}: {point:?}", case.name);
                    recheck(&case.net, &threat, Norm::Linf, class, &witness);
                }
            }
        }
    }
    println!("{settled} settled of {asked}; f32 is wrong on {fooled}");
    assert!(fooled > 20 && settled > 20, "{fooled} {settled}");
}

/// Two inputs, the larger one wins.
fn larger() -> Vec<u32> {
    let rows: [&[f32]; 2] = [&[1.0, 0.0], &[0.0, 1.0]];
    words(&network(vec![affine(&rows, &[0.0; 2], Activation::Identity)]))
}

#[test]
fn replay_refuses_what_is_outside_by_an_ulp() {
    let words = larger();
    let mut runner = Runner::new(model(&words), false);
    let center = [1.0, 0.0];
    let point = [0.25f32, 0.75];
    for (norm, epsilon) in
        [(engine::Norm::Linf, 0.75), (engine::Norm::L1, 1.5), (engine::Norm::L2, 1.125f64.sqrt())]
    {
        let epsilon = if norm == engine::Norm::L2 { epsilon.next_up() } else { epsilon };
        let threat = Threat { center: &center, epsilon, norm, clip: None };
        let witness = replay(&mut runner, &threat, 0, &point).unwrap();
        assert!(witness.distance() <= epsilon && witness.class() == 1);
        assert!(witness.lead() > 0.49 && witness.lead() <= 0.5);
        for outside in [[0.25f32.next_down(), 0.75], [0.25, 0.75f32.next_up()]] {
            let told = replay(&mut runner, &threat, 0, &outside);
            assert_eq!(told, Err(Refusal::Outside), "{norm:?}");
        }
        let less = Threat { epsilon: epsilon * (1.0 - 1e-15), ..threat };
        assert_eq!(replay(&mut runner, &less, 0, &point), Err(Refusal::Outside), "{norm:?}");
        for clip in [(0.25f32.next_up(), 2.0), (-1.0, 0.75f32.next_down()), (2.0, 1.0)] {
            let boxed = Threat { clip: Some(clip), ..threat };
            assert_eq!(replay(&mut runner, &boxed, 0, &point), Err(Refusal::Outside), "{clip:?}");
        }
        let boxed = Threat { clip: Some((0.25, 1.0)), ..threat };
        replay(&mut runner, &boxed, 0, &point).unwrap();
    }
}

#[test]
fn replay_refuses_what_is_no_point_and_what_is_not_settled() {
    let words = larger();
    let mut runner = Runner::new(model(&words), false);
    let norm = engine::Norm::Linf;
    let threat = Threat { center: &[1.0, 0.0], epsilon: f64::INFINITY, norm, clip: None };
    for odd in [[f32::NAN, 0.0], [0.0, f32::INFINITY], [f32::NEG_INFINITY, 0.0]] {
        assert_eq!(replay(&mut runner, &threat, 0, &odd), Err(Refusal::Outside));
    }
    assert_eq!(replay(&mut runner, &threat, 0, &[0.0; 3]), Err(Refusal::Outside));
    assert_eq!(replay(&mut runner, &threat, 7, &[0.0; 2]), Err(Refusal::Class));
    let nan = Threat { epsilon: f64::NAN, ..threat };
    assert_eq!(replay(&mut runner, &nan, 0, &[0.0, 1.0]), Err(Refusal::Outside));
    let huge = replay(&mut runner, &threat, 0, &[0.0, 1e35]);
    assert!(matches!(huge, Err(Refusal::Bounds(_))), "{huge:?}");
    // On the right side: the lead is bounded from below, and below 0.
    match replay(&mut runner, &threat, 0, &[1.0, 0.5]) {
        Err(Refusal::Unsettled { lead }) => assert!((-0.51..=-0.498).contains(&lead), "{lead}"),
        other => panic!("{other:?}"),
    }
    // Level to within rounding: settled by a push, but not where there is no room for one.
    let level = [0.5, 0.5];
    let witness = replay(&mut runner, &threat, 0, &level).unwrap();
    assert!(witness.point() != level && witness.distance() < 0.5 * 1.003);
    let tight = Threat { epsilon: 0.5, ..threat };
    assert!(matches!(replay(&mut runner, &tight, 0, &level), Err(Refusal::Unsettled { .. })));
}

/// On a linear net the distance is known: the least gap over the dual norm of its slope.
#[test]
fn linear_nets_are_attacked_at_their_exact_distance() {
    let seed = seed(SEED + 2);
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut nets = 0;
    for index in 0..many(60) {
        let (n, classes) = (rng.usize(2..20), rng.usize(2..6));
        let rows: Vec<Vec<f32>> =
            (0..classes).map(|_| (0..n).map(|_| rng.f32() - 0.5).collect()).collect();
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let bias: Vec<f32> = (0..classes).map(|_| 0.5 * rng.f32()).collect();
        let net = network(vec![affine(&rows, &bias, Activation::Identity)]);
        let center: Vec<f32> = (0..n).map(|_| 2.0 * rng.f32() - 1.0).collect();
        let words = words(&net);
        let model = model(&words);
        let mut runner = Runner::new(model, false);
        let class = runner.predict(&center).expect("finite outputs");
        let outputs = forward(&net, &from_slice(&center));
        for (norm, exact_norm) in NORMS {
            let distance = |other: usize| {
                let slope: Vec<Rational> = rows[other]
                    .iter()
                    .zip(rows[class])
                    .map(|(a, b)| exact(*a) - exact(*b))
                    .collect();
                let dual = match exact_norm {
                    Norm::Linf => slope.iter().fold(Rational::ZERO, |s, a| s + abs(a)),
                    Norm::L1 => slope.iter().map(abs).max().expect("an input"),
                    Norm::L2 => sqrt_bounds(&slope.iter().fold(Rational::ZERO, |s, a| s + a * a)).0,
                };
                (&outputs[class] - &outputs[other]) / dual
            };
            let others = (0..classes).filter(|j| *j != class);
            let truth = others.map(distance).min().expect("another class").to_f64_fast();
            if truth < 1e-3 {
                continue;
            }
            let threat = Threat { center: &center, epsilon: f64::INFINITY, norm, clip: None };
            let mut gradient = Cpu::new(model);
            let nearest = Nearest::default();
            let found = nearest.run(&mut gradient, &mut runner, &threat, class, index, 0.0);
            let witness = found.expect("a linear net of two classes has a boundary");
            recheck(&net, &threat, exact_norm, class, &witness);
            let found = witness.distance();
            assert!(found >= truth * (1.0 - 1e-9) && found <= 1.01 * truth, "{found} {truth}");
            let mut worker = Worker::new(model, false);
            for method in [Method::Pgd, Method::DeepFool] {
                let mut asked = |share: f64| {
                    let threat = Threat { epsilon: share * truth, ..threat };
                    Attack::new(method).run(&mut worker, &threat, class, index).witness
                };
                // A sparse l1 step divides itself over coordinates that are not the best.
                let share =
                    if norm == engine::Norm::L1 && method == Method::Pgd { 1.1 } else { 1.01 };
                assert!(asked(share).is_some(), "{method:?} {norm:?}");
                assert!(asked(0.999_999).is_none(), "{method:?} {norm:?}");
            }
            nets += 1;
        }
    }
    println!("{nets} linear nets");
    assert!(nets > many(120));
}

/// Nearest witnesses lie beyond what is certified, and in the box.
#[test]
fn attacked_distances_are_upper_bounds() {
    let seed = seed(SEED + 3);
    let mut found = 0;
    for index in 0..many(40) as u64 {
        let kind = [Kind::Gaussian, Kind::Leaky, Kind::Integer][index as usize % 3];
        let Some((net, center, _)) = classifier(seed, kind, index) else { continue };
        let words = words(&net);
        let mut runner = Runner::new(model(&words), false);
        let Some(class) = runner.predict(&center) else { continue };
        let most = center.iter().fold(0.5f32, |most, x| most.max(x.abs()));
        for (norm, exact_norm) in NORMS {
            for clip in [None, Some((-most, most))] {
                let threat = Threat { center: &center, epsilon: f64::INFINITY, norm, clip };
                let mut gradient = Cpu::new(model(&words));
                let nearest = Nearest::default();
                let run = |gradient: &mut Cpu<'_>, runner: &mut Runner<'_>| {
                    nearest.run(gradient, runner, &threat, class, 5, 0.01)
                };
                let first = run(&mut gradient, &mut runner);
                // The memory of earlier calls plays no part.
                assert_eq!(first, run(&mut gradient, &mut runner));
                let Some(witness) = first else { continue };
                found += 1;
                recheck(&net, &threat, exact_norm, class, &witness);
                let query = Query::margins(&center, norm, class);
                let simplex: Result<Simplex<1>, _> = runner.simplex(&query);
                let radius = simplex.map_or(0.0, |simplex| simplex.radius());
                assert!(f64::from(radius) <= witness.distance(), "{radius} {witness:?}");
            }
        }
    }
    println!("{found} nearest witnesses");
    assert!(found > many(60));
}
