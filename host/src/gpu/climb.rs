//! PGD for a batch of samples: gradient steps, from many starts, to other answers. Nothing here decides: what
//! is found is a guess, which a replay on the cores proves or not.

use certus_engine::region::Norm;
use certus_shaders::kernel::{self, Kernel};
use certus_shaders::layout::{Climb, ROW_GRID};

use super::crown::Crown;
use super::device::{Buffer, Fault, Tape};
use crate::attack::descent::Task;
use crate::attack::lead::others;
use crate::attack::{Aim, Descent, Loss, Place, Threat};

/// Where another answer is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Goal<'a> {
    /// The sample's row in its data, which decides where restarts begin.
    pub index: usize,
    /// The class that is attacked.
    pub class: usize,
    /// Where points may lie.
    pub threat: Threat<'a>,
}

/// The best point of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Peak {
    /// The point, which may be out of the threat by rounding.
    pub point: Vec<f32>,
    /// The lead of the best other output there, in the device's arithmetic.
    pub lead: f32,
}

/// Bytes for the points of a batch, and what belongs to them.
const MEMORY: u64 = 1 << 30;
/// The same on a software driver.
const SMALL_MEMORY: u64 = 1 << 27;
/// Most steps of a submission.
const PART: usize = 8;
/// Multiply-adds from which on a submission is to end, before a device counts as hung.
const MUCH: u64 = 1 << 40;
/// The same on a software driver.
const SMALL_MUCH: u64 = 1 << 32;
/// Beyond what any coordinate may be: the side of a box where there is none.
const FAR: f32 = (1u128 << 120) as f32;
/// No target: past all outputs.
const BEST: u32 = u32::MAX;

/// What is kept of a batch's points.
struct Points {
    rows: usize,
    /// `[rows]` sample, class and target.
    tasks: Buffer,
    /// `[rows][inputs]`.
    at: Buffer,
    /// Of each layer `[rows][neurons]`.
    activations: Vec<Buffer>,
}

impl Crown<'_> {
    /// Whether `descent` is one that a device takes, in this norm and of networks without curved
    /// activations.
    pub fn climbs(descent: &Descent, norm: Norm) -> bool {
        descent.loss == Loss::Margin && matches!(norm, Norm::Linf | Norm::L2)
    }

    /// The best point that the steps of `descent` come to for each goal; none where no output of any point
    /// was a number, or where a goal's starts are too many.
    ///
    /// The same steps from the same starts as [`Descent::run`] in the device's arithmetic, but that none
    /// ends early, and that a last ReLU is left out: of all points on the way the one with the largest lead.
    ///
    /// # Errors
    /// [`Fault`], from the device.
    ///
    /// Memory: of each start three points, all activations, two gradients. Work: two multiply-adds for each
    /// weight, start and step.
    pub fn climb(&self, descent: &Descent, goals: &[Goal<'_>]) -> Result<Vec<Option<Peak>>, Fault> {
        let places: Vec<Place> = goals.iter().map(|goal| Place::new(&goal.threat)).collect();
        let tasks = self.tasks(descent, goals, &places)?;
        let (most, mut all, mut from) = (self.most_points(), Vec::new(), 0);
        while from < goals.len() {
            let (mut to, mut rows) = (from, 0);
            let samples = self.capacity().samples;
            while to < goals.len() && to - from < samples && rows + tasks[to].len() <= most {
                rows += tasks[to].len();
                to += 1;
            }
            if rows == 0 {
                to = from + 1;
                all.push(None);
            } else {
                let of = (&goals[from..to], &places[from..to], &tasks[from..to]);
                self.climb_batch(descent, of, &mut all)?;
            }
            from = to;
        }
        Ok(all)
    }

    /// Most points of a batch.
    fn most_points(&self) -> usize {
        let shape = &self.net.shape;
        let wide = shape.width.max(self.inputs);
        let neurons: usize = shape.layers.iter().map(|layer| layer.rows).sum();
        let each = 4 * (3 * self.inputs + neurons + 2 * wide + 8) as u64;
        let about = &self.device.about;
        let memory = if about.kind == "software" { SMALL_MEMORY } else { MEMORY };
        // Kernels count words in 32 bits.
        let binding = about.binding.min(1 << 32);
        (memory / each).min(binding / (4 * wide as u64)).min(1 << 20) as usize
    }

    /// The starts and aims of each goal; aims go by the outputs at the centres.
    fn tasks(
        &self,
        descent: &Descent,
        goals: &[Goal<'_>],
        places: &[Place],
    ) -> Result<Vec<Vec<Task>>, Fault> {
        if descent.aim == Aim::Best {
            return Ok(goals.iter().map(|_| descent.tasks(&[])).collect());
        }
        let last = &self.net.shape.layers[self.net.shape.last()];
        let mut all = Vec::with_capacity(goals.len());
        let most = self.most_points().max(1);
        for (goals, places) in goals.chunks(most).zip(places.chunks(most)) {
            let bases: Vec<f32> = places.iter().flat_map(|place| place.base.clone()).collect();
            let points = self.points(goals.len(), &[], &bases);
            let mut tape = self.device.tape();
            self.pass(&mut tape, &points)?;
            tape.read(&points.activations[self.net.shape.last()], goals.len() * last.rows);
            let [found] = self.submit(tape)?;
            let found: &[f32] = bytemuck::cast_slice(&found);
            all.extend(
                found
                    .chunks_exact(last.rows)
                    .zip(goals)
                    .map(|(outputs, goal)| descent.tasks(&others(outputs, goal.class))),
            );
        }
        Ok(all)
    }

    fn points(&self, rows: usize, tasks: &[[u32; 4]], at: &[f32]) -> Points {
        let layers = self.net.shape.layers.iter();
        Points {
            rows,
            tasks: self.device.upload(bytemuck::cast_slice(tasks)),
            at: self.device.upload(bytemuck::cast_slice(at)),
            activations: layers.map(|layer| self.device.empty(rows * layer.rows)).collect(),
        }
    }

    /// The parameters of layer `k`.
    fn layer(&self, rows: usize, k: usize) -> Climb {
        let layer = &self.net.shape.layers[k];
        Climb {
            rows: rows as u32,
            inputs: self.inputs as u32,
            neurons: layer.rows as u32,
            cols: layer.cols as u32,
            through: layer.through as u32,
            leak: layer.activation.leak().unwrap_or(f32::NAN),
            ..Climb::default()
        }
    }

    fn step(
        &self,
        tape: &mut Tape<'_>,
        kernel: &Kernel,
        p: &Climb,
        buffers: &[&Buffer],
        groups: [usize; 3],
    ) -> Result<(), Fault> {
        let p = self.device.uniform(bytemuck::bytes_of(p));
        let mut all = vec![&p];
        all.extend(buffers);
        tape.dispatch(kernel, &all, groups.map(|n| n as u32))
    }

    /// The activations of all layers.
    fn pass(&self, tape: &mut Tape<'_>, points: &Points) -> Result<(), Fault> {
        let mut fed = &points.at;
        for (k, out) in points.activations.iter().enumerate() {
            let p = self.layer(points.rows, k);
            let groups = [p.neurons.div_ceil(32) as usize, points.rows.div_ceil(32), 1];
            let buffers = [&self.net.weights[k], &self.net.biases[k], fed, out];
            self.step(tape, &kernel::CLIMB_PASS, &p, &buffers, groups)?;
            fed = out;
        }
        Ok(())
    }

    /// Gradients by the inputs, from those by the outputs in the first of two buffers; gives the one in which
    /// they end.
    fn back<'b>(
        &self,
        tape: &mut Tape<'_>,
        points: &Points,
        gradients: [&'b Buffer; 2],
    ) -> Result<&'b Buffer, Fault> {
        let [mut above, mut below] = gradients;
        for (k, out) in points.activations.iter().enumerate().rev() {
            let p = self.layer(points.rows, k);
            let groups = [p.cols.div_ceil(32) as usize, points.rows.div_ceil(32), 1];
            let buffers = [&self.net.weights[k], out, above, below];
            self.step(tape, &kernel::CLIMB_BACK, &p, &buffers, groups)?;
            (above, below) = (below, above);
        }
        Ok(above)
    }

    fn climb_batch(
        &self,
        descent: &Descent,
        (goals, places, tasks): (&[Goal<'_>], &[Place], &[Vec<Task>]),
        all: &mut Vec<Option<Peak>>,
    ) -> Result<(), Fault> {
        let (device, n, shape) = (self.device, self.inputs, &self.net.shape);
        let mut firsts = vec![0u32];
        let mut aims = Vec::new();
        for ((sample, goal), of) in (0..).zip(goals).zip(tasks) {
            aims.extend(of.iter().map(|task| {
                let target = task.target.map_or(BEST, |target| target as u32);
                [sample, goal.class as u32, target, 0]
            }));
            firsts.push(aims.len() as u32);
        }
        let rows = aims.len();
        let points = self.points(rows, &aims, &starts(descent, goals, places, tasks, n));
        let bases: Vec<f32> = places.iter().flat_map(|place| place.base.clone()).collect();
        let bases = device.upload(bytemuck::cast_slice(&bases));
        let radii: Vec<f32> = places.iter().map(|place| place.radius() as f32).collect();
        let radii = device.upload(bytemuck::cast_slice(&radii));
        let ahead = device.empty(rows * n);
        let wide = shape.width.max(n);
        let gradients = [device.empty(rows * wide), device.empty(rows * wide)];
        let gradients = [&gradients[0], &gradients[1]];
        let leads = device.upload(bytemuck::cast_slice(&vec![f32::MIN; rows]));
        let kept = device.empty(rows * n);
        let grid = [rows.min(ROW_GRID as usize), rows.div_ceil(ROW_GRID as usize), 1];
        let (epsilon, clip) =
            goals.first().map_or((0.0, None), |goal| (goal.threat.epsilon, goal.threat.clip));
        let (lo, hi) = clip.unwrap_or((-FAR, FAR));
        let norm = places.first().map_or(Norm::Linf, Place::norm);
        let norm = if norm == Norm::L2 { 2 } else { 0 };
        let last = self.layer(rows, shape.last());
        let weights: usize = shape.layers.iter().map(|layer| layer.rows * layer.cols).sum();
        let step = 2 * (rows * weights) as u64;
        let much = if device.about.kind == "software" { SMALL_MUCH } else { MUCH };
        let part = ((much / step.max(1)) as usize).clamp(1, PART);
        if device.is_profiled() {
            self.counting().climbed += step * descent.steps as u64 + step / 2;
        }
        let mut tape = device.tape();
        for k in 0..=descent.steps {
            self.pass(&mut tape, &points)?;
            let out = &points.activations[shape.last()];
            let buffers = [&points.tasks, out, &points.at, gradients[0], &leads, &kept];
            self.step(&mut tape, &kernel::CLIMB_AIM, &last, &buffers, grid)?;
            if k == descent.steps {
                break;
            }
            let gradient = self.back(&mut tape, &points, gradients)?;
            let length = descent.length(k, epsilon) as f32;
            let p = Climb { norm, length, momentum: descent.momentum, lo, hi, ..last };
            let buffers = [&points.tasks, &bases, &radii, gradient, &ahead, &points.at];
            self.step(&mut tape, &kernel::CLIMB_STEP, &p, &buffers, grid)?;
            if (k + 1).is_multiple_of(part) {
                std::mem::replace(&mut tape, device.tape()).submit()?;
            }
        }
        let firsts = device.upload(bytemuck::cast_slice(&firsts));
        let found = device.upload(bytemuck::cast_slice(&vec![f32::NAN; goals.len() * (n + 1)]));
        let buffers = [&firsts, &leads, &kept, &found];
        self.step(&mut tape, &kernel::CLIMB_BEST, &last, &buffers, [goals.len(), 1, 1])?;
        tape.read(&found, goals.len() * (n + 1));
        let [found] = self.submit(tape)?;
        let found: &[f32] = bytemuck::cast_slice(&found);
        all.extend(found.chunks_exact(n + 1).map(|of| {
            let (lead, point) = of.split_last()?;
            (*lead > f32::MIN).then(|| Peak { point: point.to_vec(), lead: *lead })
        }));
        Ok(())
    }
}

/// Where all tasks begin, `[tasks][inputs]`: drawn as on the cores, on several of them.
fn starts(
    descent: &Descent,
    goals: &[Goal<'_>],
    places: &[Place],
    tasks: &[Vec<Task>],
    n: usize,
) -> Vec<f32> {
    let mut points = vec![0.0; n * tasks.iter().map(Vec::len).sum::<usize>()];
    let mut rest = &mut points[..];
    let mut parts = Vec::with_capacity(goals.len());
    for ((goal, place), tasks) in goals.iter().zip(places).zip(tasks) {
        let (mine, others) = rest.split_at_mut(n * tasks.len());
        parts.push((goal.index, place, tasks, mine));
        rest = others;
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for some in parts.chunks_mut(goals.len().div_ceil(threads).max(1)) {
            scope.spawn(move || {
                let mut way = vec![0.0; n];
                for (index, place, tasks, points) in some {
                    for (task, point) in tasks.iter().zip(points.chunks_exact_mut(n)) {
                        descent.start(place, task, *index, &mut way, point);
                    }
                }
            });
        }
    });
    points
}
