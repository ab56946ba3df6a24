//! The kernels of a search. They may be wrong and prove nothing, but shall do what their twins do.

use certus::gpu::Device;
use certus_engine::num::{gamma, underflow};
use certus_shaders::kernel::{CLIMB_AIM, CLIMB_BACK, CLIMB_BEST, CLIMB_PASS, Kernel};
use certus_shaders::layout::Climb;
use certus_shaders::{ETA, twin};
use certus_tests::rational::{dot, exact};
use fastrand::Rng;

use super::{Draw, LEFT, Outcome, bytes, floats, near, normal, row_grid, run_with, same};

/// Points, neurons, inputs of a layer.
const SHAPES: [[usize; 3]; 6] =
    [[1, 1, 1], [3, 31, 33], [33, 3, 31], [2, 33, 1000], [40, 2, 1025], [31, 65, 64]];

pub(super) fn run(
    device: &Device,
    kernel: &Kernel,
    p: &Climb,
    read: &[&[u8]],
    written: &[&[u8]],
    groups: [usize; 2],
) -> Vec<Vec<f32>> {
    let groups = [groups[0] as u32, groups[1] as u32, 1];
    let found = run_with(device, kernel, bytes(std::slice::from_ref(p)), read, written, groups);
    found.iter().map(|words| floats(words)).collect()
}

/// What a layer's kernels read: outputs are of the layer, gradients by them.
pub(super) struct Layer {
    pub(super) p: Climb,
    w: Vec<f32>,
    bias: Vec<f32>,
    fed: Vec<f32>,
    out: Vec<f32>,
    above: Vec<f32>,
}

impl Layer {
    /// `alive`: the share of activations above 0.
    pub(super) fn draw(
        rng: &mut Rng,
        [rows, neurons, cols]: [usize; 3],
        draw: Draw,
        alive: f32,
    ) -> Self {
        let p = Climb {
            rows: rows as u32,
            neurons: neurons as u32,
            cols: cols as u32,
            through: rng.u32(0..=neurons as u32 / 3),
            leak: [0.0, 0.1, 1.0][rng.usize(0..3)],
            ..Climb::default()
        };
        let out = (0..rows * neurons).map(|_| {
            let size = rng.f32() + 0.1;
            if rng.f32() < alive { size } else { [-size, 0.0][rng.usize(0..2)] }
        });
        let out = out.collect();
        let w = draw.rows(rng, [neurons, cols], 1);
        let bias = draw.many(rng, neurons);
        let fed = draw.many(rng, rows * cols).into_iter().map(normal).collect();
        let above = draw.many(rng, rows * neurons).into_iter().map(normal).collect();
        Self { p, w, bias, fed, out, above }
    }

    pub(super) fn pass(&self, device: &Device, kernel: &Kernel) -> Outcome {
        let Self { p, w, bias, fed, .. } = self;
        let [rows, neurons, cols] = [p.rows, p.neurons, p.cols].map(|n| n as usize);
        let room = vec![LEFT; rows * neurons + 1];
        let groups = [neurons.div_ceil(32), rows.div_ceil(32)];
        let read = [bytes(w), bytes(bias), bytes(fed)];
        let found = run(device, kernel, p, &read, &[bytes(&room)], groups).remove(0);
        let mut expected = room;
        twin::climb_pass(p, w, bias, fed, &mut expected[..rows * neurons]);
        let sizes = |x: &[f32]| x.iter().map(|x| x.abs()).collect::<Vec<f32>>();
        // Sums in any order, the bias, the slope; a flushed weight meets an input, and the other way.
        let terms = cols as u32 + 3;
        let allowed = |of: u32, i: usize| {
            let (w, x) = (&w[i % neurons * cols..][..cols], &fed[i / neurons * cols..][..cols]);
            let size = dot(&sizes(w), &sizes(x)).to_f64_fast() + f64::from(bias[i % neurons].abs());
            let met: f64 = w.iter().chain(x).map(|x| f64::from(x.abs())).sum();
            f64::from(gamma(of)) * size + 2.0 * f64::from(underflow(cols)) + ETA * met
        };
        near("activation", &found, &expected, |i| match i < rows * neurons {
            true => allowed(2 * terms, i) + allowed(terms, i),
            false => 0.0,
        })?;
        // Exactly, of some.
        for i in (0..rows * neurons).step_by((rows * neurons * cols / 30_000).max(1) | 1) {
            let (w, x) = (&w[i % neurons * cols..][..cols], &fed[i / neurons * cols..][..cols]);
            let z = (dot(w, x) + exact(bias[i % neurons])).to_f64_fast();
            let straight = z > 0.0 || i % neurons < p.through as usize;
            let expected = if straight { z } else { f64::from(p.leak) * z };
            let off = (f64::from(found[i]) - expected).abs();
            if !(off <= allowed(2 * terms, i) * (1.0 + 1e-9)) {
                return Err(format!("activation {i}: {:e} for {expected:e}", found[i]));
            }
        }
        Ok(())
    }

    pub(super) fn back(&self, device: &Device, kernel: &Kernel) -> Outcome {
        let Self { p, w, out, above, .. } = self;
        let [rows, neurons, cols] = [p.rows, p.neurons, p.cols].map(|n| n as usize);
        let room = vec![LEFT; rows * cols + 1];
        let groups = [cols.div_ceil(32), rows.div_ceil(32)];
        let read = [bytes(w), bytes(out), bytes(above)];
        let found = run(device, kernel, p, &read, &[bytes(&room)], groups).remove(0);
        let mut expected = room;
        twin::climb_back(p, w, out, above, &mut expected[..rows * cols]);
        // The slope, the product, sums in any order.
        let terms = neurons as u32 + 2;
        near("gradient", &found, &expected, |at| {
            let (row, j) = (at / cols, at % cols);
            if row >= rows {
                return 0.0;
            }
            let (mut size, mut met) = (0.0, 0.0);
            for i in 0..neurons {
                let (g, w) = (f64::from(above[row * neurons + i]), f64::from(w[i * cols + j]));
                size += (g * w).abs();
                met += g.abs() + w.abs();
            }
            let share = f64::from(gamma(2 * terms)) + f64::from(gamma(terms));
            share * size + 4.0 * f64::from(underflow(neurons)) + 2.0 * ETA * met
        })
    }
}

#[test]
fn layers_are_their_twins() {
    let Some(device) = crate::device("layers_are_their_twins") else { return };
    let mut rng = Rng::with_seed(41);
    for shape in SHAPES {
        for draw in Draw::ALL {
            // Some, all and none of the neurons are alive.
            for alive in [0.5, 2.0, -1.0] {
                let layer = Layer::draw(&mut rng, shape, draw, alive);
                let fail = |why: String| panic!("{shape:?} {draw:?} {alive}: {why}");
                layer.pass(&device, &CLIMB_PASS).unwrap_or_else(fail);
                layer.back(&device, &CLIMB_BACK).unwrap_or_else(fail);
            }
        }
    }
}

/// Outputs of some points, eighths of small numbers: no device rounds their differences.
pub(super) struct Aims {
    p: Climb,
    tasks: Vec<[u32; 4]>,
    out: Vec<f32>,
    points: Vec<f32>,
    leads: Vec<f32>,
}

impl Aims {
    pub(super) fn draw(rng: &mut Rng, [rows, neurons, inputs]: [usize; 3]) -> Self {
        let p = Climb {
            rows: rows as u32,
            neurons: neurons as u32,
            inputs: inputs as u32,
            ..Climb::default()
        };
        let mut out = Vec::new();
        let mut tasks = Vec::new();
        for row in 0..rows {
            let range = [2, 1000][row % 2];
            out.extend((0..neurons).map(|_| rng.i32(-range..=range) as f32 / 8.0));
            if row % 7 == 3 {
                let wrong = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][rng.usize(0..3)];
                out[row * neurons + rng.usize(0..neurons)] = wrong;
            }
            let class = rng.u32(0..neurons as u32);
            let target = if rng.bool() { u32::MAX } else { (class + 1) % neurons as u32 };
            tasks.push([rng.u32(..), class, target, rng.u32(..)]);
        }
        let points = Draw::Even.many(rng, rows * inputs);
        let leads = (0..rows).map(|_| [f32::MIN, 0.0, 1e9][rng.usize(0..3)]).collect();
        Self { p, tasks, out, points, leads }
    }

    pub(super) fn check(&self, device: &Device, kernel: &Kernel) -> Outcome {
        let Self { p, tasks, out, points, leads } = self;
        let (mut seeds, mut leads) = (vec![LEFT; out.len()], leads.clone());
        let mut kept = vec![LEFT; points.len()];
        let read = [bytes(tasks), bytes(out), bytes(points)];
        let written = [bytes(&seeds), bytes(&leads), bytes(&kept)].map(<[u8]>::to_vec);
        let written = written.each_ref().map(|bytes| &bytes[..]);
        let grid = row_grid(tasks.len());
        let grid = [grid[0] as usize, grid[1] as usize];
        let found = run(device, kernel, p, &read, &written, grid);
        twin::climb_aim(p, tasks, out, points, &mut seeds, &mut leads, &mut kept);
        same("seed", &found[0], &seeds)?;
        same("lead", &found[1], &leads)?;
        same("kept", &found[2], &kept)
    }
}

#[test]
fn aims_are_their_twins() {
    let Some(device) = crate::device("aims_are_their_twins") else { return };
    let mut rng = Rng::with_seed(42);
    for shape in SHAPES.into_iter().chain([[33000, 3, 1]]) {
        for _ in 0..4 {
            let aims = Aims::draw(&mut rng, shape);
            aims.check(&device, &CLIMB_AIM).unwrap_or_else(|why| panic!("{shape:?}: {why}"));
        }
    }
}

pub(super) fn best(rng: &mut Rng, device: &Device, kernel: &Kernel, n: usize) -> Outcome {
    let mut firsts = vec![0u32];
    for _ in 0..5 {
        firsts.push(firsts[firsts.len() - 1] + rng.u32(1..9));
    }
    let rows = firsts[5] as usize;
    let p = Climb { rows: rows as u32, inputs: n as u32, ..Climb::default() };
    let leads: Vec<f32> = (0..rows).map(|_| rng.i32(-9..9) as f32).collect();
    let kept = Draw::Even.many(rng, rows * n);
    let mut expected = vec![LEFT; 5 * (n + 1)];
    let read = [bytes(&firsts), bytes(&leads), bytes(&kept)];
    let found = run(device, kernel, &p, &read, &[bytes(&expected)], [5, 1]);
    twin::climb_best(&p, &firsts, &leads, &kept, &mut expected);
    same("best", &found[0], &expected)
}

#[test]
fn the_best_is_its_twins() {
    let Some(device) = crate::device("the_best_is_its_twins") else { return };
    let mut rng = Rng::with_seed(44);
    for n in [1, 3, 31, 33, 1000, 1025] {
        best(&mut rng, &device, &CLIMB_BEST, n).unwrap_or_else(|why| panic!("{n}: {why}"));
    }
}
