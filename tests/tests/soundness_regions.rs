//! Tables of certified regions: against exact ranges and forward passes within the sensor error, and the
//! monitor with a table against the one without.

use certus::blob::{WeightKind, pack};
use certus::cover::{Ask, Leaf, Settings, cover, leaves};
use certus::network::Network;
use certus_engine::model::{Activation, Model};
use certus_engine::monitor::{Fault, Means, Report, Rule, SensorError, Setup, Verdict};
use certus_engine::region as engine;
use certus_engine::regions::Regions;
use certus_tests::ask::storable;
use certus_tests::generate::{Kind, affine, case, network};
use certus_tests::members::members;
use certus_tests::monitored::{Memory, outputs};
use certus_tests::passes::{Order, pass};
use certus_tests::plan::{many, seed};
use certus_tests::rational::{Rational, ceil_f32, exact, floor_f32};
use certus_tests::region::Region;
use certus_tests::truth::{Truth, magnitudes};
use fastrand::Rng;

const SEED: u64 = 67;

/// What was found, over all nets.
#[derive(Debug, Default)]
struct Tally {
    leaves: usize,
    certified: usize,
    passes: usize,
    by_table: usize,
    by_bounds: usize,
    none: usize,
}

/// A net, its table, and what it was made for.
struct Made<'a> {
    name: &'a str,
    net: &'a Network,
    model: Model<'a>,
    ask: Ask<'a>,
    regions: Regions<'a>,
}

impl Made<'_> {
    /// The states within the error of a leaf; where that has no floats for ends, a bit less.
    fn states(&self, leaf: &Leaf) -> Region {
        let ends = leaf.lo.iter().zip(&leaf.hi).zip(self.ask.error).map(|((lo, hi), e)| {
            (ceil_f32(&(exact(*lo) - exact(*e))), floor_f32(&(exact(*hi) + exact(*e))))
        });
        let (lo, hi): (Vec<f32>, Vec<f32>) = ends.unzip();
        Region::cube(&lo, &hi)
    }

    /// Whether outputs keep the rule, for a class that one.
    fn kept(&self, y: &[f32], class: usize) -> bool {
        match self.ask.rule {
            Rule::Limits { lo, hi } => {
                y.iter().zip(lo.iter().zip(hi)).all(|(y, (lo, hi))| lo < y && y < hi)
            }
            Rule::Class { margin } => {
                let mut others = y.iter().enumerate().filter(|(j, _)| *j != class);
                others.all(|(_, other)| exact(y[class]) - exact(*other) > exact(margin))
            }
        }
    }

    /// Panics if a certified leaf is wrong: in rationals where the net is of lines, and by passes at f32
    /// states, the critical ones among them.
    fn refute(&self, leaf: &Leaf, lines: bool, tally: &mut Tally, rng: &mut Rng) {
        let Some(class) = leaf.answer else { return };
        let (states, n) = (self.states(leaf), self.net.outputs());
        let rows: Vec<Vec<f32>> = match self.ask.rule {
            Rule::Limits { .. } => unit_rows(n),
            Rule::Class { .. } => {
                let row = |j| {
                    let mut row = vec![0.0; n];
                    (row[class], row[j]) = (1.0, -1.0);
                    row
                };
                (0..n).filter(|j| *j != class).map(row).collect()
            }
        };
        let mut hints: Vec<Vec<Rational>> = Vec::new();
        if lines && let Some(truth) = Truth::find(self.net, &states, &rows) {
            for (row, range) in truth.exact.spec.iter().enumerate() {
                let (min, max) = (&range.min.inner, &range.max.inner);
                let kept = match self.ask.rule {
                    Rule::Limits { lo, hi } => *min > exact(lo[row]) && *max < exact(hi[row]),
                    Rule::Class { margin } => *min > exact(margin),
                };
                assert!(kept, "{}: row {row} in [{min}, {max}] over {leaf:?}", self.name);
                hints.extend([range.min.at.clone(), range.max.at.clone()]);
            }
        }
        for x in members(&states, &hints, 6, rng) {
            for order in Order::ALL {
                let y = pass(self.net, &x, order).1;
                tally.passes += 1;
                assert!(self.kept(&y, class), "{}: {y:?} at {x:?} by {order:?}", self.name);
            }
        }
    }

    /// Inputs in, at the ends of and outside the leaves: what the table says is what the leaf says, and
    /// the monitor with it never contradicts the one without.
    fn compare(&self, leaf: &Leaf, tally: &mut Tally, rng: &mut Rng) {
        let (lo, hi) = self.ask.range;
        let far: Vec<f32> =
            hi.iter().zip(lo).map(|(h, l)| 2.0 * h.abs().max(l.abs()) + 1.0).collect();
        let near: Vec<f32> = far.iter().map(|x| -x).collect();
        let (a, b) = (&leaf.lo, &leaf.hi);
        let within = |rng: &mut Rng, i: usize| {
            let x = a[i] + (b[i] - a[i]) * rng.f32();
            if x < b[i] && x >= a[i] { x } else { a[i] }
        };
        let inside: Vec<f32> = (0..a.len()).map(|i| within(rng, i)).collect();
        assert_eq!(self.regions.find(&inside), leaf.answer, "{}: {inside:?}", self.name);
        assert_eq!(self.regions.find(a), leaf.answer, "{}: {a:?}", self.name);
        let i = rng.usize(0..a.len());
        let (mut end, mut before, mut beyond) = (inside.clone(), inside.clone(), inside.clone());
        end[i] = b[i].next_down();
        before[i] = lo[i].next_down();
        beyond[i] = hi[i].next_up();
        assert_eq!(self.regions.find(&end), leaf.answer, "{}: {end:?}", self.name);
        assert_eq!((self.regions.find(&before), self.regions.find(&beyond)), (None, None));
        let n = self.model.outputs();
        let fallback: Vec<f32> = match self.ask.rule {
            Rule::Limits { lo, hi } => lo.iter().zip(hi).map(|(l, h)| l.midpoint(*h)).collect(),
            Rule::Class { .. } => vec![0.0; n],
        };
        let least = self.ask.error.iter().fold(f32::INFINITY, |a, b| if *b < a { *b } else { a });
        let ball = SensorError::Ball { radius: least, norm: engine::Norm::L2 };
        for error in [SensorError::Box(self.ask.error), ball] {
            let rule = self.ask.rule;
            let new = Setup::new((&near, &far), error, rule, &fallback, Setup::NO_BUDGET, 9);
            let without = Setup { scales: &[], ..new };
            let with = Setup { regions: Some(self.regions), ..without };
            let mut memories = [without, with].map(|setup| Memory::of(&setup, &self.model, 1));
            let [one, other] = &mut memories;
            let mut without = one.monitor(self.model, without);
            let mut with = other.monitor(self.model, with);
            for (now, x) in (0..).zip([&inside, a, b, &end, &before, &beyond]) {
                let (plain, told) = (without.check(x, now), with.check(x, now));
                if self.regions.find(x).is_none() {
                    // Modes and misses remember that the table certified before.
                    let judged = |r: &Report<'_>| (r.verdict, r.class, r.scale, r.by, r.work);
                    assert_eq!(judged(&plain), judged(&told), "{}: {x:?}", self.name);
                    tally.none += 1;
                    continue;
                }
                assert_eq!((told.verdict, told.by), (Verdict::Certified, Some(Means::Regions)));
                assert!(told.scale == 1.0 && told.work <= plain.work);
                assert_eq!((told.class, told.command), (plain.class, &outputs(&self.model, x)[..]));
                assert!(!matches!(
                    plain.verdict,
                    Verdict::Violated(Fault::Everywhere | Fault::Output)
                ));
                tally.by_table += 1;
                tally.by_bounds += usize::from(plain.verdict == Verdict::Certified);
            }
        }
    }

    fn check(&self, lines: bool, tally: &mut Tally, rng: &mut Rng) {
        let leaves = leaves(&self.regions);
        assert_eq!(leaves.len(), self.regions.nodes() + 1);
        let whole: f64 = leaves.iter().map(|leaf| leaf.share).sum();
        assert!((whole - 1.0).abs() < 1e-6, "{whole}");
        tally.leaves += leaves.len();
        tally.certified += leaves.iter().filter(|leaf| leaf.answer.is_some()).count();
        for _ in 0..4 {
            let leaf = &leaves[rng.usize(0..leaves.len())];
            self.refute(leaf, lines, tally, rng);
            self.compare(leaf, tally, rng);
        }
    }
}

/// Rows `e_0, .., e_n-1`.
fn unit_rows(n: usize) -> Vec<Vec<f32>> {
    (0..n).map(|i| (0..n).map(|j| f32::from(u8::from(i == j))).collect()).collect()
}

/// Tables for limits and for a class over a range, both checked.
fn both(
    name: &str,
    net: &Network,
    range: (&[f32], &[f32]),
    lines: bool,
    tally: &mut Tally,
    rng: &mut Rng,
) {
    let words = pack(net, WeightKind::F32).unwrap();
    let model = Model::from_words(&words).unwrap();
    let (lo, hi) = range;
    let share = [0.0, 0.01, 0.1][rng.usize(0..3)];
    let error: Vec<f32> = lo.iter().zip(hi).map(|(l, h)| (h - l) * share * rng.f32()).collect();
    // Limits that a part of the inputs breaks.
    let at = |rng: &mut Rng| -> Vec<f32> {
        lo.iter().zip(hi).map(|(l, h)| l + (h - l) * rng.f32()).collect()
    };
    let values: Vec<Vec<f32>> = (0..60).map(|_| outputs(&model, &at(rng))).collect();
    let n = model.outputs();
    let column = |j: usize| {
        let mut column: Vec<f32> = values.iter().map(|y| y[j]).collect();
        column.sort_by(f32::total_cmp);
        column
    };
    let least: Vec<f32> = (0..n).map(|j| column(j)[6].next_down()).collect();
    let most: Vec<f32> = (0..n).map(|j| column(j)[53].next_up()).collect();
    let spread = least.iter().zip(&most).map(|(a, b)| b - a).fold(0.0, f32::max);
    let margin = if rng.bool() { 0.0 } else { 0.05 * spread };
    for rule in [Rule::Limits { lo: &least, hi: &most }, Rule::Class { margin }] {
        if n < 2 && matches!(rule, Rule::Class { .. }) {
            continue;
        }
        let ask = Ask { range, error: &error, rule };
        let settings = Settings { leaves: rng.usize(1..24), depth: rng.usize(0..9) };
        let table = cover(model, &ask, &settings, rng.bool()).unwrap().words;
        let regions = Regions::from_words(&table).unwrap();
        assert!(regions.nodes() < settings.leaves && regions.depth() <= settings.depth);
        assert_eq!((regions.range(), regions.error()), (range, &error[..]));
        // Behind the model it is the same table.
        let whole = [&words[..], &table].concat();
        let model = Model::from_words(&whole).unwrap();
        assert_eq!(model.regions(), Some(regions));
        Made { name, net, model, ask, regions }.check(lines, tally, rng);
    }
}

#[test]
fn nets_of_lines_against_exact_ranges() {
    let seed = seed(SEED);
    let mut rng = Rng::with_seed(seed);
    let mut tally = Tally::default();
    for kind in Kind::ALL {
        for index in 0..many(40) as u64 {
            let mut case = case(seed, kind, index);
            storable(&mut case.net);
            let Some((x, eps, _)) = case.region.as_ball() else { continue };
            let large = magnitudes(&case.net, &case.region);
            if large.iter().flatten().any(|m| *m > 2f64.powi(40)) || !(eps > 1e-6 && eps < 1e6) {
                continue;
            }
            let ends =
                |sign: f32| -> Vec<f32> { x.iter().map(|x| x + sign * eps as f32).collect() };
            let (lo, hi) = (ends(-1.0), ends(1.0));
            if lo.iter().zip(&hi).any(|(lo, hi)| !(lo.next_up() < *hi)) {
                continue;
            }
            both(&case.name, &case.net, (&lo, &hi), true, &mut tally, &mut rng);
        }
    }
    println!("{tally:?}");
    assert!(tally.certified > 100 && tally.leaves > tally.certified, "{tally:?}");
    assert!(tally.by_table > 300 && tally.none > 300 && tally.passes > 1000, "{tally:?}");
}

#[test]
fn nets_of_tanh_by_passes() {
    let mut rng = Rng::with_seed(seed(SEED + 1));
    let mut tally = Tally::default();
    for index in 0..many(40) {
        let mut layer = |rows: usize, cols: usize, activation| {
            let mut row =
                |n: usize| -> Vec<f32> { (0..n).map(|_| 3.0 * rng.f32() - 1.5).collect() };
            let weights: Vec<Vec<f32>> = (0..rows).map(|_| row(cols)).collect();
            let weights: Vec<&[f32]> = weights.iter().map(Vec::as_slice).collect();
            affine(&weights, &row(rows), activation)
        };
        let (inputs, outputs) = (1 + index % 3, 1 + index % 2);
        let net = network(vec![
            layer(5, inputs, Activation::Tanh),
            layer(4, 5, Activation::Tanh),
            layer(outputs, 4, Activation::Identity),
        ]);
        let hi: Vec<f32> = (0..inputs).map(|_| 0.25 + rng.f32()).collect();
        let lo: Vec<f32> = hi.iter().map(|x| -x * (0.5 + rng.f32())).collect();
        both(&format!("tanh {index}"), &net, (&lo, &hi), false, &mut tally, &mut rng);
    }
    println!("{tally:?}");
    assert!(tally.certified > 50 && tally.by_table > 100 && tally.passes > 1000, "{tally:?}");
}

/// `y = relu(x0 + x1) + relu(x0 - x1) - 1` on [-2, 2], within -1.5 and 1.125: so far as `x0 < 1.0625`,
/// or for `|x1| > x0` as `x0 + |x1| < 2.125`, everywhere within an error of 1/16.
#[test]
fn a_table_by_hand() {
    let net = network(vec![
        affine(&[&[1.0, 1.0], &[1.0, -1.0]], &[0.0, 0.0], Activation::Relu),
        affine(&[&[1.0, 1.0]], &[-1.0], Activation::Identity),
    ]);
    let words = pack(&net, WeightKind::F32).unwrap();
    let model = Model::from_words(&words).unwrap();
    let ask = Ask {
        range: (&[-2.0; 2], &[2.0; 2]),
        error: &[0.0625; 2],
        rule: Rule::Limits { lo: &[-1.5], hi: &[1.125] },
    };
    let truth = |x: &[f32]| {
        let (a, b) = (x[0] + 0.0625, x[1].abs() + 0.0625);
        (a + b).max(0.0) + (a - b).max(0.0) < 2.125 && 2.0 * a < 2.125
    };
    let mut shares = Vec::new();
    for (leaves, depth) in [(1, 24), (4, 24), (16, 24), (256, 24), (256, 3)] {
        let table = cover(model, &ask, &Settings { leaves, depth }, true).unwrap().words;
        let regions = Regions::from_words(&table).unwrap();
        assert!(regions.nodes() < leaves && regions.depth() <= depth);
        let mut found = 0;
        for i in -32..=32i16 {
            for j in -32..=32i16 {
                let x = [f32::from(i) / 16.0, f32::from(j) / 16.0];
                let certified = regions.find(&x) == Some(0);
                assert!(!certified || truth(&x), "{x:?}");
                found += usize::from(certified);
            }
        }
        shares.push(found);
        // The table does not depend on the threads.
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let again = pool.install(|| cover(model, &ask, &Settings { leaves, depth }, true));
            assert_eq!(again.unwrap().words, table);
        }
    }
    let all = (0..65 * 65).filter(|k| {
        truth(&[f32::from((k / 65 - 32) as i16) / 16.0, f32::from((k % 65 - 32) as i16) / 16.0])
    });
    let all = all.count();
    println!("{shares:?} of {all}");
    // One box certifies nothing; x0 < 0 takes few; with many nearly all are found.
    assert!(shares[0] == 0 && shares[1] > all / 2 && shares[2] >= shares[1], "{shares:?}");
    assert!(shares[3] * 10 > 9 * all && shares[4] > 0, "{shares:?} of {all}");
}
