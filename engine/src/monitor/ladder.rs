//! Inference, then the table of regions, then certificates from the cheapest on, as far as the budget
//! goes.

use super::means::{Means, Plan};
use super::report::{Fault, Verdict};
use super::setup::{Rule, SensorError, Setup};
use crate::bounds::{Arena, Options, Portable, Workspace, argmax, forward, lower_bounds};
use crate::certificate::{self, verdict};
use crate::features::SIMPLEX;
use crate::model::Model;
use crate::num::{MAGNITUDE_LIMIT, add_down, add_up, down, mul_up, ratio_down, sub_down};
use crate::region::{Ball, Norm, Region};
use crate::simplex::{Query, Simplex, simplex};

/// What a tick's certificates came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    pub verdict: Verdict,
    pub class: Option<usize>,
    pub scale: f32,
    pub by: Option<Means>,
    pub work: u64,
}

impl Judged {
    /// A verdict without work.
    pub(super) fn of(verdict: Verdict) -> Self {
        Self { verdict, class: None, scale: 0.0, by: None, work: 0 }
    }
}

/// Judges a valid input, and gives the network's outputs.
pub(super) fn judge<'r>(
    model: &Model<'_>,
    setup: &Setup<'_>,
    plan: &Plan,
    memory: Workspace<'r>,
    x: &[f32],
) -> (Judged, Option<&'r [f32]>) {
    let mut judged = Judged::of(Verdict::Violated(Fault::Memory));
    let outputs = run(model, setup, plan, memory, x, &mut judged);
    (judged, outputs)
}

/// [`judge`] up to where memory ends, which it does not.
fn run<'r>(
    model: &Model<'_>,
    setup: &Setup<'_>,
    plan: &Plan,
    memory: Workspace<'r>,
    x: &[f32],
    judged: &mut Judged,
) -> Option<&'r [f32]> {
    let mut floats = Arena(memory.floats);
    let rows = setup.rule.spec(0).count(model.outputs());
    let outputs = floats.take(model.outputs())?;
    let (bounds, offsets) = (floats.take(rows)?, floats.take(rows)?);
    let ends = (floats.take(model.inputs())?, floats.take(model.inputs())?);
    let mut rest = Workspace { floats: floats.0, indices: memory.indices };
    judged.work = forward(&Portable, model, x, rest.floats, outputs)?;
    let outputs = &*outputs;
    let kept = setup.rule.keeps(outputs);
    if let Rule::Class { .. } = setup.rule {
        judged.class = kept;
    }
    let Some(class) = kept else {
        judged.verdict = Verdict::Violated(Fault::Output);
        return Some(outputs);
    };
    if setup.regions.is_some_and(|regions| regions.find(x) == Some(class)) {
        (judged.verdict, judged.by, judged.scale) = (Verdict::Certified, Some(Means::Regions), 1.0);
        return Some(outputs);
    }
    setup.rule.offsets(offsets);
    let mut tick = Tick { model, setup, x, class, offsets, bounds, ends };
    tick.climb(plan, &mut rest, judged);
    Some(outputs)
}

impl Rule<'_> {
    /// Whether lower bounds of the rows of [`Rule::spec`] put an output outside its limits wherever the
    /// state is.
    pub fn is_broken(&self, bounds: &[f32]) -> bool {
        let Rule::Limits { lo, hi } = self else { return false };
        let Some((lower, negated)) = bounds.split_at_checked(lo.len()) else { return false };
        let mut rows = lower.iter().zip(negated).zip(lo.iter().zip(*hi));
        rows.any(|((lower, negated), (lo, hi))| {
            (lower.is_finite() && lower > hi) || (negated.is_finite() && -negated < *lo)
        })
    }

    /// The class of the outputs (0 for limits), `None` where they do not keep the rule as computed.
    pub fn keeps(&self, outputs: &[f32]) -> Option<usize> {
        if !outputs.iter().all(|y| y.is_finite()) {
            return None;
        }
        match self {
            Rule::Limits { lo, hi } => {
                let mut ends = outputs.iter().zip(lo.iter().zip(*hi));
                ends.all(|(y, (lo, hi))| lo <= y && y <= hi).then_some(0)
            }
            Rule::Class { margin } => {
                let class = argmax(outputs)?;
                let own = *outputs.get(class)?;
                let mut others = outputs.iter().enumerate().filter(|(j, _)| *j != class);
                others.all(|(_, y)| own - y > *margin).then_some(class)
            }
        }
    }

    /// What is to be added to each row of [`Rule::spec`] so that it is positive where the rule is kept.
    pub fn offsets(&self, offsets: &mut [f32]) {
        match self {
            Rule::Limits { lo, hi } => {
                // No limit needs to be looser than what bounds can reach.
                let most = MAGNITUDE_LIMIT / 2.0;
                let near = |x: f32| if x > most { most } else { x };
                let ends = lo.iter().map(|lo| near(-lo)).chain(hi.iter().map(|hi| near(*hi)));
                offsets.iter_mut().zip(ends).for_each(|(offset, end)| *offset = end);
            }
            Rule::Class { margin } => offsets.fill(-margin),
        }
    }
}

/// What the certificates of one tick share.
struct Tick<'t> {
    model: &'t Model<'t>,
    setup: &'t Setup<'t>,
    x: &'t [f32],
    class: usize,
    offsets: &'t [f32],
    bounds: &'t mut [f32],
    /// Memory for the ends of a box.
    ends: (&'t mut [f32], &'t mut [f32]),
}

/// What one certificate found.
enum Found {
    /// The rule is kept within this many times the sensor error.
    Kept(f32),
    /// It is broken everywhere.
    Broken,
    /// Neither; the simplex certificate knows of a part of the error where it is kept, else 0.
    Open(f32),
}

impl Tick<'_> {
    /// Certifies the sensor error by the cheapest means that does, then more or less of it.
    fn climb(&mut self, plan: &Plan, memory: &mut Workspace<'_>, judged: &mut Judged) {
        judged.verdict = Verdict::Marginal;
        let mut last = None;
        for step in plan.0 {
            let Some(found) = self.attempt(step, 1.0, memory, judged) else { break };
            last = Some(step);
            match found {
                Found::Kept(scale) => {
                    (judged.verdict, judged.by) = (Verdict::Certified, Some(step.0));
                    judged.scale = scale;
                    return self.grow(step, memory, judged);
                }
                Found::Broken => {
                    (judged.verdict, judged.by) =
                        (Verdict::Violated(Fault::Everywhere), Some(step.0));
                    judged.scale = 0.0;
                    return;
                }
                Found::Open(scale) if scale > judged.scale => judged.scale = scale,
                Found::Open(_) => {}
            }
        }
        if let Some(step) = last {
            self.shrink(step, memory, judged);
        }
    }

    /// Tries more than the whole error, as long as that is certified.
    fn grow(&mut self, step: (Means, u64), memory: &mut Workspace<'_>, judged: &mut Judged) {
        // The simplex certificate is a radius already.
        let more = self.setup.scales.iter().filter(|s| **s > 1.0 && step.0 != Means::Simplex);
        for scale in more {
            let Some(Found::Kept(scale)) = self.attempt(step, *scale, memory, judged) else {
                return;
            };
            judged.scale = scale;
        }
    }

    /// Tries less, until that is certified.
    fn shrink(&mut self, step: (Means, u64), memory: &mut Workspace<'_>, judged: &mut Judged) {
        let known = judged.scale;
        let less = self.setup.scales.iter().rev().filter(|s| **s < 1.0 && **s > known);
        for scale in less {
            match self.attempt(step, *scale, memory, judged) {
                Some(Found::Kept(scale)) => {
                    judged.scale = scale;
                    return;
                }
                Some(_) => {}
                None => return,
            }
        }
    }

    /// One certificate of `scale` times the sensor error; `None` where it may not fit the budget.
    fn attempt(
        &mut self,
        (means, most): (Means, u64),
        scale: f32,
        memory: &mut Workspace<'_>,
        judged: &mut Judged,
    ) -> Option<Found> {
        if most > self.setup.budget.saturating_sub(judged.work) {
            return None;
        }
        let found = match means.method() {
            Some(method) => {
                let options = Options::new(method).without_ends();
                let options = Options { semantics: self.setup.semantics, ..options };
                self.bound(&options, scale, memory.reborrow())
            }
            None if SIMPLEX => self.measure(memory.reborrow()),
            None => None,
        };
        // Where there is no bound nothing is counted, so all of it is charged.
        let (found, work) = found.unwrap_or((Found::Open(0.0), most));
        judged.work = judged.work.saturating_add(work);
        Some(found)
    }

    /// By lower bounds over `scale` times the sensor error, rounded up.
    fn bound(
        &mut self,
        options: &Options,
        scale: f32,
        memory: Workspace<'_>,
    ) -> Option<(Found, u64)> {
        let times = |radius: f32| if scale == 1.0 { radius } else { mul_up(scale, radius) };
        let region = match self.setup.error {
            SensorError::Ball { radius, norm } => {
                Region::Ball(Ball { center: self.x, radius: times(radius), norm })
            }
            SensorError::Box(radii) => {
                let (lo, hi) = (&mut *self.ends.0, &mut *self.ends.1);
                for ((lo, hi), (x, radius)) in
                    lo.iter_mut().zip(hi.iter_mut()).zip(self.x.iter().zip(radii))
                {
                    let radius = times(*radius);
                    (*lo, *hi) = (sub_down(*x, radius), add_up(*x, radius));
                }
                Region::Box { lo, hi }
            }
        };
        let spec = self.setup.rule.spec(self.class);
        let bounds = &mut *self.bounds;
        let found =
            lower_bounds(&mut Portable, self.model, &region, &spec, options, memory, bounds);
        let work = found.ok()?.work.macs();
        if self.setup.rule.is_broken(bounds) {
            return Some((Found::Broken, work));
        }
        for (bound, offset) in bounds.iter_mut().zip(self.offsets) {
            *bound = if *offset == 0.0 { *bound } else { add_down(*bound, *offset) };
        }
        let kept = verdict(bounds) == certificate::Verdict::Certified;
        Some((if kept { Found::Kept(scale) } else { Found::Open(0.0) }, work))
    }

    /// By the simplex certificate's radius beside the sensor error, or the cube around it.
    fn measure(&mut self, memory: Workspace<'_>) -> Option<(Found, u64)> {
        let (radius, norm) = match self.setup.error {
            SensorError::Ball { radius, norm } => (radius, norm),
            SensorError::Box(radii) => {
                (radii.iter().fold(0.0, |most, r| if *r > most { *r } else { most }), Norm::Linf)
            }
        };
        let plain = matches!(self.setup.rule, Rule::Class { margin: 0.0 });
        let query = Query {
            spec: self.setup.rule.spec(self.class),
            offsets: (!plain).then_some(self.offsets),
            semantics: self.setup.semantics,
            ..Query::margins(self.x, norm, self.class)
        };
        let found: Simplex<1> = simplex(&mut Portable, self.model, &query, memory, &mut []).ok()?;
        let work = found.work.macs();
        // The certificate is of the open ball.
        let kept = found.radius();
        let scale = if radius > 0.0 { ratio_down(down(kept), radius) } else { 1.0 };
        let kept = verdict(&[sub_down(kept, radius)]) == certificate::Verdict::Certified;
        let found = match kept {
            true => Found::Kept(if scale > 1.0 { scale } else { 1.0 }),
            false if radius > 0.0 && scale < 1.0 => Found::Open(scale),
            false => Found::Open(0.0),
        };
        Some((found, work))
    }
}
