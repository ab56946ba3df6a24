//! The live part of a network over a region, gathered once for a search.

use certus_engine::model::{Activation, Model, Row};
use certus_engine::relax::{self, Relaxation};
use ndarray::Array2;

/// A layer without the neurons that are 0 over the region.
#[derive(Debug)]
pub(crate) struct Live {
    /// Weights `[live neurons][live neurons of the layer before]`.
    pub weights: Array2<f32>,
    /// Biases of the live neurons.
    pub bias: Vec<f32>,
    /// What follows each.
    pub activation: Vec<Activation>,
    /// Pre-activation ends of each.
    pub lo: Vec<f32>,
    pub hi: Vec<f32>,
    /// Neurons of the layer, the dead ones too.
    pub rows: usize,
    /// Which of them are live.
    pub index: Vec<usize>,
}

/// The layers of `model`, whose neurons have the ends given; the last one whole.
pub(crate) fn gather(model: &Model<'_>, (lo, hi): (&[f32], &[f32])) -> Vec<Live> {
    let mut columns: Option<Vec<u32>> = None;
    let mut from = 0;
    let depth = model.depth();
    let mut layers = Vec::with_capacity(depth);
    for (k, layer) in model.layers().enumerate() {
        let ends = |i: usize| (lo[from + i], hi[from + i]);
        let live = |i: &usize| {
            let (lo, hi) = ends(*i);
            let activation = layer.activation_of(*i);
            k + 1 == depth || !relax::relax(activation, lo, hi, Default::default()).is_dead()
        };
        let index: Vec<usize> = (0..layer.rows).filter(live).collect();
        let width = columns.as_ref().map_or(layer.cols, Vec::len);
        let mut weights = Array2::zeros((index.len(), width));
        for (i, mut row) in index.iter().zip(weights.rows_mut()) {
            let stored: Row<'_> = layer.row(*i);
            stored.gather(columns.as_deref(), row.as_slice_mut().expect("a row of its own"));
        }
        layers.push(Live {
            weights,
            bias: index.iter().map(|i| layer.bias[*i]).collect(),
            activation: index.iter().map(|i| layer.activation_of(*i)).collect(),
            lo: index.iter().map(|i| ends(*i).0).collect(),
            hi: index.iter().map(|i| ends(*i).1).collect(),
            rows: layer.rows,
            index: index.clone(),
        });
        columns = Some(index.iter().map(|i| *i as u32).collect());
        from += layer.rows;
    }
    layers
}

/// The range of slopes of an unstable neuron's lower lines among which the best ones are, nearly;
/// `lines` are CROWN's. Also that of its upper lines, where the activation is curved: one of two lines
/// has only its chord.
pub(crate) fn slopes(activation: Activation, lo: f32, hi: f32, lines: &Relaxation) -> (f32, f32) {
    if let Some(leak) = activation.leak() {
        return (leak, 1.0);
    }
    // Slopes of an activation over an interval lie between those that a grid finds, nearly.
    let grid = (0..=16).map(|g| lo + (hi - lo) * g as f32 / 16.0);
    let slopes = grid.map(|z| relax::slope_near(activation, z));
    slopes
        .chain([lines.slope_lo, lines.slope_up])
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), s| {
            (if s < a { s } else { a }, if s > b { s } else { b })
        })
}
