//! Calls that end as soon as every row is positive: what they may not lose, and what they spare.

use certus::cpu::Runner;
use certus::network::{Affine, Network};
use certus_engine::bounds::{Given, Method, Options, Semantics, Work};
use certus_engine::certificate::{Verdict, verdict};
use certus_engine::model::{Activation, Model};
use certus_engine::region::{Norm, Region};
use certus_engine::spec::Spec;
use certus_tests::outside;
use certus_tests::plan::{many, seed};
use fastrand::Rng;

const SEED: u64 = 0xea51;

/// A classifier that walks back at great cost, with this activation at its end; `pull` makes its first
/// output the largest.
fn network(rng: &mut Rng, pull: f32, end: Activation) -> Network {
    let widths = [6, 192, 192, 192, 192, 192, 4];
    let last = widths.len() - 2;
    let mut layer = |k: usize| {
        let (cols, rows) = (widths[k], widths[k + 1]);
        let scale = (6.0 / cols as f32).sqrt();
        let mut draw = |n: usize, scale: f32| -> Vec<f32> {
            (0..n).map(|_| scale * (2.0 * rng.f32() - 1.0)).collect()
        };
        let weights = draw(rows * cols, scale);
        let mut bias = draw(rows, 0.1);
        if k == last {
            bias[0] += pull;
        }
        let activation = if k == last { end } else { Activation::Relu };
        Affine {
            rows,
            cols,
            weights,
            bias,
            activation,
            through: 0,
            weight_error: 0.0,
            bias_error: 0.0,
        }
    };
    Network { inputs: widths[0], layers: (0..=last).map(&mut layer).collect() }
}

/// What a call found.
struct Found {
    lower: Vec<f32>,
    ends: (Vec<f32>, Vec<f32>),
    work: Work,
}

impl Found {
    fn certified(&self) -> bool {
        verdict(&self.lower) == Verdict::Certified
    }
}

fn ask(runner: &mut Runner<'_>, region: &Region<'_>, options: &Options) -> Found {
    let mut lower = Vec::new();
    let (spec, given) = (Spec::Margins { class: 0 }, Given::default());
    let found = runner.lower_bounds_given(region, &spec, options, &given, None, &mut lower);
    let found = found.expect("in range");
    let (ends, work) = ((found.lo.to_vec(), found.hi.to_vec()), found.work);
    Found { lower, ends, work }
}

/// Nothing that CROWN or intervals prove is lost; a try that failed leaves no trace; one that
/// succeeds spares the walks. Bounds hold at sampled points.
#[test]
fn nothing_is_lost_and_much_is_spared() {
    let mut rng = Rng::with_seed(seed(SEED));
    let crown = Options::new(Method::Crown);
    let early = Options { early: true, ..crown };
    let (mut spared, mut failed, mut better) = (0, 0, 0);
    for round in 0..many(24) {
        let pull = [0.0, 3.0, 12.0, 40.0][round % 4];
        let words = outside::words(&network(&mut rng, pull, Activation::Identity));
        let model = Model::from_words(&words).expect("packed here");
        let mut runner = Runner::new(model, false);
        let x: Vec<f32> = (0..6).map(|_| rng.f32() - 0.5).collect();
        for eps in [0.003, 0.02, 0.1, 0.5] {
            let region = Region::ball(&x, eps, [Norm::Linf, Norm::L2][round / 4 % 2]);
            let [plain, ended, boxes] = [crown, early, Options::new(Method::Ibp)]
                .map(|options| ask(&mut runner, &region, &options));
            let proved = plain.certified() || boxes.certified();
            assert!(ended.certified() || !proved, "round {round}, {eps}: {:?}", ended.lower);
            if !ended.certified() {
                assert!(ended.ends == plain.ends, "round {round}, {eps}: other intervals");
                let kept = ended.lower.iter().zip(&plain.lower).all(|(e, p)| e >= p);
                assert!(kept, "{:?} below {:?}", ended.lower, plain.lower);
                failed += usize::from(ended.work.macs() > plain.work.macs());
                // A try is bounded by a share of the walks.
                assert!(ended.work.macs() < plain.work.macs() / 32 * 33, "{:?}", ended.work);
            } else if 3 * ended.work.macs() < 2 * plain.work.macs() {
                spared += 1;
            }
            better += usize::from(ended.certified() && !plain.certified());
            // Deployed bounds hold for what a forward pass returns.
            let deployed = Options { semantics: Semantics::Deployed, ..early };
            let deployed = ask(&mut runner, &region, &deployed);
            for _ in 0..20 {
                let step = |x: &f32| x + eps as f32 * 0.4 * (2.0 * rng.f32() - 1.0);
                let point: Vec<f32> = x.iter().map(step).collect();
                let y = runner.forward(&point);
                for (j, bound) in deployed.lower.iter().enumerate() {
                    let margin = f64::from(y[0]) - f64::from(y[j + 1]);
                    assert!(f64::from(*bound) <= margin, "{bound} above {margin} at {point:?}");
                }
            }
        }
    }
    println!("{spared} spared a third, {failed} failed tries, {better} that CROWN left open");
    assert!(spared > 5 && failed > 5, "{spared} {failed}");
}

/// The class's own output caps margins before a last ReLU: what is known of it may not depend on which
/// rows share its block, nor on what an earlier try has settled.
#[test]
fn a_cap_is_as_good_as_without_an_early_end() {
    let mut rng = Rng::with_seed(seed(SEED + 1));
    let crown = Options::new(Method::Crown);
    let early = Options { early: true, ..crown };
    let mut open = 0;
    for round in 0..many(6) {
        let pull = [3.0, 12.0, 40.0][round % 3];
        let words = outside::words(&network(&mut rng, pull, Activation::Relu));
        let model = Model::from_words(&words).expect("packed here");
        let x: Vec<f32> = (0..6).map(|_| rng.f32() - 0.5).collect();
        for mut runner in [Runner::device(model), Runner::new(model, false)] {
            for eps in [0.01, 0.03, 0.1, 0.3] {
                let region = Region::ball(&x, eps, Norm::Linf);
                let [plain, ended] = [crown, early].map(|o| ask(&mut runner, &region, &o));
                if ended.certified() {
                    continue;
                }
                assert!(!plain.certified(), "{:?} below {:?}", ended.lower, plain.lower);
                for (e, p) in ended.lower.iter().zip(&plain.lower) {
                    assert!(e >= p || *e > 0.0, "{eps}: {:?} below {:?}", ended.lower, plain.lower);
                }
                open += 1;
            }
        }
    }
    assert!(open > 5, "{open}");
}
