//! What is proved over a box, and how to bisect it.

use certus_engine::bounds::{Method, Options, Semantics, Tighten, argmax, forward_macs};
use certus_engine::certificate::{self, Verdict};
use certus_engine::model::Model;
use certus_engine::monitor::Rule;
use certus_engine::num::{add_down, add_up, sub_down};
use certus_engine::region::Region;

use super::Ask;
use crate::attack::{Cpu, Gradient};
use crate::cpu::Runner;

/// Bisections that are tried for a box.
const TRIED: usize = 4;

/// A box of inputs, and what is known of it.
#[derive(Clone, Debug)]
pub struct Spot {
    lo: Vec<f32>,
    hi: Vec<f32>,
    /// The class that is certified for every state within the sensor error of it, 0 under limits.
    pub answer: Option<usize>,
    /// Lower bound of the row furthest from a proof, as far as is known.
    pub slack: f32,
    /// Whether no part of it can be certified.
    hopeless: bool,
}

impl Spot {
    /// Whether it is worth a split.
    pub fn is_open(&self) -> bool {
        self.answer.is_none() && !self.hopeless
    }

    /// Which part of it lies below a value.
    pub fn part(&self, input: usize, value: f32) -> f64 {
        let [lo, hi, value] = [self.lo[input], self.hi[input], value].map(f64::from);
        (value - lo) / (hi - lo)
    }
}

/// The best bisection of a box.
#[derive(Debug)]
pub struct Halves {
    /// The input that is split.
    pub input: usize,
    /// Where.
    pub value: f32,
    /// Below and above.
    pub spots: [Spot; 2],
    /// Boxes that were bounded to find it.
    pub boxes: u64,
    /// Multiply-adds of that.
    pub macs: u64,
}

/// One thread's judge of boxes.
pub struct Judge<'a> {
    model: Model<'a>,
    ask: Ask<'a>,
    runner: Runner<'a>,
    gradient: Cpu<'a>,
    /// Multiply-adds so far.
    pub macs: u64,
    /// Boxes so far.
    boxes: u64,
    bounds: Vec<f32>,
    offsets: Vec<f32>,
}

impl<'a> Judge<'a> {
    /// With memory of its own.
    pub fn new(model: Model<'a>, ask: &Ask<'a>, device: bool) -> Self {
        let runner = if device { Runner::device(model) } else { Runner::new(model, false) };
        let mut offsets = vec![0.0; ask.rule.spec(0).count(model.outputs())];
        ask.rule.offsets(&mut offsets);
        let gradient = Cpu::new(model);
        let (macs, boxes, bounds) = (0, 0, Vec::new());
        Self { model, ask: *ask, runner, gradient, macs, boxes, bounds, offsets }
    }

    /// What is proved over a box.
    ///
    /// Certified only by [`certificate::verdict`] on lower bounds over all states within the sensor
    /// error of the box, its ends rounded outward, as the monitor adds the rule to them.
    pub fn spot(&mut self, lo: Vec<f32>, hi: Vec<f32>) -> Spot {
        let Ask { error, rule, .. } = self.ask;
        self.boxes += 1;
        let middle: Vec<f32> = lo.iter().zip(&hi).map(|(lo, hi)| middle(*lo, *hi)).collect();
        let outputs = self.runner.forward(&middle);
        self.macs += forward_macs(&self.model);
        let kept = rule.keeps(&outputs);
        let class = match rule {
            Rule::Limits { .. } => 0,
            Rule::Class { .. } => kept.or_else(|| argmax(&outputs)).unwrap_or(0),
        };
        // Every input of so small a box has the middle within its error.
        let mut ends = middle.iter().zip(lo.iter().zip(&hi)).zip(error);
        let near = ends.all(|((x, (lo, hi)), error)| x - lo <= *error && hi - x <= *error);
        let (mut answer, mut slack) = (None, f32::NEG_INFINITY);
        let mut hopeless = kept.is_none() && near;
        let least: Vec<f32> = lo.iter().zip(error).map(|(x, e)| sub_down(*x, *e)).collect();
        let most: Vec<f32> = hi.iter().zip(error).map(|(x, e)| add_up(*x, *e)).collect();
        let region = Region::Box { lo: &least, hi: &most };
        for method in [Method::Ibp, Method::Crown] {
            if hopeless || answer.is_some() {
                break;
            }
            let semantics = Semantics::Deployed;
            let tighten = Tighten::Cheapest;
            let options = Options { semantics, tighten, ..Options::new(method) };
            let (spec, bounds) = (rule.spec(class), &mut self.bounds);
            // Where the engine has no bounds nothing is proved.
            let Ok(work) = self.runner.lower_bounds(&region, &spec, &options, bounds) else {
                continue;
            };
            self.macs += work.macs();
            hopeless = rule.is_broken(bounds);
            for (bound, offset) in bounds.iter_mut().zip(&self.offsets) {
                *bound = if *offset == 0.0 { *bound } else { add_down(*bound, *offset) };
            }
            if kept.is_some() && certificate::verdict(bounds) == Verdict::Certified {
                answer = Some(class);
            }
            let least = bounds.iter().fold(f32::INFINITY, |a, b| if *b < a { *b } else { a });
            if bounds.iter().all(|bound| bound.is_finite()) && least > slack {
                slack = least;
            }
        }
        Spot { lo, hi, answer, slack, hopeless }
    }

    /// The best of some bisections: first by how many halves are certified, then by what their bounds
    /// lack. `None` where no input has a float between its ends.
    pub fn halve(&mut self, spot: &Spot) -> Option<Halves> {
        let before = (self.boxes, self.macs);
        let mut best: Option<(usize, f32, Halves)> = None;
        for input in self.inputs(spot) {
            let value = middle(spot.lo[input], spot.hi[input]);
            let (mut below, mut above) = (spot.hi.clone(), spot.lo.clone());
            (below[input], above[input]) = (value, value);
            let spots = [self.spot(spot.lo.clone(), below), self.spot(above, spot.hi.clone())];
            let certified = spots.iter().filter(|spot| spot.answer.is_some()).count();
            let lack: f32 = spots.iter().map(|spot| spot.slack.min(0.0)).sum();
            let better = best.as_ref().is_none_or(|(most, least, _)| {
                certified > *most || (certified == *most && lack > *least)
            });
            if better {
                best = Some((certified, lack, Halves { input, value, spots, boxes: 0, macs: 0 }));
            }
        }
        let (_, _, halves) = best?;
        Some(Halves { boxes: self.boxes - before.0, macs: self.macs - before.1, ..halves })
    }

    /// The inputs that outputs change most by within a box, going by their gradients at its middle.
    fn inputs(&mut self, spot: &Spot) -> Vec<usize> {
        let (n, m) = (self.model.inputs(), self.model.outputs());
        let ends = || spot.lo.iter().zip(&spot.hi);
        let inside = |(lo, hi): (&f32, &f32)| *lo < middle(*lo, *hi) && middle(*lo, *hi) < *hi;
        let mut inputs: Vec<usize> =
            ends().enumerate().filter(|(_, ends)| inside(*ends)).map(|(i, _)| i).collect();
        let at: Vec<f32> = ends().map(|(lo, hi)| middle(*lo, *hi)).collect();
        let seeds: Vec<f32> = (0..m * m).map(|i| f32::from(u8::from(i % (m + 1) == 0))).collect();
        let before = self.gradient.macs();
        self.gradient.forward(&at);
        let slopes = self.gradient.backward(&seeds, m);
        let mut change = vec![0.0; n];
        for row in slopes.chunks_exact(n) {
            change.iter_mut().zip(row).for_each(|(sum, slope)| *sum += slope.abs());
        }
        for (change, (lo, hi)) in change.iter_mut().zip(ends()) {
            *change *= hi - lo;
        }
        self.macs += self.gradient.macs() - before;
        inputs.sort_by(|a, b| change[*b].total_cmp(&change[*a]).then(a.cmp(b)));
        inputs.truncate(TRIED);
        inputs
    }
}

/// The float in the middle; 0 without a sign.
fn middle(lo: f32, hi: f32) -> f32 {
    f32::midpoint(lo, hi) + 0.0
}
