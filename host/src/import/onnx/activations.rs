//! Activations, and what becomes one between two scalings.
//!
//! A scaling beside an activation is exact in the sense of [`Approx`]: what it rounds is in the
//! errors of the layers that it reaches.

use certus_engine::model::Activation;

use super::call::{Call, Value};
use crate::import::activation;
use crate::import::chain::{Chain, Checked};
use crate::import::exact::Approx;

/// `activation` on the value.
fn plain(call: &Call<'_>, chain: &mut Chain, activation: Activation) -> Checked<Value> {
    let shape = call.signal(0)?;
    chain.activate(activation)?;
    Ok(Value::Signal(shape.to_vec()))
}

/// `outer * activation(inner * z)`.
fn scaled(
    call: &Call<'_>,
    chain: &mut Chain,
    inner: Approx,
    activation: Activation,
    outer: Approx,
) -> Checked<Value> {
    chain.scale_and_shift(|_| (inner, Approx::ZERO))?;
    let value = plain(call, chain, activation)?;
    chain.scale_and_shift(|_| (outer, Approx::ZERO))?;
    Ok(value)
}

pub(super) fn relu(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    plain(call, chain, Activation::Relu)
}

pub(super) fn abs(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    plain(call, chain, Activation::Abs)
}

pub(super) fn sign(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    plain(call, chain, Activation::Sign)
}

pub(super) fn softplus(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    plain(call, chain, Activation::Softplus)
}

pub(super) fn sigmoid(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    plain(call, chain, Activation::Sigmoid)
}

pub(super) fn tanh(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    plain(call, chain, Activation::Tanh)
}

pub(super) fn atan(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    plain(call, chain, Activation::Atan)
}

pub(super) fn leaky_relu(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let slope = call.float("alpha", 0.01)?;
    if !(0.0..=1.0).contains(&slope) {
        return Err(format!("slope {slope}; expected 0 to 1"));
    }
    plain(call, chain, Activation::LeakyRelu(slope))
}

pub(super) fn elu(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let scale = call.float("alpha", 1.0)?;
    plain(call, chain, activation::elu(f64::from(scale))?)
}

/// `min(max(alpha z + beta, 0), 1)`.
pub(super) fn hard_sigmoid(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let number = |name, default| call.float(name, default).map(|x| Approx::exact(f64::from(x)));
    let (alpha, beta) = (number("alpha", 0.2)?, number("beta", 0.5)?);
    chain.scale_and_shift(|_| (alpha, beta))?;
    plain(call, chain, Activation::Clip(0.0, 1.0))
}

/// `min(max(z, lo), hi)`. One limit alone is a ReLU between two shifts:
/// `max(z, lo) = lo + relu(z - lo)`, `min(z, hi) = hi - relu(hi - z)`.
pub(super) fn clip(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let shape = call.signal(0)?.to_vec();
    let (lo, hi) = limits(call)?;
    let shifted = |chain: &mut Chain, sign: f64, shift: f64| {
        chain.scale_and_shift(|_| (Approx::exact(sign), Approx::exact(shift)))
    };
    match (lo, hi) {
        (None, None) => {}
        (Some(lo), None) => {
            shifted(chain, 1.0, -lo)?;
            chain.activate(Activation::Relu)?;
            shifted(chain, 1.0, lo)?;
        }
        (None, Some(hi)) => {
            shifted(chain, -1.0, hi)?;
            chain.activate(Activation::Relu)?;
            shifted(chain, -1.0, hi)?;
        }
        (Some(lo), Some(hi)) => chain.activate(activation::clip(lo, hi)?)?,
    }
    Ok(Value::Signal(shape))
}

/// The limits of Clip: attributes before operator set 11, inputs since. One at or beyond the
/// largest f32 is none.
fn limits(call: &Call<'_>) -> Checked<(Option<f64>, Option<f64>)> {
    let get = |name: &str, input: usize, none: f32| -> Checked<Option<f64>> {
        let stated = call.node.attributes.iter().any(|attribute| attribute.name == name);
        let value = match call.optional(input) {
            Some(_) if call.opset >= 11 => scalar(call, input)?,
            Some(_) => return Err(format!("input {input} before operator set 11")),
            None if stated && call.opset >= 11 => {
                return Err(format!("attribute '{name}' is not supported since operator set 11"));
            }
            None => f64::from(call.float(name, none)?),
        };
        let within = if none < 0.0 { value > f64::from(none) } else { value < f64::from(none) };
        Ok(Some(value).filter(|value| within || value.is_nan()))
    };
    let (lo, hi) = (get("min", 1, f32::MIN)?, get("max", 2, f32::MAX)?);
    match [lo, hi].into_iter().flatten().find(|limit| !limit.is_finite()) {
        Some(limit) => Err(format!("limit {limit}")),
        None => Ok((lo, hi)),
    }
}

/// Operand `i`: a constant of one element.
fn scalar(call: &Call<'_>, i: usize) -> Checked<f64> {
    let tensor = call.constant(i)?;
    if tensor.len() != 1 {
        return Err(format!("{} has shape {:?}; expected one number", call.name(i), tensor.shape));
    }
    Ok(tensor.number(0))
}

pub(super) fn gelu(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    match call.text("approximate", "none")? {
        "none" => plain(call, chain, Activation::Gelu),
        _ => Err("an approximation of it ('approximate' is not 'none'): not supported".into()),
    }
}

/// `z sigmoid(alpha z) = silu(alpha z) / alpha`.
pub(super) fn swish(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let alpha = Approx::exact(f64::from(call.float("alpha", 1.0)?));
    silu(call, chain, alpha)
}

fn silu(call: &Call<'_>, chain: &mut Chain, alpha: Approx) -> Checked<Value> {
    if alpha.value == 0.0 {
        return Err("a factor of 0 within the sigmoid".into());
    }
    scaled(call, chain, alpha, Activation::Silu, Approx::ONE.div(alpha))
}

/// Operand `i` as a factor of every element of a value of rank `rank`; 1 if it is not given.
fn factor(call: &Call<'_>, i: usize, rank: usize) -> Checked<Approx> {
    let Some(tensor) = call.optional_constant(i)? else { return Ok(Approx::ONE) };
    if tensor.len() != 1 || tensor.shape.len() > rank {
        return Err(format!(
            "{} has shape {:?}; expected one number, as in GELU and SiLU",
            call.name(i),
            tensor.shape
        ));
    }
    Ok(call.numbers(i)?.exact(0))
}

/// `z * Sigmoid(k z)`; operands: z, and a factor and a divisor of k.
pub(super) fn gated_by_sigmoid(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let rank = call.signal(0)?.len();
    let k = factor(call, 1, rank)?.div(factor(call, 2, rank)?);
    silu(call, chain, k)
}

/// `h z (1 + erf(k z)) = (2 h / r) gelu(r z)` with `r = sqrt(2) k`; operands: z, a factor and a
/// divisor of k, the 1, and two factors of h.
///
/// With the file's rounded root of 2 in it, r is 1 within 2^-24.
pub(super) fn gated_by_erf(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let rank = call.signal(0)?.len();
    let k = factor(call, 1, rank)?.div(factor(call, 2, rank)?);
    if !factor(call, 3, rank)?.is(1.0) {
        return Err(format!("{} is not 1, as in GELU: not supported", call.name(3)));
    }
    let h = factor(call, 4, rank)?.mul(factor(call, 5, rank)?);
    let r = Approx::exact(2.0).sqrt().mul(k);
    if k.value == 0.0 {
        return Err("a factor of 0 within Erf".into());
    }
    scaled(call, chain, r, Activation::Gelu, Approx::exact(2.0).mul(h).div(r))
}
