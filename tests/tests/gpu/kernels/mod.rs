//! Every kernel against its twin and against exact values, and kernels with a mistake planted.
//!
//! What a kernel writes is compared word for word with what its twin writes into the same buffers. Both
//! take the same steps; a device rounds each to either neighbour (`U`), the twin to the nearest. So two
//! results of k roundings differ by at most `k*U` of the magnitudes that are rounded, those of sums by
//! `gamma` of a device's and of the twin's roundings times the sum of magnitudes. Each comparison says
//! what it counts. Beside that, what a kernel claims is held against exact rationals, twin or no twin.

mod ascend;
mod centres;
mod chain;
mod charge;
mod climb;
mod gradient;
mod interval;
mod join;
mod lines;
mod lists;
mod own;
mod place;
mod planted;
mod product;
mod reach;
mod relax;
mod rows;
mod start;
mod steps;

use certus::gpu::{Buffer, Device};
use certus_engine::num::{from_f64_up, gamma, underflow};
use certus_shaders::kernel::Kernel;
use certus_shaders::layout::{GRAIN, LINES, Step};
use certus_shaders::{ETA, U};
use certus_tests::floats::Pattern;
use certus_tests::rational::{Rational, compare, exact};
use fastrand::Rng;

/// What a comparison finds: nothing, or what is wrong.
type Outcome = Result<(), String>;

/// What was in a word before, to be found where nothing is written.
const LEFT: f32 = -7.5;

/// Runs a kernel and gives what the buffers that it writes, its last ones, hold then.
fn run(
    device: &Device,
    kernel: &Kernel,
    p: &Step,
    read: &[&[u8]],
    written: &[&[u8]],
    groups: [u32; 3],
) -> Vec<Vec<u32>> {
    run_with(device, kernel, bytemuck::bytes_of(p), read, written, groups)
}

/// The same with any parameters.
fn run_with(
    device: &Device,
    kernel: &Kernel,
    p: &[u8],
    read: &[&[u8]],
    written: &[&[u8]],
    groups: [u32; 3],
) -> Vec<Vec<u32>> {
    let uniform = device.uniform(p);
    let read: Vec<Buffer> = read.iter().map(|bytes| device.upload(bytes)).collect();
    let back: Vec<Buffer> = written.iter().map(|bytes| device.upload(bytes)).collect();
    let buffers: Vec<&Buffer> = std::iter::once(&uniform).chain(&read).chain(&back).collect();
    let mut tape = device.tape();
    let fault = |fault| panic!("{}: {fault}", kernel.name);
    tape.dispatch(kernel, &buffers, groups).unwrap_or_else(fault);
    for (buffer, bytes) in back.iter().zip(written) {
        tape.read(buffer, bytes.len() / 4);
    }
    tape.submit().unwrap_or_else(|fault| panic!("{}: {fault}", kernel.name))
}

/// The bytes of a buffer.
fn bytes<T: bytemuck::NoUninit>(buffer: &[T]) -> &[u8] {
    bytemuck::cast_slice(buffer)
}

/// Words as floats.
fn floats(words: &[u32]) -> Vec<f32> {
    bytemuck::cast_slice(words).to_vec()
}

/// A kernel with a piece of its text replaced, everywhere.
fn planted(kernel: &Kernel, name: &'static str, from: &str, to: &str) -> Kernel {
    assert!(kernel.source.contains(from), "{}: no {from:?}", kernel.name);
    Kernel { name, source: kernel.source.replace(from, to).into(), ..kernel.clone() }
}

/// Whether each float is within what is allowed of what is expected; where neither is a number, or
/// nothing is allowed, it must be the same.
fn near(what: &str, found: &[f32], expected: &[f32], allowed: impl Fn(usize) -> f64) -> Outcome {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let off = (f64::from(*found) - f64::from(*expected)).abs();
        // Written so that a NaN is refused.
        if found.to_bits() != expected.to_bits() && !(off <= allowed(i)) {
            let allowed = allowed(i);
            return Err(format!("{what} {i}: {found:e} for {expected:e}, {allowed:e} allowed"));
        }
    }
    Ok(())
}

/// Whether words are those expected.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &[T], expected: &[T]) -> Outcome {
    assert_eq!(found.len(), expected.len(), "{what}");
    match found.iter().zip(expected).position(|(found, expected)| found != expected) {
        Some(i) => Err(format!("{what} {i}: {:?} for {:?}", found[i], expected[i])),
        None => Ok(()),
    }
}

/// Whether a float is at least as large as it must be.
fn at_least(what: &str, found: f32, least: &Rational) -> Outcome {
    match !found.is_nan() && compare(found, least).is_ge() {
        true => Ok(()),
        false => Err(format!("{what}: {found:e} is below {:e}", least.to_f64_fast())),
    }
}

/// Whether a float is at most as large as it may be.
fn at_most(what: &str, found: f32, most: &Rational) -> Outcome {
    match !found.is_nan() && compare(found, most).is_le() {
        true => Ok(()),
        false => Err(format!("{what}: {found:e} is above {:e}", most.to_f64_fast())),
    }
}

/// Writes the relative error of sums of `terms` products through `depth` roundings each, and what
/// follows from it, into parameters: as the bounds on a device need them, with its `U` of two units.
fn set_rounding(p: &mut Step, depth: u32, terms: usize) {
    p.gamma = gamma(2 * depth);
    p.factor = from_f64_up(1.0 / (1.0 - f64::from(p.gamma)));
    p.under = underflow(terms);
}

/// How far a sum of products on a device may be from the twin's, relative to the sum of magnitudes.
fn sums_apart(depth: u32) -> f64 {
    f64::from(gamma(2 * depth)) + f64::from(gamma(depth))
}

/// How far apart `k` roundings may bring two results, of numbers of at most this magnitude: each by
/// either neighbour, or where both are tiny by the fixed step that covers flushing.
fn steps(k: u32, size: f64) -> f64 {
    f64::from(k) * (1.001 * U * size + 64.0 * ETA)
}

/// Magnitudes to draw.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Draw {
    /// About 1.
    Even,
    /// From `2^-60` to `2^60`, and 0.
    Wide,
    /// About 1, and subnormal ones.
    Subnormal,
    /// 1, but of rows only the first ones, before many that are rounded away one by one.
    Absorbed,
    /// About `2^60`, but of rows all are subnormal.
    Tiny,
}

impl Draw {
    const ALL: [Draw; 5] = [Draw::Even, Draw::Wide, Draw::Subnormal, Draw::Absorbed, Draw::Tiny];

    fn one(self, rng: &mut Rng) -> f32 {
        let even = rng.f32() * 2.0 - 1.0;
        match (self, rng.u8(0..4)) {
            (Draw::Wide, 0) => 0.0,
            (Draw::Wide, 1) => even * 2f32.powi(rng.i32(-60..60)),
            (Draw::Wide, 2) => even * 2f32.powi(rng.i32(-8..8)),
            (Draw::Subnormal, 0 | 1) => even * f32::MIN_POSITIVE,
            (Draw::Absorbed, _) => 1.0,
            (Draw::Tiny, _) => even * 2f32.powi(60),
            _ => even,
        }
    }

    fn many(self, rng: &mut Rng, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.one(rng)).collect()
    }

    /// Rows whose sums are taken by so many threads each.
    fn rows(self, rng: &mut Rng, [rows, cols]: [usize; 2], threads: usize) -> Vec<f32> {
        match self {
            Draw::Absorbed => Pattern::Absorbed.draw(rng, cols, threads).repeat(rows),
            Draw::Tiny => (0..rows * cols).map(|_| (rng.f32() - 0.5) * f32::MIN_POSITIVE).collect(),
            _ => self.many(rng, rows * cols),
        }
    }
}

/// `x`, or 0 where it is subnormal: what the host gives in place of subnormal inputs, and never writes.
fn normal(x: f32) -> f32 {
    if x.is_subnormal() { 0.0 } else { x }
}

/// Lists of live neurons of three layers, the one at hand between two others; the shared ones come
/// first, and both parts are filled up.
struct Live {
    /// Counts of `[samples][3]`, those of shared ones, then the neurons of `[samples][neurons]`.
    words: Vec<u32>,
    /// Entries of a sample's lists.
    neurons: u32,
    /// Where the list of the middle layer begins.
    first: u32,
    /// Of each sample, which of the middle layer's are no neurons but filling.
    fill: Vec<Vec<bool>>,
}

/// Where the list of the layer below begins: after a few that nobody may read.
const BELOW: u32 = 3;

/// Entries of a list of so many neurons.
fn listed(neurons: usize) -> usize {
    neurons.next_multiple_of(GRAIN) + GRAIN
}

impl Live {
    /// Draws lists for a layer of `rows` neurons over one of `cols`: of a sample all, of the next some, of
    /// the next none; `whole` only the first.
    fn draw(rng: &mut Rng, samples: usize, rows: usize, cols: usize, whole: bool) -> Self {
        let first = BELOW + listed(cols) as u32;
        // As many more as a product loads past the end.
        let neurons = first + (listed(rows) + GRAIN) as u32;
        let mut words = vec![0; 2 * samples * 3];
        words.resize(samples * (2 * 3 + neurons as usize), 0);
        let mut fill = Vec::new();
        for sample in 0..samples {
            for (layer, from, len) in [(0, BELOW, cols), (1, first, rows)] {
                let way = if whole { 0 } else { (sample + layer) % 3 };
                let (mut list, mut filling) = (Vec::new(), Vec::new());
                let shares: Vec<bool> = (0..len).map(|_| rng.bool()).collect();
                for shared in [true, false] {
                    list.extend((0..len as u32).filter(|i| {
                        let lives = way == 0 || way == 1 && rng.bool();
                        lives && shares[*i as usize] == shared
                    }));
                    filling.resize(list.len(), false);
                    list.resize(list.len().next_multiple_of(GRAIN), 0);
                    filling.resize(list.len(), true);
                    if shared {
                        words[3 * (samples + sample) + layer] = list.len() as u32;
                    }
                }
                words[3 * sample + layer] = list.len() as u32;
                let at = 2 * 3 * samples + sample * neurons as usize + from as usize;
                words[at..at + list.len()].copy_from_slice(&list);
                if layer == 1 {
                    fill.push(filling);
                }
            }
        }
        Self { words, neurons, first, fill }
    }

    /// Fills in the parameters of the layer in the middle.
    fn set(&self, p: &mut Step) {
        (p.neurons, p.layers, p.layer) = (self.neurons, 3, 1);
        (p.first, p.below) = (self.first, BELOW);
    }

    /// The live neurons of layer 0 or 1.
    fn list(&self, p: &Step, sample: usize, layer: usize) -> &[u32] {
        let from = if layer == 0 { p.below } else { p.first } as usize;
        let at = 2 * 3 * p.samples as usize + sample * p.neurons as usize + from;
        &self.words[at..at + self.words[3 * sample + layer] as usize]
    }

    /// How many of the middle layer's are shared.
    fn shared(&self, p: &Step, sample: usize) -> usize {
        self.words[3 * (p.samples as usize + sample) + 1] as usize
    }

    /// Draws `[samples][6][neurons]` lines by `one` for each array, but 0 where there is no neuron.
    fn lines(&self, p: &Step, mut one: impl FnMut(usize) -> f32) -> Vec<f32> {
        let n = p.neurons as usize;
        let mut lines = vec![LEFT; self.fill.len() * LINES * n];
        for (fill, lines) in self.fill.iter().zip(lines.chunks_exact_mut(LINES * n)) {
            for (array, lines) in lines.chunks_exact_mut(n).enumerate() {
                for (line, fill) in lines[p.first as usize..].iter_mut().zip(fill) {
                    *line = if *fill { 0.0 } else { one(array) };
                }
            }
        }
        lines
    }
}

/// The grid of a kernel that takes a row each, over all slots.
fn row_grid(slots: usize) -> [u32; 3] {
    let row = certus_shaders::layout::ROW_GRID;
    [(slots as u32).min(row), (slots as u32).div_ceil(row), 1]
}

/// `weight_error*mass + bias_error`, and what the forward pass adds under deployed semantics.
fn disturbance(p: &Step, mass: &Rational) -> Rational {
    let mut d = exact(p.weight_error) * mass + exact(p.bias_error);
    if p.flags & certus_shaders::layout::DEPLOYED != 0 {
        d += exact(p.relative) * mass + exact(p.absolute);
    }
    d
}
