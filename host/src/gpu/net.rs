//! A model on a device.

use certus_engine::model::{Model, Row};
use certus_engine::num::add_up;
use certus_engine::region::Norm;
use certus_shaders::layout::MOST_DIGITS;

use super::curved;
use super::device::{Buffer, Device};
use super::shape::Shape;

/// A model's weights in a device's memory.
#[derive(Debug)]
pub struct Net {
    /// Its sizes.
    pub shape: Shape,
    /// Of each layer `[rows][cols]`.
    pub weights: Vec<Buffer>,
    /// Of each layer `[rows][cols]` in whole numbers of at most `2^29`, off by 1/2, and for each row the
    /// exponent of their unit, then its sum of magnitudes; none of layers with too many inputs.
    pub digits: Vec<Option<[Buffer; 2]>>,
    /// Of each layer `[rows]` biases, `[rows]` dual norms of the rows of its weights, and 0.
    pub biases: Vec<Buffer>,
    /// Largest `sum_j |W_ij|` of each layer, and largest bias, errors included.
    sizes: Vec<(f64, f64)>,
}

/// Why a model or a question is none for a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// An activation, in an attack.
    #[error("the GPU attacks networks of ReLU, leaky ReLU and identity only")]
    Activation,
    /// An activation, of the simplex certificate.
    #[error("of the simplex certificate the GPU knows ReLU and identity only")]
    Faces,
    /// A layer's weights.
    #[error("the GPU cannot bind a layer's {0} MiB of weights at once")]
    Size(u64),
    /// What a sample takes.
    #[error("the GPU has no room for what one sample takes")]
    Memory,
}

impl Net {
    /// Copies `model` to the device, for balls of this norm.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn new(device: &Device, model: &Model<'_>, norm: Norm) -> Result<Self, Unfit> {
        let shape = Shape::new(model);
        let (mut weights, mut biases, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
        let mut digits = Vec::new();
        for layer in model.layers() {
            let mut w = vec![0.0f32; layer.rows * layer.cols];
            let mut bias = layer.bias.to_vec();
            let mut most = 0.0f64;
            for (i, to) in w.chunks_exact_mut(layer.cols).enumerate() {
                gather(layer.row(i), to);
                most = most.max(to.iter().map(|w| f64::from(w.abs())).sum());
            }
            bias.extend(w.chunks_exact(layer.cols).map(|row| dual_norm(row, norm)));
            bias.push(0.0);
            let bytes = 4 * w.len() as u64;
            if bytes > device.about.binding {
                return Err(Unfit::Size(bytes >> 20));
            }
            let offset = layer.bias.iter().fold(0.0, |most: f64, b| most.max(f64::from(b.abs())));
            let (weight, error) = (f64::from(layer.weight_error), f64::from(layer.bias_error));
            sizes.push((most * (1.0 + weight), offset + error));
            digits.push((layer.cols <= MOST_DIGITS).then(|| {
                let (digits, units) = whole(&w, layer.cols);
                [
                    device.upload(bytemuck::cast_slice(&digits)),
                    device.upload(bytemuck::cast_slice(&units)),
                ]
            }));
            weights.push(device.upload(bytemuck::cast_slice(&w)));
            biases.push(device.upload(bytemuck::cast_slice(&bias)));
        }
        Ok(Self { shape, weights, digits, biases, sizes })
    }

    /// Whether nothing can overflow for inputs of this magnitude, which come to `total`: WGSL leaves open
    /// what an overflow gives, even that it is no number.
    ///
    /// The coefficients of a row have a sum of magnitudes of at most C, the product of the largest row
    /// sums and slopes; a pre-activation and an activation are at most m. All that is summed on a device
    /// stays below `C^2` and `8 C m` (lines above it and budgets are at most a few m).
    pub fn is_in_range(&self, input: f64, total: f64) -> bool {
        let (mut reach, mut largest, mut coefficients) = (input, total, 2.0f64);
        for ((most, bias), layer) in self.sizes.iter().zip(&self.shape.layers) {
            let slope = f64::from(curved::steepest(layer.activation));
            reach = reach * most + bias;
            largest = largest.max(reach);
            reach = curved::size(layer.activation, reach);
            largest = largest.max(reach);
            coefficients *= most.max(1.0) * slope;
        }
        coefficients < 2f64.powi(60) && coefficients * largest < 2f64.powi(115)
    }
}

/// Rows as whole numbers of at most `2^29` of a power of two for each, off by 1/2; then the exponents of
/// these, and upper bounds of the rows' sums of magnitudes.
pub fn whole(w: &[f32], cols: usize) -> (Vec<i32>, Vec<u32>) {
    let mut digits = Vec::with_capacity(w.len());
    let (mut exponents, mut sums) = (Vec::new(), Vec::new());
    for row in w.chunks_exact(cols) {
        let most = row.iter().map(|w| w.abs().to_bits()).max().unwrap_or(0);
        // Of what is smaller than 2^-62 a part of that is enough.
        let exponent = (most >> 23).max(64) as i32 - 155;
        let factor = 2f64.powi(-exponent);
        digits.extend(row.iter().map(|w| (f64::from(*w) * factor).round() as i32));
        exponents.push(exponent as u32);
        sums.push(row.iter().fold(0.0, |sum, w| add_up(sum, w.abs())).to_bits());
    }
    exponents.extend(sums);
    (digits, exponents)
}

fn gather(row: Row<'_>, to: &mut [f32]) {
    match row {
        Row::F32(row) => to.copy_from_slice(row),
        Row::F16(row) => to.iter_mut().zip(row).for_each(|(to, w)| *to = w.to_f32()),
    }
}

/// Upper bound of the norm that is dual to `norm`; 0 where no ball is measured by it.
fn dual_norm(row: &[f32], norm: Norm) -> f32 {
    let size = |w: &f32| f64::from(w.abs());
    let dual = match norm {
        Norm::L1 => row.iter().map(size).fold(0.0, f64::max),
        // Off by n + 1 roundings of f64 at most.
        Norm::L2 => {
            let squares: f64 = row.iter().map(|w| size(w) * size(w)).sum();
            squares.sqrt() * (1.0 + (row.len() + 8) as f64 * f64::EPSILON)
        }
        _ => return 0.0,
    };
    let nearest = dual as f32;
    if f64::from(nearest) < dual { nearest.next_up() } else { nearest }
}
