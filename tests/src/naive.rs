//! Verifiers as they are often written: the right formulas in f32, rounding forgotten.
//!
//! They exist to be wrong: a hand-written breaker is only worth its place if one of these
//! believes it.

use certus::network::{Affine, Network};
use certus_engine::model::Activation;

use crate::oracle::negative_slope;
use crate::region::{Norm, Region};

/// Bounds of each unit of a layer.
type Bounds = Vec<(f32, f32)>;

/// Lower bounds of `row . f(x)` that each forgetful verifier claims, with its name.
pub fn claims(network: &Network, region: &Region, row: &[f32]) -> [(&'static str, f32); 3] {
    [
        ("interval ends", intervals(network, region, row, ends)),
        ("interval centres", intervals(network, region, row, centres)),
        ("back-substitution", crown(network, region, row)),
    ]
}

fn ends(layer: &Affine, x: &Bounds) -> Bounds {
    let rows = layer.weights.chunks(layer.cols).zip(&layer.bias);
    let bounds = rows.map(|(weights, bias)| {
        let (mut lo, mut hi) = (0.0, 0.0);
        for (w, (l, u)) in weights.iter().zip(x) {
            lo += if *w >= 0.0 { w * l } else { w * u };
            hi += if *w >= 0.0 { w * u } else { w * l };
        }
        (lo + bias, hi + bias)
    });
    bounds.collect()
}

fn centres(layer: &Affine, x: &Bounds) -> Bounds {
    let rows = layer.weights.chunks(layer.cols).zip(&layer.bias);
    let bounds = rows.map(|(weights, bias)| {
        let (mut middle, mut radius) = (*bias, 0.0);
        for (w, (l, u)) in weights.iter().zip(x) {
            middle += w * (0.5 * (l + u));
            radius += w.abs() * (0.5 * (u - l));
        }
        (middle - radius, middle + radius)
    });
    bounds.collect()
}

fn intervals(
    network: &Network,
    region: &Region,
    row: &[f32],
    step: fn(&Affine, &Bounds) -> Bounds,
) -> f32 {
    let mut x: Bounds = match region.as_box() {
        Some((lo, hi)) => lo.iter().copied().zip(hi.iter().copied()).collect(),
        None => {
            let (center, eps, _) = region.as_ball().expect("a ball or a box");
            center.iter().map(|c| (c - eps as f32, c + eps as f32)).collect()
        }
    };
    for (k, layer) in network.layers.iter().enumerate() {
        x = match (k, region.as_ball()) {
            (0, Some(ball)) => {
                let rows = layer.weights.chunks(layer.cols).zip(&layer.bias);
                rows.map(|(w, &b)| (on_ball(w, b, ball), -on_ball(&negated(w), -b, ball))).collect()
            }
            _ => step(layer, &x),
        };
        for (i, (l, u)) in x.iter_mut().enumerate() {
            if layer.activation_of(i) != Activation::Identity {
                let s = negative_slope(layer.activation);
                // max(NaN, 0) is 0, as in many a ReLU.
                let bend = |z: f32| z.max(0.0) + s * z.min(0.0);
                (*l, *u) = (bend(*l), bend(*u));
            }
        }
    }
    let spec = Affine {
        rows: 1,
        cols: row.len(),
        weights: row.to_vec(),
        bias: vec![0.0],
        activation: Activation::Identity,
        through: 0,
        weight_error: 0.0,
        bias_error: 0.0,
    };
    step(&spec, &x)[0].0
}

fn negated(row: &[f32]) -> Vec<f32> {
    row.iter().map(|w| -w).collect()
}

/// `a . center + c - eps |a|_q`.
fn on_ball(a: &[f32], c: f32, (center, eps, norm): (&[f32], f64, Norm)) -> f32 {
    let dual: f32 = match norm {
        Norm::L1 => a.iter().fold(0.0, |most, a| a.abs().max(most)),
        Norm::L2 => a.iter().map(|a| a * a).sum::<f32>().sqrt(),
        Norm::Linf => a.iter().map(|a| a.abs()).sum(),
    };
    let middle: f32 = a.iter().zip(center).map(|(a, x)| a * x).sum();
    middle + c - eps as f32 * dual
}

/// Back-substitution with the adaptive lower slope, layer by layer.
fn crown(network: &Network, region: &Region, row: &[f32]) -> f32 {
    let mut known: Vec<Bounds> = Vec::new();
    for (k, layer) in network.layers.iter().enumerate() {
        let bound = |i: usize, sign: f32| {
            let unit = |j: usize| if i == j { sign } else { 0.0 };
            walk(network, region, &known, k, (0..layer.rows).map(unit).collect())
        };
        let bounds = (0..layer.rows).map(|i| (bound(i, 1.0), -bound(i, -1.0))).collect();
        known.push(bounds);
    }
    let last = network.layers.len() - 1;
    let mut a = row.to_vec();
    let c = relax(&mut a, &known[last], &network.layers[last]);
    c + walk(network, region, &known, last, a)
}

/// A lower bound of `a . z_k`.
fn walk(network: &Network, region: &Region, known: &[Bounds], k: usize, mut a: Vec<f32>) -> f32 {
    let mut c = 0.0;
    for j in (0..=k).rev() {
        let layer = &network.layers[j];
        for (a, b) in a.iter().zip(&layer.bias) {
            c += a * b;
        }
        let column = |col: usize| {
            a.iter().enumerate().map(|(i, a)| a * layer.weights[i * layer.cols + col]).sum()
        };
        a = (0..layer.cols).map(column).collect();
        if j > 0 {
            c += relax(&mut a, &known[j - 1], &network.layers[j - 1]);
        }
    }
    match (region.as_ball(), region.as_box()) {
        (Some(ball), _) => on_ball(&a, c, ball),
        (None, Some((lo, hi))) => {
            let ends = a.iter().zip(lo).zip(hi);
            ends.fold(c, |sum, ((a, l), u)| sum + if *a >= 0.0 { a * l } else { a * u })
        }
        (None, None) => unreachable!("a ball or a box"),
    }
}

/// Replaces coefficients of outputs by those of pre-activations; returns what is added.
fn relax(a: &mut [f32], bounds: &Bounds, layer: &Affine) -> f32 {
    let mut c = 0.0;
    for (i, (a, &(l, u))) in a.iter_mut().zip(bounds).enumerate() {
        let s = negative_slope(layer.activation_of(i));
        if l >= 0.0 || s == 1.0 {
            continue;
        }
        if u <= 0.0 {
            *a *= s;
        } else if *a >= 0.0 {
            *a *= if u >= -l { 1.0 } else { s };
        } else {
            let chord = (u - s * l) / (u - l);
            c += *a * (u - chord * u);
            *a *= chord;
        }
    }
    c
}
