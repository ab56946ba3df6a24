//! The networks built to break verifiers by rounding, in every setting of the engine.

use certus::blob::{WeightKind, pack};
use certus_engine::bounds::Method;
use certus_engine::certificate::{Verdict, verdict};
use certus_engine::model::Activation;
use certus_engine::spec::Spec;
use certus_tests::ask::{Engine, METHODS, Sums, all_options, engine_region};
use certus_tests::generate::{Breaker, Case, affine, breakers, network};
use certus_tests::rational::{Rational, compare, exact};
use certus_tests::region::{Norm, Region};
use certus_tests::truth::{Truth, justified};

/// The best bound of each method, `None` where it refused; panics if any is wrong.
fn best(breaker: &Breaker) -> Option<[Option<f32>; METHODS.len()]> {
    let Case { name, net, region, spec_row } = &breaker.case;
    let words = match pack(net, WeightKind::F32) {
        Ok(words) => words,
        Err(error) => {
            // The format has no subnormal slopes.
            let subnormal = |a| matches!(a, Activation::LeakyRelu(s) if s.is_subnormal());
            assert!(net.layers.iter().any(|l| subnormal(l.activation)), "{name}: {error}");
            return None;
        }
    };
    let mut engine = Engine::new(&words);
    let truth = Truth::find(net, region, std::slice::from_ref(spec_row)).expect(name);
    let rows = [spec_row[0], -spec_row[0]];
    let mut best = [None; METHODS.len()];
    for options in all_options() {
        for sums in Sums::ALL {
            let spec = Spec::Rows { matrix: &rows, rows: 2 };
            let how = (&options, sums);
            let answer = match engine.ask(&engine_region(region), &spec, &options, sums) {
                Ok(answer) => answer,
                Err(error) => {
                    assert!(justified(&error, net, region), "{name}: {error}: {how:?}");
                    continue;
                }
            };
            assert!(
                !compare(answer.lower[0], &breaker.margin).is_gt(),
                "{name}: {} above {}: {how:?}",
                answer.lower[0],
                breaker.margin.to_f64_fast()
            );
            if breaker.margin <= Rational::ZERO {
                assert_eq!(verdict(&answer.lower[..1]), Verdict::Unknown, "{name}: {how:?}");
            }
            let valid = [truth.least[0], truth.least_negated[0]];
            answer.refute(name, &valid, &truth.pre, &how);
            let slot = &mut best[METHODS.iter().position(|m| *m == options.method).unwrap()];
            *slot = Some(slot.map_or(answer.lower[0], |b: f32| b.max(answer.lower[0])));
        }
    }
    Some(best)
}

fn line(breaker: &Breaker) -> Option<[Option<f32>; METHODS.len()]> {
    let found = best(breaker);
    print!("{:>32} {:>14.6e}", breaker.case.name, breaker.margin.to_f64_fast());
    for bound in found.unwrap_or_default() {
        match bound {
            Some(bound) => print!(" {bound:>14.6e}"),
            None => print!(" {:>14}", "refused"),
        }
    }
    println!();
    found
}

#[test]
fn never_certified_wrongly() {
    println!("{:>32} {:>14} {METHODS:?}", "breaker", "margin");
    let all = breakers();
    let bounded = all
        .iter()
        .filter_map(line)
        .filter(|b| b[METHODS.len() - 1].is_some_and(f32::is_finite))
        .count();
    println!("{} breakers, CROWN bounds {bounded}", all.len());
    // Refusing everything would be sound, too.
    assert!(all.len() >= 20 && bounded * 4 >= 3 * all.len());
}

/// The same networks with a bias that leaves room for the roundings, and for what products may drop
/// (`num::NEGLIGIBLE` beside the largest weight): those must be certified.
#[test]
fn certified_when_the_margin_is_wide() {
    let mut certified = 0;
    let mut asked = 0;
    for mut breaker in breakers() {
        let magnitudes = certus_tests::truth::magnitudes(&breaker.case.net, &breaker.case.region);
        let size = magnitudes.iter().flatten().fold(0.0f64, |a, b| a.max(*b));
        if size >= 2f64.powi(90) || pack(&breaker.case.net, WeightKind::F32).is_err() {
            continue;
        }
        let weights = breaker.case.net.layers.iter().flat_map(|layer| &layer.weights);
        let largest = weights.fold(1.0f32, |a, w| a.max(w.abs()));
        let room = 32.0 * size + f64::from(largest) * 2f64.powi(-50);
        let last = breaker.case.net.layers.last_mut().unwrap();
        let raised = (f64::from(last.bias[0]) + room) as f32;
        breaker.margin += exact(raised) - exact(last.bias[0]);
        last.bias[0] = raised;
        let found = best(&breaker).expect("packs");
        asked += 1;
        let all = found.iter().all(|b| verdict(&[b.unwrap()]) == Verdict::Certified);
        if !all {
            println!("{}: {found:?}, raised {raised:e}", breaker.case.name);
        }
        certified += usize::from(all);
    }
    println!("{certified} of {asked} breakers with room are certified by every method");
    assert!(asked >= 15 && certified == asked);
}

/// A margin of a thousandth of what the roundings could take is not certified, one of a hundred
/// times as much is, by the methods for which nothing else is lost.
#[test]
fn the_budget_is_neither_forgotten_nor_vacuous() {
    let tie = |bias: f32| {
        let w = 0.1f32;
        let mut out = vec![1.0; 10];
        out.push(-10.0);
        let first = affine(&[&[w][..]; 11], &[0.0; 11], Activation::Relu);
        let net = network(vec![first, affine(&[&out], &[bias], Activation::Identity)]);
        let region = Region::ball(&[1.5], 0.5, Norm::Linf);
        let case = Case { name: format!("tie and {bias:e}"), net, region, spec_row: vec![1.0] };
        Breaker { case, margin: exact(bias) }
    };
    for (bias, certified) in [(1e-9, false), (1e-4, true)] {
        let breaker = tie(bias);
        let found = line(&breaker).expect("packs");
        for (method, bound) in METHODS.iter().zip(found) {
            // Intervals lose the correlation of the units.
            if *method != Method::Ibp {
                let verdict = verdict(&[bound.unwrap()]) == Verdict::Certified;
                assert_eq!(verdict, certified, "{method:?} {bias}");
            }
        }
    }
}
