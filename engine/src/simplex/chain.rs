//! The forward pass at the point, with how fast each pre-activation can change around it.

use super::query::Query;
use crate::bounds::{Arena, Arithmetic, Disturbance, Error, Semantics, at, part};
use crate::model::{Activation, Layer, Model};
use crate::num::{
    ETA, MAGNITUDE_LIMIT, NEGLIGIBLE, Rounding, U, add_up, gamma, mul_up, ratio_down, sqrt_up,
    sub_down,
};
use crate::region::dual_norm;

/// A neuron whose rate is at most this counts as constant, where rounding leaves its side open: the
/// norm of a row of zeros is not 0 once underflow is allowed for.
const CONSTANT: f32 = 1.0 / (1u64 << 50) as f32;

/// Arrays over all neurons, a part for each layer. Once a layer is [settled](Chain::settle), its
/// part has one entry per *live* neuron: one whose activation is not 0 around the point.
pub(super) struct Chain<'w> {
    /// Pre-activations z at the point, as computed.
    z: &'w mut [f32],
    /// How far they may be from the true ones.
    error: &'w mut [f32],
    /// N: within a distance r, the pre-activation moves from z by at most `rate*r + error`.
    rate: &'w mut [f32],
    /// The part of the error that comes from computing this very neuron.
    own: &'w mut [f32],
    live: &'w mut [u32],
    offset: &'w mut [u32],
    count: &'w mut [u32],
    /// Of the activations last settled, or of the inputs.
    span: Span,
}

/// How far a vector of activations moves, as a whole.
#[derive(Clone, Copy)]
struct Span {
    /// Within a distance r, by at most `rate*r` in the Euclidean norm, beside its error.
    rate: f32,
    /// Upper bound of the Euclidean norm of its error at the point.
    error: f32,
}

/// What feeds a layer: activations at the point, and how they move.
#[derive(Clone, Copy)]
pub(super) struct Fed<'a> {
    /// The activations, 0 for those that are not live.
    pub x: &'a [f32],
    /// Their rates; `None` for the inputs themselves.
    pub rate: Option<&'a [f32]>,
    /// Their errors; none for the inputs.
    pub error: &'a [f32],
}

/// A layer's live neurons.
#[derive(Clone, Copy, Default)]
pub(super) struct Live<'a> {
    pub index: &'a [u32],
    pub z: &'a [f32],
    pub error: &'a [f32],
    pub rate: &'a [f32],
    pub own: &'a [f32],
}

impl Live<'_> {
    /// Upper bounds of the sums of their rates and of their errors.
    pub(super) fn totals(&self) -> (f32, f32) {
        (total(self.rate), total(self.error))
    }
}

/// An upper bound of a sum.
fn total(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |sum, x| add_up(sum, x.abs()))
}

/// An upper bound of a Euclidean norm.
fn euclid(x: &[f32]) -> f32 {
    sqrt_up(x.iter().fold(0.0, |sum, x| add_up(sum, mul_up(*x, *x))))
}

/// The smaller of two upper bounds; `b` counts only if it is a number.
fn smaller(a: f32, b: f32) -> f32 {
    if b < a { b } else { a }
}

/// A distance within which a pre-activation keeps its sign.
fn near(z: f32, error: f32, rate: f32) -> f32 {
    ratio_down(sub_down(z.abs(), error), rate)
}

/// The slope of an activation beside `z`.
fn slope(activation: Activation, z: f32) -> f32 {
    match activation {
        Activation::Relu if !(z > 0.0) => 0.0,
        Activation::LeakyRelu(leak) if !(z > 0.0) => leak,
        _ => 1.0,
    }
}

/// What a step through the layer charges for each unit of coefficient and movement, beside the
/// product's rounding: under deployed semantics, and for original weights, the layer itself moves;
/// a leaky slope rounds the coefficient and, deployed, the activation.
pub(super) fn own_rate(semantics: Semantics, layer: &Layer<'_>) -> f32 {
    let mut rate = layer.weight_error;
    if semantics == Semantics::Deployed {
        rate = add_up(rate, gamma(layer.cols as u32 + 2));
    }
    if matches!(layer.activation, Activation::LeakyRelu(_)) {
        rate = add_up(rate, 2.5 * U);
    }
    rate
}

impl<'w> Chain<'w> {
    /// Takes its arrays from the workspace; `None` if that is too small.
    pub(super) fn new(
        model: &Model<'_>,
        floats: &mut Arena<'w, f32>,
        indices: &mut Arena<'w, u32>,
    ) -> Option<Self> {
        let n = model.neurons();
        // Set when the first layer is computed.
        let span = Span { rate: f32::INFINITY, error: f32::INFINITY };
        let chain = Self {
            span,
            z: floats.take(n)?,
            error: floats.take(n)?,
            rate: floats.take(n)?,
            own: floats.take(n)?,
            live: indices.take(n)?,
            offset: indices.take(model.depth())?,
            count: indices.take(model.depth())?,
        };
        let mut sum = 0;
        for (k, (offset, count)) in chain.offset.iter_mut().zip(&mut *chain.count).enumerate() {
            (*offset, *count) = (sum as u32, 0);
            sum += model.rows(k);
        }
        Some(chain)
    }

    /// The live neurons of a settled layer.
    pub(super) fn live(&self, k: usize) -> Live<'_> {
        let (from, len) = (at(self.offset, k), at(self.count, k));
        Live {
            index: part(self.live, from, len),
            z: part(self.z, from, len),
            error: part(self.error, from, len),
            rate: part(self.rate, from, len),
            own: part(self.own, from, len),
        }
    }

    /// Lower bound of the distance of neuron `i` of a layer that is not settled yet.
    pub(super) fn near(&self, k: usize, i: usize) -> f32 {
        let i = at(self.offset, k) + i;
        let [z, error, rate] =
            [&*self.z, &*self.error, &*self.rate].map(|x| x.get(i).copied().unwrap_or(f32::NAN));
        near(z, error, rate)
    }

    /// z, own error and rate of neuron `i` of a layer that is not settled yet.
    pub(super) fn neuron(&self, k: usize, i: usize) -> [f32; 3] {
        let i = at(self.offset, k) + i;
        [&*self.z, &*self.own, &*self.rate].map(|x| x.get(i).copied().unwrap_or(f32::NAN))
    }

    /// Computes layer `k`, and for each neuron a lower bound of its distance: `(|z| - error)/rate`.
    ///
    /// # Errors
    /// [`Error::Magnitude`] if a pre-activation or a rate reaches `2^100`.
    pub(super) fn forward<A: Arithmetic>(
        &mut self,
        arith: &A,
        query: &Query<'_>,
        k: usize,
        layer: &Layer<'_>,
        fed: Fed<'_>,
        keys: &mut [f32],
    ) -> Result<(), Error> {
        let n = layer.cols;
        let from = at(self.offset, k);
        keys.fill(f32::INFINITY);
        let rounding = Rounding::new(arith.row_depth(n), n);
        // Over the inputs, `sum |x_j - u_j| <= n*r` in any of the norms.
        let rates = fed.rate.map_or(n as f32, total);
        let errors = total(fed.error);
        let moves = own_rate(query.semantics, layer);
        if fed.rate.is_none() {
            self.span = Span { rate: query.norm.euclidean_rate(n), error: 0.0 };
        }
        let span = self.span;
        // A flushed weight is read as 0; one below NEGLIGIBLE may be dropped by a product.
        let flushed = mul_up(2.0 * ETA, add_up(total(fed.x), add_up(errors, 1.0)));
        let dropped = mul_up(NEGLIGIBLE, errors);
        let dropped_rate = mul_up(add_up(NEGLIGIBLE / U, 2.0 * ETA), rates);
        let disturbance = Disturbance::new(query.semantics, layer);
        let arrays = self.z.iter_mut().zip(self.error.iter_mut());
        let arrays = arrays.zip(self.rate.iter_mut().zip(self.own.iter_mut()));
        let neurons = arrays.skip(from).take(layer.rows).zip(layer.bias).zip(keys);
        for (i, ((((z, error), (rate, own)), bias), key)) in neurons.enumerate() {
            let row = layer.row(i);
            let over = arith.over_box(row, fed.x, fed.rate.unwrap_or(fed.x), &rounding);
            let mut fast = match (fed.rate, &query.known) {
                (Some(_), _) => over.radius,
                (None, Some(known)) => known.first.get(i).copied().unwrap_or(f32::NAN),
                (None, None) => dual_norm(arith, row, &rounding, query.norm),
            };
            let mut carried = if fed.error.is_empty() {
                0.0
            } else {
                rounding.inflate(arith.reach(row, fed.error))
            };
            if let Some(norm) = query.known.and_then(|known| known.rows.get(from + i).copied()) {
                // Cauchy and Schwarz, for all moves at once.
                fast = smaller(fast, mul_up(norm, span.rate));
                carried = smaller(carried, mul_up(norm, span.error));
            }
            *z = over.centre + bias;
            // The sum with the bias rounds once.
            let sum = mul_up(U, mul_up(1.000_001, z.abs()));
            let mass = add_up(add_up(over.size, carried), add_up(bias.abs(), flushed));
            let off = add_up(add_up(over.error, sum), disturbance.of(mass));
            *own = add_up(off, add_up(flushed, dropped));
            *error = add_up(carried, *own);
            *rate = add_up(add_up(fast, mul_up(moves, fast)), dropped_rate);
            if !(mass < MAGNITUDE_LIMIT && *rate < MAGNITUDE_LIMIT) {
                return Err(Error::Magnitude { layer: k });
            }
            let bends = layer.leak().is_none_or(|leak| leak < 1.0);
            let sure = z.abs() > *error;
            if bends && !sure && fast <= CONSTANT {
                // As good as constant, and as good as 0: on whichever side it is, its activation
                // differs from its pre-activation by no more than that is large.
                let size = add_up(z.abs(), add_up(*error, 4.0 * ETA));
                (*own, *error) = (add_up(*own, size), add_up(*error, size));
                *rate = add_up(*rate, mul_up(2.0 / U, fast));
                *z = 2.0 * ETA;
                *key = f32::INFINITY;
            } else {
                *key = if bends { near(*z, *error, *rate) } else { f32::INFINITY };
            }
        }
        let norms = query.known.and_then(|known| {
            let rows = known.rows.get(from..from + layer.rows)?;
            Some((known.spectral.get(k).copied()?, euclid(rows)))
        });
        self.span = match norms {
            // The layer's own moves are `moves |W_i| |a - a^|` a row; what else a row is charged
            // is small and the same for all.
            Some((spectral, frobenius)) => {
                let widest = add_up(spectral, mul_up(moves, frobenius));
                let rest = mul_up(sqrt_up(layer.rows as f32), dropped_rate);
                Span {
                    rate: add_up(mul_up(widest, span.rate), rest),
                    error: mul_up(spectral, span.error),
                }
            }
            None => Span { rate: f32::INFINITY, error: f32::INFINITY },
        };
        Ok(())
    }

    /// Keeps the live neurons of layer `k`, whose sides are known by now, and writes what feeds the
    /// next layer: three slices as long as the layer has rows.
    pub(super) fn settle(
        &mut self,
        semantics: Semantics,
        k: usize,
        layer: &Layer<'_>,
        [fed_x, fed_rate, fed_error]: [&mut [f32]; 3],
    ) -> Option<()> {
        let from = at(self.offset, k);
        let mut count = 0;
        let fed = fed_x.iter_mut().zip(&mut *fed_rate).zip(&mut *fed_error);
        for (i, ((fed_x, fed_rate), fed_error)) in fed.enumerate().take(layer.rows) {
            let z = *self.z.get(from + i)?;
            let (error, rate) = (*self.error.get(from + i)?, *self.rate.get(from + i)?);
            let mut own = *self.own.get(from + i)?;
            let slope = slope(layer.activation, z);
            (*fed_x, *fed_rate, *fed_error) = (0.0, 0.0, 0.0);
            if slope == 0.0 {
                continue;
            }
            (*fed_x, *fed_rate, *fed_error) = (layer.activation.apply(z), rate, error);
            if slope != 1.0 {
                // The product rounds: once at the point, once more where it is deployed, there for
                // a pre-activation that has moved from z.
                let deployed = semantics == Semantics::Deployed;
                let (times, moves) = if deployed { (2.0, 1.0 + 4.0 * U) } else { (1.0, 1.0) };
                let size = mul_up(U, mul_up(1.000_001, z.abs()));
                let rounds = mul_up(times, add_up(size, 4.0 * ETA / slope));
                own = add_up(own, rounds);
                *fed_error = mul_up(slope, add_up(mul_up(moves, error), rounds));
                *fed_rate = mul_up(slope, mul_up(moves, rate));
            }
            let to = from + count;
            *self.live.get_mut(to)? = i as u32;
            *self.z.get_mut(to)? = z;
            *self.error.get_mut(to)? = error;
            *self.rate.get_mut(to)? = rate;
            *self.own.get_mut(to)? = own;
            count += 1;
        }
        *self.count.get_mut(k)? = count as u32;
        // No activation is steeper than 1; a deployed leaky product rounds.
        let own = euclid(part(self.own, from, count));
        let [rate, error] = [self.span.rate, self.span.error].map(|x| mul_up(x, 1.0 + 4.0 * U));
        self.span = Span {
            rate: smaller(rate, euclid(fed_rate)),
            error: smaller(add_up(error, own), euclid(fed_error)),
        };
        Some(())
    }
}
