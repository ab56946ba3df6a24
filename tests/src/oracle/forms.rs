//! Affine functions of the input with integer coefficients under one power of two.

use certus::network::Affine;
use certus_engine::model::Activation;

use crate::rational::{IBig, parts};

/// A row of coefficients, the constant last.
pub(crate) type Row = Vec<IBig>;

/// Affine functions `2^exponent * (row . [x, 1])`.
///
/// One exponent for all rows, and the same for every activation pattern: so values of one layer
/// are comparable between cells without a shift.
#[derive(Clone)]
pub(crate) struct Forms {
    pub rows: Vec<Row>,
    pub exponent: i64,
}

/// A layer's numbers as integers under powers of two.
pub(crate) struct Layer {
    weights: Vec<IBig>,
    weight_exponent: i64,
    bias: Vec<IBig>,
    bias_exponent: i64,
    rows: usize,
    cols: usize,
    /// The factor of a negative pre-activation, `slope * 2^slope_exponent`.
    slope: IBig,
    slope_exponent: i64,
    /// Whether the activation bends.
    bends: bool,
    /// Rows before this one pass by it.
    through: usize,
}

impl Layer {
    /// # Panics
    /// If a number is not finite, the sizes do not fit, or the activation is not piecewise linear.
    pub fn new(layer: &Affine) -> Self {
        assert_eq!(layer.weights.len(), layer.rows * layer.cols, "weights");
        assert_eq!(layer.bias.len(), layer.rows, "bias");
        let (weights, weight_exponent) = integers(&layer.weights);
        let (bias, bias_exponent) = integers(&layer.bias);
        let slope = negative_slope(layer.activation);
        let (mantissa, exponent) = parts(slope.into());
        // 0 < slope <= 1 has an exponent <= 0 once its mantissa is odd.
        Layer {
            weights,
            weight_exponent,
            bias,
            bias_exponent,
            rows: layer.rows,
            cols: layer.cols,
            slope: mantissa.into(),
            slope_exponent: exponent.into(),
            bends: slope != 1.0,
            through: layer.through,
        }
    }

    /// Whether the sign of pre-activation `i` matters.
    pub fn bends(&self, i: usize) -> bool {
        self.bends && i >= self.through
    }

    /// `W x + b`.
    pub fn affine(&self, x: &Forms) -> Forms {
        let scaled = x.exponent + self.weight_exponent;
        let exponent = scaled.min(self.bias_exponent);
        let bias_shift = (self.bias_exponent - exponent) as usize;
        let row_shift = (scaled - exponent) as usize;
        let width = x.rows[0].len();
        let rows = (0..self.rows).map(|i| {
            let mut row = vec![IBig::ZERO; width];
            let weights = &self.weights[i * self.cols..(i + 1) * self.cols];
            for (weight, x) in weights.iter().zip(&x.rows) {
                if !weight.is_zero() {
                    for (sum, x) in row.iter_mut().zip(x) {
                        *sum += weight * x;
                    }
                }
            }
            for sum in &mut row {
                *sum <<= row_shift;
            }
            row[width - 1] += &self.bias[i] << bias_shift;
            row
        });
        Forms { rows: rows.collect(), exponent }
    }

    /// The activation applied to `z`, whose signs on the cell are `positive`, true where it does not
    /// bend.
    pub fn activate(&self, z: &Forms, positive: &[bool]) -> Forms {
        let keep = (-self.slope_exponent) as usize;
        let rows = z.rows.iter().zip(positive).map(|(row, &positive)| {
            let each = row.iter();
            match positive {
                true => each.map(|c| c << keep).collect(),
                false => each.map(|c| c * &self.slope).collect(),
            }
        });
        Forms { rows: rows.collect(), exponent: z.exponent + self.slope_exponent }
    }
}

impl Forms {
    /// The inputs themselves.
    pub fn inputs(n: usize) -> Self {
        let unit = |i| (0..=n).map(|j| IBig::from(u8::from(i == j))).collect();
        Forms { rows: (0..n).map(unit).collect(), exponent: 0 }
    }
}

/// `row . at`.
pub(crate) fn value(row: &[IBig], at: &[IBig]) -> IBig {
    row.iter().zip(at).map(|(a, b)| a * b).sum()
}

/// What a negative pre-activation is multiplied by.
///
/// # Panics
/// If the activation is not piecewise linear with one bend at zero.
pub(crate) fn negative_slope(activation: Activation) -> f32 {
    if activation == Activation::Identity {
        1.0
    } else if activation == Activation::Relu {
        0.0
    } else if let Activation::LeakyRelu(slope) = activation {
        assert!((0.0..=1.0).contains(&slope), "slope {slope}");
        slope
    } else {
        panic!("{activation:?} is not piecewise linear")
    }
}

/// `x` as integers under one power of two.
fn integers(x: &[f32]) -> (Vec<IBig>, i64) {
    let split: Vec<_> = x.iter().map(|&x| parts(x.into())).collect();
    let least = split.iter().filter(|p| p.0 != 0).map(|p| p.1).min().unwrap_or(0);
    let scale = |&(m, e): &(i64, i32)| {
        if m == 0 { IBig::ZERO } else { IBig::from(m) << (e - least) as usize }
    };
    (split.iter().map(scale).collect(), least.into())
}
