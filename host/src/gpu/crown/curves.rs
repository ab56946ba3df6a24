//! Layers of curved activations: back to the host for their lines, and on.

use std::time::Instant;

use certus_shaders::kernel;
use certus_shaders::layout::SCALARS;

use super::super::curved::{Known, Told, given, lines};
use super::super::device::{Fault, Tape};
use super::Crown;

impl<'d> Crown<'d> {
    /// Lines of layer `k`, of curved activations, from the ends found; the tape to go on with.
    ///
    /// The samples are spread over threads of their own: all of a pool may be waiting for the batch.
    pub(super) fn curves(
        &self,
        mut tape: Tape<'d>,
        count: usize,
        k: usize,
    ) -> Result<Tape<'d>, Fault> {
        let (shape, m) = (&self.net.shape, &self.memory);
        let (width, each) = (shape.width, SCALARS + shape.layers.len());
        tape.read(&m.ends, 2 * count * width);
        tape.read(&m.known, 4 * count * width);
        tape.read(&m.scalars, count * each);
        let [ends, known, mut scalars] = self.submit(tape)?;
        let begun = Instant::now();
        let step = shape.lines(&self.options, count, k);
        let (rows, activation) = (shape.layers[k].rows, shape.layers[k].activation);
        let mut feed = vec![0.0f32; 2 * count * rows];
        let mut words = vec![0u32; count * given(rows)];
        let (mids, rads) = feed.split_at_mut(count * rows);
        let known: Vec<Known<'_>> = bytemuck::cast_slice(&ends)
            .chunks_exact(2 * width)
            .zip(bytemuck::cast_slice(&known).chunks_exact(4 * width))
            .map(|(ends, known)| Known { ends, known })
            .collect();
        let told = mids.chunks_exact_mut(rows).zip(rads.chunks_exact_mut(rows));
        let told = told.zip(bytemuck::cast_slice_mut(&mut scalars).chunks_exact_mut(each));
        let mut told: Vec<Told<'_>> = told
            .zip(words.chunks_exact_mut(given(rows)))
            .map(|(((mid, rad), scalars), given)| Told { mid, rad, scalars, given })
            .collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let few = count.div_ceil(threads).max(1);
        std::thread::scope(|scope| {
            for (known, told) in known.chunks(few).zip(told.chunks_mut(few)) {
                scope.spawn(move || {
                    for (known, told) in known.iter().zip(told) {
                        lines(&step, activation, self.options.lower, *known, told);
                    }
                });
            }
        });
        self.counting().curves += begun.elapsed().as_secs_f64();
        let box_of = if k == shape.last() { &self.outputs } else { &m.feed };
        self.device.write(box_of, 0, bytemuck::cast_slice(&feed));
        self.device.write(&m.scalars, 0, bytemuck::cast_slice(&scalars));
        self.device.write(&m.given, 0, bytemuck::cast_slice(&words));
        let mut tape = self.device.tape();
        let of = [&m.given, &m.live, &m.lines];
        self.run(&mut tape, &kernel::PLACE, &step, &of, [count, 1, 1])?;
        Ok(tape)
    }
}
