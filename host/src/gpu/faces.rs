//! The simplex certificate for a batch of points: the forward passes with how fast each neuron moves, and
//! the walks of rows to the inputs, as kernels.
//!
//! The cores choose which neurons' rows are walked, from what every neuron comes to, and divide: a device's
//! quotients and roots decide nothing. First the margins are walked and of each layer the neuron that may
//! be nearest; then all that may be nearer than the nearest face of those. What a bound follows from is
//! [`certus_engine::simplex::simplex`]'s.

use certus_engine::bounds::Semantics;
use certus_engine::model::{Activation, Model};
use certus_engine::num::{add_up, gamma, mul_up, ratio_down, sqrt_up, sub_down};
use certus_engine::region::{Norm, Region};
use certus_engine::simplex;
use certus_shaders::kernel;
use certus_shaders::layout::{SCALARS, Step};

use super::crown::walk::{Rows, grid};
use super::crown::{Crown, Sample};
use super::device::{Buffer, Fault, Tape};

/// Arrays of what is known of a neuron at a point.
const POINTS: usize = 4;

/// The simplex certificate on a device.
#[derive(Debug)]
pub struct Faces<'c, 'd> {
    crown: &'c Crown<'d>,
    /// Beside those of CROWN: points with radii of 0, and what feeds a layer with its errors.
    inputs: Buffer,
    feed: Buffer,
    known: Buffer,
    /// `[samples][layers][2]` sums of rates and errors.
    totals: Buffer,
}

/// How far the decision stands around a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clear {
    /// On the open ball of this radius, and it is a linear region.
    pub radius: f32,
    /// Upper bound of the distance of some face of it: nobody certifies more.
    pub most: f64,
}

/// Neurons of a layer to walk: sample after sample, which.
type Chosen = Vec<(usize, usize)>;

/// What a walk gives of a row.
#[derive(Clone, Copy, Debug)]
struct Walked {
    off: f32,
    slope: f32,
    length: f32,
}

/// What the forward passes give of a batch.
struct Points {
    points: Vec<f32>,
    totals: Vec<f32>,
    /// `[samples][layers]` entries of lists of live neurons, and of each layer the longest.
    live: Vec<u32>,
    widths: Vec<usize>,
    /// Whether a sample's magnitudes are out of range.
    refused: Vec<bool>,
}

impl<'c, 'd> Faces<'c, 'd> {
    /// Whether a device knows the certificate for this model: one of ReLU and identity.
    pub fn knows(model: &Model<'_>) -> bool {
        let plain = |activation| matches!(activation, Activation::Relu | Activation::Identity);
        simplex::applies(model) && model.layers().all(|layer| plain(layer.activation))
    }

    /// On what `crown` holds of a model that it [knows](Self::knows).
    pub fn new(crown: &'c Crown<'d>) -> Self {
        let (device, samples) = (crown.device, crown.capacity().samples);
        let width = crown.net.shape.width;
        let layers = crown.net.shape.layers.len();
        let room = |words: usize| device.empty(samples * words);
        let (inputs, feed) = (room(2 * crown.inputs), room(2 * width));
        Self { crown, inputs, feed, known: room(4 * width), totals: room(2 * layers) }
    }

    /// How far each sample's decision stands around the middle of its region, up to `enough`; `None`
    /// where the device does not know.
    ///
    /// # Errors
    /// [`Fault`], from the device; nothing is known of any of them then.
    pub fn find(&self, samples: &[Sample<'_>], enough: f32) -> Result<Vec<Option<Clear>>, Fault> {
        let mut all = Vec::with_capacity(samples.len());
        for batch in samples.chunks(self.crown.capacity().samples) {
            all.extend(self.batch(batch, enough)?);
        }
        Ok(all)
    }

    fn batch(&self, samples: &[Sample<'_>], enough: f32) -> Result<Vec<Option<Clear>>, Fault> {
        let (crown, count) = (self.crown, samples.len());
        let fits = self.upload(samples);
        let points = self.forward(count)?;
        let begin = |fits: &bool| fits.then_some(Clear { radius: enough, most: f64::INFINITY });
        let mut clear: Vec<Option<Clear>> = fits.iter().map(begin).collect();
        for (clear, refused) in clear.iter_mut().zip(&points.refused) {
            *clear = clear.filter(|_| !refused);
        }
        self.margins(samples, &points.widths, &mut clear)?;
        let mut walked = Vec::new();
        for k in 0..crown.net.shape.layers.len() {
            if crown.net.shape.bends(k) {
                walked.push((k, self.nearest(k, &points, &mut clear)));
            }
        }
        for (k, chosen) in &walked {
            self.neurons(*k, chosen, &points, &mut clear)?;
        }
        for (k, chosen) in &walked {
            // The first layer's need no walk.
            if *k > 0 {
                let others = self.nearer(*k, chosen, &points, &clear);
                self.neurons(*k, &others, &points, &mut clear)?;
            }
        }
        // Of a layer no neurons are shared.
        crown.add_up(&points.live.repeat(2));
        Ok(clear)
    }

    /// Writes the points; gives for each whether it can be asked about.
    fn upload(&self, samples: &[Sample<'_>]) -> Vec<bool> {
        let crown = self.crown;
        let (n, layers) = (crown.inputs, crown.net.shape.layers.len());
        let outputs = crown.net.shape.layers[layers - 1].rows;
        let mut points = vec![0.0f32; samples.len() * n];
        let mut scalars = vec![0.0f32; samples.len() * (SCALARS + layers)];
        let mut fits = Vec::with_capacity(samples.len());
        let of = samples.iter().zip(points.chunks_exact_mut(n));
        for ((sample, to), scalars) in of.zip(scalars.chunks_exact_mut(SCALARS + layers)) {
            let x = match sample.region {
                Region::Ball(ball) => ball.center,
                _ => &[],
            };
            let ball = Region::ball(x, 0.0, crown.norm).check(n).is_ok();
            // A device may take subnormal numbers as 0.
            let mut fit = ball && sample.class < outputs && !x.iter().any(|x| x.is_subnormal());
            if fit {
                let sum = x.iter().fold(0.0, |sum, x| add_up(sum, x.abs()));
                let largest = x.iter().fold(0.0f32, |most, x| most.max(x.abs()));
                // Rates begin with 1 for each input.
                let total = f64::from(sum) + n as f64;
                fit = crown.net.is_in_range(f64::from(largest) + 1.0, total);
                // The second is the radius by which the first layer's rates are measured.
                (scalars[0], scalars[1]) = (sum, 1.0);
                to.copy_from_slice(x);
            }
            if !fit {
                // Its part of the batch computes the harmless.
                to.fill(0.0);
                scalars.fill(0.0);
            }
            fits.push(fit);
        }
        let device = crown.device;
        let rated = [&points[..], &vec![1.0; points.len()]].concat();
        device.write(&crown.memory.inputs, 0, bytemuck::cast_slice(&rated));
        let erring = [&points[..], &vec![0.0; points.len()]].concat();
        device.write(&self.inputs, 0, bytemuck::cast_slice(&erring));
        device.write(&crown.memory.scalars, 0, bytemuck::cast_slice(&scalars));
        fits
    }

    /// All layers forward.
    fn forward(&self, count: usize) -> Result<Points, Fault> {
        let crown = self.crown;
        let (shape, m) = (&crown.net.shape, &crown.memory);
        let layers = shape.layers.len();
        let mut tape = crown.device.tape();
        for k in 0..layers {
            let (rated, erring) =
                if k == 0 { (&m.inputs, &self.inputs) } else { (&m.feed, &self.feed) };
            let norm = if k == 0 { crown.norm() } else { 0 };
            crown.interval_of(&mut tape, (count, k), norm, rated, &m.known, |step| step)?;
            crown.interval_of(&mut tape, (count, k), 0, erring, &self.known, |step| step)?;
            crown.centres(&mut tape, (count, k), erring, &self.known, |step| step)?;
            let step = Step { share: self.moves(k), ..shape.lines(&crown.options, count, k) };
            let of = [
                &m.known,
                &self.known,
                &m.scalars,
                &m.live,
                &m.lines,
                &self.totals,
                &m.feed,
                &self.feed,
            ];
            crown.run(&mut tape, &kernel::CHAIN, &step, &of, [count, 1, 1])?;
        }
        tape.read(&m.lines, POINTS * count * shape.neurons);
        tape.read(&self.totals, 2 * count * layers);
        tape.read(&m.live, count * layers);
        tape.read(&m.scalars, count * (SCALARS + layers));
        let [points, totals, live, scalars] = crown.submit(tape)?;
        let widest = |k: usize| live.chunks_exact(layers).map(|of| of[k]).max();
        let scalars: Vec<f32> = bytemuck::cast_vec(scalars);
        Ok(Points {
            points: bytemuck::cast_vec(points),
            totals: bytemuck::cast_vec(totals),
            widths: (0..layers).map(|k| widest(k).unwrap_or(0) as usize).collect(),
            // Written so that a NaN refuses.
            refused: scalars.chunks_exact(SCALARS + layers).map(|of| !(of[2] == 0.0)).collect(),
            live,
        })
    }

    /// What a step through layer `k` charges for each unit of coefficient and movement, beside the
    /// product's rounding; as the engine's `own_rate`.
    fn moves(&self, k: usize) -> f32 {
        let step = self.crown.net.shape.plain(&self.crown.options, 1, k);
        match self.crown.options.semantics {
            Semantics::Deployed => add_up(step.weight_error, step.relative),
            Semantics::Real => step.weight_error,
        }
    }

    /// Walks the margins.
    fn margins(
        &self,
        samples: &[Sample<'_>],
        widths: &[usize],
        clear: &mut [Option<Clear>],
    ) -> Result<(), Fault> {
        let crown = self.crown;
        let (shape, m) = (&crown.net.shape, &crown.memory);
        let (last, count) = (shape.last(), samples.len());
        let outputs = shape.layers[last].rows;
        let class = |sample: &Sample<'_>| if sample.class < outputs { sample.class } else { 0 };
        let classes: Vec<u32> = samples.iter().map(|sample| class(sample) as u32).collect();
        let classes = crown.device.upload(bytemuck::cast_slice(&classes));
        // The class's own output is one of them where a ReLU cuts it off.
        let each = if shape.rectified { outputs } else { outputs - 1 };
        let most = (m.capacity.slots / outputs).max(1);
        let mut from = 0;
        while from < count {
            let to = count.min(from + most);
            let of = (0..count).map(|s| if (from..to).contains(&s) { outputs as u32 } else { 0 });
            let slots: Vec<[u32; 2]> =
                (from..to).flat_map(|s| (0..outputs).map(move |r| [s as u32, r as u32])).collect();
            let rows = crown.rows(of.collect(), Some(slots));
            let mut tape = crown.device.tape();
            let step = shape.rows(&crown.options, count, last);
            let buffers = [&rows.slots, &classes, &m.feed, &m.live, &m.floors, &m.a];
            crown.run(&mut tape, &kernel::MARGINS, &step, &buffers, grid(rows.count))?;
            let marks = vec![0.0; 2 * rows.count];
            let marks = self.walk(&mut tape, count, last + 1, &rows, &marks, widths)?;
            tape.read(&m.floors, rows.count);
            tape.read(&marks[0], 2 * rows.count);
            tape.read(&marks[1], rows.count);
            let [floors, marks, lengths] = crown.submit(tape)?;
            let walked = walked(&marks, &lengths);
            for (slot, (floor, walked)) in floors.iter().zip(walked).enumerate() {
                let (sample, row) = (from + slot / outputs, slot % outputs);
                if row < each {
                    self.take(&mut clear[sample], f32::from_bits(*floor), walked, 0.0);
                }
            }
            from = to;
        }
        Ok(())
    }

    /// Of layer `k` the neuron of each sample that may be nearest; takes the first layer's distances as
    /// they are.
    fn nearest(&self, k: usize, points: &Points, clear: &mut [Option<Clear>]) -> Chosen {
        let mut chosen = Vec::new();
        let moves = self.moves(k);
        for (sample, clear) in clear.iter_mut().enumerate() {
            if clear.is_none() {
                continue;
            }
            let (mut at, mut least) = (None, f32::INFINITY);
            for i in 0..self.crown.net.shape.layers[k].rows {
                let [z, error, rate, _] = self.point(points, sample, k, i);
                // Written so that a NaN is nearest.
                let key = (z.abs() - error) / rate;
                if !(key >= least) {
                    (at, least) = (Some(i), key);
                }
            }
            let Some(i) = at else { continue };
            let [z, error, rate, own] = self.point(points, sample, k, i);
            if k > 0 {
                chosen.push((sample, i));
                continue;
            }
            // The nearest within rounding: all others are taken as near as they may be.
            let all = (0..self.crown.net.shape.layers[k].rows)
                .map(|i| self.near(points, sample, k, i))
                .fold(f32::INFINITY, |least, near| if near >= least { least } else { near });
            let slope = mul_up(2.0 * moves, rate);
            let row = Walked { off: add_up(error, own), slope, length: rate };
            if let Some(clear) = clear {
                clear.most = clear.most.min(self.beyond(z.abs(), row, rate));
                lower(clear, all);
            }
        }
        chosen
    }

    /// The neurons of layer `k` that may be nearer than what is known, without those of `walked`.
    fn nearer(
        &self,
        k: usize,
        walked: &Chosen,
        points: &Points,
        clear: &[Option<Clear>],
    ) -> Chosen {
        let mut chosen = Vec::new();
        let mut walked = walked.iter().peekable();
        for (sample, clear) in clear.iter().enumerate() {
            let done = walked.next_if(|(of, _)| *of == sample).map(|(_, i)| *i);
            let Some(Clear { radius, .. }) = clear.filter(|clear| clear.radius > 0.0) else {
                continue;
            };
            let open =
                |i: &usize| Some(*i) != done && !(self.near(points, sample, k, *i) >= radius);
            let rows = 0..self.crown.net.shape.layers[k].rows;
            chosen.extend(rows.filter(open).map(|i| (sample, i)));
        }
        chosen
    }

    /// Walks neurons of layer `k > 0`, sample after sample.
    fn neurons(
        &self,
        k: usize,
        chosen: &Chosen,
        points: &Points,
        clear: &mut [Option<Clear>],
    ) -> Result<(), Fault> {
        let crown = self.crown;
        let (shape, m, count) = (&crown.net.shape, &crown.memory, clear.len());
        for part in chosen.chunks(m.capacity.slots.max(1)) {
            let mut of = vec![0u32; count];
            let mut begins = Vec::with_capacity(2 * part.len());
            for (sample, i) in part {
                of[*sample] += 1;
                let [_, _, rate, own] = self.point(points, *sample, k, *i);
                let below = points.totals[2 * (sample * shape.layers.len() + k - 1)];
                let slope = mul_up(self.moves(k), rate);
                begins.extend([own, add_up(slope, mul_up(2.0 * f32::MIN_POSITIVE, below))]);
            }
            let slots = part.iter().map(|(sample, i)| [*sample as u32, 2 * *i as u32]).collect();
            let rows = crown.rows(of, Some(slots));
            let mut tape = crown.device.tape();
            let step = shape.plain(&crown.options, count, k);
            // Of either sign: what is charged and how long a row is are the same.
            let of = [&rows.slots, &m.live, &crown.net.weights[k], &m.known, &m.floors, &m.a];
            crown.run(&mut tape, &kernel::START, &step, &of, grid(rows.count))?;
            let marks = self.walk(&mut tape, count, k, &rows, &begins, &points.widths)?;
            tape.read(&marks[0], 2 * rows.count);
            tape.read(&marks[1], rows.count);
            let [marks, lengths] = crown.submit(tape)?;
            for ((sample, i), walked) in part.iter().zip(walked(&marks, &lengths)) {
                let [z, ..] = self.point(points, *sample, k, *i);
                let near = self.near(points, *sample, k, *i);
                self.take(&mut clear[*sample], z.abs(), walked, near);
            }
        }
        Ok(())
    }

    /// Walks rows over the activations of the layer below `k` to the inputs; the buffers of what they are
    /// charged and of their lengths.
    fn walk(
        &self,
        tape: &mut Tape<'_>,
        count: usize,
        k: usize,
        rows: &Rows,
        marks: &[f32],
        widths: &[usize],
    ) -> Result<[Buffer; 2], Fault> {
        let crown = self.crown;
        let (shape, m) = (&crown.net.shape, &crown.memory);
        let marks = crown.device.upload(bytemuck::cast_slice(marks));
        let (mut a, mut out) = (&m.a, &m.out);
        for j in (0..k).rev() {
            let step = shape.rows(&crown.options, count, j);
            let step = Step { share: add_up(step.share, self.moves(j)), ..step };
            let of = [&rows.slots, &m.live, &m.lines, &self.totals, &marks, a];
            crown.run(tape, &kernel::CHARGE, &step, &of, grid(rows.count))?;
            crown.product(tape, count, j, rows, (a, out), widths, 0)?;
            (a, out) = (out, a);
        }
        // What no kernel writes is no length.
        let lengths = vec![f32::NAN; rows.count];
        let lengths = crown.device.upload(bytemuck::cast_slice(&lengths));
        let step = shape.reach(&crown.options, count, 0);
        let step = Step { norm: crown.norm(), ..step };
        crown.run(tape, &kernel::LENGTH, &step, &[&rows.slots, a, &lengths], grid(rows.count))?;
        Ok([marks, lengths])
    }

    /// z, error, rate and own error of a neuron.
    fn point(&self, points: &Points, sample: usize, k: usize, i: usize) -> [f32; POINTS] {
        let shape = &self.crown.net.shape;
        let at = POINTS * sample * shape.neurons + shape.layers[k].first + i;
        [0, 1, 2, 3].map(|array| points.points[at + array * shape.neurons])
    }

    /// Lower bound of its distance: `(|z| - error) / rate`.
    fn near(&self, points: &Points, sample: usize, k: usize, i: usize) -> f32 {
        let [z, error, rate, _] = self.point(points, sample, k, i);
        ratio_down(sub_down(z.abs(), error), rate)
    }

    /// Takes a row of this value at the point in; `near`: what is known of its distance.
    fn take(&self, clear: &mut Option<Clear>, value: f32, row: Walked, near: f32) {
        let Some(clear) = clear else { return };
        let norm = self.norm_up(row.length);
        let room = sub_down(value, row.off);
        let walked = ratio_down(room, add_up(norm, row.slope));
        lower(clear, if near > walked { near } else { walked });
        clear.most = clear.most.min(self.beyond(value, row, norm));
    }

    /// Upper bound of the distance of a row's face: `(value + off) / (norm - slope)`, of a norm that is
    /// above the true one by its own rounding at most.
    fn beyond(&self, value: f32, row: Walked, norm: f32) -> f64 {
        let rounding = f64::from(gamma(8 * (80 + self.crown.inputs as u32 / 64)));
        let least = f64::from(norm) * (1.0 - rounding) - f64::from(row.slope);
        let most = (f64::from(value) * (1.0 + rounding) + f64::from(row.off)) / least;
        if least > 0.0 && most > 0.0 { most } else { f64::INFINITY }
    }

    /// A row's dual norm from what `length` gives.
    fn norm_up(&self, length: f32) -> f32 {
        if self.crown.norm == Norm::L2 { sqrt_up(length) } else { length }
    }
}

/// Lowers a radius to a lower bound of the distance of one more face; to 0, if that is no number.
fn lower(clear: &mut Clear, distance: f32) {
    if !(distance >= clear.radius) {
        clear.radius = if distance > 0.0 { distance } else { 0.0 };
    }
}

fn walked(marks: &[u32], lengths: &[u32]) -> impl Iterator<Item = Walked> {
    let marks: Vec<f32> = marks.iter().map(|bits| f32::from_bits(*bits)).collect();
    let lengths: Vec<f32> = lengths.iter().map(|bits| f32::from_bits(*bits)).collect();
    (0..lengths.len()).map(move |slot| Walked {
        off: marks[2 * slot],
        slope: marks[2 * slot + 1],
        length: lengths[slot],
    })
}
