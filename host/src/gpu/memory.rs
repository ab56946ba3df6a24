//! A batch's memory on a device, sized to its limits.

use super::curved;
use super::device::{Buffer, Device};
use super::shape::Shape;
use certus_shaders::kernel::SLOTS;
use certus_shaders::layout::{LINES, SCALARS};

/// Workgroups of a dispatch, in one direction, that every device takes.
const GROUPS: usize = 65535;

/// How large a batch may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Samples.
    pub samples: usize,
    /// Rows that are walked back at a time.
    pub slots: usize,
}

/// Words of each buffer for a sample; of the last three for a row.
fn words(shape: &Shape, inputs: usize) -> [usize; 14] {
    let Shape { neurons, width, stride, .. } = shape;
    let layers = shape.layers.len();
    let curved = (0..layers).filter(|k| shape.is_curved(*k));
    let curved = curved.map(|k| curved::given(shape.layers[k].rows));
    [
        2 * inputs,
        2 * width,
        4 * width,
        2 * width,
        SCALARS + layers,
        2 * layers + neurons,
        LINES * neurons,
        1 + width,
        shape.layers[shape.last()].rows + 1,
        curved.max().unwrap_or(0),
        1 + inputs.max(*width),
        4 * stride,
        4 * stride,
        1,
    ]
}

impl Capacity {
    /// The most within a device's bindings of `binding` bytes and `total` bytes in all, up to `samples`
    /// samples; none if not even one sample fits.
    pub fn new(
        shape: &Shape,
        inputs: usize,
        binding: u64,
        total: u64,
        samples: usize,
    ) -> Option<Self> {
        let words = words(shape, inputs);
        // Kernels count words in 32 bits.
        let binding = binding.min(1 << 32);
        let (sample, row) = words.split_at(11);
        let bytes = |words: &[usize]| 4 * words.iter().sum::<usize>() as u64;
        let fits = |words: &[usize]| {
            let most = words.iter().max().copied().unwrap_or(1);
            (binding / (4 * most as u64)) as usize
        };
        // A sample's rows are never parted; a quarter of the memory is for what is kept of samples.
        let least = 2 * shape.width;
        let samples = samples.min(fits(sample)).min((total / 4 / bytes(sample)) as usize);
        let samples = samples.min(GROUPS);
        let most = fits(row).min((3 * (total / 4) / bytes(row)) as usize);
        let most = most.min(GROUPS * SLOTS.workgroup as usize);
        let slots = most.min(least.saturating_mul(samples));
        (samples > 0 && slots >= least).then_some(Self { samples, slots })
    }
}

/// The buffers.
#[derive(Debug)]
pub struct Memory {
    /// What fits.
    pub capacity: Capacity,
    /// `[samples][inputs]` middles of the box around each region, then radii.
    pub inputs: Buffer,
    /// `[samples][rows]` middles and radii of the activations last found.
    pub feed: Buffer,
    /// `[samples][4][width]` masses, spreads, centres and their errors.
    pub known: Buffer,
    /// `[samples][2][width]` ends.
    pub ends: Buffer,
    /// `[samples][SCALARS + layers]`.
    pub scalars: Buffer,
    /// `[samples][layers]` counts, the same of shared ones, then `[samples][neurons]` live neurons.
    pub live: Buffer,
    /// `[samples][LINES][neurons]`.
    pub lines: Buffer,
    /// `[samples]` counts, then `[samples][width]` neurons to walk back.
    pub chosen: Buffer,
    /// `[samples][outputs]` bounds of specification rows.
    pub found: Buffer,
    /// `[samples]` lists of lines that the host chooses for one layer.
    pub given: Buffer,
    /// `[samples]` exponents, then `[samples][cols]` of what feeds a layer, in whole numbers.
    pub fixed: Buffer,
    /// `[slots][4 stride]` coefficients.
    pub a: Buffer,
    /// The same, of the product.
    pub out: Buffer,
    /// `[slots]`.
    pub floors: Buffer,
}

impl Memory {
    /// Takes it.
    pub fn new(device: &Device, shape: &Shape, inputs: usize, capacity: Capacity) -> Self {
        let Capacity { samples, slots } = capacity;
        let of = words(shape, inputs);
        let each = |i: usize| device.empty(of[i] * if i < 11 { samples } else { slots });
        Self {
            capacity,
            inputs: each(0),
            feed: each(1),
            known: each(2),
            ends: each(3),
            scalars: each(4),
            live: each(5),
            lines: each(6),
            chosen: each(7),
            found: each(8),
            given: each(9),
            fixed: each(10),
            a: each(11),
            out: each(12),
            floors: each(13),
        }
    }
}
