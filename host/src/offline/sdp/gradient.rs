//! Grad-cert: the margin at the centre less the radius times a bound of its gradient (Raghunathan,
//! Steinhardt, Liang, "Certified Defenses against Adversarial Examples", 2018; the baseline of paper 002).
//!
//! Of a network with one hidden layer of ReLUs the gradient of a margin is `W' diag(v) s`, v the margin's
//! weights and each `s` 0 or 1. Its dual norm is the most of `t' W' diag(v) s` over the dual ball, and with
//! `s = (1 + r) / 2`, `|r| <= 1`, a quadratic form in `(1, t, r)`, which a semidefinite program bounds. The
//! bound holds for all inputs at once: it asks nothing of the pre-activations.

use certus_engine::bounds::{Error, Work};
use certus_engine::model::{Activation, Model, Row};
use certus_engine::region::Norm;
use certus_engine::spec::Spec;
use ndarray::{Array1, Array2};

use super::program::{Objective, Program, gamma};
use super::{Start, Watch, row};
use crate::error;
use crate::offline::lp::Solved;
use crate::slopes::Around;

/// Whether a network has what the bound needs.
///
/// # Errors
/// What it has instead.
pub fn check(model: &Model<'_>, norm: Norm) -> error::Result<()> {
    let layer = |k: usize| model.layer(k).map(|layer| (layer.activation, layer.through));
    let fits = model.depth() == 2
        && layer(0) == Some((Activation::Relu, 0))
        && matches!(layer(1), Some((Activation::Identity, _)));
    let exact = model.layers().all(|layer| layer.weight_error == 0.0 && layer.bias_error == 0.0);
    let found = if !fits {
        let depth = model.depth();
        format!("a network of {depth} layers; expected one hidden layer of ReLU, then a linear one")
    } else if !exact {
        "weights that are not exact; expected a network that needed no rounding".to_owned()
    } else if !matches!(norm, Norm::Linf | Norm::L2) {
        format!("--norm {norm}; expected linf or l2")
    } else {
        return Ok(());
    };
    Err(error::Error::Usage(format!("grad-cert: {found}")))
}

/// Lower bounds of the margins of `class` over the ball, in the order of [`Spec::Margins`], until one cannot
/// come above 0; what is not asked about is negative infinity.
///
/// Real semantics. Memory and work: those of a program of all inputs and neurons.
///
/// # Errors
/// A network that [`check`] refuses; a bad region.
pub fn lower_bounds(
    model: &Model<'_>,
    around: &Around<'_>,
    class: usize,
    start: Start,
    watch: &Watch<'_>,
) -> Result<(Vec<f32>, Work, Solved), Error> {
    check(model, around.norm).map_err(|_| Error::Spec)?;
    around.region().check(model.inputs())?;
    let spec = Spec::Margins { class };
    let (count, outputs) = (spec.count(model.outputs()), model.outputs());
    let mut lower = vec![f32::NEG_INFINITY; count];
    let (mut work, mut solved) = (Work::default(), Solved::default());
    let Some(net) = Net::new(model, around) else { return Err(Error::Spec) };
    let program = Program::cube(model.inputs(), model.rows(0), around.norm == Norm::L2);
    for (r, lower) in lower.iter_mut().enumerate() {
        let row_of: Vec<f64> =
            (0..outputs).map(|j| f64::from(spec.coefficient(r, j, outputs))).collect();
        let objective = net.objective(&row_of, around.epsilon);
        let mut told = |stand| watch(r, count, stand);
        let (bound, solution, hopeless) = row(&program, &objective, 0.0, start, &mut told);
        *lower = bound;
        solved.add(solution.trouble);
        work.product_macs += solution.macs;
        if hopeless {
            break;
        }
    }
    Ok((lower, work, solved))
}

/// A network in f64, and its hidden layer at the centre.
struct Net {
    first: Array2<f64>,
    last: Array2<f64>,
    bias: Array1<f64>,
    at: Array1<f64>,
    /// Sums of the magnitudes that make each of `at` up.
    sizes: Array1<f64>,
}

impl Net {
    fn new(model: &Model<'_>, around: &Around<'_>) -> Option<Self> {
        let matrix = |k: usize| {
            let layer = model.layer(k)?;
            let mut weights = Array2::zeros((layer.rows, layer.cols));
            let mut row = vec![0.0; layer.cols];
            for i in 0..layer.rows {
                let stored: Row<'_> = layer.row(i);
                stored.gather(None, &mut row);
                weights
                    .row_mut(i)
                    .assign(&row.iter().map(|w| f64::from(*w)).collect::<Array1<_>>());
            }
            let bias: Array1<f64> = layer.bias.iter().map(|b| f64::from(*b)).collect();
            Some((weights, bias))
        };
        let ((first, bias_first), (last, bias)) = (matrix(0)?, matrix(1)?);
        let x: Array1<f64> = around.center.iter().map(|x| f64::from(*x)).collect();
        let at = (first.dot(&x) + &bias_first).mapv(|z| z.max(0.0));
        let sizes = first.mapv(f64::abs).dot(&x.mapv(f64::abs)) + bias_first.mapv(f64::abs);
        Some(Self { first, last, bias, at, sizes })
    }

    /// `margin - eps t' W' diag(v) (1 + r) / 2` as a form in `(1, t, r)`.
    fn objective(&self, row: &[f64], epsilon: f64) -> Objective {
        let Self { first, last, bias, at, sizes } = self;
        let row = Array1::from(row.to_vec());
        let v = row.dot(last);
        let v_size = row.mapv(f64::abs).dot(&last.mapv(f64::abs));
        let (hidden, inputs) = first.dim();
        let order = 1 + inputs + hidden;
        let mut matrix = Array2::zeros((order, order));
        matrix[[0, 0]] = v.dot(at) + row.dot(bias);
        let mut size = v_size.dot(sizes) + row.mapv(f64::abs).dot(&bias.mapv(f64::abs));
        for (i, weights) in first.rows().into_iter().enumerate() {
            for (j, w) in weights.iter().enumerate() {
                // A quarter: half of eps for s, and half for each of two symmetric entries.
                let entry = -0.25 * epsilon * v[i] * w;
                for (a, b) in [(0, 1 + j), (1 + inputs + i, 1 + j)] {
                    matrix[[a, b]] += entry;
                    matrix[[b, a]] += entry;
                }
                size += epsilon * v_size[i] * w.abs();
            }
        }
        let size = size * (1.0 + 1e-6) + 1e-290;
        // The constant alone has gone through more roundings than the program's depth has.
        let loose = gamma(4 * (order + row.len() + 64)) * size;
        Objective { matrix, size, loose }
    }
}
