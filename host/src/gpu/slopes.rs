//! alpha-CROWN on a device: lower slopes of each margin's own, moved between the walks that bound it.
//!
//! What the cores do ([`crate::alpha`]), for a batch: projected Adam on the bound of each row that is not
//! above 0, intermediate bounds held as CROWN found them. Every walk of the search bounds its rows by the
//! rules of all walks on the device, whatever the slopes (`soundness.md` 4), so that the best of them
//! counts as it is; nothing that finds slopes is believed. Rows that are above 0 drop out between walks, and so
//! do samples that seem hopeless, where that is asked for.

use certus_engine::bounds::Error;
use certus_engine::certificate::{Verdict, verdict};
use certus_engine::num::better_lower;
use certus_shaders::kernel;
use certus_shaders::layout::{ANCHORS, Ascend, FORTH_TILE, SEARCH, Step, WHOLE};

use super::crown::walk::{Rows, grid};
use super::crown::{Crown, Lower, Margins, Sample};
use super::device::{Buffer, Device, Fault, Tape};
use super::memory::Capacity;
use super::net::Unfit;
use super::shape::Shape;
use crate::alpha::Settings;

/// Decay of both moments of a gradient, as `ascend` has it.
const BETAS: [f32; 2] = [0.9, 0.999];

/// Lower bounds of a sample's margins, each in the order of [`certus_engine::spec::Spec::Margins`].
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// CROWN's.
    pub crown: Vec<f32>,
    /// The best, where slopes were searched for because CROWN left one open.
    pub slopes: Option<Vec<f32>>,
}

impl Bounds {
    /// The best that there are.
    pub fn best(self) -> Vec<f32> {
        self.slopes.unwrap_or(self.crown)
    }
}

/// A search's settings and memory.
#[derive(Debug)]
pub(super) struct Slopes {
    settings: Settings,
    /// Rows that are searched for together.
    rows: usize,
    /// `[samples][ANCHORS][neurons]`.
    anchors: Buffer,
    /// `[rows][SEARCH][neurons]`.
    search: Buffer,
}

impl Slopes {
    /// None if there is no room.
    ///
    /// Memory: no more for rows than their coefficients take, or than the rows of one sample.
    fn new(
        device: &Device,
        shape: &Shape,
        Capacity { samples, slots }: Capacity,
        settings: Settings,
    ) -> Option<Self> {
        let outputs = shape.layers[shape.last()].rows;
        let (sample, row) = (ANCHORS * shape.neurons, SEARCH * shape.neurons);
        // Kernels count words in 32 bits.
        let words = (device.about.binding / 4).min(1 << 30) as usize;
        let rows = (slots * 8 * shape.stride / row).max(outputs);
        let rows = rows.min(slots).min(samples * outputs).min(words / row);
        let (anchors, search) = (samples * sample, rows * row);
        let enough = rows > 0 && anchors <= words;
        enough.then(|| Self {
            settings,
            rows,
            anchors: device.empty(anchors),
            search: device.empty(search),
        })
    }
}

/// A row that is searched for.
struct Open {
    sample: u32,
    row: u32,
    /// Where its slopes lie.
    place: u32,
    /// What the last steps gained, the latest first.
    gains: [f32; 3],
}

impl Open {
    /// Whether as many steps as are left, each twice as good as the best of the last ones, would not bring
    /// a bound above 0. A guess, on which effort alone rests.
    fn is_hopeless(&self, bound: f32, left: usize) -> bool {
        let most = self.gains.iter().fold(0.0f32, |most, gain| most.max(*gain));
        bound + 2.0 * most * (left as f32) < 0.0
    }
}

/// A batch whose rows are searched for.
struct Search<'a> {
    slopes: &'a Slopes,
    classes: Buffer,
    /// Samples of the batch.
    count: usize,
    /// The longest list of live neurons in each layer.
    widths: Vec<usize>,
}

/// The tables of rows at hand.
struct Table {
    rows: Rows,
    places: Buffer,
    /// Tiles of `forth`.
    tiles: Buffer,
    down: usize,
}

impl Crown<'_> {
    /// The same, which searches for slopes of the rows of margins that CROWN leaves open; always for one
    /// set for each row, in steps of [`Settings::iterations`], [`Settings::rate`] and [`Settings::decay`]. With
    /// [`Settings::give_up`], samples with a row that comes up too slowly are left before the last step.
    ///
    /// Not of networks with curved activations: those stay CROWN's.
    ///
    /// # Errors
    /// [`Unfit`], where it lacks the room.
    pub fn searching(mut self, settings: Settings) -> Result<Self, Unfit> {
        // The host's lines of curved activations have one slope each.
        if !self.net.shape.has_curves() {
            let capacity = self.memory.capacity;
            let slopes = Slopes::new(self.device, &self.net.shape, capacity, settings);
            self.slopes = Some(slopes.ok_or(Unfit::Memory)?);
        }
        Ok(self)
    }

    /// How slopes are searched for.
    pub fn settings(&self) -> Option<Settings> {
        self.slopes.as_ref().map(|slopes| slopes.settings)
    }

    /// What lines of any slope need to know of layer `k`, where slopes are searched for.
    pub(super) fn anchors(&self, tape: &mut Tape<'_>, count: usize, k: usize) -> Result<(), Fault> {
        let Some(slopes) = &self.slopes else { return Ok(()) };
        let m = &self.memory;
        let step = self.net.shape.plain(&self.options, count, k);
        let feed = if k == self.net.shape.last() { &self.outputs } else { &m.feed };
        let buffers = [&m.known, &m.ends, feed, &m.live, &m.lines, &slopes.anchors];
        self.run(tape, &kernel::ANCHORS, &step, &buffers, [count, 1, 1])
    }

    /// Lower bounds of the margins of each sample by given lower slopes, intermediate bounds CROWN's.
    ///
    /// `slopes`: of each sample `[rows][neurons]`, rows those of the other outputs in order, then of the
    /// class's own, neurons those of all layers; 0 where there is none. Any numbers are valid: a slope below
    /// the activation's range or above it is the range's end, one that is no number an end too
    /// (`soundness.md` 4).
    ///
    /// # Errors
    /// As [`Crown::margins`]. Without [`Crown::searching`] there is no room for slopes, and no margin.
    pub fn margins_by(
        &self,
        samples: &[Sample<'_>],
        slopes: &[&[f32]],
    ) -> Result<Vec<Margins>, Fault> {
        let mut all = Vec::with_capacity(samples.len());
        let batch = self.memory.capacity.samples;
        for (i, samples) in samples.chunks(batch).enumerate() {
            let slopes = slopes.get(i * batch..).unwrap_or_default();
            self.batch(samples, Lower::Given(slopes), &mut all)?;
        }
        let by_slopes = |bounds: Bounds| bounds.slopes.ok_or(Error::Spec);
        Ok(all.into_iter().map(|bounds| bounds.and_then(by_slopes)).collect())
    }

    /// Searches for slopes of those samples that CROWN leaves open, or takes those that are `given`.
    pub(super) fn go_on(
        &self,
        samples: &[Sample<'_>],
        lower: Lower<'_>,
        mut found: Vec<f32>,
        live: &[u32],
        all: &mut [Result<Bounds, Error>],
    ) -> Result<(), Fault> {
        let Some(slopes) = &self.slopes else { return Ok(()) };
        let given = match lower {
            Lower::Chosen => return Ok(()),
            Lower::Moved => None,
            Lower::Given(given) => Some(given),
        };
        let shape = &self.net.shape;
        let outputs = shape.layers[shape.last()].rows;
        let is_open = |bounds: &Bounds| verdict(&bounds.crown) != Verdict::Certified;
        let asked = |bounds: &Bounds| given.is_some() || is_open(bounds);
        let asked = all.iter().map(|bounds| bounds.as_ref().is_ok_and(asked));
        let asked: Vec<bool> = asked.collect();
        if given.is_some() {
            found.fill(f32::NEG_INFINITY);
        }
        // The class's own output counts before a last ReLU only.
        let needed = if shape.rectified { outputs } else { outputs - 1 };
        let rows: Vec<[u32; 2]> = (0..)
            .zip(found.chunks_exact(outputs).zip(&asked))
            .filter(|(_, (_, asked))| **asked)
            .flat_map(|(sample, (found, _))| {
                let rows = (0..).zip(found.iter().take(needed));
                rows.filter(|(_, x)| !(**x > 0.0)).map(move |(row, _)| [sample, row])
            })
            .collect();
        let search = Search {
            slopes,
            classes: self.device.upload(bytemuck::cast_slice(&self.classes_of(samples))),
            count: samples.len(),
            widths: self.widths(live, samples.len()),
        };
        for rows in rows.chunks(slopes.rows) {
            let places = rows.iter().zip(0..);
            let open: Vec<Open> = places
                .map(|([sample, row], place)| Open {
                    sample: *sample,
                    row: *row,
                    place,
                    gains: [f32::INFINITY; 3],
                })
                .collect();
            if let Some(given) = given {
                self.give(&search, &open, given)?;
            }
            self.rounds(&search, open, given.is_some(), &mut found)?;
        }
        for ((bounds, found), asked) in all.iter_mut().zip(found.chunks_exact(outputs)).zip(asked) {
            if let (Ok(bounds), true) = (bounds, asked) {
                bounds.slopes = Some(self.capped(found));
            }
        }
        Ok(())
    }

    /// Writes the slopes that are given for rows.
    fn give(&self, search: &Search<'_>, open: &[Open], given: &[&[f32]]) -> Result<(), Fault> {
        let (shape, count) = (&self.net.shape, search.count);
        let layers = shape.layers.len();
        let mut tape = self.device.tape();
        tape.read(&self.memory.live, count * (2 * layers + shape.neurons));
        let [live] = self.submit(tape)?;
        let (counts, lists) = live.split_at(2 * count * layers);
        let neurons: usize = shape.layers.iter().map(|layer| layer.rows).sum();
        let mut words = vec![0.0f32; open.len() * SEARCH * shape.neurons];
        for (open, words) in open.iter().zip(words.chunks_exact_mut(SEARCH * shape.neurons)) {
            let (sample, mut from) = (open.sample as usize, open.row as usize * neurons);
            for (k, layer) in shape.layers.iter().enumerate() {
                let list = &lists[sample * shape.neurons + layer.first..];
                let list = &list[..counts[sample * layers + k] as usize];
                for (to, i) in words[layer.first..].iter_mut().zip(list) {
                    let slope = given.get(sample).and_then(|of| of.get(from + *i as usize));
                    *to = slope.copied().unwrap_or(0.0);
                }
                from += layer.rows;
            }
        }
        self.device.write(&search.slopes.search, 0, bytemuck::cast_slice(&words));
        Ok(())
    }

    /// The longest list of live neurons in each layer.
    fn widths(&self, live: &[u32], count: usize) -> Vec<usize> {
        let layers = self.net.shape.layers.len();
        let lists = live[..count * layers].chunks_exact(layers);
        (0..layers).map(|j| lists.clone().map(|of| of[j]).max().unwrap_or(0) as usize).collect()
    }

    /// Walks rows and moves their slopes until all are above 0 or the steps are done; once, by those that are
    /// `given`. Keeps the best bounds in `found`, `[samples][outputs]`.
    ///
    /// Work: for each row and step a walk of it back and one of its point forth.
    fn rounds(
        &self,
        search: &Search<'_>,
        mut open: Vec<Open>,
        given: bool,
        found: &mut [f32],
    ) -> Result<(), Fault> {
        let (shape, m) = (&self.net.shape, &self.memory);
        let outputs = shape.layers[shape.last()].rows;
        let turns = if given { 0 } else { search.slopes.settings.iterations };
        for turn in 0..=turns {
            let table = self.table(&open, search.count);
            let mut tape = self.device.tape();
            if turn == 0 && !given {
                let step = shape.plain(&self.options, search.count, 0);
                let buffers = [&table.places, &m.lines, &search.slopes.search];
                self.run(&mut tape, &kernel::SLOPES, &step, &buffers, grid(open.len()))?;
            }
            let lie = self.walk_own(&mut tape, search, &table)?;
            if turn < turns {
                self.ascend(&mut tape, search, &table, lie, turn as i32)?;
            }
            tape.read(&m.found, found.len());
            let [bounds] = self.submit(tape)?;
            let bounds: &[f32] = bytemuck::cast_slice(&bounds);
            let mut given_up = vec![false; search.count];
            open.retain_mut(|open| {
                let at = open.sample as usize * outputs + open.row as usize;
                let before = found[at];
                found[at] = better_lower(before, bounds[at]);
                let [a, b, _] = open.gains;
                open.gains = [if turn > 0 { found[at] - before } else { f32::INFINITY }, a, b];
                let hopeless = open.is_hopeless(found[at], turns - turn);
                given_up[open.sample as usize] |= search.slopes.settings.give_up && hopeless;
                !(found[at] > 0.0)
            });
            // A sample takes all of its rows.
            open.retain(|open| !given_up[open.sample as usize]);
            if open.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// The tables of rows that are open, those of a sample one after the other.
    fn table(&self, open: &[Open], count: usize) -> Table {
        let mut of = vec![0u32; count];
        open.iter().for_each(|open| of[open.sample as usize] += 1);
        let [down, _] = FORTH_TILE;
        let tiles = (0..).zip(&of);
        let tiles: Vec<[u32; 2]> = tiles
            .flat_map(|(s, of)| (0..*of).step_by(down as usize).map(move |r| [s, r]))
            .collect();
        let places: Vec<[u32; 2]> = open.iter().map(|open| [open.sample, open.place]).collect();
        let slots = open.iter().map(|open| [open.sample, open.row]).collect();
        Table {
            rows: self.rows(of, Some(slots)),
            places: self.device.upload(bytemuck::cast_slice(&places)),
            down: tiles.len(),
            tiles: self.device.upload(bytemuck::cast_slice(&tiles)),
        }
    }

    /// Walks the rows back by their own slopes and bounds them; where their coefficients on the inputs
    /// lie, and the other buffer of the two.
    fn walk_own(
        &self,
        tape: &mut Tape<'_>,
        search: &Search<'_>,
        table: &Table,
    ) -> Result<(&Buffer, &Buffer), Fault> {
        let (shape, m, count) = (&self.net.shape, &self.memory, search.count);
        let (rows, last) = (&table.rows, shape.last());
        let step = shape.rows(&self.options, count, last);
        let buffers = [&rows.slots, &search.classes, &self.outputs, &m.live, &m.floors, &m.a];
        self.run(tape, &kernel::MARGINS, &step, &buffers, grid(rows.count))?;
        let Slopes { anchors, search: own, .. } = search.slopes;
        let (mut a, mut out) = (&m.a, &m.out);
        for j in (0..=last).rev() {
            let step = shape.rows(&self.options, count, j);
            let buffers =
                [&table.places, &m.live, &m.lines, anchors, &m.scalars, own, &m.floors, a];
            self.run(tape, &kernel::RELAX_OWN, &step, &buffers, grid(rows.count))?;
            self.product(tape, count, j, rows, (a, out), &search.widths, 0)?;
            (a, out) = (out, a);
        }
        self.reach(tape, count, 0, rows, a, 0)?;
        Ok((a, out))
    }

    /// Moves the rows' slopes once: `a`, their coefficients on the inputs.
    fn ascend(
        &self,
        tape: &mut Tape<'_>,
        search: &Search<'_>,
        table: &Table,
        (a, out): (&Buffer, &Buffer),
        turn: i32,
    ) -> Result<(), Fault> {
        let (net, m, count) = (&self.net, &self.memory, search.count);
        let rows = table.rows.count;
        let Slopes { settings, anchors, search: own, .. } = search.slopes;
        let [first, second] = BETAS.map(|beta| 1.0 - beta.powi(turn + 1));
        let rate = settings.rate * settings.decay.powi(turn);
        let ascend = Ascend { rate, first, second, none: 0.0 };
        let ascend = self.device.uniform(bytemuck::bytes_of(&ascend));
        let step = net.shape.reach(&self.options, count, 0);
        let step = Step { norm: self.norm(), ..step };
        let buffers = [&table.places, &m.inputs, &m.scalars, a, out];
        self.run(tape, &kernel::LEAST, &step, &buffers, grid(rows))?;
        let (mut points, mut next) = (out, a);
        for (j, width) in search.widths.iter().enumerate().take(net.shape.last()) {
            let step = net.shape.plain(&self.options, count, j);
            self.forth(tape, step, table, (points, next), *width)?;
            let buffers = [&ascend, &table.places, &m.live, &m.lines, anchors, own, next];
            self.run(tape, &kernel::ASCEND, &step, &buffers, grid(rows))?;
            (points, next) = (next, points);
        }
        Ok(())
    }

    /// Points through the weights of a layer.
    fn forth(
        &self,
        tape: &mut Tape<'_>,
        step: Step,
        table: &Table,
        (points, out): (&Buffer, &Buffer),
        across: usize,
    ) -> Result<(), Fault> {
        let (j, m) = (step.layer as usize, &self.memory);
        let whole = if j == 0 { WHOLE } else { 0 };
        if across == 0 {
            return Ok(());
        }
        self.counts(tape, j, whole, &table.rows, step.samples as usize);
        let [_, columns] = FORTH_TILE;
        for at in (0..table.down).step_by(65535) {
            let step = Step { flags: step.flags | whole, tile: at as u32, ..step };
            let weights = &self.net.weights[j];
            let buffers = [&table.tiles, &table.rows.rows, &m.live, weights, points, out];
            let groups = [across.div_ceil(columns as usize), (table.down - at).min(65535), 1];
            self.run(tape, &kernel::FORTH, &step, &buffers, groups)?;
        }
        Ok(())
    }
}
