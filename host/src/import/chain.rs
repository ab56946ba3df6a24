//! The network as it is being read: layers so far, and a value that waits for the next.
//!
//! Element `i` of the current value is `scale_i * x[source_i] + shift_i`, where `x` is what the last
//! layer gives after its activation (the input, if there is no layer yet), or just `shift_i`. A
//! normalisation, a bias, a transposition and padding only change these triples, in f64 with their
//! errors (see [`exact`](super::exact)). They reach a layer once, when the next thing happens:
//!
//! * before an activation, or at the end: into the rows of the last layer, if nothing follows that
//!   layer yet; `W' = diag(s) W`, `b' = s b + t`;
//! * before a dense layer: likewise, else into the columns of the new layer; `W' = W diag(s)`,
//!   `b' = b + W t`;
//! * where neither is possible (no layer, an activation in between, a scaled weight that would
//!   underflow): as a layer of their own with one weight a row.
//!
//! Two dense layers are never multiplied together: that would round every weight.
//!
//! Rounding a scaled weight: with `w` the weight in the file, `v` the one held so far
//! (`|w - v| <= e |v|`) and `v'` the f32 for `v s` (`|v s - v'| <= d |v'|`),
//! `|w s - v'| <= e |v s| + d |v'| <= (e (1 + d) + d) |v'|`. `e` and `d` are the largest of the layer.

use certus_engine::model::Activation;

use super::exact::{Approx, OutOfRange, compound, f32_up};
use super::limits::Limits;
use crate::network::{Affine, Network};

/// What was found and expected; the caller knows the place.
pub(super) type Checked<T> = Result<T, String>;

/// One element of the current value.
#[derive(Clone, Copy, Debug)]
struct Element {
    /// Which output of the last layer it scales; no two elements share one.
    source: Option<usize>,
    scale: Approx,
    shift: Approx,
}

impl Element {
    fn plain(source: usize) -> Self {
        Element { source: Some(source), scale: Approx::ONE, shift: Approx::ZERO }
    }

    /// Is it its source, unchanged?
    fn is_plain(&self) -> bool {
        self.source.is_some() && self.scale.is(1.0) && self.shift.is(0.0)
    }
}

/// An affine layer whose biases are not rounded yet.
struct Draft {
    cols: usize,
    weights: Vec<f32>,
    weight_error: f64,
    bias: Vec<Approx>,
    /// `None`: the value is still the layer's own output, so its rows may change.
    activation: Option<Activation>,
}

/// The layers so far and the current value.
pub(super) struct Chain {
    limits: Limits,
    inputs: usize,
    layers: Vec<Draft>,
    elements: Vec<Element>,
    weights: usize,
    work: u64,
}

impl Chain {
    /// A chain of no layers whose value is the network's input.
    pub fn new(inputs: usize, limits: Limits) -> Checked<Self> {
        let mut chain =
            Chain { limits, inputs, layers: Vec::new(), elements: Vec::new(), weights: 0, work: 0 };
        chain.check_elements(inputs)?;
        chain.elements = (0..inputs).map(Element::plain).collect();
        Ok(chain)
    }

    /// Number of elements of the current value.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// The limits that the chain keeps to.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Counts `steps` of work; an error past the limit.
    pub fn charge(&mut self, steps: u64) -> Checked<()> {
        self.work = self.work.saturating_add(steps);
        if self.work > self.limits.work {
            return Err(format!("the graph takes more than {} steps to read", self.limits.work));
        }
        Ok(())
    }

    /// Replaces each element `x_i` by `scale * x_i + shift` with `(scale, shift) = factors(i)`.
    pub fn scale_and_shift(&mut self, factors: impl Fn(usize) -> (Approx, Approx)) -> Checked<()> {
        self.charge(self.len() as u64)?;
        for (i, element) in self.elements.iter_mut().enumerate() {
            let (scale, shift) = factors(i);
            element.scale = scale.mul(element.scale);
            element.shift = scale.mul(element.shift).add(shift);
        }
        Ok(())
    }

    /// Makes element `i` of the new value the old element `sources[i]`, or the constant `filler`.
    ///
    /// Errors: a source that is out of range or used twice.
    pub fn rearrange(&mut self, sources: &[Option<usize>], filler: f64) -> Checked<()> {
        self.check_elements(sources.len())?;
        self.charge((self.len() + sources.len()) as u64)?;
        let mut free = vec![true; self.len()];
        let constant = Element { source: None, scale: Approx::ZERO, shift: Approx::exact(filler) };
        let mut elements = Vec::with_capacity(sources.len());
        for source in sources {
            elements.push(match *source {
                None => constant,
                Some(i) => {
                    let unused = free.get_mut(i).is_some_and(std::mem::take);
                    let element = self.elements.get(i).filter(|_| unused);
                    *element.ok_or_else(|| format!("element {i} is missing or used twice"))?
                }
            });
        }
        self.elements = elements;
        Ok(())
    }

    /// Appends a dense layer without bias: `fill(r, row)` sets row `r`, which is all 0.
    ///
    /// `weight_error` is what the weights have lost already, relative to themselves.
    pub fn dense(
        &mut self,
        rows: usize,
        weight_error: f64,
        mut fill: impl FnMut(usize, &mut [f32]),
    ) -> Checked<()> {
        self.check_elements(rows)?;
        if self.last_is_open() && !self.elements.iter().all(Element::is_plain) {
            // A scale that would underflow there stays where it is, for the columns below.
            let _ = self.fold_into_rows();
        }
        let cols = self.len();
        self.reserve(rows, cols.max(self.width()))?;
        let mut weights = vec![0.0; rows * cols];
        if cols > 0 {
            for (r, row) in weights.chunks_exact_mut(cols).enumerate() {
                fill(r, row);
            }
        }
        let mut layer =
            Draft { cols, weights, weight_error, bias: vec![Approx::ZERO; rows], activation: None };
        if !self.is_untouched() && self.fold_into_columns(&mut layer).is_err() {
            self.materialise()?;
        }
        self.push(layer);
        Ok(())
    }

    /// Puts `activation` on the current value.
    pub fn activate(&mut self, activation: Activation) -> Checked<()> {
        let plain = self.last_is_open() && self.is_permutation();
        if !plain {
            self.settle()?;
        }
        if let Some(last) = self.layers.last_mut() {
            last.activation = Some(activation);
        }
        Ok(())
    }

    /// The network.
    pub fn finish(mut self) -> Checked<Network> {
        if !self.layers.is_empty() && self.is_permutation() {
            // An activation works on each element alone, so the rows before it can be put in order.
            self.order_rows();
        } else {
            self.settle()?;
        }
        let layers = self.layers.into_iter().map(Draft::finish).collect::<Checked<_>>()?;
        Ok(Network { inputs: self.inputs, layers })
    }

    /// Makes the value the output of the last layer, with nothing after it.
    fn settle(&mut self) -> Checked<()> {
        if self.last_is_open() && (self.is_untouched() || self.fold_into_rows().is_ok()) {
            return Ok(());
        }
        self.materialise()
    }

    /// Folds the elements into the rows of the last layer. On an error nothing has changed.
    fn fold_into_rows(&mut self) -> Result<(), NotFolded> {
        let Some(last) = self.layers.last_mut() else { return Err(NotFolded) };
        if last.bias.len() != self.elements.len() {
            return Err(NotFolded);
        }
        let sources: Vec<usize> =
            self.elements.iter().map(|e| e.source).collect::<Option<_>>().ok_or(NotFolded)?;
        let mut error = 0.0_f64;
        let scaled = self.elements.iter().any(|e| !e.scale.is(1.0));
        let mut weights = Vec::new();
        if scaled {
            weights.reserve_exact(last.weights.len());
            for (element, &source) in self.elements.iter().zip(&sources) {
                let row = last.weights.get(source * last.cols..(source + 1) * last.cols);
                for &weight in row.ok_or(NotFolded)? {
                    weights.push(scale_weight(weight, element.scale, &mut error)?);
                }
            }
        }
        let bias: Vec<Approx> = self
            .elements
            .iter()
            .zip(&sources)
            .map(|(e, &source)| last.bias.get(source).map(|b| e.scale.mul(*b).add(e.shift)))
            .collect::<Option<_>>()
            .ok_or(NotFolded)?;
        if scaled {
            last.weights = weights;
            last.weight_error = compound(last.weight_error, error);
        } else {
            last.weights = permuted_rows(&last.weights, last.cols, &sources);
        }
        last.bias = bias;
        self.elements = (0..sources.len()).map(Element::plain).collect();
        Ok(())
    }

    /// Folds the elements into the columns of `layer`, which takes them as its inputs; it then takes
    /// the last layer's outputs. On an error nothing has changed.
    fn fold_into_columns(&self, layer: &mut Draft) -> Result<(), NotFolded> {
        let width = self.width();
        let mut error = 0.0_f64;
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
                if let Some(to) = element.source.and_then(|source| to.get_mut(source)) {
                    *to = scale_weight(weight, element.scale, &mut error)?;
                }
            }
        }
        layer.cols = width;
        layer.weights = weights;
        layer.weight_error = compound(layer.weight_error, error);
        layer.bias = bias;
        Ok(())
    }

    /// Appends the elements as a layer with at most one weight a row.
    fn materialise(&mut self) -> Checked<()> {
        let (rows, cols) = (self.len(), self.width());
        self.reserve(rows, cols)?;
        let mut weights = vec![0.0; rows * cols];
        let mut weight_error = 0.0_f64;
        for (r, element) in self.elements.iter().enumerate() {
            let Some(source) = element.source else { continue };
            let (weight, error) = element.scale.to_weight().map_err(|what| {
                format!("the scale of element {r} is {}: {what}", element.scale.value)
            })?;
            if let Some(to) = weights.get_mut(r * cols + source) {
                *to = weight;
            }
            weight_error = weight_error.max(error);
        }
        let bias = self.elements.iter().map(|e| e.shift).collect();
        self.push(Draft { cols, weights, weight_error, bias, activation: None });
        Ok(())
    }

    /// Puts the rows of the last layer in the order of the elements, which are a permutation.
    fn order_rows(&mut self) {
        let sources: Vec<usize> = self.elements.iter().filter_map(|e| e.source).collect();
        if let Some(last) = self.layers.last_mut() {
            last.weights = permuted_rows(&last.weights, last.cols, &sources);
            last.bias = sources.iter().filter_map(|&s| last.bias.get(s).copied()).collect();
        }
        self.elements = (0..sources.len()).map(Element::plain).collect();
    }

    fn push(&mut self, layer: Draft) {
        self.elements = (0..layer.bias.len()).map(Element::plain).collect();
        self.layers.push(layer);
    }

    /// Number of outputs of the last layer.
    fn width(&self) -> usize {
        self.layers.last().map_or(self.inputs, |layer| layer.bias.len())
    }

    /// May the rows of the last layer still change?
    fn last_is_open(&self) -> bool {
        self.layers.last().is_some_and(|layer| layer.activation.is_none())
    }

    /// Is the value exactly what the last layer gives?
    fn is_untouched(&self) -> bool {
        self.len() == self.width()
            && self.elements.iter().enumerate().all(|(i, e)| e.is_plain() && e.source == Some(i))
    }

    /// Is the value what the last layer gives, in some order?
    fn is_permutation(&self) -> bool {
        // No two elements share a source, so as many as there are outputs are all of them.
        self.len() == self.width() && self.elements.iter().all(Element::is_plain)
    }

    fn check_elements(&self, count: usize) -> Checked<()> {
        if count == 0 {
            return Err("a tensor without elements".to_owned());
        }
        if count > self.limits.elements {
            let limit = self.limits.elements;
            return Err(format!("a tensor of {count} elements; at most {limit} are read"));
        }
        Ok(())
    }

    /// Counts the weights of a new layer; an error past the limits.
    fn reserve(&mut self, rows: usize, cols: usize) -> Checked<()> {
        let Limits { layer_weights, weights, .. } = self.limits;
        let count =
            rows.checked_mul(cols).filter(|&count| count <= layer_weights).ok_or_else(|| {
                format!(
                    "a dense layer of {rows} x {cols} weights; at most {layer_weights} are read"
                )
            })?;
        self.weights = self.weights.saturating_add(count);
        if self.weights > weights {
            return Err(format!("more than {weights} weights in all layers together"));
        }
        Ok(())
    }
}

/// A folding that is not possible or would underflow.
#[derive(Debug)]
struct NotFolded;

impl From<OutOfRange> for NotFolded {
    fn from(_: OutOfRange) -> Self {
        NotFolded
    }
}

/// The f32 for `weight * scale`; `error` becomes the largest relative error so far.
fn scale_weight(weight: f32, scale: Approx, error: &mut f64) -> Result<f32, OutOfRange> {
    if weight == 0.0 || scale.is(1.0) {
        return Ok(weight);
    }
    let (weight, lost) = Approx::exact(f64::from(weight)).mul(scale).to_weight()?;
    *error = error.max(lost);
    Ok(weight)
}

fn permuted_rows(weights: &[f32], cols: usize, sources: &[usize]) -> Vec<f32> {
    let mut permuted = Vec::with_capacity(weights.len());
    for &source in sources {
        permuted
            .extend_from_slice(weights.get(source * cols..(source + 1) * cols).unwrap_or_default());
    }
    permuted
}

impl Draft {
    fn finish(self) -> Checked<Affine> {
        let mut bias_error = 0.0_f64;
        let mut bias = Vec::with_capacity(self.bias.len());
        for (r, exact) in self.bias.iter().enumerate() {
            let (nearest, error) = exact.to_f32().ok_or_else(|| {
                format!("the bias of row {r} is {}: not a finite f32", exact.value)
            })?;
            bias.push(nearest);
            bias_error = bias_error.max(error);
        }
        Ok(Affine {
            rows: bias.len(),
            cols: self.cols,
            weights: self.weights,
            bias,
            activation: self.activation.unwrap_or(Activation::Identity),
            through: 0,
            weight_error: f32_up(self.weight_error),
            bias_error: f32_up(bias_error),
        })
    }
}
