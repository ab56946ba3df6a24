//! Random networks of every activation, and their values in f64.

use certus::network::Network;
use certus_engine::model::Activation;

use crate::curves::reference;
use crate::generate::{Case, Kind, case};

/// A network of the kind with curved activations in place of its own, some rows passing by.
pub fn curved(kind: Kind, index: u64, rng: &mut fastrand::Rng) -> Case {
    let mut case = case(seed_of(rng), kind, index);
    let last = case.net.layers.len() - 1;
    for (k, layer) in case.net.layers.iter_mut().enumerate() {
        if k == last && rng.u8(0..4) != 0 {
            continue;
        }
        layer.activation = match rng.u8(0..14) {
            0 => Activation::Abs,
            1 => Activation::Sign,
            2 => Activation::Step,
            3 => Activation::Clip(-1.0, 1.0),
            4 => Activation::Clip(0.0, 0.5),
            5 => Activation::Elu(1.0),
            6 => Activation::Elu(2.5),
            7 => Activation::Softplus,
            8 => Activation::Sigmoid,
            9 | 10 => Activation::Tanh,
            11 => Activation::Atan,
            12 => Activation::Silu,
            _ => Activation::Gelu,
        };
        if rng.u8(0..3) == 0 {
            layer.through = rng.usize(0..=layer.rows);
        }
    }
    let kinds: Vec<&str> = case.net.layers.iter().map(|l| l.activation.name()).collect();
    case.name = format!("{} with {}", case.name, kinds.join(", "));
    case
}

/// A seed for a case.
pub fn seed_of(rng: &mut fastrand::Rng) -> u64 {
    rng.u64(0..1 << 40)
}

/// Values in f64 and how far rounding may have moved them.
#[derive(Clone, Debug)]
pub struct Values {
    /// Of the neurons before their activations, layer after layer.
    pub pre: Vec<(f64, f64)>,
    /// Of the outputs.
    pub out: Vec<(f64, f64)>,
}

/// The network at `x`; `None` where a pre-activation is too close to a jump to tell its side.
pub fn evaluate(net: &Network, x: &[f32]) -> Option<Values> {
    const ROUNDING: f64 = 1e-14;
    let mut x: Vec<(f64, f64)> = x.iter().map(|x| (f64::from(*x), 0.0)).collect();
    let mut pre = Vec::new();
    for layer in &net.layers {
        let mut next = Vec::new();
        for (i, row) in layer.weights.chunks(layer.cols).enumerate() {
            let terms = row.iter().zip(&x).map(|(w, (x, _))| f64::from(*w) * x);
            let bias = f64::from(layer.bias[i]);
            let z = terms.clone().sum::<f64>() + bias;
            let size = terms.map(f64::abs).sum::<f64>() + bias.abs();
            let carried: f64 = row.iter().zip(&x).map(|(w, (_, e))| f64::from(w.abs()) * e).sum();
            let off = carried + ROUNDING * size;
            pre.push((z, off));
            next.push(activate(layer.activation_of(i), z, off)?);
        }
        x = next;
    }
    Some(Values { pre, out: x })
}

fn activate(activation: Activation, z: f64, off: f64) -> Option<(f64, f64)> {
    if let Some(leak) = activation.leak() {
        return Some((if z < 0.0 { f64::from(leak) * z } else { z }, off));
    }
    if matches!(activation, Activation::Sign | Activation::Step) {
        if z.abs() <= off {
            return None;
        }
        return Some((reference(activation, z.signum() as f32)[0], 0.0));
    }
    // The reference takes floats: carried on by the slope, at most 20 times `off` here.
    let near = z as f32;
    let [at, _] = reference(activation, near);
    let slope = f64::from(certus_engine::relax::slope_near(activation, near));
    let rest = z - f64::from(near);
    // What the second derivative adds, at most 3 for these, and a kink in between.
    let bend = match activation {
        Activation::Abs | Activation::Clip(..) | Activation::Elu(_) => 4.0 * rest.abs(),
        _ => 3.0 * rest * rest,
    };
    Some((
        at + slope * rest,
        3.0 * off + bend + 1e-14 * (at.abs() + rest.abs()) + 1e-7 * rest.abs(),
    ))
}

/// Values that are exact.
pub fn widened(values: &[f32]) -> Vec<(f64, f64)> {
    values.iter().map(|x| (f64::from(*x), 0.0)).collect()
}
