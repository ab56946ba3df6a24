//! Random faults in the control loop, the true state being known: what the monitor promises is asserted
//! in each tick, and monitors with a bug are found out.

use certus_engine::bounds::{Method, Options, Portable, Semantics, Workspace, lower_bounds};
use certus_engine::model::Model;
use certus_engine::monitor::{Mode, Verdict};
use certus_engine::num::{add_up, sub_down};
use certus_engine::region::Region;
use certus_engine::spec::Spec;
use certus_tests::plan::{many, seed};
use fastrand::Rng;
use rayon::prelude::*;

use crate::bugs::{Bug, Buggy};
use crate::fly::control::{Judge, RECHECK};
use crate::fly::flight::{Flight, Tick};
use crate::fly::memory::{Ram, weights};
use crate::fly::plant::{MOST, ROTORS, STATES};
use crate::fly::policy::{ERROR, RANGE, SETUP, START};
use crate::fly::promise::{Broken, Promise};
use crate::fly::sensors::{Fault, Kind};

const SEED: u64 = 67;
const TICKS: u32 = 60;

/// What a flight begins with.
struct Case {
    state: [f32; STATES],
    seed: u32,
    now: u32,
    faults: Vec<Fault>,
}

impl Case {
    fn draw(rng: &mut Rng) -> Self {
        let part = rng.f32();
        let state = RANGE.map(|range| 0.8 * part * range * (2.0 * rng.f32() - 1.0));
        let faults = (0..rng.usize(0..4)).map(|_| {
            let kind = Kind::ALL[rng.usize(0..Kind::ALL.len())];
            let (input, from) = (rng.usize(0..STATES), rng.u32(0..TICKS));
            Fault { kind, input, from, ticks: rng.u32(1..12) }
        });
        let faults = faults.collect();
        Self { state, seed: rng.u32(..), now: rng.u32(..), faults }
    }
}

/// What was wrong with a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// A promise, see there.
    Promise(Broken),
    /// Certified, and no bound certifies it over the declared error of the input.
    NotCertified,
    /// The fault of this tick must be reported in it, and is not.
    Missed(Kind),
}

/// What was seen of flights.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    ticks: usize,
    /// Faults of each kind, those in whose first tick the verdict was not `Certified`, and those in
    /// whose first tick it had to be `Violated` or `Stale`.
    faults: [[usize; 3]; Kind::ALL.len()],
    /// Ticks with the true state beyond the declared error in which the network's command went out:
    /// certified of the input, and not certified and so reported.
    beyond: [usize; 2],
    /// Certified ticks whose network keeps the limits at a true state within the declared error.
    kept: usize,
}

impl Seen {
    fn and(mut self, other: Self) -> Self {
        self.ticks += other.ticks;
        self.kept += other.kept;
        let ours = self.faults.as_flattened_mut().iter_mut().chain(&mut self.beyond);
        let theirs = other.faults.as_flattened().iter().chain(&other.beyond);
        ours.zip(theirs).for_each(|(a, b)| *a += b);
        self
    }

    /// Counts a tick; what must be reported in the first tick of a fault is.
    fn add(&mut self, tick: &Tick, last: Option<u32>, faults: &[Fault]) -> Result<(), Wrong> {
        self.ticks += 1;
        let certified = tick.done.verdict == Verdict::Certified;
        let hard = matches!(tick.done.verdict, Verdict::Violated(_) | Verdict::Stale);
        let near = tick.sample.near(&tick.state);
        for fault in faults.iter().filter(|fault| fault.from == tick.tick) {
            let must = match fault.kind {
                Kind::Nan | Kind::Missing => true,
                // A later fault may have put the same input right.
                Kind::Spike => tick.sample.values[fault.input].abs() > RANGE[fault.input],
                Kind::Late => last.is_some_and(|last| tick.now.wrapping_sub(last) > SETUP.stale),
                Kind::Jump | Kind::Stuck | Kind::Drift => false,
            };
            let must =
                must && (fault.kind != Kind::Nan || tick.sample.values[fault.input].is_nan());
            let row = &mut self.faults[Kind::ALL.iter().position(|k| *k == fault.kind).unwrap()];
            row[0] += 1;
            row[1] += usize::from(!certified);
            row[2] += usize::from(must);
            if must && !hard {
                return Err(Wrong::Missed(fault.kind));
            }
        }
        if near == Some(false) && tick.sample.arrived && tick.done.mode == Mode::Network {
            self.beyond[usize::from(!certified)] += 1;
        }
        self.kept += usize::from(certified && near == Some(true));
        Ok(())
    }
}

/// Whether any bound keeps all rotors within their limits over the declared error of `x`, asked anew.
fn certified_again(model: &Model<'_>, x: &[f32; STATES]) -> bool {
    let size = model.workspace(Method::Crown, 1);
    let (mut floats, mut indices) = (vec![f32::NAN; size.floats], vec![7; size.indices]);
    let lo: Vec<f32> = x.iter().zip(ERROR).map(|(x, r)| sub_down(*x, r)).collect();
    let hi: Vec<f32> = x.iter().zip(ERROR).map(|(x, r)| add_up(*x, r)).collect();
    [Method::Ibp, Method::CrownIbp, Method::Crown].into_iter().any(|method| {
        let options = Options { semantics: Semantics::Deployed, ..Options::new(method) };
        let memory = Workspace { floats: &mut floats, indices: &mut indices };
        let mut out = [f32::NAN; 2 * ROTORS];
        let region = Region::Box { lo: &lo, hi: &hi };
        lower_bounds(&mut Portable, model, &region, &Spec::Outputs, &options, memory, &mut out)
            .expect("a region and a workspace that fit");
        let (least, negated) = out.split_at(ROTORS);
        least.iter().all(|y| *y > 0.0) && negated.iter().all(|y| *y > -MOST)
    })
}

/// Flies a case behind `judge`: what was seen, or the first tick that went wrong.
fn fly(case: &Case, judge: &mut impl Judge) -> Result<Seen, (u32, Wrong)> {
    let mut flight = Flight::new(case.state, case.seed, case.now, &case.faults);
    let (mut promise, mut seen, mut last) = (Promise::new(!case.seed), Seen::default(), None);
    for _ in 0..TICKS {
        let tick = flight.tick(judge);
        let wrong = |wrong| (tick.tick, wrong);
        seen.add(&tick, last, &case.faults).map_err(wrong)?;
        promise.check(&judge.model(), &tick).map_err(|broken| wrong(Wrong::Promise(broken)))?;
        let certified = tick.done.verdict == Verdict::Certified;
        if certified && !certified_again(&judge.model(), &tick.sample.values) {
            return Err(wrong(Wrong::NotCertified));
        }
        last = promise.last();
        if !flight.flies() {
            break;
        }
    }
    Ok(seen)
}

#[test]
fn every_fault_that_matters_is_reported_in_its_tick() {
    let first = seed(SEED);
    let flights = many(2000);
    let seen = (0..flights as u64).into_par_iter().map(|i| {
        let case = Case::draw(&mut Rng::with_seed(first.wrapping_mul(1 << 32).wrapping_add(i)));
        let mut monitor = START;
        fly(&case, &mut monitor).unwrap_or_else(|wrong| panic!("flight {i}: {wrong:?}"))
    });
    let seen = seen.reduce(Seen::default, Seen::and);
    println!("{flights} flights, {} ticks", seen.ticks);
    for (kind, [injected, reported, must]) in Kind::ALL.iter().zip(seen.faults) {
        println!(
            "{kind:?}: {injected}, not certified in their first tick {reported}, of {must} that must be"
        );
    }
    let [certified, reported] = seen.beyond;
    println!(
        "the truth beyond the error: {certified} commands certified of the input, {reported} reported; \
         {} promises about the true state kept",
        seen.kept
    );
    for (kind, [injected, reported, must]) in Kind::ALL.iter().zip(seen.faults) {
        let plausible = matches!(kind, Kind::Jump | Kind::Stuck | Kind::Drift);
        assert!(injected > flights / 20 && reported > 0, "{kind:?}");
        assert!(plausible || must > injected / 4, "{kind:?}");
    }
    assert!(certified > flights / 10 && reported > flights / 100 && seen.kept > 10 * flights);
}

#[test]
fn a_blob_that_changes_in_flight_is_refused_at_its_next_check() {
    let mut rng = Rng::with_seed(seed(SEED + 1));
    let mut ram = Box::new(Ram::new());
    let (mut betrayed, mut told) = (0, 0);
    let flights = many(60);
    for _ in 0..flights {
        let (k, entry) = [(0, 12 * 64), (1, 64 * 64), (2, 64 * 4)][rng.usize(0..3)];
        // A sign, or a bit that leaves the weight finite.
        let bit = if rng.bool() { 31 } else { rng.u32(0..27) };
        ram.load((weights(k) + rng.usize(0..entry), bit)).expect("a weight");
        let at = rng.u32(0..TICKS - RECHECK);
        let mut twin = ram.twin(at).expect("a network");
        let case = Case { faults: vec![], ..Case::draw(&mut rng) };
        let mut flight = Flight::new(case.state, case.seed, case.now, &[]);
        let mut promise = Promise::new(case.seed);
        let mut refused = None;
        for _ in 0..TICKS {
            let tick = flight.tick(&mut twin);
            if twin.is_apart() {
                break;
            }
            promise.check(&twin.model(), &tick).unwrap_or_else(|broken| panic!("{broken:?}"));
            refused = refused.or(tick.done.blob.is_err().then_some(tick.tick));
            assert!(refused.is_none() || tick.done.mode == Mode::Fallback);
            betrayed += usize::from(tick.tick == at && tick.done.verdict != Verdict::Certified);
        }
        if twin.is_apart() {
            continue;
        }
        told += 1;
        let refused = refused.expect("refused");
        assert!(refused >= at && refused < at + RECHECK, "{refused} after {at}");
    }
    assert!(told * 2 > flights, "{told} of {flights}");
    println!("{told} flips, {betrayed} with another verdict than certified in their tick");
}

#[test]
fn a_monitor_with_a_bug_is_found_out() {
    let first = seed(SEED + 2);
    for bug in Bug::ALL {
        let mut flights = (0..many(400) as u64).map(|i| {
            let case = Case::draw(&mut Rng::with_seed(first.wrapping_mul(1 << 32).wrapping_add(i)));
            (i, fly(&case, &mut Buggy::new(bug)).err())
        });
        let found = flights.find_map(|(i, wrong)| Some((i, wrong?)));
        println!("{bug:?}: {found:?}");
        assert_eq!(found.is_some(), bug != Bug::None, "{bug:?}: {found:?}");
    }
}
