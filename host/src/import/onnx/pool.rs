//! Average pooling: a layer of ones, then each row divided by the number of its taps.

use super::call::{Call, Value};
use super::conv::{Edge, Window, kernel_shape};
use super::tensor::count;
use crate::import::chain::{Chain, Checked};
use crate::import::exact::Approx;

/// The attributes of AveragePool.
pub(super) const ATTRIBUTES: &[&str] =
    &["auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides"];

pub(super) fn average_pool(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let shape = call.signal(0)?;
    let &[batch, channels, ref spatial @ ..] = shape else {
        return Err(format!(
            "a value of shape {shape:?}; expected a batch, channels and spatial axes"
        ));
    };
    let kernel = kernel_shape(call, None)?;
    if kernel.len() != spatial.len() || spatial.is_empty() {
        return Err(format!("a kernel of shape {kernel:?} for a value of shape {shape:?}"));
    }
    let edge = if call.flag("ceil_mode")? { Edge::Meets } else { Edge::Within };
    let window = Window::new(call, spatial, &kernel, edge, chain.limits().elements)?;
    let out = [&[batch, channels], window.output.as_slice()].concat();
    let sizes = (count(&window.output), count(spatial), count(&kernel), count(&out));
    let (Some(positions), Some(size), Some(taps), Some(rows)) = sizes else {
        return Err("a shape beyond memory".into());
    };
    chain.charge((rows as u64).saturating_add(positions as u64).saturating_mul(taps as u64))?;
    let most = chain.limits().elements;
    if positions > most {
        return Err(format!("shape {out:?}; at most {most} elements are read"));
    }
    let with_pads = call.flag("count_include_pad")?;
    let mut factors = Vec::with_capacity(positions);
    for position in 0..positions {
        let mut on_input = 0usize;
        window.taps(position, |_, _| on_input += 1);
        if on_input == 0 {
            return Err("a window that lies on padding alone".into());
        }
        let taps = if with_pads { taps } else { on_input };
        factors.push(Approx::ONE.div(Approx::exact(taps as f64)));
    }
    chain.dense(rows, 0.0, |r, row| {
        window.taps(r % positions, |_, at| {
            if let Some(to) = row.get_mut(r / positions * size + at) {
                *to = 1.0;
            }
        });
    })?;
    chain.scale_and_shift(|i| {
        (factors.get(i % positions).copied().unwrap_or(Approx::exact(f64::NAN)), Approx::ZERO)
    })?;
    Ok(Value::Signal(out))
}

pub(super) fn global_average_pool(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let shape = call.signal(0)?;
    let &[batch, channels, ref spatial @ ..] = shape else {
        return Err(format!(
            "a value of shape {shape:?}; expected a batch, channels and spatial axes"
        ));
    };
    let size = count(spatial).ok_or("a shape beyond memory")?;
    let rows = batch.checked_mul(channels).ok_or("a shape beyond memory")?;
    chain.dense(rows, 0.0, |r, row| {
        if let Some(part) = row.get_mut(r * size..(r + 1) * size) {
            part.fill(1.0);
        }
    })?;
    let factor = Approx::ONE.div(Approx::exact(size as f64));
    chain.scale_and_shift(|_| (factor, Approx::ZERO))?;
    let mut out = vec![batch, channels];
    out.resize(shape.len(), 1);
    Ok(Value::Signal(out))
}
