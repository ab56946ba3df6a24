//! The largest counted work of a call, from the model's shape alone: a constant where the model is one.

use super::{Method, Options, choice};
use crate::model::{Activation, Model};
use crate::region::MOST_PASSES;
use crate::relax::LowerSlope;
use crate::spec::Spec;

/// Multiply-adds of one [`super::forward`].
pub const fn forward_macs(model: &Model<'_>) -> u64 {
    let mut sum = 0;
    let mut k = 0;
    while k < model.depth() {
        sum = add(sum, weights(model, k));
        k += 1;
    }
    sum
}

/// Upper bound of the [`super::Work::macs`] of one [`super::lower_bounds`] with any workspace, over any
/// ball or box; a ball cut by a box takes a search more ([`super::Work::row_macs`]).
///
/// With `r_j x c_j` the weights of layer j, n the inputs and S the rows walked: intervals take
/// `4 sum r_j c_j + r_0 c_0`; the rows `S (3 r_last + sum (3 r_j + r_j c_j))` over the layers that they
/// step through, and a pass over what they reach, two over the inputs; each neuron of layer k that is
/// back-substituted `sum_(j<k) (6 r_j + 2 r_j c_j + 2 c_j) + 2 n` (Fast-Lin `r_j c_j`); functions
/// carried `r_k (2 c_k n + 2 c_k + 12 n)` a layer; where a call may end early, a pass over what the
/// rows reach in each layer, and intervals and rows once more for each layer that is walked. But for
/// that, reached where no neuron is dead, settled, or shared by both walks. The size of a block has no
/// part in it.
pub const fn most_macs(model: &Model<'_>, options: &Options, spec: &Spec<'_>) -> u64 {
    let last = model.depth() - 1;
    let inputs = model.inputs() as u64;
    let rectified = matches!(spec, Spec::Margins { .. })
        && matches!(model.activation(last), Activation::Relu)
        && model.through(last) == 0;
    let rows = add(spec.count(model.outputs()) as u64, rectified as u64);
    let both = if matches!(options.slope(), LowerSlope::SameAsUpper) { 1 } else { 2 };
    let carries = choice::carries(model, options);
    let (mut intervals, mut walks, mut carried) = (mul(weights(model, 0), MOST_PASSES - 1), 0, 0);
    // Layers before whose walks the rows may be tried.
    let mut tries = 0;
    // One neuron's walk through the layers below, and one row's through all.
    let (mut back, mut through) = (0, mul(MOST_PASSES, inputs));
    let mut k = 0;
    while k <= last {
        let (r, c) = (model.rows(k) as u64, columns(model, k));
        let product = weights(model, k);
        intervals = add(intervals, mul(4, product));
        let line = (rectified && k == last) || matches!(model.activation(k), Activation::Identity);
        if k > 0 && options.method.walks_neurons() && (options.every_neuron || !line) {
            walks = add(walks, mul(r, back));
            tries += options.early as u64;
        }
        let reached = if k == 0 { mul(MOST_PASSES, c) } else { c };
        back = add(back, add(add(mul(6, r), mul(both, product)), mul(2, reached)));
        let seen = if options.early && k > 0 { c } else { 0 };
        through = add(through, add(add(mul(3, r), product), seen));
        if carries {
            // Its functions and their ends, then its activations.
            let step = add(mul(product, inputs), add(product, mul(MOST_PASSES, mul(r, inputs))));
            let relax = mul(4 + 2 * MOST_PASSES, mul(r, inputs));
            carried = add(carried, add(if k > 0 { mul(2, step) } else { 0 }, relax));
        }
        k += 1;
    }
    let (outputs, cols) = (model.outputs() as u64, columns(model, last));
    let short = matches!(options.method, Method::Ibp | Method::Forward) && last > 0;
    let each = if short {
        let merged = add(add(mul(3, outputs), weights(model, last)), cols);
        let meet = mul(2, add(mul(cols, inputs), add(cols, mul(MOST_PASSES, inputs))));
        if matches!(options.method, Method::Forward) { add(merged, meet) } else { merged }
    } else {
        through
    };
    let rows = mul(rows, add(mul(3, outputs), each));
    let again = mul(tries, add(intervals, rows));
    add(add(intervals, add(walks, carried)), add(rows, again))
}

/// Columns of layer `k`.
const fn columns(model: &Model<'_>, k: usize) -> u64 {
    match k.checked_sub(1) {
        Some(before) => model.rows(before) as u64,
        None => model.inputs() as u64,
    }
}

/// Weights of layer `k`.
pub(crate) const fn weights(model: &Model<'_>, k: usize) -> u64 {
    mul(model.rows(k) as u64, columns(model, k))
}

/// What is too much to count stays so.
pub(crate) const fn add(a: u64, b: u64) -> u64 {
    a.saturating_add(b)
}

/// As [`add`].
pub(crate) const fn mul(a: u64, b: u64) -> u64 {
    a.saturating_mul(b)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::bounds::tests::build;
    use crate::bounds::{Portable, Size, Tighten, Workspace, lower_bounds};
    use crate::model::blob;
    use crate::region::{Norm, Region};

    /// Weights of either sign and no bias: around 0 every neuron stays open.
    fn open(last: u32) -> Vec<u32> {
        let w = |n: usize, seed: usize| -> Vec<f32> {
            let sign = |i: usize| if (i * i + seed * i / 3).is_multiple_of(2) { 1.0 } else { -1.0 };
            (0..n).map(|i| sign(i) * (0.5 + ((i * 7 + seed) % 5) as f32)).collect()
        };
        build(&[
            (5, 3, blob::RELU, &w(15, 1), &[0.0; 5]),
            (4, 5, blob::RELU, &w(20, 2), &[0.0; 4]),
            (6, 4, blob::RELU, &w(24, 3), &[0.0; 6]),
            (2, 6, last, &w(12, 4), &[0.0; 2]),
        ])
    }

    fn macs(words: &[u32], region: &Region<'_>, spec: &Spec<'_>, options: &Options) -> u64 {
        let model = Model::from_words(words).unwrap();
        let size = Size::of_options(&model, options, 2);
        let (mut floats, mut indices) = (vec![f32::NAN; size.floats], vec![9; size.indices]);
        let workspace = Workspace { floats: &mut floats, indices: &mut indices };
        let mut out = vec![0.0; spec.count(model.outputs())];
        let found = lower_bounds(&mut Portable, &model, region, spec, options, workspace, &mut out);
        found.unwrap().work.macs()
    }

    #[test]
    fn reached_where_every_neuron_is_open() {
        let x = [0.0; 3];
        let ball = |norm| Region::ball(&x, 1.0, norm);
        let methods = [Method::Ibp, Method::CrownIbp, Method::FastLin, Method::Crown];
        for last in [blob::IDENTITY, blob::RELU] {
            let words = open(last);
            let model = Model::from_words(&words).unwrap();
            for spec in [Spec::Outputs, Spec::Margins { class: 1 }] {
                for method in methods {
                    let options = Options::new(method);
                    let most = most_macs(&model, &options, &spec);
                    assert_eq!(macs(&words, &ball(Norm::L2), &spec, &options), most, "{method:?}");
                    // A box takes one pass over the inputs where a ball takes two.
                    let found = macs(&words, &ball(Norm::Linf), &spec, &options);
                    assert!(found < most && 10 * found > 9 * most, "{method:?} {found} {most}");
                }
                for method in [Method::Forward, Method::ForwardBackward, Method::Crown] {
                    let options = Options { tighten: Tighten::Both, ..Options::new(method) };
                    let most = most_macs(&model, &options, &spec);
                    let found = macs(&words, &ball(Norm::L2), &spec, &options);
                    assert!(found <= most && 4 * found > 3 * most, "{method:?} {found} {most}");
                }
            }
        }
    }

    #[test]
    fn by_hand() {
        // 2 x 2 and 1 x 2 weights, two rows: intervals 4*6 + 4, rows 2*(3 + 3 + 2 + 2) in the end,
        // back to the inputs 2*(3 + 3 + 2 + 6 + 4 + 4).
        let words = build(&[
            (2, 2, blob::RELU, &[1.0, 1.0, 1.0, -1.0], &[0.0, 0.0]),
            (1, 2, blob::IDENTITY, &[1.0, 1.0], &[-1.0]),
        ]);
        let model = Model::from_words(&words).unwrap();
        let most = |method| most_macs(&model, &Options::new(method), &Spec::Outputs);
        assert_eq!(forward_macs(&model), 6);
        assert_eq!(most(Method::Ibp), 28 + 20);
        assert_eq!(most(Method::CrownIbp), 28 + 44);
        assert_eq!(most(Method::Crown), 28 + 44);
    }
}
