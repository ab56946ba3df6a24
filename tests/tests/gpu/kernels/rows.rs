//! Rows in slots, as `relax`, `reach`, `compact` and `start` find them.

use certus_shaders::kernel::{REACH, RELAX, START};
use certus_shaders::layout::{BOUNDED, NEURONS, ROW_GRID};
use fastrand::Rng;

use super::{Draw, reach, relax, start};

/// Slots of all samples: some in use, some not any more.
pub(super) struct Rows {
    /// Sample and row.
    pub slots: Vec<[u32; 2]>,
    /// `[samples]` first slots, `[samples]` rows, `[slots]` sources, 0.
    pub rows: Vec<u32>,
}

impl Rows {
    /// Two rows each of some neurons of every sample: `most` neurons at most, as many of the first.
    pub(super) fn of_neurons(rng: &mut Rng, samples: usize, most: usize) -> Self {
        let each = |rng: &mut Rng, sample: usize| {
            let some = |_: &u32| sample == 0 || rng.u8(0..3) > 0;
            let neurons: Vec<u32> = (0..most as u32).filter(some).collect();
            neurons.into_iter().flat_map(|i| [2 * i, 2 * i + 1]).collect()
        };
        Self::new(rng, samples, 2, each)
    }

    /// `most` rows of margins of every sample.
    pub(super) fn of_margins(rng: &mut Rng, samples: usize, most: usize) -> Self {
        Self::new(rng, samples, 1, |_, _| (0..most as u32).collect())
    }

    /// `each`: the rows of a sample; a few of the last ones, in multiples of `unit`, are in use no more.
    fn new(
        rng: &mut Rng,
        samples: usize,
        unit: usize,
        each: impl Fn(&mut Rng, usize) -> Vec<u32>,
    ) -> Self {
        let (mut slots, mut firsts, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        for sample in 0..samples {
            let rows = each(rng, sample);
            firsts.push(slots.len() as u32);
            let gone = if sample == 0 { 0 } else { rng.usize(0..=rows.len() / unit) };
            counts.push((rows.len() - unit * gone) as u32);
            slots.extend(rows.into_iter().map(|row| [sample as u32, row]));
        }
        let sources: Vec<u32> = (0..slots.len() as u32).collect();
        let rows = [&firsts[..], &counts, &sources, &[0]].concat();
        Self { slots, rows }
    }

    /// Slots in use, with their sample.
    pub(super) fn in_use(&self, samples: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..samples).flat_map(move |sample| {
            let first = self.rows[sample] as usize;
            (first..first + self.rows[samples + sample] as usize).map(move |slot| (slot, sample))
        })
    }
}

#[test]
fn rows_go_on_in_the_next_row_of_the_grid() {
    let test = "rows_go_on_in_the_next_row_of_the_grid";
    let Some(device) = crate::device(test) else { return };
    let mut rng = Rng::with_seed(28);
    let (neurons, draw) = (ROW_GRID as usize / 2 + 9, Draw::Even);
    let case = start::Case::draw(&mut rng, [1, neurons, 1], 0, draw);
    case.check(&case.run(&device, &START)).unwrap();
    let case = relax::Case::draw(&mut rng, [1, neurons, 1], BOUNDED | NEURONS, draw);
    case.check(&case.run(&device, &RELAX)).unwrap();
    let case = reach::Case::draw(&mut rng, [1, neurons, 1], 0, NEURONS, draw);
    case.check(&case.run(&device, &REACH)).unwrap();
}
