//! Forward passes in f32, as other runtimes may order their sums.

use certus::network::Network;

/// How the sum `b + sum w_j x_j` is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// First to last, the bias last.
    Sequential,
    /// The bias first, then first to last.
    BiasFirst,
    /// Last to first, the bias last.
    Reversed,
    /// Halves added recursively.
    Pairwise,
    /// The bias first, fused multiply-adds.
    Fused,
    /// Ascending by the terms' values: cancellation comes as late as it can.
    Ascending,
    /// As `Sequential` on an FPU that flushes subnormal operands and results to zero.
    Flushing,
}

impl Order {
    /// Every order.
    pub const ALL: [Order; 7] = [
        Order::Sequential,
        Order::BiasFirst,
        Order::Reversed,
        Order::Pairwise,
        Order::Fused,
        Order::Ascending,
        Order::Flushing,
    ];

    fn affine(self, weights: &[f32], bias: f32, x: &[f32]) -> f32 {
        let terms = || weights.iter().zip(x).map(|(w, x)| w * x);
        match self {
            Order::Sequential => terms().fold(0.0, |sum, t| sum + t) + bias,
            Order::BiasFirst => terms().fold(bias, |sum, t| sum + t),
            Order::Reversed => terms().rev().fold(0.0, |sum, t| sum + t) + bias,
            Order::Pairwise => pairwise(&terms().collect::<Vec<f32>>()) + bias,
            Order::Fused => weights.iter().zip(x).fold(bias, |sum, (w, x)| w.mul_add(*x, sum)),
            Order::Ascending => {
                let mut all: Vec<f32> = terms().chain([bias]).collect();
                all.sort_by(f32::total_cmp);
                all.into_iter().fold(0.0, |sum, t| sum + t)
            }
            Order::Flushing => {
                let terms = weights.iter().zip(x).map(|(w, x)| flush(flush(*w) * flush(*x)));
                flush(terms.fold(0.0, |sum, t| flush(sum + t)) + flush(bias))
            }
        }
    }
}

/// 0 in place of a subnormal number.
fn flush(x: f32) -> f32 {
    if x.is_subnormal() { 0.0 } else { x }
}

fn pairwise(terms: &[f32]) -> f32 {
    match terms {
        [] => 0.0,
        [one] => *one,
        more => {
            let (low, high) = more.split_at(more.len() / 2);
            pairwise(low) + pairwise(high)
        }
    }
}

/// Pre-activations of all layers, layer after layer, and the outputs at `x`.
pub fn pass(net: &Network, x: &[f32], order: Order) -> (Vec<f32>, Vec<f32>) {
    let mut pre = Vec::new();
    let mut x = x.to_vec();
    for layer in &net.layers {
        let rows = layer.weights.chunks(layer.cols).zip(&layer.bias);
        let z: Vec<f32> = rows.map(|(w, b)| order.affine(w, *b, &x)).collect();
        x = z.iter().enumerate().map(|(i, z)| layer.activation_of(i).apply(*z)).collect();
        if order == Order::Flushing {
            x.iter_mut().for_each(|x| *x = flush(*x));
        }
        pre.extend(z);
    }
    (pre, x)
}
