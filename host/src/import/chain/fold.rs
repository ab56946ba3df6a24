//! Elements become rows of the last layer, columns of the next, or a layer of their own.
//!
//! Where an element is a sum, two weights may meet in one place. They are added only where that is
//! exact, of weights that are exact: the error of a sum is not relative to it.

use super::carry::Carry;
use super::{Chain, Checked, Draft};
use crate::import::exact::{Approx, OutOfRange, compound};

/// A folding that is not possible or would underflow.
#[derive(Debug)]
pub(super) struct NotFolded;

impl From<OutOfRange> for NotFolded {
    fn from(_: OutOfRange) -> Self {
        NotFolded
    }
}

impl Chain {
    /// Folds the elements into the rows of the last layer, after the rows that others need of it.
    /// On an error nothing has changed.
    pub(super) fn fold_into_rows(&mut self) -> Result<(), NotFolded> {
        let carry = self.carry().map_err(|_| NotFolded)?;
        let Some(last) = self.layers.last().filter(|last| last.activation.is_none()) else {
            return Err(NotFolded);
        };
        // A constant is better a shift of the next layer than a row.
        if self.elements.iter().any(|element| element.terms().is_empty()) {
            return Err(NotFolded);
        }
        let rows = carry.rows.len() + self.elements.len();
        let count = rows.checked_mul(last.cols).ok_or(NotFolded)?;
        let (layer_weights, all) = (self.limits.layer_weights, self.limits.weights);
        let total = self.weights.saturating_sub(last.weights.len()).saturating_add(count);
        if count > last.weights.len() && (count > layer_weights || total > all) {
            return Err(NotFolded);
        }
        let mut rewritten = Rewritten {
            weights: Vec::with_capacity(count),
            bias: Vec::with_capacity(rows),
            error: 0.0,
        };
        for row in &carry.rows {
            let terms = row.iter().map(|&(source, w)| (source, Approx::exact(f64::from(w))));
            rewritten.push(last, terms, Approx::ZERO)?;
        }
        for element in &self.elements {
            let terms = element.terms().iter().map(|term| (term.source, term.scale));
            rewritten.push(last, terms, element.shift)?;
        }
        let Some(last) = self.layers.pop() else { return Err(NotFolded) };
        let Rewritten { weights, bias, error } = rewritten;
        let weight_error = compound(last.weight_error, error);
        self.weights = total;
        self.push(Draft { weights, bias, weight_error, ..last }, carry);
        Ok(())
    }

    /// Folds the elements into the columns of `layer`, which takes them as its inputs; it then takes
    /// the last layer's outputs. On an error nothing has changed.
    pub(super) fn fold_into_columns(&self, layer: &mut Draft) -> Result<(), NotFolded> {
        let width = self.width();
        let mut error = 0.0_f64;
        let exact = layer.weight_error == 0.0;
        let mut weights = vec![0.0; layer.bias.len() * width];
        let mut bias = layer.bias.clone();
        for (r, bias) in bias.iter_mut().enumerate() {
            let row = layer.weights.get(r * layer.cols..(r + 1) * layer.cols).ok_or(NotFolded)?;
            let to = weights.get_mut(r * width..(r + 1) * width).ok_or(NotFolded)?;
            for (&weight, element) in row.iter().zip(&self.elements) {
                if weight == 0.0 {
                    continue;
                }
                if !element.shift.is(0.0) {
                    let weight = Approx::weight(weight, layer.weight_error);
                    *bias = bias.add(weight.mul(element.shift));
                }
                for term in element.terms() {
                    let to = to.get_mut(term.source).ok_or(NotFolded)?;
                    accumulate(to, weight, term.scale, exact, &mut error)?;
                }
            }
        }
        layer.cols = width;
        layer.weights = weights;
        layer.weight_error = compound(layer.weight_error, error);
        layer.bias = bias;
        Ok(())
    }

    /// Appends the elements as a layer with one weight for each term, after the rows that others
    /// need.
    pub(super) fn materialise(&mut self) -> Checked<()> {
        let carry = self.carry()?;
        let cols = self.width();
        self.reserve(carry.rows.len() + self.len(), cols)?;
        let mut layer = Draft::with_carried(&carry, cols, self.len());
        for (r, element) in self.elements.iter().enumerate() {
            let at = (carry.rows.len() + r) * cols;
            for term in element.terms() {
                let (weight, error) = term.scale.to_weight().map_err(|what| {
                    format!("the scale of element {r} is {}: {what}", term.scale.value)
                })?;
                if let Some(to) = layer.weights.get_mut(at + term.source) {
                    *to = weight;
                }
                layer.weight_error = layer.weight_error.max(error);
            }
        }
        layer.bias.truncate(carry.rows.len());
        layer.bias.extend(self.elements.iter().map(|element| element.shift));
        self.push(layer, carry);
        Ok(())
    }
}

impl Draft {
    /// The carried rows, then `more` rows of zeros, over `cols` columns.
    pub(super) fn with_carried(carry: &Carry, cols: usize, more: usize) -> Self {
        let rows = carry.rows.len() + more;
        let mut weights = vec![0.0; rows * cols];
        for (r, row) in carry.rows.iter().enumerate() {
            for &(source, weight) in row {
                if let Some(to) = weights.get_mut(r * cols + source) {
                    *to = weight;
                }
            }
        }
        let bias = vec![Approx::ZERO; rows];
        Draft { cols, weights, weight_error: 0.0, bias, activation: None, through: 0 }
    }
}

/// Rows made of those of a layer.
struct Rewritten {
    weights: Vec<f32>,
    bias: Vec<Approx>,
    /// The largest relative error of a scaled weight so far.
    error: f64,
}

impl Rewritten {
    /// Appends the row that is the sum of rows of `layer` times their scales, plus `shift`.
    fn push(
        &mut self,
        layer: &Draft,
        terms: impl Iterator<Item = (usize, Approx)>,
        shift: Approx,
    ) -> Result<(), NotFolded> {
        let start = self.weights.len();
        self.weights.resize(start + layer.cols, 0.0);
        let to = self.weights.get_mut(start..).ok_or(NotFolded)?;
        let exact = layer.weight_error == 0.0;
        let mut bias = shift;
        for (source, scale) in terms {
            let row = layer.weights.get(source * layer.cols..(source + 1) * layer.cols);
            for (to, &weight) in to.iter_mut().zip(row.ok_or(NotFolded)?) {
                if weight != 0.0 {
                    accumulate(to, weight, scale, exact, &mut self.error)?;
                }
            }
            bias = scale.mul(*layer.bias.get(source).ok_or(NotFolded)?).add(bias);
        }
        self.bias.push(bias);
        Ok(())
    }
}

/// Adds `weight * scale` to `to`; to a weight that is there already only if nothing rounds and
/// `exact` says that neither has an error of its own. `error` becomes the largest relative error.
fn accumulate(
    to: &mut f32,
    weight: f32,
    scale: Approx,
    exact: bool,
    error: &mut f64,
) -> Result<(), NotFolded> {
    if scale.is(1.0) && *to == 0.0 {
        *to = weight;
        return Ok(());
    }
    let product = Approx::exact(f64::from(weight)).mul(scale);
    if *to == 0.0 {
        let (scaled, lost) = product.to_weight()?;
        *to = scaled;
        *error = error.max(lost);
        return Ok(());
    }
    // An earlier error of this folding may lie in `to`.
    let sum = product.add(Approx::exact(f64::from(*to)));
    match sum.to_weight()? {
        (sum, 0.0) if exact && *error == 0.0 => {
            *to = sum;
            Ok(())
        }
        _ => Err(NotFolded),
    }
}
