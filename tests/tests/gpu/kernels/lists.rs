//! `select`, `slots` and `compact`: lists, which are the twin's word for word.

use certus::gpu::Device;
use certus_shaders::kernel::{COMPACT, SELECT, SLOTS};
use certus_shaders::layout::Step;
use certus_shaders::twin;
use fastrand::Rng;

use super::rows::Rows;
use super::{LEFT, bytes, floats, near, run, same};

/// Where activations bend: at 0, at two places, left of 0, everywhere.
const BENDS: [[f32; 4]; 4] = [
    [0.0; 4],
    [-1.5, -1.5, 0.5, 0.5],
    [0.0, f32::MIN, 0.0, f32::MIN],
    [f32::MAX, f32::MIN, f32::MAX, f32::MIN],
];

/// Ends of all, none or some of a sample's neurons that are open; some lie on 0.
fn ends(rng: &mut Rng, samples: usize, width: usize) -> Vec<f32> {
    let mut ends = vec![0.0; 2 * samples * width];
    for sample in 0..samples {
        let way = (sample + rng.usize(0..2)) % 3;
        for i in 0..width {
            let (lo, hi) = match (way, rng.u8(0..6)) {
                (0, _) => (-rng.f32() - 1e-3, rng.f32() + 1e-3),
                (1, _) | (_, 0) => (rng.f32(), 2.0),
                (_, 1) => (-2.0, -rng.f32()),
                (_, 2) => (-1.0, 0.0),
                (_, 3) => (0.0, 1.0),
                _ => (-2f32.powi(-122), 2f32.powi(-122)),
            };
            ends[2 * sample * width + i] = lo;
            ends[(2 * sample + 1) * width + i] = hi;
        }
    }
    ends
}

fn select(device: &Device, p: &Step, ends: &[f32]) {
    let mut chosen = vec![u32::MAX; (p.samples * (1 + p.width)) as usize];
    let found = run(device, &SELECT, p, &[bytes(ends)], &[bytes(&chosen)], [p.samples, 1, 1]);
    twin::select(p, ends, &mut chosen);
    same("chosen", &found[0], &chosen).unwrap_or_else(|why| panic!("{p:?}: {why}"));
}

#[test]
fn select_is_its_twin() {
    let Some(device) = crate::device("select_is_its_twin") else { return };
    let mut rng = Rng::with_seed(18);
    for [samples, rows] in
        [[1, 1], [3, 3], [5, 31], [4, 33], [3, 256], [3, 257], [2, 1000], [2, 1025]]
    {
        for (through, leak) in [(0, 0.0), (rows as u32 / 2, 0.1), (0, 1.0)] {
            for bends in BENDS {
                let width = rows + 1;
                let ends = ends(&mut rng, samples, width);
                let (samples, rows, width) = (samples as u32, rows as u32, width as u32);
                let step = Step { samples, rows, width, through, leak, bends, ..Step::default() };
                select(&device, &step, &ends);
            }
        }
    }
}

#[test]
fn compact_is_its_twin() {
    let Some(device) = crate::device("compact_is_its_twin") else { return };
    let mut rng = Rng::with_seed(19);
    let shapes = [[1, 1], [3, 3], [5, 31], [4, 33], [3, 257], [2, 1000], [2, 1025]];
    for ([samples, rows], bends) in shapes.into_iter().zip(BENDS.into_iter().cycle()) {
        let p = Step { samples: samples as u32, width: rows as u32 + 1, bends, ..Step::default() };
        let ends = ends(&mut rng, samples, rows + 1);
        let Rows { mut slots, mut rows } = Rows::of_neurons(&mut rng, samples, rows);
        let mut floors: Vec<f32> = slots.iter().map(|_| rng.f32() + LEFT).collect();
        let written = [bytes(&slots), bytes(&rows), bytes(&floors)];
        let found = run(&device, &COMPACT, &p, &[bytes(&ends)], &written, [p.samples, 1, 1]);
        twin::compact(&p, &ends, &mut slots, &mut rows, &mut floors);
        same("slot", bytemuck::cast_slice(&found[0]), &slots).unwrap();
        same("row", &found[1], &rows).unwrap();
        near("floor", &floats(&found[2]), &floors, |_| 0.0).unwrap();
    }
}

#[test]
fn slots_are_their_twin() {
    let Some(device) = crate::device("slots_are_their_twin") else { return };
    let mut rng = Rng::with_seed(29);
    for counts in [&[1][..], &[3, 0, 2], &[0, 0, 31, 33], &[1000, 0], &[0, 1025, 1, 0, 7]] {
        let width = counts.iter().max().map_or(0, |most| *most as usize) + 1;
        let p = Step { samples: counts.len() as u32, width: width as u32, ..Step::default() };
        let mut chosen = counts.to_vec();
        chosen.extend((0..counts.len() * width).map(|_| rng.u32(0..1 << 20)));
        let of: Vec<u32> = counts.iter().map(|count| 2 * count).collect();
        let firsts = of.iter().scan(0, |first, of| {
            *first += of;
            Some(*first - of)
        });
        let total = of.iter().sum::<u32>() as usize;
        let mut rows: Vec<u32> = firsts.collect();
        rows.extend(&of);
        rows.resize(2 * counts.len() + total + 1, u32::MAX);
        let mut slots = vec![[u32::MAX; 2]; total];
        let groups = [(total as u32).div_ceil(SLOTS.workgroup), 1, 1];
        let written = [bytes(&slots), bytes(&rows)];
        let found = run(&device, &SLOTS, &p, &[bytes(&chosen)], &written, groups);
        twin::slots(&p, &chosen, &mut slots, &mut rows);
        same("slot", bytemuck::cast_slice(&found[0]), &slots).unwrap();
        same("row", &found[1], &rows).unwrap();
    }
}
