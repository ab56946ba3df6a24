//! When no slopes can do: the convex barrier of single neurons, from its other side.
//!
//! Whatever slopes and pre-activation bounds a search finds, it bounds a row from below over a set:
//! the points whose activations lie, neuron by neuron, between the lines over the neuron's bounds
//! (Salman et al., "A Convex Relaxation Barrier", 2019). A point of that set at which a margin is
//! not positive ends the search before it begins. The bounds that a search will find are not known
//! yet, but they hold at every point of the set; so the hull of what a neuron takes at some of them
//! lies between any bounds to come, and the lines over it are no wider than any to come.
//!
//! Floats throughout, for what is decided here is effort alone: a wrong answer costs a certificate
//! that there might have been, never a wrong one.

use certus_engine::model::Model;
use certus_engine::relax;
use ndarray::{Array2, Axis, Zip, aview1};

use super::{Around, TOGETHER, walk};
use crate::slopes::live::{Live, gather};

/// By how much a margin must be below 0 to count: absolutely and of its bias, and of its terms' sizes.
const SURE: [f32; 2] = [1e-3, 1e-5];

/// A layer's hulls.
struct Hull {
    lo: Vec<f32>,
    hi: Vec<f32>,
}

impl Hull {
    fn new(layer: &Live) -> Self {
        Self { lo: layer.lo.clone(), hi: layer.hi.clone() }
    }

    /// The chord of `max(leak*z, z)` over neuron `i`'s hull: slope and intercept.
    fn chord(&self, i: usize, leak: f32) -> (f32, f32) {
        let (lo, hi) = (self.lo[i], self.hi[i]);
        if lo >= 0.0 {
            (1.0, 0.0)
        } else if hi <= 0.0 {
            (leak, 0.0)
        } else {
            let slope = (hi - leak * lo) / (hi - lo);
            (slope, hi * (1.0 - slope))
        }
    }
}

/// Rows over the last layer's pre-activations, and the set that bounds them.
pub(crate) struct Barrier<'a> {
    around: &'a Around<'a>,
    inner: Vec<Live>,
    /// Rows over the activations of the last of `inner`, and what is added to each.
    rows: Array2<f32>,
    rest: Vec<f32>,
    macs: u64,
}

impl<'a> Barrier<'a> {
    /// Of the rows of `matrix` over the pre-activations of the last layer of `model`; `ends` of all
    /// neurons. None where an activation is not of two lines.
    ///
    /// Memory: the live weights.
    pub fn new(
        model: &Model<'_>,
        around: &'a Around<'a>,
        ends: (&[f32], &[f32]),
        matrix: &[f32],
    ) -> Option<Self> {
        let mut inner = gather(model, ends);
        let last = inner.pop()?;
        let mut activations = inner.iter().flat_map(|layer| &layer.activation);
        if !activations.all(|activation| activation.leak().is_some_and(|leak| leak <= 1.0)) {
            return None;
        }
        let width = last.bias.len();
        let shape = (matrix.len() / width.max(1), width);
        let rows = Array2::from_shape_vec(shape, matrix.to_vec()).ok()?;
        let rest = rows.dot(&aview1(&last.bias)).to_vec();
        let rows = rows.dot(&last.weights);
        Some(Self { around, inner, rows, rest, macs: 0 })
    }

    /// Multiply-adds done.
    pub fn macs(&self) -> u64 {
        self.macs
    }

    /// Whether no slopes bound all rows above 0 from these ends. Work: three products of the rows
    /// with each layer.
    pub fn given(&mut self) -> bool {
        let hulls: Vec<Hull> = self.inner.iter().map(Hull::new).collect();
        self.bars(&hulls)
    }

    /// Whether no slopes bound all rows above 0, from no ends that lie within these. Work: three
    /// products a layer for each unstable neuron of the layers after it; memory: the neurons of all
    /// layers for 256 rows.
    pub fn any(&mut self) -> bool {
        let mut hulls: Vec<Hull> = Vec::with_capacity(self.inner.len());
        for (k, layer) in self.inner.iter().enumerate() {
            let mut hull = Hull::new(layer);
            let unstable: Vec<usize> = (0..layer.index.len())
                .filter(|i| relax::is_unstable(layer.activation[*i], layer.lo[*i], layer.hi[*i]))
                .collect();
            for some in unstable.chunks(TOGETHER).take_while(|_| k > 0) {
                let rows = layer.weights.select(Axis(0), some);
                let before = &self.inner[..k];
                let [low, high] = extremes(self.around, before, &hulls, &rows, &mut self.macs);
                for ((i, low), high) in some.iter().zip(low).zip(high) {
                    let bias = layer.bias[*i];
                    let (low, high) = (low.sum + bias, high.sum + bias);
                    (hull.lo[*i], hull.hi[*i]) = (low.min(high), low.max(high));
                }
            }
            hulls.push(hull);
        }
        self.bars(&hulls)
    }

    fn bars(&mut self, hulls: &[Hull]) -> bool {
        let [low, _] = extremes(self.around, &self.inner, hulls, &self.rows, &mut self.macs);
        let [least, noise] = SURE;
        low.iter().zip(&self.rest).any(|(Value { sum, size }, rest)| {
            sum + rest < -least * (1.0 + rest.abs()) - noise * size
        })
    }
}

/// A row's value at a point.
struct Value {
    sum: f32,
    /// The sum of its terms' magnitudes.
    size: f32,
}

/// Values of rows over the activations of the last of `layers`, at points of the set where they are
/// low and where they are high.
///
/// The point: the input where the row, carried back through the chords, is least; on from there each
/// neuron at its chord or at its activation, as the row's coefficient on it has it.
fn extremes(
    around: &Around<'_>,
    layers: &[Live],
    hulls: &[Hull],
    rows: &Array2<f32>,
    macs: &mut u64,
) -> [Vec<Value>; 2] {
    let mut coefficients = Vec::with_capacity(layers.len());
    let mut back = rows.clone();
    for (layer, hull) in layers.iter().zip(hulls).rev() {
        coefficients.push(back.clone());
        for (i, mut column) in back.columns_mut().into_iter().enumerate() {
            let leak = layer.activation[i].leak().unwrap_or(1.0);
            column *= hull.chord(i, leak).0;
        }
        *macs += (back.nrows() * layer.weights.len()) as u64;
        back = back.dot(&layer.weights);
    }
    coefficients.reverse();
    [1.0f32, -1.0].map(|side| {
        let mut points = Array2::zeros(back.raw_dim());
        let signed = &back * side;
        walk::all_least(around, &signed, &mut points);
        for ((layer, hull), a) in layers.iter().zip(hulls).zip(&coefficients) {
            *macs += (points.nrows() * layer.weights.len()) as u64;
            points = walk::forth(&points, layer);
            for (i, mut column) in points.columns_mut().into_iter().enumerate() {
                let leak = layer.activation[i].leak().unwrap_or(1.0);
                let (slope, icpt) = hull.chord(i, leak);
                let (lo, hi) = (hull.lo[i], hull.hi[i]);
                Zip::from(&mut column).and(a.column(i)).for_each(|z, a| {
                    let bent = (leak * *z).max(*z);
                    let above = side * a < 0.0 && lo < *z && *z < hi;
                    *z = if above { slope * *z + icpt } else { bent };
                });
            }
        }
        let both = rows.rows().into_iter().zip(points.rows());
        both.map(|(row, point)| Value {
            sum: row.dot(&point),
            size: row.iter().zip(point).map(|(a, x)| (a * x).abs()).sum(),
        })
        .collect()
    })
}

#[cfg(test)]
mod tests {
    use certus_engine::model::Activation;
    use certus_engine::region::Norm;

    use super::*;
    use crate::blob::{WeightKind, pack};
    use crate::network::{Network, affine};

    /// Whether the margin `c - relu(r - s)` of a net with one input in [-1, 1] is barred, where r and
    /// s are the same `relu(x)` twice and `r - s` is only known to be in [-1, 1].
    fn barred(c: f32) -> (bool, bool) {
        let layers = vec![
            affine(&[&[1.0], &[1.0]], &[0.0, 0.0], Activation::Relu),
            affine(&[&[1.0, -1.0]], &[0.0], Activation::Relu),
            affine(&[&[-1.0], &[0.0]], &[c, 0.0], Activation::Identity),
        ];
        let words = pack(&Network { inputs: 1, layers }, WeightKind::F32).expect("packs");
        let model = Model::from_words(&words).expect("packed here");
        let around = Around { center: &[0.0], epsilon: 1.0, norm: Norm::Linf, clip: None };
        let (lo, hi) = ([-1.0, -1.0, -1.0, -1.0, 0.0], [1.0, 1.0, 1.0, 1.0, 0.0]);
        let mut barrier =
            Barrier::new(&model, &around, (&lo, &hi), &[1.0, -1.0]).expect("of two lines");
        (barrier.given(), barrier.any())
    }

    #[test]
    fn bars_what_the_triangles_leave() {
        // At x = 0 the triangles let r be 1/2 and s be 0. Over [-1, 1] the chord is 3/4 there.
        assert_eq!(barred(0.8), (false, false));
        assert_eq!(barred(0.7), (true, false));
        // `r - s` comes to 1/2 whatever its bounds.
        assert_eq!(barred(0.51), (true, false));
        assert_eq!(barred(0.49), (true, true));
    }
}
