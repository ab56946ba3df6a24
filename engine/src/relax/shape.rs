//! What the rule for curved activations knows of each: its pieces, its values, its slopes.
//!
//! A piece is an interval on which the function is a line, or bends one way. At its ends values and
//! slopes are those of the piece itself: the function may jump or bend there.

use crate::model::Activation;
use crate::num::functions::Function;
use crate::num::{ETA, U, add_down, add_up, mul_down, mul_up, ratio_down, up};

/// A lower and an upper bound of a number.
pub(super) type Ends = (f32, f32);

/// How a function bends on a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bend {
    /// Not at all.
    Line,
    /// Its slope rises.
    Convex,
    /// Its slope falls.
    Concave,
    /// Both ways, an inflection being no float: the piece is a few floats wide, its second derivative
    /// below 8 in size, so that it rises above its chord by less than its width's square.
    Either,
}

/// A piece, from where the one before ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Its right end.
    pub to: f32,
    /// How the function bends.
    pub bend: Bend,
}

/// Most pieces of an activation.
pub(super) const PIECES: usize = 5;

/// Just below and above the inflections of the SiLU, the roots `+-2.399357280515..` of
/// `2 + z (1 - 2 s(z))`, s the sigmoid.
const SILU_BENDS: Ends = (2.399_357, 2.399_358);
/// Just below and above those of the GELU, whose second derivative is `(2 - z^2) phi(z)`.
const GELU_BENDS: Ends = (1.414_213_4, 1.414_213_8);
/// Around the SiLU's least value, `-0.2784645427..` at `-1.2784645427..`: place and value.
const SILU_LEAST: (Ends, Ends) = ((-1.278_465, -1.278_464), (-0.278_464_7, -0.278_464_5));
/// Around the GELU's, `-0.1699712074..` at `-0.7517915246..`.
const GELU_LEAST: (Ends, Ends) = ((-0.751_792, -0.751_791), (-0.169_971_3, -0.169_971_1));

/// The pieces of a curved activation from minus infinity to infinity, padded with empty ones.
pub(super) fn pieces(activation: Activation) -> [Piece; PIECES] {
    use Bend::{Concave, Convex, Either, Line};
    const END: f32 = f32::INFINITY;
    let list = |pieces: &[(f32, Bend)]| {
        let mut all = [Piece { to: END, bend: Line }; PIECES];
        for (slot, (to, bend)) in all.iter_mut().zip(pieces) {
            *slot = Piece { to: *to, bend: *bend };
        }
        all
    };
    let waves = |(below, above): Ends| {
        let inner = [(-above, Concave), (-below, Either), (below, Convex), (above, Either)];
        let [a, b, c, d] = inner;
        list(&[a, b, c, d, (END, Concave)])
    };
    match activation {
        Activation::Clip(lo, hi) => list(&[(lo, Line), (hi, Line), (END, Line)]),
        Activation::Elu(_) => list(&[(0.0, Convex), (END, Line)]),
        Activation::Softplus => list(&[(END, Convex)]),
        Activation::Sigmoid | Activation::Tanh | Activation::Atan => {
            list(&[(0.0, Convex), (END, Concave)])
        }
        Activation::Silu => waves(SILU_BENDS),
        Activation::Gelu => waves(GELU_BENDS),
        // Abs, sign, step: one line on either side of 0.
        _ => list(&[(0.0, Line), (END, Line)]),
    }
}

/// Encloses the function of piece `index` at `z`.
pub(super) fn value(activation: Activation, index: usize, z: f32) -> Ends {
    let point = |x: f32| (x, x);
    match (activation, index) {
        (Activation::Abs, 0) => point(-z),
        (Activation::Sign, 0) => point(-1.0),
        (Activation::Sign, _) | (Activation::Step, 1..) => point(1.0),
        (Activation::Step, 0) => point(0.0),
        (Activation::Clip(lo, _), 0) => point(lo),
        (Activation::Clip(_, hi), 2..) => point(hi),
        (Activation::Elu(scale), 0) => times((scale, scale), Function::Expm1.enclose(z)),
        (Activation::Softplus, _) => Function::Softplus.enclose(z),
        (Activation::Sigmoid, _) => Function::Sigmoid.enclose(z),
        (Activation::Tanh, _) => Function::Tanh.enclose(z),
        (Activation::Atan, _) => Function::Atan.enclose(z),
        (Activation::Silu, _) => times((z, z), Function::Sigmoid.enclose(z)),
        (Activation::Gelu, _) => times((z, z), Function::NormalCdf.enclose(z)),
        _ => point(z),
    }
}

/// Encloses the slope of piece `index` at `z`.
pub(super) fn slope(activation: Activation, index: usize, z: f32) -> Ends {
    let point = |x: f32| (x, x);
    let one = point(1.0);
    match (activation, index) {
        (Activation::Abs, 0) => point(-1.0),
        (Activation::Sign | Activation::Step, _) | (Activation::Clip(..), 0 | 2..) => point(0.0),
        (Activation::Elu(scale), 0) => times((scale, scale), Function::Exp.enclose(z)),
        (Activation::Softplus, _) => Function::Sigmoid.enclose(z),
        (Activation::Sigmoid, _) => sigmoid_slope(z),
        // 1/cosh^2 as four times the sigmoid's slope at 2z: no cancellation far out.
        (Activation::Tanh, _) => {
            let (lo, hi) = sigmoid_slope(2.0 * z);
            (4.0 * lo, 4.0 * hi)
        }
        (Activation::Atan, _) => {
            let below = add_down(1.0, mul_down(z, z));
            let above = add_up(1.0, mul_up(z, z));
            (ratio_down(1.0, above), ratio_up(below))
        }
        // With z s(z), s' = s (1 - s): the slope is s(z) (1 + z s(-z)).
        (Activation::Silu, _) => {
            let rest = times((z, z), Function::Sigmoid.enclose(-z));
            times(Function::Sigmoid.enclose(z), plus(one, rest))
        }
        (Activation::Gelu, _) => {
            plus(Function::NormalCdf.enclose(z), times((z, z), Function::NormalPdf.enclose(z)))
        }
        _ => one,
    }
}

/// Encloses the sigmoid's slope, the product of its values at `z` and at `-z`.
fn sigmoid_slope(z: f32) -> Ends {
    times(Function::Sigmoid.enclose(z), Function::Sigmoid.enclose(-z))
}

/// The slope beside `z` in floats: no bound.
pub(super) fn slope_near(activation: Activation, z: f32) -> f32 {
    match activation {
        Activation::Tanh => {
            let y = Function::Tanh.value(z);
            (1.0 - y) * (1.0 + y)
        }
        Activation::Atan => 1.0 / (1.0 + z * z),
        Activation::Sigmoid => {
            let y = Function::Sigmoid.value(z);
            y * (1.0 - y)
        }
        _ => slope(activation, index_at(activation, z), z).1,
    }
}

/// The piece that `z` lies in, the right one between two.
fn index_at(activation: Activation, z: f32) -> usize {
    pieces(activation).iter().take_while(|piece| piece.to <= z).count().min(PIECES - 1)
}

/// The one line that the activation is over `[lo, hi]`, as slope and intercept, both exact.
pub(super) fn exact_line(activation: Activation, lo: f32, hi: f32) -> Option<(f32, f32)> {
    match activation {
        Activation::Abs if lo >= 0.0 => Some((1.0, 0.0)),
        Activation::Abs if hi <= 0.0 => Some((-1.0, 0.0)),
        Activation::Sign if lo > 0.0 => Some((0.0, 1.0)),
        Activation::Sign if hi < 0.0 => Some((0.0, -1.0)),
        Activation::Step if lo >= 0.0 => Some((0.0, 1.0)),
        Activation::Step if hi < 0.0 => Some((0.0, 0.0)),
        Activation::Clip(least, _) if hi <= least => Some((0.0, least)),
        Activation::Clip(_, most) if lo >= most => Some((0.0, most)),
        Activation::Clip(least, most) if lo >= least && hi <= most => Some((1.0, 0.0)),
        Activation::Elu(_) if lo >= 0.0 => Some((1.0, 0.0)),
        _ => None,
    }
}

/// Ends of the values over `[lo, hi]`.
pub(super) fn range(activation: Activation, lo: f32, hi: f32) -> Ends {
    let at = |z: f32| value(activation, index_at(activation, z), z);
    let (left, right) = (at(lo), at(hi));
    let falls_first = |((from, to), (least, _)): (Ends, Ends)| {
        // The slope is negative left of the lowest point and positive right of it.
        let below = if lo < to && hi > from { least } else { smaller(left.0, right.0) };
        (below, larger(left.1, right.1))
    };
    match activation {
        Activation::Abs if lo < 0.0 && hi > 0.0 => (0.0, larger(-lo, hi)),
        Activation::Abs => (smaller(left.0, right.0), larger(left.1, right.1)),
        // At the jump itself either side's value may be asked for.
        Activation::Sign if lo == 0.0 => (0.0, right.1),
        Activation::Sign if hi == 0.0 => (left.0, 0.0),
        Activation::Silu => falls_first(SILU_LEAST),
        Activation::Gelu => falls_first(GELU_LEAST),
        _ => (left.0, right.1),
    }
}

/// Upper bound of `|apply(z) - sigma(z)|` over `[lo, hi]`, given ends of `sigma` there.
pub(super) fn apply_error(activation: Activation, lo: f32, hi: f32, (below, above): Ends) -> f32 {
    let function = match activation {
        Activation::Elu(_) if lo < 0.0 => Function::Expm1,
        Activation::Softplus => Function::Softplus,
        Activation::Sigmoid | Activation::Silu => Function::Sigmoid,
        Activation::Tanh => Function::Tanh,
        Activation::Atan => Function::Atan,
        Activation::Gelu => Function::NormalCdf,
        _ => return 0.0,
    };
    // A unit in the last place is at most 2 U of the value, and the product rounds once more; where
    // the function underflows, ETA meets the other factor.
    let units = (2 * function.ulps() + 2) as f32;
    let factor = match activation {
        Activation::Elu(scale) => scale,
        Activation::Silu | Activation::Gelu => larger(lo.abs(), hi.abs()),
        _ => 1.0,
    };
    let size = larger(below.abs(), above.abs());
    // What the ends are off by themselves is of second order.
    let relative = mul_up(mul_up(1.000_01, units * U), size);
    add_up(relative, mul_up(8.0 * ETA, add_up(1.0, factor)))
}

fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// Ends of the product of two enclosed numbers.
fn times((a, b): Ends, (c, d): Ends) -> Ends {
    let lo =
        smaller(smaller(mul_down(a, c), mul_down(a, d)), smaller(mul_down(b, c), mul_down(b, d)));
    let hi = larger(larger(mul_up(a, c), mul_up(a, d)), larger(mul_up(b, c), mul_up(b, d)));
    (lo, hi)
}

/// Ends of their sum.
fn plus((a, b): Ends, (c, d): Ends) -> Ends {
    (add_down(a, c), add_up(b, d))
}

/// Upper bound of `1 / b`, b being at least 1: a guess, accepted because its product with b, rounded
/// down, reaches 1.
fn ratio_up(b: f32) -> f32 {
    let mut ratio = up(1.0 / b);
    for _ in 0..4 {
        if mul_down(ratio, b) >= 1.0 {
            return ratio;
        }
        ratio = up(ratio);
    }
    1.0
}
