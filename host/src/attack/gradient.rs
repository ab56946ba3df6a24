//! Outputs and gradients of a batch of points.

use std::borrow::Cow;

use certus_engine::model::{Activation, Model, Weights};
use certus_engine::relax;
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

/// A network that can be differentiated at many points at once. Nothing here is a bound.
pub trait Gradient {
    /// Number of inputs.
    fn inputs(&self) -> usize;

    /// Number of outputs.
    fn outputs(&self) -> usize;

    /// The outputs, `[points][outputs]`, at `points`, `[points][inputs]`, which become those that
    /// [`Gradient::backward`] differentiates at.
    fn forward(&mut self, points: &[f32]) -> &[f32];

    /// Gradients of `sum_j seeds_j f_j` by the input, `[points][each][inputs]`: `each` of them at
    /// every point of the last call of [`Gradient::forward`], for `seeds`
    /// `[points][each][outputs]`. At a kink, the derivative of the side that the activation takes.
    fn backward(&mut self, seeds: &[f32], each: usize) -> &[f32];
}

/// Up to so many points go through a layer one by one: a matrix product would copy the weights first.
const FEW: usize = 2;

/// The dense layers of a model in f32, as matrix products on one core.
///
/// Memory: the activations of the largest batch, and a copy of weights stored as f16.
#[derive(Debug)]
pub struct Cpu<'m> {
    inputs: usize,
    layers: Vec<Dense<'m>>,
    /// Points of the last forward pass.
    points: usize,
    /// Gradients by the outputs of the layer at work, and by its inputs.
    above: Vec<f32>,
    below: Vec<f32>,
    macs: u64,
}

#[derive(Debug)]
struct Dense<'m> {
    rows: usize,
    cols: usize,
    weights: Cow<'m, [f32]>,
    bias: &'m [f32],
    activation: Activation,
    /// Rows that pass by it.
    through: usize,
    /// What came in at the last forward pass, `[points][cols]`.
    fed: Vec<f32>,
    /// Pre-activations, `[points][rows]`, then what went out.
    out: Vec<f32>,
    /// The activation's slope at each.
    slopes: Vec<f32>,
}

impl<'m> Cpu<'m> {
    /// For the stored network of `model`.
    pub fn new(model: Model<'m>) -> Self {
        let layers = model.layers().map(|layer| Dense {
            through: layer.through,
            rows: layer.rows,
            cols: layer.cols,
            weights: match layer.weights {
                Weights::F32(w) => Cow::Borrowed(w),
                Weights::F16(w) => w.iter().map(|w| w.to_f32()).collect(),
            },
            bias: layer.bias,
            activation: layer.activation,
            fed: Vec::new(),
            out: Vec::new(),
            slopes: Vec::new(),
        });
        let layers = layers.collect();
        let (above, below) = (Vec::new(), Vec::new());
        Self { inputs: model.inputs(), layers, points: 0, above, below, macs: 0 }
    }

    /// Multiply-adds done so far.
    pub fn macs(&self) -> u64 {
        self.macs
    }
}

impl Gradient for Cpu<'_> {
    fn inputs(&self) -> usize {
        self.inputs
    }

    fn outputs(&self) -> usize {
        self.layers.last().map_or(self.inputs, |layer| layer.rows)
    }

    fn forward(&mut self, points: &[f32]) -> &[f32] {
        self.points = points.len() / self.inputs.max(1);
        let mut carried = points;
        for layer in &mut self.layers {
            layer.forward(carried, self.points);
            self.macs += (self.points * layer.rows * layer.cols) as u64;
            carried = &layer.out;
        }
        self.layers.last().map_or(&[], |layer| &layer.out)
    }

    fn backward(&mut self, seeds: &[f32], each: usize) -> &[f32] {
        self.above.clear();
        self.above.extend_from_slice(seeds);
        for layer in self.layers.iter().rev() {
            layer.backward(&mut self.above, &mut self.below, self.points, each);
            self.macs += (self.points * each * layer.rows * layer.cols) as u64;
            std::mem::swap(&mut self.above, &mut self.below);
        }
        &self.above
    }
}

impl Dense<'_> {
    fn weights(&self) -> ArrayView2<'_, f32> {
        ArrayView2::from_shape((self.rows, self.cols), &self.weights).expect("rows x cols weights")
    }

    fn forward(&mut self, fed: &[f32], points: usize) {
        self.fed.clear();
        self.fed.extend_from_slice(fed);
        self.out.clear();
        (0..points).for_each(|_| self.out.extend_from_slice(self.bias));
        let mut out = std::mem::take(&mut self.out);
        let weights = self.weights();
        let fed = ArrayView2::from_shape((points, self.cols), &self.fed).expect("points x cols");
        let mut view =
            ArrayViewMut2::from_shape((points, self.rows), &mut out).expect("points x rows");
        if points <= FEW {
            for (mut out, fed) in view.rows_mut().into_iter().zip(fed.rows()) {
                out += &weights.dot(&fed);
            }
        } else {
            general_mat_mul(1.0, &fed, &weights.reversed_axes(), 1.0, &mut view);
        }
        self.out = out;
        self.slopes.clear();
        for row in self.out.chunks_exact_mut(self.rows.max(1)) {
            let (through, rest) = row.split_at_mut(self.through.min(row.len()));
            self.slopes.extend(through.iter().map(|_| 1.0));
            for z in rest {
                self.slopes.push(relax::slope_near(self.activation, *z));
                *z = self.activation.apply(*z);
            }
        }
    }

    /// Gradients by what came in, `[points][each][cols]`, from those by what went out.
    fn backward(&self, above: &mut [f32], below: &mut Vec<f32>, points: usize, each: usize) {
        let width = (each * self.rows).max(1);
        let slopes = self.slopes.chunks_exact(self.rows.max(1));
        for (above, slopes) in above.chunks_exact_mut(width).zip(slopes) {
            for row in above.chunks_exact_mut(self.rows.max(1)) {
                row.iter_mut().zip(slopes).for_each(|(g, slope)| *g *= slope);
            }
        }
        below.clear();
        below.resize(points * each * self.cols, 0.0);
        let rows = points * each;
        let above = ArrayView2::from_shape((rows, self.rows), &above[..rows * self.rows])
            .expect("points x each x rows");
        let mut below =
            ArrayViewMut2::from_shape((rows, self.cols), below).expect("points x each x cols");
        if rows <= FEW {
            for (mut below, above) in below.rows_mut().into_iter().zip(above.rows()) {
                let weights = self.weights();
                let steep = above.iter().zip(weights.rows()).filter(|(g, _)| **g != 0.0);
                steep.for_each(|(g, row)| below.scaled_add(*g, &row));
            }
        } else {
            general_mat_mul(1.0, &above, &self.weights(), 0.0, &mut below);
        }
    }
}
