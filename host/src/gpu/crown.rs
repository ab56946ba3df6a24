//! CROWN and intervals for a batch of samples: the engine's stages as kernels, all memory on the device.

mod curves;
mod regions;
pub(super) mod walk;

use std::sync::{Mutex, MutexGuard, PoisonError};

use certus_engine::bounds::{Error, Method, Options};
use certus_engine::model::Model;
use certus_engine::region::{Norm, Region};
use certus_engine::relax::LowerSlope;
use certus_shaders::kernel::{self, Kernel};
use certus_shaders::layout::{JOINED, PAIRED, SCALARS, Step, WHOLE};
use certus_shaders::tile::{MIDDLE, NARROW, Tile, WIDE};

use super::device::{Buffer, Device, Fault, Tape};
use super::memory::{Capacity, Memory};
use super::net::{Net, Unfit};
use super::shape::Shape;
use super::slopes::{Bounds, Slopes};

/// What is asked of one sample: lower bounds of the margins of `class` over a region.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The region.
    pub region: Region<'a>,
    /// The class.
    pub class: usize,
}

/// The margins' lower bounds in the order of [`certus_engine::spec::Spec::Margins`], or why there are
/// none.
pub type Margins = Result<Vec<f32>, Error>;

/// CROWN on a device.
#[derive(Debug)]
pub struct Crown<'d> {
    pub(super) device: &'d Device,
    pub(super) net: Net,
    pub(super) memory: Memory,
    /// `[samples][outputs]` middles of the outputs, then radii.
    pub(super) outputs: Buffer,
    pub(super) options: Options,
    /// Where slopes are searched for.
    pub(super) slopes: Option<Slopes>,
    pub(super) norm: Norm,
    pub(super) inputs: usize,
    kernels: Kernels,
    count: Mutex<Count>,
}

/// Lower slopes of the rows of margins.
#[derive(Clone, Copy)]
pub(super) enum Lower<'a> {
    /// CROWN's.
    Chosen,
    /// Moved from there, where that leaves a sample open and there is room for it.
    Moved,
    /// Those of each sample, see [`Crown::margins_by`].
    Given(&'a [&'a [f32]]),
}

/// Multiply-adds of products, counted while the device is profiled.
#[derive(Debug, Default)]
pub(super) struct Count {
    /// Of finished batches.
    macs: u64,
    /// Seconds that the host took for lines of curved activations.
    curves: f64,
    /// Of the steps of attacks.
    pub(super) climbed: u64,
    /// Of the batch at hand: the layer of each product, and what came back: its rows of each sample.
    layers: Vec<(usize, u32)>,
    rows: Vec<Vec<u32>>,
}

/// The kernels that are generated, generated once.
#[derive(Debug)]
struct Kernels {
    wide: (Tile, Kernel),
    middle: (Tile, Kernel),
    narrow: (Tile, Kernel),
}

/// Samples from which on the interval step takes them together.
const FEW: usize = 16;

impl<'d> Crown<'d> {
    /// For `model` and balls of `norm`, by these options, in memory of this capacity.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn new(
        device: &'d Device,
        model: &Model<'_>,
        norm: Norm,
        options: Options,
        capacity: impl Fn(&Shape) -> Option<Capacity>,
    ) -> Result<Self, Unfit> {
        let net = Net::new(device, model, norm)?;
        let capacity = capacity(&net.shape).ok_or(Unfit::Memory)?;
        let memory = Memory::new(device, &net.shape, model.inputs(), capacity);
        let outputs = device.empty(2 * capacity.samples * model.outputs());
        let generate = |tile: Tile| (tile, tile.kernel());
        let kernels =
            Kernels { wide: generate(WIDE), middle: generate(MIDDLE), narrow: generate(NARROW) };
        let options = match options.method {
            Method::FastLin => Options { lower: LowerSlope::SameAsUpper, ..options },
            _ => options,
        };
        let (inputs, count, slopes) = (model.inputs(), Mutex::default(), None);
        Ok(Self { device, net, memory, outputs, options, slopes, norm, inputs, kernels, count })
    }

    /// The model's sizes.
    pub fn shape(&self) -> &Shape {
        &self.net.shape
    }

    /// What a batch holds.
    pub fn capacity(&self) -> Capacity {
        self.memory.capacity
    }

    /// Charges from now on so many times what sums may be off: bounds that are as right, and looser by
    /// so many times what that costs, nearly.
    pub fn charge(&mut self, times: u32) {
        self.net.shape.times = times;
    }

    /// Multiply-adds of products since this was asked last; 0 where the device was not profiled.
    pub fn take_macs(&self) -> u64 {
        std::mem::take(&mut self.counting().macs)
    }

    /// Seconds that the host took for lines of curved activations since this was asked last.
    pub fn take_curves(&self) -> f64 {
        std::mem::take(&mut self.counting().curves)
    }

    /// Multiply-adds of the steps of attacks since this was asked last; 0 where the device was not profiled.
    pub fn take_climbed(&self) -> u64 {
        std::mem::take(&mut self.counting().climbed)
    }

    pub(super) fn counting(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lower bounds of the margins of each sample, see [`certus_engine::bounds::lower_bounds`]: bounds by
    /// the same rules, with the roundings of the device taken in.
    ///
    /// # Errors
    /// [`Fault`], from the device; nothing is known of any of the samples then.
    pub fn margins(&self, samples: &[Sample<'_>]) -> Result<Vec<Margins>, Fault> {
        let best = |bounds: Vec<Result<Bounds, Error>>| {
            bounds.into_iter().map(|bounds| bounds.map(Bounds::best)).collect()
        };
        self.bounds(samples).map(best)
    }

    /// CROWN's alone, where slopes are searched for too.
    ///
    /// # Errors
    /// As [`Crown::margins`].
    pub fn plain(&self, samples: &[Sample<'_>]) -> Result<Vec<Result<Bounds, Error>>, Fault> {
        self.batches(samples, Lower::Chosen)
    }

    /// CROWN's, and those by slopes that were searched for.
    ///
    /// # Errors
    /// As [`Crown::margins`].
    pub fn bounds(&self, samples: &[Sample<'_>]) -> Result<Vec<Result<Bounds, Error>>, Fault> {
        self.batches(samples, Lower::Moved)
    }

    fn batches(
        &self,
        samples: &[Sample<'_>],
        lower: Lower<'_>,
    ) -> Result<Vec<Result<Bounds, Error>>, Fault> {
        let mut all = Vec::with_capacity(samples.len());
        for batch in samples.chunks(self.memory.capacity.samples) {
            self.batch(batch, lower, &mut all)?;
        }
        Ok(all)
    }

    /// Adds to `all` the bounds of as many samples as there is room for; `lower` is given from the first of
    /// them on.
    pub(super) fn batch(
        &self,
        samples: &[Sample<'_>],
        lower: Lower<'_>,
        all: &mut Vec<Result<Bounds, Error>>,
    ) -> Result<(), Fault> {
        let count = samples.len();
        let fits = self.upload(samples);
        let mut tape = self.device.tape();
        let shape = &self.net.shape;
        let walks = self.options.method.walks_neurons();
        for k in 0..shape.layers.len() {
            self.interval(&mut tape, count, k, |step| step)?;
            if k > 0 && walks && shape.bends(k) {
                tape = self.neurons(tape, count, k)?;
            }
            if shape.is_curved(k) {
                tape = self.curves(tape, count, k)?;
            } else {
                self.lines(&mut tape, count, k, |step| step)?;
            }
            if !matches!(lower, Lower::Chosen) {
                self.anchors(&mut tape, count, k)?;
            }
        }
        self.specify(&mut tape, samples)?;
        let outputs = shape.layers[shape.last()].rows;
        tape.read(&self.memory.found, count * outputs);
        tape.read(&self.memory.scalars, count * (SCALARS + shape.layers.len()));
        tape.read(&self.memory.live, 2 * count * shape.layers.len());
        let [found, scalars, live] = self.submit(tape)?;
        let first = all.len();
        let (found, scalars) = (&found, &scalars);
        let found: &[f32] = bytemuck::cast_slice(found);
        let scalars: &[f32] = bytemuck::cast_slice(scalars);
        let scalars = scalars.chunks_exact(SCALARS + shape.layers.len());
        for ((found, scalars), fits) in found.chunks_exact(outputs).zip(scalars).zip(fits) {
            // Written so that a NaN refuses.
            let refused = !(scalars[2] == 0.0);
            all.push(match fits {
                Err(error) => Err(error),
                Ok(()) if refused => Err(Error::Magnitude { layer: shape.last() }),
                Ok(()) => Ok(Bounds { crown: self.capped(found), slopes: None }),
            });
        }
        self.go_on(samples, lower, found.to_vec(), &live, &mut all[first..])?;
        self.add_up(&live);
        Ok(())
    }

    /// The samples' classes; of those that have none such, any.
    pub(super) fn classes_of(&self, samples: &[Sample<'_>]) -> Vec<u32> {
        let outputs = self.net.shape.layers[self.net.shape.last()].rows;
        let class = |s: &Sample<'_>| if s.class < outputs { s.class as u32 } else { 0 };
        samples.iter().map(class).collect()
    }

    /// Runs a tape and gives what it read last.
    pub(super) fn submit<const N: usize>(&self, tape: Tape<'_>) -> Result<[Vec<u32>; N], Fault> {
        let mut back = tape.submit()?;
        let at = back.len().checked_sub(N).ok_or_else(|| Fault("too little came back".into()))?;
        let last = back.split_off(at);
        self.counting().rows.append(&mut back);
        last.try_into().map_err(|_| Fault("too little came back".into()))
    }

    /// Counts the batch's products.
    pub(super) fn add_up(&self, live: &[u32]) {
        let layers = self.net.shape.layers.len();
        let mut count = self.counting();
        let products = std::mem::take(&mut count.layers);
        let rows = std::mem::take(&mut count.rows);
        let (live, shared) = live.split_at(live.len() / 2);
        for ((j, flags), rows) in products.into_iter().zip(rows) {
            let of = live.chunks_exact(layers).zip(shared.chunks_exact(layers));
            for (rows, (live, shared)) in rows.iter().zip(of) {
                let across = match flags & WHOLE {
                    0 => u64::from(live[j - 1]),
                    _ => self.net.shape.layers[j].cols as u64,
                };
                let (all, both) = (u64::from(live[j]), u64::from(shared[j]));
                let inner = match flags & (PAIRED | JOINED) {
                    PAIRED => both,
                    JOINED => 2 * (all - both),
                    _ => 2 * all,
                };
                // Half of the rows, or all.
                count.macs += u64::from(*rows) * inner * across / 2;
            }
        }
    }

    /// The margins, which the class's own output caps before a last ReLU.
    pub(super) fn capped(&self, found: &[f32]) -> Vec<f32> {
        let Some((own, margins)) = found.split_last() else { return Vec::new() };
        // NaN and infinity bound nothing.
        let known = |x: f32| if x.is_finite() { x } else { f32::NEG_INFINITY };
        let cap = if self.net.shape.rectified { known(*own) } else { f32::INFINITY };
        margins.iter().map(|x| known(*x).min(cap)).collect()
    }

    /// The norm as kernels know it: that of a box has no ball.
    pub(super) fn norm(&self) -> u32 {
        match self.norm {
            Norm::L1 => 1,
            Norm::L2 => 2,
            _ => 0,
        }
    }

    pub(super) fn run(
        &self,
        tape: &mut Tape<'_>,
        kernel: &Kernel,
        step: &Step,
        buffers: &[&Buffer],
        groups: [usize; 3],
    ) -> Result<(), Fault> {
        let step = self.device.uniform(bytemuck::bytes_of(step));
        let mut all = vec![&step];
        all.extend(buffers);
        tape.dispatch(kernel, &all, groups.map(|n| n as u32))
    }

    /// The interval step of layer `k`, its parameters changed by `change`.
    pub(super) fn interval(
        &self,
        tape: &mut Tape<'_>,
        count: usize,
        k: usize,
        change: impl Fn(Step) -> Step,
    ) -> Result<(), Fault> {
        let m = &self.memory;
        let (norm, feed) = if k == 0 { (self.norm(), &m.inputs) } else { (0, &m.feed) };
        self.interval_of(tape, (count, k), norm, feed, &m.known, &change)?;
        self.centres(tape, (count, k), feed, &m.known, change)
    }

    /// Better centres of layer `k`, and the ends that they give, where it is not too wide for them.
    pub(super) fn centres(
        &self,
        tape: &mut Tape<'_>,
        (count, k): (usize, usize),
        feed: &Buffer,
        known: &Buffer,
        change: impl Fn(Step) -> Step,
    ) -> Result<(), Fault> {
        let (net, m) = (&self.net, &self.memory);
        let Some([digits, units]) = &net.digits[k] else { return Ok(()) };
        let step = change(net.shape.centres(&self.options, count, k));
        self.run(tape, &kernel::FIXED, &step, &[feed, &m.fixed], [count, 1, 1])?;
        let of = [digits, units, &m.fixed, &net.biases[k], &m.scalars, known, &m.ends];
        let groups = [net.shape.layers[k].rows.div_ceil(32), count.div_ceil(32), 1];
        self.run(tape, &kernel::CENTRES, &step, &of, groups)
    }

    /// The same over `feed`.
    pub(super) fn interval_of(
        &self,
        tape: &mut Tape<'_>,
        (count, k): (usize, usize),
        norm: u32,
        feed: &Buffer,
        known: &Buffer,
        change: impl Fn(Step) -> Step,
    ) -> Result<(), Fault> {
        let (net, m) = (&self.net, &self.memory);
        let rows = net.shape.layers[k].rows;
        let few = count < FEW && rows < 65536;
        let step = change(Step { norm, ..net.shape.interval(&self.options, count, k, few) });
        let buffers = [&net.weights[k], &net.biases[k], feed, &m.scalars, known, &m.ends];
        if few {
            return self.run(tape, &kernel::INTERVAL_FEW, &step, &buffers, [rows, count, 1]);
        }
        let groups = [rows.div_ceil(32), count.div_ceil(32), 1];
        self.run(tape, &kernel::INTERVAL, &step, &buffers, groups)
    }

    /// The lines of layer `k`, and the box that feeds the next, or of the outputs.
    pub(super) fn lines(
        &self,
        tape: &mut Tape<'_>,
        count: usize,
        k: usize,
        change: impl Fn(Step) -> Step,
    ) -> Result<(), Fault> {
        let (m, shape) = (&self.memory, &self.net.shape);
        let step = change(shape.lines(&self.options, count, k));
        let feed = if k == shape.last() { &self.outputs } else { &m.feed };
        let buffers = [&m.known, &m.ends, &m.scalars, &m.live, &m.lines, feed];
        self.run(tape, &kernel::LINES, &step, &buffers, [count, 1, 1])
    }
}
