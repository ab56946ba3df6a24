//! Norms of a model's weights, computed once for all its points.

use certus_engine::model::{Model, Row};
use certus_engine::num::from_f64_up;
use certus_engine::region::Norm;
use certus_engine::simplex::{Known, first_rates, row_norms};

use super::spectral_norm_up;
use crate::cpu::Fast;

/// Upper bounds of what [`Known`] asks for.
///
/// Spectral norms keep the rates of deep layers near the truth (a product of some 3 for a layer,
/// where sums of magnitudes grow tenfold), so that few rows are walked.
#[derive(Clone, Debug)]
pub struct Norms {
    first: Vec<f32>,
    rows: Vec<f32>,
    spectral: Vec<f32>,
}

impl Norms {
    /// Of `model`, for distances in `norm`.
    ///
    /// Memory and work: those of [`spectral_norm_up`] for each layer, on all cores.
    pub fn new(model: &Model<'_>, norm: Norm) -> Self {
        let arith = Fast::new(model.depth(), false);
        let (mut first, mut rows) = (vec![0.0; model.rows(0)], vec![0.0; model.neurons()]);
        first_rates(&arith, model, norm, &mut first);
        row_norms(&arith, model, &mut rows);
        let spectral = model.layers().map(|layer| {
            let mut weights = vec![0.0; layer.rows * layer.cols];
            for (i, out) in weights.chunks_exact_mut(layer.cols.max(1)).enumerate() {
                let row: Row<'_> = layer.row(i);
                row.gather(None, out);
            }
            from_f64_up(spectral_norm_up(layer.rows, layer.cols, &weights))
        });
        Self { spectral: spectral.collect(), first, rows }
    }

    /// For the engine.
    pub fn known(&self) -> Known<'_> {
        Known { first: &self.first, rows: &self.rows, spectral: &self.spectral }
    }
}
