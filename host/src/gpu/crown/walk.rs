//! CROWN's rows on a device: which are walked back together, and their steps.

use certus_engine::bounds::Method;
use certus_shaders::kernel::{self, Kernel};
use certus_shaders::layout::{BOUNDED, JOINED, NEURONS, PAIRED, ROW_GRID, Step, WHOLE};
use certus_shaders::tile::Tile;

use super::super::device::{Buffer, Fault, Tape};
use super::super::shape::listed;
use super::{Crown, Kernels, Sample};

/// Rows that are walked together: those of some samples.
pub(in crate::gpu) struct Rows {
    pub slots: Buffer,
    pub rows: Buffer,
    pub count: usize,
    /// Of each sample.
    of: Vec<u32>,
}

/// Workgroups of a product from which on wide tiles keep a device busy.
const MANY: usize = 512;

impl<'d> Crown<'d> {
    /// Walks the neurons of layer `k` that the interval step leaves open; the tape to go on with.
    pub(super) fn neurons(
        &self,
        mut tape: Tape<'d>,
        count: usize,
        k: usize,
    ) -> Result<Tape<'d>, Fault> {
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
        self.reach(tape, count, 0, &rows, a, NEURONS)
    }

    /// Walks the margins' rows and bounds them: over the region, or by intervals over the box that
    /// feeds the last layer.
    pub(super) fn specify(&self, tape: &mut Tape<'_>, samples: &[Sample<'_>]) -> Result<(), Fault> {
        let (net, m) = (&self.net, &self.memory);
        let (last, count) = (net.shape.last(), samples.len());
        let outputs = net.shape.layers[last].rows;
        let stop = if self.options.method == Method::Ibp { last } else { 0 };
        let widths: Vec<usize> = net.shape.layers.iter().map(|layer| listed(layer.rows)).collect();
        let classes = self.device.upload(bytemuck::cast_slice(&self.classes_of(samples)));
        let most = (m.capacity.slots / outputs).max(1);
        let mut from = 0;
        while from < count {
            let to = count.min(from + most);
            let of = (0..count).map(|s| if (from..to).contains(&s) { outputs as u32 } else { 0 });
            let slots = (from..to).flat_map(|s| (0..outputs).map(move |r| [s as u32, r as u32]));
            let rows = self.rows(of.collect(), Some(slots.collect()));
            let step = net.shape.rows(&self.options, count, last);
            let buffers = [&rows.slots, &classes, &self.outputs, &m.live, &m.floors, &m.a];
            self.run(tape, &kernel::MARGINS, &step, &buffers, grid(rows.count))?;
            let (mut a, mut out) = (&m.a, &m.out);
            for j in (stop..=last).rev() {
                self.relax(tape, count, j, &rows, a, 0)?;
                let whole = if j == stop { WHOLE } else { 0 };
                self.product(tape, count, j, &rows, (a, out), &widths, whole)?;
                (a, out) = (out, a);
            }
            self.reach(tape, count, stop, &rows, a, 0)?;
            from = to;
        }
        Ok(())
    }

    /// The table of rows, so many of each sample; `slots` what they are, or written on the device.
    pub(in crate::gpu) fn rows(&self, of: Vec<u32>, slots: Option<Vec<[u32; 2]>>) -> Rows {
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

    pub(in crate::gpu) fn product(
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
        let step = net.shape.plain(&self.options, count, j);
        let whole = if j == 0 { WHOLE } else { flags & WHOLE };
        let across = if whole == 0 { widths[j - 1] } else { net.shape.layers[j].cols };
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
    pub(in crate::gpu) fn counts(
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

    /// Bounds rows over what feeds layer `k`: the region, or the box of the layer below, which is then
    /// the last that was found.
    pub(in crate::gpu) fn reach(
        &self,
        tape: &mut Tape<'_>,
        count: usize,
        k: usize,
        rows: &Rows,
        a: &Buffer,
        flags: u32,
    ) -> Result<(), Fault> {
        let m = &self.memory;
        let step = self.net.shape.reach(&self.options, count, k);
        let (feed, norm) = if k == 0 { (&m.inputs, self.norm()) } else { (&m.feed, 0) };
        let step = Step { flags: step.flags | flags, norm, ..step };
        let of = [&rows.slots, &rows.rows, feed, &m.scalars, &m.floors, a, &m.ends, &m.found];
        self.run(tape, &kernel::REACH, &step, &of, grid(rows.count))
    }
}

/// Workgroups for so many rows.
pub(in crate::gpu) fn grid(rows: usize) -> [usize; 3] {
    let across = ROW_GRID as usize;
    [rows.min(across), rows.div_ceil(across), 1]
}
