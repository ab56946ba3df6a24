//! CROWN for a batch of samples: the engine's stages as kernels, all memory on the device.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use certus_engine::bounds::{Error, Method, Options};
use certus_engine::model::Model;
use certus_engine::num::add_up;
use certus_engine::region::{Norm, Region};
use certus_engine::relax::LowerSlope;
use certus_shaders::kernel::{self, Kernel};
use certus_shaders::layout::{BOUNDED, JOINED, NEURONS, PAIRED, ROW_GRID, SCALARS, Step, WHOLE};
use certus_shaders::tile::{MIDDLE, NARROW, Tile, WIDE};

use super::device::{Buffer, Device, Fault, Tape};
use super::memory::{Capacity, Memory};
use super::net::{Net, Unfit};
use super::shape::{listed, normal_up};
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
    pub(super) options: Options,
    /// Where slopes are searched for.
    pub(super) slopes: Option<Slopes>,
    norm: Norm,
    inputs: usize,
    kernels: Kernels,
    count: Mutex<Count>,
}

/// Multiply-adds of products, counted while the device is profiled.
#[derive(Debug, Default)]
pub(super) struct Count {
    /// Time that went into searches for slopes, profiled or not.
    pub searching: Duration,
    /// Of finished batches.
    macs: u64,
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

/// Rows that are walked together: those of some samples.
pub(super) struct Rows {
    pub slots: Buffer,
    pub rows: Buffer,
    pub count: usize,
    /// Of each sample.
    of: Vec<u32>,
}

/// Samples from which on the interval step takes them together.
const FEW: usize = 16;

/// Workgroups of a product from which on wide tiles keep a device busy.
const MANY: usize = 512;

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
        capacity: impl Fn(&super::shape::Shape) -> Option<Capacity>,
    ) -> Result<Self, Unfit> {
        let net = Net::new(device, model, norm)?;
        let capacity = capacity(&net.shape).ok_or(Unfit::Memory)?;
        let memory = Memory::new(device, &net.shape, model.inputs(), capacity);
        let generate = |tile: Tile| (tile, tile.kernel());
        let kernels =
            Kernels { wide: generate(WIDE), middle: generate(MIDDLE), narrow: generate(NARROW) };
        let options = match options.method {
            Method::FastLin => Options { lower: LowerSlope::SameAsUpper, ..options },
            _ => options,
        };
        let (inputs, count, slopes) = (model.inputs(), Mutex::default(), None);
        Ok(Self { device, net, memory, options, slopes, norm, inputs, kernels, count })
    }

    /// What a batch holds.
    pub fn capacity(&self) -> Capacity {
        self.memory.capacity
    }

    /// Multiply-adds of products since this was asked last; 0 where the device was not profiled.
    pub fn take_macs(&self) -> u64 {
        std::mem::take(&mut self.counting().macs)
    }

    /// Time that searches for slopes took since this was asked last.
    pub fn take_searching(&self) -> Duration {
        std::mem::take(&mut self.counting().searching)
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

    /// The same, CROWN's and those by slopes that were searched for.
    ///
    /// # Errors
    /// As [`Crown::margins`].
    pub fn bounds(&self, samples: &[Sample<'_>]) -> Result<Vec<Result<Bounds, Error>>, Fault> {
        let mut all = Vec::with_capacity(samples.len());
        for batch in samples.chunks(self.memory.capacity.samples) {
            self.batch(batch, None, &mut all)?;
        }
        Ok(all)
    }

    /// `given`: slopes of each sample, instead of those of a search.
    pub(super) fn batch(
        &self,
        samples: &[Sample<'_>],
        given: Option<&[&[f32]]>,
        all: &mut Vec<Result<Bounds, Error>>,
    ) -> Result<(), Fault> {
        let count = samples.len();
        let fits = self.upload(samples);
        let mut tape = self.device.tape();
        let shape = &self.net.shape;
        let walks = self.options.method.walks_neurons();
        for k in 0..shape.layers.len() {
            self.interval(&mut tape, count, k)?;
            if k > 0 && walks && shape.bends(k) {
                tape = self.neurons(tape, count, k)?;
            }
            self.lines(&mut tape, count, k)?;
            self.anchors(&mut tape, count, k)?;
        }
        self.specify(&mut tape, samples)?;
        let outputs = shape.layers[shape.last()].rows;
        tape.read(&self.memory.found, count * outputs);
        tape.read(&self.memory.scalars, count * (SCALARS + shape.layers.len()));
        tape.read(&self.memory.live, 2 * count * shape.layers.len());
        let [found, scalars, live] = self.submit(tape)?;
        let (found, scalars) = (&found, &scalars);
        let found: &[f32] = bytemuck::cast_slice(found);
        let scalars: &[f32] = bytemuck::cast_slice(scalars);
        let scalars = scalars.chunks_exact(SCALARS + shape.layers.len());
        let first = all.len();
        for ((found, scalars), fits) in found.chunks_exact(outputs).zip(scalars).zip(fits) {
            // Written so that a NaN refuses.
            let refused = !(scalars[2] == 0.0);
            all.push(match fits {
                Err(error) => Err(error),
                Ok(()) if refused => Err(Error::Magnitude { layer: shape.last() }),
                Ok(()) => Ok(Bounds { crown: self.capped(found), slopes: None }),
            });
        }
        self.go_on(samples, given, found.to_vec(), &live, &mut all[first..])?;
        self.add_up(&live);
        Ok(())
    }

    /// The samples' classes; of those that have none such, any.
    pub(super) fn classes(&self, samples: &[Sample<'_>]) -> Vec<u32> {
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
    fn add_up(&self, live: &[u32]) {
        let layers = self.net.shape.layers.len();
        let mut count = self.counting();
        let products = std::mem::take(&mut count.layers);
        let rows = std::mem::take(&mut count.rows);
        let (live, shared) = live.split_at(live.len() / 2);
        for ((j, flags), rows) in products.into_iter().zip(rows) {
            let of = live.chunks_exact(layers).zip(shared.chunks_exact(layers));
            for (rows, (live, shared)) in rows.iter().zip(of) {
                let across = j.checked_sub(1).map_or(self.inputs as u64, |j| u64::from(live[j]));
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

    /// Writes the samples' regions; gives for each whether it can be asked about.
    fn upload(&self, samples: &[Sample<'_>]) -> Vec<Result<(), Error>> {
        let (n, layers) = (self.inputs, self.net.shape.layers.len());
        let outputs = self.net.shape.layers[layers - 1].rows;
        let mut boxes = vec![0.0f32; 2 * samples.len() * n];
        let mut scalars = vec![0.0f32; samples.len() * (SCALARS + layers)];
        let (mids, rads) = boxes.split_at_mut(samples.len() * n);
        let mut fits = Vec::with_capacity(samples.len());
        let of = samples.iter().zip(mids.chunks_exact_mut(n)).zip(rads.chunks_exact_mut(n));
        for (((sample, mid), rad), scalars) in of.zip(scalars.chunks_exact_mut(SCALARS + layers)) {
            let mut fit = sample.region.check(n).map_err(Error::from);
            if fit.is_ok() && sample.class >= outputs {
                fit = Err(Error::Spec);
            }
            if fit.is_ok() {
                sample.region.enclose(mid, rad);
                // A device may take subnormal numbers as 0.
                let mut moved = 0.0f32;
                for (m, r) in mid.iter_mut().zip(rad.iter_mut()) {
                    if m.is_subnormal() {
                        (*m, *r) = (0.0, add_up(*r, m.abs()));
                        moved += f32::MIN_POSITIVE;
                    }
                    *r = normal_up(*r);
                }
                let sizes = || mid.iter().zip(&*rad).map(|(m, r)| add_up(m.abs(), *r));
                let largest = sizes().fold(0.0f32, f32::max);
                scalars[0] = sizes().fold(0.0, add_up);
                if !self.net.is_in_range(f64::from(largest), f64::from(scalars[0])) {
                    fit = Err(Error::Magnitude { layer: 0 });
                }
                scalars[1] = match sample.region {
                    Region::Ball(ball) | Region::BallInBox { ball, .. }
                        if ball.norm == self.norm =>
                    {
                        // Around the middle that the device has.
                        let around =
                            if moved > 0.0 { add_up(ball.radius, moved) } else { ball.radius };
                        normal_up(around)
                    }
                    // Of no ball of this norm: the box's own length, in l1, which no other exceeds.
                    _ => rad.iter().copied().fold(0.0, add_up),
                };
            }
            if fit.is_err() {
                // Its part of the batch computes the harmless.
                mid.fill(0.0);
                rad.fill(0.0);
                scalars.fill(0.0);
            }
            fits.push(fit);
        }
        self.device.write(&self.memory.inputs, 0, bytemuck::cast_slice(&boxes));
        self.device.write(&self.memory.scalars, 0, bytemuck::cast_slice(&scalars));
        // What no kernel writes is no bound.
        let nothing = vec![f32::NAN; samples.len() * outputs];
        self.device.write(&self.memory.found, 0, bytemuck::cast_slice(&nothing));
        fits
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

    fn interval(&self, tape: &mut Tape<'_>, count: usize, k: usize) -> Result<(), Fault> {
        let (net, m) = (&self.net, &self.memory);
        let norm = if k == 0 { self.norm() } else { 0 };
        let rows = net.shape.layers[k].rows;
        let few = count < FEW && rows < 65536;
        let step = Step { norm, ..net.shape.interval(&self.options, count, k, few) };
        let feed = if k == 0 { &m.inputs } else { &m.feed };
        let buffers = [&net.weights[k], &net.biases[k], feed, &m.scalars, &m.known, &m.ends];
        if few {
            return self.run(tape, &kernel::INTERVAL_FEW, &step, &buffers, [rows, count, 1]);
        }
        let groups = [rows.div_ceil(32), count.div_ceil(32), 1];
        self.run(tape, &kernel::INTERVAL, &step, &buffers, groups)
    }

    fn lines(&self, tape: &mut Tape<'_>, count: usize, k: usize) -> Result<(), Fault> {
        let m = &self.memory;
        let step = self.net.shape.lines(&self.options, count, k);
        let buffers = [&m.known, &m.ends, &m.scalars, &m.live, &m.lines, &m.feed];
        self.run(tape, &kernel::LINES, &step, &buffers, [count, 1, 1])
    }

    /// Walks the neurons of layer `k` that the interval step leaves open; the tape to go on with.
    fn neurons(&self, mut tape: Tape<'d>, count: usize, k: usize) -> Result<Tape<'d>, Fault> {
        let (net, m) = (&self.net, &self.memory);
        let shape = &net.shape;
        let step = shape.plain(&self.options, count, k);
        self.run(&mut tape, &kernel::SELECT, &step, &[&m.ends, &m.chosen], [count, 1, 1])?;
        tape.read(&m.chosen, count);
        tape.read(&m.live, count * shape.layers.len());
        let [chosen, live] = self.submit(tape)?;
        let mut tape = self.device.tape();
        let widest = |j: usize| live.chunks_exact(shape.layers.len()).map(|of| of[j]).max();
        let widths: Vec<usize> = (0..k).map(|j| widest(j).unwrap_or(0) as usize).collect();
        let mut from = 0;
        while from < count {
            let mut of = vec![0u32; count];
            let mut total = 0;
            let begun = from;
            while from < count && total + 2 * chosen[from] as usize <= m.capacity.slots {
                of[from] = 2 * chosen[from];
                total += of[from] as usize;
                from += 1;
            }
            if from == begun {
                return Err(Fault(format!("{} rows of one sample", 2 * chosen[from])));
            }
            if total > 0 {
                self.walk(&mut tape, count, k, of, &widths)?;
            }
        }
        Ok(tape)
    }

    /// One walk of the rows of neurons of layer `k`.
    fn walk(
        &self,
        tape: &mut Tape<'_>,
        count: usize,
        k: usize,
        of: Vec<u32>,
        widths: &[usize],
    ) -> Result<(), Fault> {
        let (net, m) = (&self.net, &self.memory);
        let rows = self.rows(of, None);
        let step = net.shape.plain(&self.options, count, k);
        let buffers = [&m.chosen, &rows.slots, &rows.rows];
        self.run(tape, &kernel::SLOTS, &step, &buffers, [rows.count.div_ceil(64), 1, 1])?;
        let buffers = [&rows.slots, &m.live, &net.weights[k], &m.known, &m.floors, &m.a];
        self.run(tape, &kernel::START, &step, &buffers, grid(rows.count))?;
        let (mut a, mut out) = (&m.a, &m.out);
        for j in (0..k).rev() {
            let step = net.shape.rows(&self.options, count, j);
            if j + 1 == k {
                let of = [&rows.slots, &m.live, &m.lines, &m.scalars, &m.floors, a];
                self.run(tape, &kernel::JOIN, &step, &of, grid(rows.count / 2))?;
                self.product(tape, count, j, &rows, (a, out), widths, PAIRED)?;
                self.product(tape, count, j, &rows, (a, out), widths, JOINED)?;
            } else {
                self.relax(tape, count, j, &rows, a, NEURONS | BOUNDED)?;
                let buffers = [&m.ends, &rows.slots, &rows.rows, &m.floors];
                self.run(tape, &kernel::COMPACT, &step, &buffers, [count, 1, 1])?;
                self.product(tape, count, j, &rows, (a, out), widths, 0)?;
            }
            (a, out) = (out, a);
        }
        self.reach(tape, count, &rows, a, NEURONS)
    }

    /// Walks the margins' rows and bounds them.
    fn specify(&self, tape: &mut Tape<'_>, samples: &[Sample<'_>]) -> Result<(), Fault> {
        let (net, m) = (&self.net, &self.memory);
        let (last, count) = (net.shape.last(), samples.len());
        let outputs = net.shape.layers[last].rows;
        let widths: Vec<usize> = net.shape.layers.iter().map(|layer| listed(layer.rows)).collect();
        let classes = self.device.upload(bytemuck::cast_slice(&self.classes(samples)));
        let most = (m.capacity.slots / outputs).max(1);
        let mut from = 0;
        while from < count {
            let to = count.min(from + most);
            let of = (0..count).map(|s| if (from..to).contains(&s) { outputs as u32 } else { 0 });
            let slots = (from..to).flat_map(|s| (0..outputs).map(move |r| [s as u32, r as u32]));
            let rows = self.rows(of.collect(), Some(slots.collect()));
            let step = net.shape.rows(&self.options, count, last);
            let buffers = [&rows.slots, &classes, &m.feed, &m.live, &m.floors, &m.a];
            self.run(tape, &kernel::MARGINS, &step, &buffers, grid(rows.count))?;
            let (mut a, mut out) = (&m.a, &m.out);
            for j in (0..=last).rev() {
                self.relax(tape, count, j, &rows, a, 0)?;
                self.product(tape, count, j, &rows, (a, out), &widths, 0)?;
                (a, out) = (out, a);
            }
            self.reach(tape, count, &rows, a, 0)?;
            from = to;
        }
        Ok(())
    }

    /// The table of rows, so many of each sample; `slots` what they are, or written on the device.
    pub(super) fn rows(&self, of: Vec<u32>, slots: Option<Vec<[u32; 2]>>) -> Rows {
        let count = of.iter().sum::<u32>();
        let mut table = Vec::with_capacity(2 * of.len() + count as usize + 1);
        let mut first = 0;
        for rows in &of {
            table.push(first);
            first += rows;
        }
        table.extend(&of);
        table.extend(0..count);
        table.push(0);
        let slots = match slots {
            Some(slots) => self.device.upload(bytemuck::cast_slice(&slots)),
            None => self.device.empty(2 * count as usize),
        };
        let rows = self.device.upload(bytemuck::cast_slice(&table));
        Rows { slots, rows, count: count as usize, of }
    }

    fn relax(
        &self,
        tape: &mut Tape<'_>,
        count: usize,
        j: usize,
        rows: &Rows,
        a: &Buffer,
        flags: u32,
    ) -> Result<(), Fault> {
        let m = &self.memory;
        let step = self.net.shape.rows(&self.options, count, j);
        let step = Step { flags: step.flags | flags, ..step };
        let of = [&rows.slots, &rows.rows, &m.live, &m.lines, &m.scalars, &m.ends, &m.floors, a];
        self.run(tape, &kernel::RELAX, &step, &of, grid(rows.count))
    }

    pub(super) fn product(
        &self,
        tape: &mut Tape<'_>,
        count: usize,
        j: usize,
        rows: &Rows,
        (a, out): (&Buffer, &Buffer),
        widths: &[usize],
        flags: u32,
    ) -> Result<(), Fault> {
        let (net, m) = (&self.net, &self.memory);
        let across = j.checked_sub(1).map_or(self.inputs, |below| widths[below]);
        let step = net.shape.plain(&self.options, count, j);
        let whole = if j == 0 { WHOLE } else { 0 };
        let every = if flags == PAIRED { 2 } else { 1 };
        let flags = step.flags | whole | flags;
        self.counts(tape, j, flags, rows, count);
        let (tile, kernel) = self.tile(rows, across);
        let tiles: Vec<[u32; 2]> = (0..)
            .zip(&rows.of)
            .flat_map(|(s, of)| (0..*of / every).step_by(tile.rows as usize).map(move |r| [s, r]))
            .collect();
        if tiles.is_empty() || across == 0 {
            return Ok(());
        }
        let buffer = self.device.upload(bytemuck::cast_slice(&tiles));
        for at in (0..tiles.len()).step_by(65535) {
            let step = Step { flags, tile: at as u32, ..step };
            let of = [&buffer, &rows.rows, &m.live, &net.weights[j], a, out];
            let groups = [across.div_ceil(tile.cols as usize), (tiles.len() - at).min(65535), 1];
            self.run(tape, kernel, &step, &of, groups)?;
        }
        Ok(())
    }

    /// Notes a product of these rows, where the device is profiled.
    pub(super) fn counts(
        &self,
        tape: &mut Tape<'_>,
        j: usize,
        flags: u32,
        rows: &Rows,
        count: usize,
    ) {
        if self.device.is_profiled() {
            self.counting().layers.push((j, flags));
            tape.read_from(&rows.rows, count, count);
        }
    }

    /// The tile for these rows: wide ones where a sample has many rows and there is work for all of a
    /// device, narrow ones where most of another would lie idle.
    fn tile(&self, rows: &Rows, across: usize) -> &(Tile, Kernel) {
        let Kernels { wide, middle, narrow } = &self.kernels;
        let groups = |tile: &Tile| {
            let down = rows.of.iter().map(|n| n.div_ceil(tile.rows) as usize).sum::<usize>();
            (down, down * across.div_ceil(tile.cols as usize))
        };
        let filled = |tile: &Tile| 4 * rows.count >= 3 * groups(tile).0 * tile.rows as usize;
        if filled(&wide.0) && groups(&wide.0).1 >= MANY {
            wide
        } else if filled(&middle.0) {
            middle
        } else {
            narrow
        }
    }

    pub(super) fn reach(
        &self,
        tape: &mut Tape<'_>,
        count: usize,
        rows: &Rows,
        a: &Buffer,
        flags: u32,
    ) -> Result<(), Fault> {
        let m = &self.memory;
        let step = self.net.shape.reach(&self.options, count, 0);
        let step = Step { flags: step.flags | flags, norm: self.norm(), ..step };
        let of = [&rows.slots, &rows.rows, &m.inputs, &m.scalars, &m.floors, a, &m.ends, &m.found];
        self.run(tape, &kernel::REACH, &step, &of, grid(rows.count))
    }
}

/// Workgroups for so many rows.
pub(super) fn grid(rows: usize) -> [usize; 3] {
    let across = ROW_GRID as usize;
    [rows.min(across), rows.div_ceil(across), 1]
}
