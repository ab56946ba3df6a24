//! What is asked of the simplex certificate, and the memory it takes.

use super::chain::Chain;
use crate::bounds::{Arena, Error, Semantics, Size, Workspace};
use crate::bounds::{add, forward_macs, mul, weights};
use crate::model::{Activation, Layer, Model};
use crate::num::MAGNITUDE_LIMIT;
use crate::region::{Norm, Region, RegionError};
use crate::spec::Spec;

/// A point, and what its distances are measured by.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The point u.
    pub x: &'a [f32],
    /// The norm of distances.
    pub norm: Norm,
    /// The box `[lo, hi]` that all inputs lie in, u too, if there is one.
    pub clip: Option<(&'a [f32], &'a [f32])>,
    /// Rows that shall stay positive: usually the margins of the class.
    pub spec: Spec<'a>,
    /// What is added to each of them: with `-lo` and `hi` for [`Spec::Outputs`], limits shall be kept.
    pub offsets: Option<&'a [f32]>,
    /// Which network is meant.
    pub semantics: Semantics,
    /// What is known of the model's weights from before.
    pub known: Option<Known<'a>>,
}

/// Norms of a model's weights: the same for every point, they save passes over the weights, and in
/// deep networks most of the rows that would be walked. All are upper bounds.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// `||W_0,i||_q` for the first layer's rows, q dual to the query's norm: [`super::first_rates`].
    pub first: &'a [f32],
    /// `||W_k,i||_2` for all rows of all layers: [`super::row_norms`].
    pub rows: &'a [f32],
    /// `||W_k||_2` for each layer.
    pub spectral: &'a [f32],
}

/// Three slices for what feeds a layer.
pub(super) fn fed(pool: &mut [f32], width: usize) -> Option<[&mut [f32]; 3]> {
    let (x, rest) = pool.split_at_mut_checked(width)?;
    let (rate, rest) = rest.split_at_mut_checked(width)?;
    Some([x, rate, rest.get_mut(..width)?])
}

impl<'a> Query<'a> {
    /// The margins of `class` at `x`, without a box, in real semantics.
    pub const fn margins(x: &'a [f32], norm: Norm, class: usize) -> Self {
        let spec = Spec::Margins { class };
        let semantics = Semantics::Real;
        Self { x, norm, clip: None, spec, offsets: None, semantics, known: None }
    }

    /// # Errors
    /// A point, a box or a specification that does not fit the model; a model with other activations
    /// than those of two lines that meet at 0.
    pub(super) fn check(&self, model: &Model<'_>) -> Result<(), Error> {
        Region::ball(self.x, 0.0, self.norm).check(model.inputs())?;
        if let Some((lo, hi)) = self.clip {
            Region::Box { lo, hi }.check(model.inputs())?;
            let mut ends = self.x.iter().zip(lo.iter().zip(hi));
            if let Some(i) = ends.position(|(x, (lo, hi))| !(lo <= x && x <= hi)) {
                return Err(Error::Region(RegionError::Empty(i)));
            }
        }
        if let Some(layer) = model.layers().position(|layer| layer.leak().is_none()) {
            return Err(Error::Activation { layer });
        }
        let known = self.known.is_none_or(|known| {
            known.first.len() == model.rows(0)
                && known.rows.len() == model.neurons()
                && known.spectral.len() == model.depth()
        });
        let offsets = self.offsets.is_none_or(|offsets| {
            offsets.len() == self.spec.count(model.outputs())
                && offsets.iter().all(|x| x.abs() < MAGNITUDE_LIMIT)
        });
        if self.spec.fits(model.outputs()) && known && offsets { Ok(()) } else { Err(Error::Spec) }
    }

    /// Layer `k`, without an activation at the end that keeps the order of the outputs. A deployed
    /// leaky product does not: it can round different outputs to the same. Nor does any keep what is
    /// more than an order, an offset.
    pub(super) fn layer<'m>(&self, model: &Model<'m>, k: usize) -> Option<Layer<'m>> {
        let mut layer = model.layer(k)?;
        let exact = self.semantics == Semantics::Real || !rounds(layer.activation);
        if k + 1 == model.depth() && exact && self.is_order() {
            layer.activation = Activation::Identity;
        }
        Some(layer)
    }

    /// Whether only the order of the outputs is asked for.
    fn is_order(&self) -> bool {
        matches!(self.spec, Spec::Margins { .. }) && self.offsets.is_none()
    }

    /// What is added to row `row`.
    pub(super) fn offset(&self, row: usize) -> f32 {
        self.offsets.map_or(0.0, |offsets| offsets.get(row).copied().unwrap_or(f32::NAN))
    }

    /// Coordinate `j` cut by the box.
    pub(super) fn cut(&self, j: usize, x: f32) -> f32 {
        let Some((lo, hi)) = self.clip else { return x };
        let (lo, hi) = (lo.get(j).copied(), hi.get(j).copied());
        match (lo, hi) {
            (Some(lo), _) if x < lo => lo,
            (_, Some(hi)) if x > hi => hi,
            _ => x,
        }
    }

    /// Coefficient of output `j` in row `row`; the row after the last margin is the class's output.
    pub(super) fn coefficient(&self, row: usize, j: usize, outputs: usize) -> f32 {
        self.spec.coefficient(row, j, outputs)
    }

    /// Rows of the specification. Where outputs are cut off at 0, `f_c - f_j > 0` holds if and only
    /// if both `z_c - z_j > 0` and `z_c > 0`: one row more.
    pub(super) fn rows(&self, model: &Model<'_>) -> usize {
        let last = model.layer(model.depth().saturating_sub(1)).map(|layer| layer.activation);
        let own = last.is_some_and(cuts) && self.is_order();
        self.spec.count(model.outputs()) + usize::from(own)
    }
}

/// Whether an activation is 0 below 0.
fn cuts(activation: Activation) -> bool {
    activation == Activation::Relu || activation == Activation::LeakyRelu(0.0)
}

/// Whether an activation is a product that rounds.
fn rounds(activation: Activation) -> bool {
    matches!(activation, Activation::LeakyRelu(slope) if slope != 0.0 && slope != 1.0)
}

/// Working memory beside the [`Chain`].
pub(super) struct Scratch<'w> {
    /// How near each neuron of a layer can be; infinite where there is nothing to do.
    pub keys: &'w mut [f32],
    /// Rows of coefficients, or what feeds a layer.
    pub pool: &'w mut [f32],
    /// Values of the rows at the point.
    pub value: &'w mut [f32],
    /// How far they may be off.
    pub off: &'w mut [f32],
    /// What a unit of distance may add.
    pub slope: &'w mut [f32],
    /// What the rows belong to; its length is the block's capacity.
    pub index: &'w mut [u32],
}

/// Memory for the simplex certificate of `model` with blocks of up to `block` rows (at least 1).
///
/// `4*neurons + width + max(3*width, 2*block*width) + 3*block` floats and
/// `neurons + 2*layers + block` indices.
pub const fn size(model: &Model<'_>, block: usize) -> Size {
    let block = if block == 0 { 1 } else { block };
    let (neurons, width) = (model.neurons(), model.width());
    let pool = if block == 1 { 3 * width } else { 2 * block * width };
    Size {
        floats: 4 * neurons + width + pool + 3 * block,
        indices: neurons + 2 * model.depth() + block,
    }
}

/// Multiply-adds that computing the function of every neuron and of `rows` rows of a specification
/// densely takes.
pub fn dense_macs(model: &Model<'_>, rows: usize) -> u64 {
    let size = |rows: usize, cols: usize| rows as u64 * cols as u64;
    let through: u64 = model.layers().skip(1).map(|layer| size(layer.rows, layer.cols)).sum();
    (through + size(rows, model.outputs())) * model.inputs() as u64
}

/// Whether every activation is two lines that meet at 0 at most, as the certificate expects.
pub const fn applies(model: &Model<'_>) -> bool {
    let mut k = 0;
    while k < model.depth() {
        match model.activation(k).leak() {
            Some(leak) if leak == 1.0 || model.through(k) == 0 => k += 1,
            _ => return false,
        }
    }
    true
}

/// Upper bound of the [`crate::bounds::Work::macs`] of one [`super::simplex`] without a box, with any
/// workspace and any number of faces.
///
/// Forward with sizes, rates and errors `4 sum r_j c_j`; each neuron of layer k and each row of the
/// specification `sum (3 r_j + r_j c_j) + n` over the layers below, n the inputs. Mostly far less:
/// few neurons are walked.
pub const fn most_macs(model: &Model<'_>, spec: &Spec<'_>) -> u64 {
    let inputs = model.inputs() as u64;
    // One row's walk from the activations before layer k.
    let (mut sum, mut walk) = (mul(4, forward_macs(model)), inputs);
    let mut k = 0;
    while k < model.depth() {
        let rows = model.rows(k) as u64;
        if !matches!(model.activation(k), Activation::Identity) {
            sum = add(sum, mul(rows, walk));
        }
        walk = add(walk, add(mul(3, rows), weights(model, k)));
        k += 1;
    }
    // The class's own output, where outputs are cut off at 0.
    let own = matches!(spec, Spec::Margins { .. });
    let rows = add(spec.count(model.outputs()) as u64, own as u64);
    add(sum, mul(rows, add(mul(2, model.outputs() as u64), walk)))
}

/// Splits the workspace; what is left after the fixed parts becomes the block.
pub(super) fn carve<'w>(
    model: &Model<'_>,
    workspace: Workspace<'w>,
) -> Option<(Chain<'w>, Scratch<'w>)> {
    let mut floats = Arena(workspace.floats);
    let mut indices = Arena(workspace.indices);
    let width = model.width();
    let chain = Chain::new(model, &mut floats, &mut indices)?;
    let keys = floats.take(width)?;
    let fit = (floats.0.len() / (2 * width + 3)).clamp(1, width.max(1));
    let block = fit.min(indices.0.len());
    if block == 0 {
        return None;
    }
    let (value, off, slope) = (floats.take(block)?, floats.take(block)?, floats.take(block)?);
    let pool = floats.take((3 * width).max(2 * block * width))?;
    let index = indices.take(block)?;
    Some((chain, Scratch { keys, pool, value, off, slope, index }))
}
