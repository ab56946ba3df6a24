//! The simplex certificate: how far a point is from the nearest face of its linear region.
//!
//! Around a point u a network of piecewise linear activations is affine, up to the first *facet*,
//! the hyperplane on which some neuron changes its side. With dB the distance to the nearest facet
//! and dD the distance to the nearest *decision boundary* of that affine function, the decision
//! stands within `min(dB, dD)` (paper 000, theorem 3; paper 001, theorem 3.1), and where
//! `dD <= dB`, dD is the exact distance (paper 001, lemma 3.2): see [`nearest_violation`].
//!
//! The papers compute every neuron's function of the input. Here a neuron's distance is first
//! bounded by what is cheap: `|z_i| / N_i`, where `N_i = sum |W_ij| N_j` bounds how fast `z_i` can
//! change. Only the neurons that this leaves nearer than the nearest facets known have their rows
//! walked back to the input: on trained networks a handful of thousands, and the certificate costs
//! little more than two forward passes.

mod chain;
mod distance;
mod nearest;
mod query;
mod rows;
#[cfg(test)]
mod tests;
mod violation;

pub use nearest::{Face, Nearest};
pub use query::{Known, Query, applies, dense_macs, most_macs, size};
pub use violation::{Violation, nearest_violation};

use crate::bounds::{Arithmetic, Error, Work, Workspace};
use crate::model::Model;
use crate::num::Rounding;
use crate::region::{Norm, dual_norm};
use chain::{Chain, Fed};
use query::Scratch;
use rows::{Source, Walk};

/// The distances of a point to the faces of its linear region.
#[derive(Clone, Debug)]
pub struct Simplex<const K: usize> {
    /// The nearest facets, nearest first. A distance of 0 says that rounding leaves open on which
    /// side of that neuron the point lies: then nothing more is known.
    pub facets: Nearest<K>,
    /// The nearest decision boundaries of the region's affine function, nearest first.
    pub decisions: Nearest<K>,
    /// Value of the nearest decision's row at the point, as computed.
    pub value: f32,
    /// Counted work; `neurons` are the rows that were walked.
    pub work: Work,
}

impl<const K: usize> Simplex<K> {
    /// Lower bound of dB, infinite if there is no facet.
    pub fn boundary(&self) -> f32 {
        self.facets.first().map_or(f32::INFINITY, |facet| facet.distance)
    }

    /// Lower bound of dD where it is positive. Negative where the specification is violated at the
    /// point itself: minus the distance, as computed. 0 where rounding leaves that open.
    pub fn decision(&self) -> f32 {
        self.decisions.first().map_or(0.0, |decision| decision.distance)
    }

    /// `min(dB, dD)`, or 0 if that is negative: each row of the specification is positive on the
    /// open ball of this radius (cut by the query's box).
    pub fn radius(&self) -> f32 {
        let (boundary, decision) = (self.boundary(), self.decision());
        let least = if decision < boundary { decision } else { boundary };
        if least > 0.0 { least } else { 0.0 }
    }

    /// Whether the nearest decision boundary lies within the linear region, so that its distance is
    /// that of the nearest violation. The two sides of that are settled by [`nearest_violation`].
    pub fn is_exact(&self) -> bool {
        let decision = self.decision();
        decision > 0.0 && decision.is_finite() && decision <= self.boundary()
    }
}

/// The simplex certificate of `model` at a point, with the `K >= 1` nearest facets and decisions.
///
/// `distance <= min {||x - u||_p : x in the box and on the hyperplane}` for each face listed, and
/// a face that is not listed is at least as far as the last that is. Hence all rows of the
/// specification, with what the query adds to them, are positive at every x of the box with
/// `||x - u||_p < radius()`, for the stored network in real arithmetic and, within their error fields,
/// the network it was made from; under deployed semantics also for [`crate::bounds::forward`] as it rounds.
///
/// Let D_k be how far layer k's pre-activations move from the floats z_k computed at u. While no
/// neuron below changes its side, `D_k = W_k s D_{k-1}` with s the slopes at u, plus what the
/// computation of z_k lost; so `|D_k,i| <= N_k,i r + e_k,i`, layer by layer. A row walked back is
/// exact as the floats it is, each step charging its rounding against these (`soundness.md` 3),
/// and a neuron is out of reach at radius r while `r (||A_i||_q + slope) < |z_i| - off`.
///
/// `nearest`, if it has the model's inputs, receives the coefficients of the nearest decision.
///
/// # Errors
/// [`Error`]. Memory: `workspace`, at least [`size`]. Work: returned.
pub fn simplex<A: Arithmetic, const K: usize>(
    arith: &mut A,
    model: &Model<'_>,
    query: &Query<'_>,
    workspace: Workspace<'_>,
    nearest: &mut [f32],
) -> Result<Simplex<K>, Error> {
    query.check(model)?;
    let (mut chain, mut scratch) = query::carve(model, workspace).ok_or(Error::Workspace)?;
    let mut facets = Nearest::new();
    let mut decisions = Nearest::new();
    let dense_macs = dense_macs(model, query.rows(model));
    let mut work = Work { dense_macs, ..Work::default() };
    let mut value = 0.0;
    for k in 0..model.depth() {
        compute(arith, model, query, k, &mut chain, &mut scratch, &mut work)?;
        let source = Source::Neurons(k);
        let mut walk = Walk { arith, model, query, chain: &chain, source };
        walk.run(&mut scratch, &mut facets, &mut work, |_, _| {})?;
        if facets.first().is_some_and(|facet: &Face| !(facet.distance > 0.0)) {
            return Ok(Simplex { facets, decisions, value, work });
        }
        let layer = query.layer(model, k).ok_or(Error::Workspace)?;
        let fed = query::fed(scratch.pool, layer.rows).ok_or(Error::Workspace)?;
        chain.settle(query.semantics, k, &layer, fed).ok_or(Error::Workspace)?;
    }
    let mut walk = Walk { arith, model, query, chain: &chain, source: Source::Spec };
    walk.run(&mut scratch, &mut decisions, &mut work, |row, at| {
        value = at;
        if nearest.len() == row.len() {
            nearest.copy_from_slice(row);
        }
    })?;
    Ok(Simplex { facets, decisions, value, work })
}

/// Computes layer `k` from what the one before it left in the pool.
fn compute<A: Arithmetic>(
    arith: &mut A,
    model: &Model<'_>,
    query: &Query<'_>,
    k: usize,
    chain: &mut Chain<'_>,
    scratch: &mut Scratch<'_>,
    work: &mut Work,
) -> Result<(), Error> {
    let layer = query.layer(model, k).ok_or(Error::Workspace)?;
    let fed = if k == 0 {
        Fed { x: query.x, rate: None, error: &[] }
    } else {
        let fed = query::fed(scratch.pool, layer.cols).ok_or(Error::Workspace)?;
        let [x, rate, error] = fed.map(|slice| &*slice);
        Fed { x, rate: Some(rate), error }
    };
    chain.forward(arith, query, k, &layer, fed, scratch.keys)?;
    // Centre, size and rate; then the errors, or the dual norm where it is not known.
    let passes = if k == 0 && query.known.is_some() { 3 } else { 4 };
    work.row_macs += passes * layer.rows as u64 * layer.cols as u64;
    arith.forget(k);
    Ok(())
}

/// Upper bounds of `||W_0,i||_q` for the first layer's rows, q dual to `norm`: [`Known::first`].
pub fn first_rates<A: Arithmetic>(arith: &A, model: &Model<'_>, norm: Norm, out: &mut [f32]) {
    let Some(layer) = model.layer(0) else { return };
    let rounding = Rounding::new(arith.row_depth(layer.cols), layer.cols);
    for (i, out) in out.iter_mut().enumerate() {
        *out = dual_norm(arith, layer.row(i), &rounding, norm);
    }
}

/// Upper bounds of `||W_k,i||_2` for all rows, layer after layer: [`Known::rows`].
pub fn row_norms<A: Arithmetic>(arith: &A, model: &Model<'_>, out: &mut [f32]) {
    let mut out = out.iter_mut();
    for layer in model.layers() {
        let rounding = Rounding::new(arith.row_depth(layer.cols), layer.cols);
        for (i, out) in (0..layer.rows).zip(&mut out) {
            *out = dual_norm(arith, layer.row(i), &rounding, Norm::L2);
        }
    }
}
