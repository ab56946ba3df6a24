//! FGSM, I-FGSM and PGD: steps up a loss, each projected back into the threat.

use certus_engine::region::Norm;

use super::gradient::Gradient;
use super::lead::{lead, others};
use super::project::{length, rise};
use super::replay::{Witness, replay};
use super::start;
use super::threat::{Place, Threat};
use crate::cpu::Runner;

/// What the steps increase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The lead of the best other output, or of the target.
    Margin,
    /// The cross-entropy of the class, or its negative of the target. Its gradient is taken without
    /// the factor that vanishes where the network is sure; steps have their own length.
    CrossEntropy,
}

/// Which other output the steps raise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// The best one at each point. On its own it ends in the first class's local maximum.
    Best,
    /// From the first start the best; from each other start one class, those with the largest
    /// outputs at the centre first, in turn.
    Spread,
    /// Each other class, with all starts for each.
    Each,
}

/// How far PGD's steps go together, in radii, before they get shorter.
pub(super) const WHOLE: f64 = 10.0;

/// Projected gradient steps. One step of the radius's length is FGSM, several without random starts
/// are I-FGSM, with them PGD.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Descent {
    /// The loss.
    pub loss: Loss,
    /// Steps from each start.
    pub steps: usize,
    /// Length of a step in the threat's norm; absent, the steps go ten times the radius together.
    pub step: Option<f64>,
    /// Whether steps get shorter, down to a twentieth in the last quarter.
    pub decay: bool,
    /// Share of the direction before that is kept, from 0 to below 1.
    pub momentum: f32,
    /// Starts, at least 1: the first from the centre, the others random.
    pub restarts: usize,
    /// Which other output they raise.
    pub aim: Aim,
    /// Seed of the random starts.
    pub seed: u64,
}

/// What an attack found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The first point that replayed.
    pub witness: Option<Witness>,
    /// The point with the largest lead of another output, in f32, where there is any.
    pub best: Option<(Vec<f32>, f32)>,
}

impl Found {
    /// Keeps the better point.
    pub(super) fn keep(&mut self, point: &[f32], lead: f32) {
        if self.best.as_ref().is_none_or(|(_, best)| lead > *best) {
            self.best = Some((point.to_vec(), lead));
        }
    }

    /// Takes the other's witness, and its point if that is better.
    pub(super) fn join(&mut self, other: Found) {
        if let Some((point, lead)) = other.best {
            self.keep(&point, lead);
        }
        self.witness = self.witness.take().or(other.witness);
    }
}

/// Points that are moved together.
const ROWS: usize = 64;

/// Shares of the coordinates that an l1 step moves, by restart; at least one coordinate moves.
const SPARSE: [f64; 4] = [0.01, 0.05, 0.002, 0.2];

/// One point's start and aim.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    restart: usize,
    /// The class that is raised; none for the best.
    pub target: Option<usize>,
}

impl Descent {
    /// PGD with the margin loss: 40 steps, 10 starts.
    pub const PGD: Self = Self {
        loss: Loss::Margin,
        steps: 40,
        step: None,
        decay: true,
        momentum: 0.75,
        restarts: 10,
        aim: Aim::Spread,
        seed: 0,
    };

    /// Attacks output `class` within `threat`; ends at the first point that replays.
    ///
    /// `index` and the seed decide the random starts. Every point is one of the threat's. Work: for
    /// each start a forward and a backward pass a step, 64 starts at a time.
    pub fn run<G: Gradient>(
        &self,
        gradient: &mut G,
        runner: &mut Runner<'_>,
        threat: &Threat<'_>,
        class: usize,
        index: usize,
    ) -> Found {
        let place = Place::new(threat);
        let tasks = self.tasks(&others(gradient.forward(&place.base), class));
        let mut found = Found::default();
        for tasks in tasks.chunks(ROWS) {
            let mut climb = Climb::new(self, &place, tasks, index);
            found.join(climb.run(gradient, runner, threat, class));
            if found.witness.is_some() {
                break;
            }
        }
        found
    }

    /// Starts and aims; `others` are the other classes, the largest output at the centre first.
    pub(crate) fn tasks(&self, others: &[usize]) -> Vec<Task> {
        let restarts = 0..self.restarts.max(1);
        let task = |restart, target| Task { restart, target };
        match self.aim {
            Aim::Best => restarts.map(|restart| task(restart, None)).collect(),
            Aim::Spread => {
                let mut turns = others.iter().copied().cycle();
                let target = |restart| if restart == 0 { None } else { turns.next() };
                restarts.zip((0..).map(target)).map(|(r, target)| task(r, target)).collect()
            }
            Aim::Each => restarts
                .flat_map(|restart| others.iter().map(move |other| task(restart, Some(*other))))
                .collect(),
        }
    }

    /// Writes where a task begins on sample `index`: the first restart at the base. `way` is memory for a way.
    pub(crate) fn start(
        &self,
        place: &Place,
        task: &Task,
        index: usize,
        way: &mut [f64],
        point: &mut [f32],
    ) {
        point.copy_from_slice(&place.base);
        if task.restart > 0 {
            // The same start for every target: what differs is the aim.
            let mut rng = start::rng(self.seed, index, task.restart);
            start::draw(&mut rng, place.norm(), place.radius(), way);
            place.put(way, point);
        }
    }

    /// The length of step `k`.
    pub(crate) fn length(&self, k: usize, epsilon: f64) -> f64 {
        let whole = self.step.unwrap_or(WHOLE * epsilon / self.steps.max(1) as f64);
        let done = k as f64 / self.steps.max(1) as f64;
        let share = match done {
            _ if !self.decay => 1.0,
            d if d < 0.25 => 1.0,
            d if d < 0.5 => 0.4,
            d if d < 0.75 => 0.15,
            _ => 0.05,
        };
        whole * share
    }
}

/// Points on their way up.
struct Climb<'a> {
    how: &'a Descent,
    place: &'a Place,
    tasks: &'a [Task],
    /// `[tasks][inputs]`.
    points: Vec<f32>,
    /// Directions with their momentum, `[tasks][inputs]`.
    ahead: Vec<f32>,
    way: Vec<f64>,
}

impl<'a> Climb<'a> {
    fn new(how: &'a Descent, place: &'a Place, tasks: &'a [Task], index: usize) -> Self {
        let n = place.base.len();
        let mut points = vec![0.0; n * tasks.len()];
        let mut way = vec![0.0; n];
        for (task, point) in tasks.iter().zip(points.chunks_exact_mut(n)) {
            how.start(place, task, index, &mut way, point);
        }
        let ahead = vec![0.0; points.len()];
        Self { how, place, tasks, points, ahead, way }
    }

    fn run<G: Gradient>(
        &mut self,
        gradient: &mut G,
        runner: &mut Runner<'_>,
        threat: &Threat<'_>,
        class: usize,
    ) -> Found {
        let (n, outputs) = (gradient.inputs(), gradient.outputs());
        let mut found = Found::default();
        let mut seeds = vec![0.0; self.tasks.len() * outputs];
        for k in 0..=self.how.steps {
            let values = gradient.forward(&self.points);
            let rows = values.chunks_exact(outputs).zip(self.points.chunks_exact(n));
            for (values, point) in rows {
                let Some((lead, _)) = lead(values, class) else { continue };
                found.keep(point, lead);
                if lead >= 0.0 {
                    found.witness = replay(runner, threat, class, point).ok();
                }
                if found.witness.is_some() {
                    return found;
                }
            }
            if k == self.how.steps {
                break;
            }
            for ((task, values), seeds) in self
                .tasks
                .iter()
                .zip(values.chunks_exact(outputs))
                .zip(seeds.chunks_exact_mut(outputs))
            {
                seed(self.how.loss, values, class, task.target, seeds);
            }
            self.step(gradient.backward(&seeds, 1), self.how.length(k, self.place.radius()));
        }
        found
    }

    fn step(&mut self, gradients: &[f32], length: f64) {
        let n = self.place.base.len();
        let rows = self.points.chunks_exact_mut(n).zip(self.ahead.chunks_exact_mut(n));
        for ((task, (point, ahead)), gradient) in
            self.tasks.iter().zip(rows).zip(gradients.chunks_exact(n))
        {
            turn(ahead, gradient, self.how.momentum);
            let base = self.place.base.iter();
            for ((way, x), b) in self.way.iter_mut().zip(point.iter()).zip(base) {
                *way = f64::from(*x) - f64::from(*b);
            }
            let sparse = SPARSE[task.restart % SPARSE.len()];
            advance(&mut self.way, ahead, self.place, length, sparse);
            self.place.put(&mut self.way, point);
        }
    }
}

/// `ahead = momentum * ahead + gradient / ||gradient||_1`; what is not finite counts as 0.
fn turn(ahead: &mut [f32], gradient: &[f32], momentum: f32) {
    let sum: f64 = gradient.iter().map(|g| f64::from(g.abs())).sum();
    let scale = if sum > 0.0 && sum.is_finite() { 1.0 / sum } else { 0.0 };
    for (ahead, g) in ahead.iter_mut().zip(gradient) {
        let g = (f64::from(*g) * scale) as f32;
        *ahead = momentum * *ahead + if g.is_finite() { g } else { 0.0 };
    }
}

/// Adds the step of `length` that increases a function with this gradient most.
fn advance(way: &mut [f64], ahead: &[f32], place: &Place, length: f64, sparse: f64) {
    match place.norm() {
        Norm::Linf => {
            for (way, a) in way.iter_mut().zip(ahead) {
                *way += if *a == 0.0 { 0.0 } else { length.copysign(f64::from(*a)) };
            }
        }
        Norm::L2 => {
            let wide: Vec<f64> = ahead.iter().map(|a| f64::from(*a)).collect();
            let size = self::length(&wide, Norm::L2);
            if size > 0.0 {
                way.iter_mut().zip(wide).for_each(|(way, a)| *way += length / size * a);
            }
        }
        norm @ Norm::Lp(p) => {
            let rise = rise(ahead, p);
            let signed = |a: &f32| rise(f64::from(a.abs())).copysign(f64::from(*a));
            let steepest: Vec<f64> = ahead.iter().map(signed).collect();
            let size = self::length(&steepest, norm);
            if size > 0.0 {
                way.iter_mut().zip(steepest).for_each(|(way, a)| *way += length / size * a);
            }
        }
        Norm::L1 => {
            // The l1 ball's steepest direction is one coordinate; a few share the step, and those
            // that stand at the box's side cannot.
            let free = |i: &usize| {
                let side = place.rooms[*i][usize::from(ahead[*i] > 0.0)];
                ahead[*i] != 0.0 && way[*i] * f64::from(ahead[*i].signum()) < side
            };
            let mut order: Vec<usize> = (0..way.len()).filter(free).collect();
            let count = ((sparse * way.len() as f64) as usize).clamp(1, order.len().max(1));
            order.sort_by(|a, b| ahead[*b].abs().total_cmp(&ahead[*a].abs()));
            for i in order.into_iter().take(count) {
                way[i] += (length / count as f64).copysign(f64::from(ahead[i]));
            }
        }
    }
}

/// The loss's derivative by the outputs, up to a positive factor.
fn seed(loss: Loss, outputs: &[f32], class: usize, target: Option<usize>, seeds: &mut [f32]) {
    seeds.fill(0.0);
    match (loss, target) {
        (Loss::Margin, target) => {
            if let Some(other) = target.or_else(|| lead(outputs, class).map(|(_, j)| j)) {
                seeds[other] = 1.0;
                seeds[class] = -1.0;
            }
        }
        // Of log sum exp(f_j - f_class): softmax over the others, minus their mass at the class.
        (Loss::CrossEntropy, None) => away(outputs, class, 1.0, seeds),
        (Loss::CrossEntropy, Some(target)) => away(outputs, target, -1.0, seeds),
    }
}

/// `sign * (softmax over the outputs but the pivot - e_pivot)`.
fn away(outputs: &[f32], pivot: usize, sign: f32, seeds: &mut [f32]) {
    let others = || outputs.iter().enumerate().filter(|(j, _)| *j != pivot);
    let most = others().fold(f32::NEG_INFINITY, |most, (_, y)| most.max(*y));
    let sum: f32 = others().map(|(_, y)| (y - most).exp()).sum();
    for (j, y) in others() {
        seeds[j] = sign * (y - most).exp() / sum;
    }
    seeds[pivot] = -sign;
}
