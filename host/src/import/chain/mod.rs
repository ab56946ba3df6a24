//! The network as it is being read: layers so far, and the values that wait for the next.
//!
//! Element `i` of a value is a sum of `scale * x[source]`, plus a shift, where `x` is what the last
//! layer gives after its activation (the input, if there is no layer yet). Most elements have one
//! term; the sum of two values has two. A normalisation, a bias, a transposition, padding and the
//! sum of two values only change these functions, in f64 with their errors (see
//! [`exact`](super::exact)). They reach a layer once, when the next thing happens:
//!
//! * before an activation, or at the end: into the rows of the last layer, if nothing follows that
//!   layer yet; `W' = diag(s) W`, `b' = s b + t`;
//! * before a dense layer: likewise, else into the columns of the new layer; `W' = W diag(s)`,
//!   `b' = b + W t`;
//! * where neither is possible (no layer, an activation in between, a scaled weight that would
//!   underflow): as a layer of their own with one weight for each term.
//!
//! Nothing is moved across an activation: scales before it stay before it.
//!
//! Two dense layers are never multiplied together: that would round every weight.
//!
//! Values that a later node needs wait beside the one that is worked on ([`Chain::store`]). Each new
//! layer carries along what they take of the outputs so far, as rows that pass by its activation
//! ([`carry`]).
//!
//! Rounding a scaled weight: with `w` the weight in the file, `v` the one held so far
//! (`|w - v| <= e |v|`) and `v'` the f32 for `v s` (`|v s - v'| <= d |v'|`),
//! `|w s - v'| <= e |v s| + d |v'| <= (e (1 + d) + d) |v'|`. `e` and `d` are the largest of the layer.

mod carry;
mod element;
mod fold;
mod join;

use certus_engine::model::Activation;

use super::exact::{Approx, f32_up};
use super::limits::Limits;
use crate::network::{Affine, Network};
use carry::{Carry, Values};
use element::Element;
pub(super) use join::Pick;

/// What was found and expected; the caller knows the place.
pub(super) type Checked<T> = Result<T, String>;

/// An affine layer whose biases are not rounded yet.
struct Draft {
    cols: usize,
    weights: Vec<f32>,
    weight_error: f64,
    bias: Vec<Approx>,
    /// `None`: the value is still the layer's own output, so its rows may change.
    activation: Option<Activation>,
    /// The first so many rows pass by the activation.
    through: usize,
}

/// The layers so far, the value that is worked on and those that wait.
pub(super) struct Chain {
    limits: Limits,
    inputs: usize,
    layers: Vec<Draft>,
    elements: Vec<Element>,
    /// What later nodes need.
    waiting: Values,
    /// The number of the next value that waits.
    next: usize,
    /// How many elements and terms wait.
    held: usize,
    /// Operands after the first of the node that is evaluated; joined before the next layer.
    operands: Vec<Vec<Element>>,
    weights: usize,
    work: u64,
}

impl Chain {
    /// A chain of no layers whose value is the network's input.
    pub fn new(inputs: usize, limits: Limits) -> Checked<Self> {
        let mut chain = Chain {
            limits,
            inputs,
            layers: Vec::new(),
            elements: Vec::new(),
            waiting: Values::new(),
            next: 0,
            held: 0,
            operands: Vec::new(),
            weights: 0,
            work: 0,
        };
        chain.check_elements(inputs)?;
        chain.elements = (0..inputs).map(Element::plain).collect();
        Ok(chain)
    }

    /// Number of elements of the value that is worked on.
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
        self.charge(size(&self.elements) as u64)?;
        for (i, element) in self.elements.iter_mut().enumerate() {
            let (scale, shift) = factors(i);
            element.scale_and_shift(scale, shift);
        }
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
        let carried = self.carry()?.rows.len();
        let cols = self.len();
        self.reserve(rows.saturating_add(carried), cols.max(self.width()))?;
        let mut weights = vec![0.0; rows * cols];
        if cols > 0 {
            for (r, row) in weights.chunks_exact_mut(cols).enumerate() {
                fill(r, row);
            }
        }
        let bias = vec![Approx::ZERO; rows];
        let mut layer = Draft { cols, weights, weight_error, bias, activation: None, through: 0 };
        if !self.is_untouched() && self.fold_into_columns(&mut layer).is_err() {
            self.materialise()?;
            if !self.is_untouched() {
                self.fold_into_columns(&mut layer).map_err(|_| "a layer that cannot be joined")?;
            }
        }
        let carry = self.carry()?;
        if !carry.rows.is_empty() {
            let mut whole = Draft::with_carried(&carry, layer.cols, 0);
            whole.weights.reserve_exact(layer.weights.len());
            whole.weights.append(&mut layer.weights);
            whole.bias.append(&mut layer.bias);
            whole.weight_error = layer.weight_error;
            layer = whole;
        }
        self.push(layer, carry);
        Ok(())
    }

    /// Puts `activation` on the current value.
    pub fn activate(&mut self, activation: Activation) -> Checked<()> {
        let through = match self.in_place() {
            Some(through) => through,
            None => {
                self.settle()?;
                self.width().saturating_sub(self.len())
            }
        };
        if let Some(last) = self.layers.last_mut() {
            last.activation = Some(activation);
            last.through = through;
        }
        Ok(())
    }

    /// Puts `activation` on all elements but the first `through`.
    pub fn activate_from(&mut self, through: usize, activation: Activation) -> Checked<()> {
        if through == 0 {
            return self.activate(activation);
        }
        if through >= self.len() {
            return Ok(());
        }
        let rest = self.elements.split_off(through);
        let first = self.store()?;
        self.elements = rest;
        self.activate(activation)?;
        let mut activated = std::mem::take(&mut self.elements);
        self.load(first, true)?;
        self.elements.append(&mut activated);
        Ok(())
    }

    /// The network.
    pub fn finish(mut self) -> Checked<Network> {
        self.waiting.clear();
        let untouched = !self.layers.is_empty() && self.is_untouched();
        if !untouched && !self.select_rows() {
            self.settle()?;
        }
        let layers = self.layers.into_iter().map(Draft::finish).collect::<Checked<_>>()?;
        Ok(Network { inputs: self.inputs, layers })
    }

    /// Makes the value the last rows of the last layer, with nothing after it; those before are
    /// what others need.
    fn settle(&mut self) -> Checked<()> {
        let untouched = self.waiting.is_empty() && self.is_untouched();
        if self.last_is_open() && (untouched || self.fold_into_rows().is_ok()) {
            return Ok(());
        }
        self.materialise()
    }

    /// Puts the rows of the last layer in the order of the elements, where these are its outputs:
    /// an activation works on each row alone.
    fn select_rows(&mut self) -> bool {
        let Some(last) = self.layers.last_mut() else { return false };
        let sources: Option<Vec<usize>> = self.elements.iter().map(Element::plain_source).collect();
        let Some(sources) = sources.filter(|sources| sources.len() <= last.bias.len()) else {
            return false;
        };
        // Rows that pass by the activation come first.
        let through = sources.iter().take_while(|&&source| source < last.through).count();
        if sources.iter().skip(through).any(|&source| source < last.through) {
            return false;
        }
        let mut weights = Vec::with_capacity(sources.len() * last.cols);
        for &source in &sources {
            let row = last.weights.get(source * last.cols..(source + 1) * last.cols);
            weights.extend_from_slice(row.unwrap_or_default());
        }
        last.weights = weights;
        last.bias = sources.iter().filter_map(|&s| last.bias.get(s).copied()).collect();
        last.through = through;
        true
    }

    /// Appends a layer whose first rows are the carried ones; its others are the value.
    fn push(&mut self, layer: Draft, carry: Carry) {
        self.elements = (carry.rows.len()..layer.bias.len()).map(Element::plain).collect();
        self.waiting = carry.values;
        // Carried sums become single outputs.
        self.held = self.waiting.values().map(|value| size(value)).sum();
        self.layers.push(layer);
    }

    /// What a new layer must carry along for the values that wait.
    fn carry(&mut self) -> Checked<Carry> {
        if !self.operands.is_empty() {
            return Err("an operand that is not joined before the next layer".to_owned());
        }
        self.charge(self.held as u64)?;
        Ok(Carry::of(&self.waiting, self.width()))
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
            && self.elements.iter().enumerate().all(|(i, e)| e.plain_source() == Some(i))
    }

    /// How many rows would pass by, if an activation can follow the last layer as it is: the value
    /// is its last rows, in some order, and others need each of the rows before, and no more.
    fn in_place(&self) -> Option<usize> {
        let width = self.width();
        let through = width.checked_sub(self.len()).filter(|_| self.last_is_open())?;
        let mut free = vec![true; width];
        for element in &self.elements {
            let slot = free.get_mut(element.plain_source().filter(|&s| s >= through)?)?;
            if !std::mem::take(slot) {
                return None;
            }
        }
        for element in self.waiting.values().flatten() {
            for term in element.terms() {
                *free.get_mut(term.source).filter(|_| term.source < through)? = false;
            }
        }
        free.iter().all(|&free| !free).then_some(through)
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
        let Limits { layer_weights, weights, elements, .. } = self.limits;
        let count =
            rows.checked_mul(cols).filter(|&count| count <= layer_weights).ok_or_else(|| {
                format!(
                    "a dense layer of {rows} x {cols} weights; at most {layer_weights} are read"
                )
            })?;
        if rows > elements {
            return Err(format!("a layer of {rows} rows; at most {elements} are read"));
        }
        self.weights = self.weights.saturating_add(count);
        if self.weights > weights {
            return Err(format!("more than {weights} weights in all layers together"));
        }
        Ok(())
    }
}

/// How much a value counts among those that are kept.
fn size(value: &[Element]) -> usize {
    value.iter().map(Element::size).sum()
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
        let through = if self.activation.is_some() { self.through } else { 0 };
        let activation = self.activation.filter(|_| through < bias.len());
        Ok(Affine {
            rows: bias.len(),
            cols: self.cols,
            weights: self.weights,
            bias,
            activation: activation.unwrap_or(Activation::Identity),
            through: if activation.is_some() { through } else { 0 },
            weight_error: f32_up(self.weight_error),
            bias_error: f32_up(bias_error),
        })
    }
}
