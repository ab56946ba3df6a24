//! A call of everything that the engine offers, so that a program links all of it.

use core::hint::black_box;

use certus_engine::bounds::{
    Error, Given, Method, Options, Portable, Semantics, Tighten, Workspace, argmax, forward,
    forward_enclosed, lower_bounds_given,
};
use certus_engine::certificate::{Verdict, margin, verdict};
use certus_engine::model::Model;
use certus_engine::num::functions::Function;
use certus_engine::region::{Norm, Region};
use certus_engine::relax::LowerSlope;
use certus_engine::simplex::{
    Known, Query, Simplex, first_rates, nearest_violation, row_norms, simplex,
};
use certus_engine::spec::Spec;

use crate::nets::{MOST, Net};

/// Most neurons that norms are taken of.
const NEURONS: usize = 132;

/// How many of the calls gave an answer; `net`'s words are checked anew.
///
/// The compiler is kept from knowing the network and what is asked: what it knew it would leave out.
pub fn run(net: &Net, mut workspace: Workspace<'_>) -> u32 {
    let Ok(model) = Model::from_words(black_box(net.model.words())) else { return 0 };
    let x = black_box([0.25f32; MOST[0]]);
    let Some(x) = x.get(..model.inputs()) else { return 0 };
    let mut out = [0.0f32; 2 * MOST[1]];
    let mut answers = 0;
    if forward(&Portable, &model, x, workspace.floats, &mut out).is_none() {
        return 0;
    }
    let Some(class) = out.get(..model.outputs()).and_then(argmax) else { return 0 };
    let semantics = black_box(Semantics::Deployed);
    let enclosed =
        forward_enclosed(&mut Portable, &model, x, semantics, workspace.reborrow(), &mut out);
    answers += u32::from(enclosed.is_ok());
    for method in [
        Method::Ibp,
        Method::CrownIbp,
        Method::FastLin,
        Method::Crown,
        Method::Forward,
        Method::ForwardBackward,
    ] {
        let spec = black_box(Spec::Margins { class });
        answers += u32::from(bounds(&model, x, method, &spec, workspace.reborrow()).is_ok());
    }
    answers += u32::from(distances(&model, x, class, workspace).is_ok());
    for function in Function::ALL {
        let (low, high) = function.enclose(black_box(0.5));
        answers += u32::from(low <= high);
    }
    answers
}

/// Bounds with every option that is not the usual one, over a ball cut by a box.
fn bounds(
    model: &Model<'_>,
    x: &[f32],
    method: Method,
    spec: &Spec<'_>,
    workspace: Workspace<'_>,
) -> Result<bool, Error> {
    let (lo, hi) = ([0.0f32; MOST[0]], [1.0f32; MOST[0]]);
    let n = model.inputs();
    let box_lo = lo.get(..n).ok_or(Error::Workspace)?;
    let box_hi = hi.get(..n).ok_or(Error::Workspace)?;
    let norm = black_box(Norm::L2);
    let region = black_box(Region::ball_in_box(x, 0.01, norm, box_lo, box_hi));
    let options = Options {
        semantics: black_box(Semantics::Deployed),
        lower: black_box(LowerSlope::Adaptive),
        intersect: black_box(true),
        tighten: black_box(Tighten::Cheapest),
        every_neuron: black_box(false),
        ..Options::new(black_box(method))
    };
    let given = black_box(Given::default());
    let mut out = [0.0f32; 2 * MOST[1]];
    let rows = spec.count(model.outputs());
    let (arith, out) = (&mut Portable, out.get_mut(..rows).ok_or(Error::Workspace)?);
    lower_bounds_given(arith, model, &region, spec, &options, &given, workspace, out)?;
    black_box(margin(out));
    Ok(verdict(out) == Verdict::Certified)
}

/// The simplex certificate with all that can be known beforehand, and the nearest violation.
fn distances(
    model: &Model<'_>,
    x: &[f32],
    class: usize,
    mut workspace: Workspace<'_>,
) -> Result<f32, Error> {
    let norm = black_box(Norm::L2);
    let (mut first, mut rows) = ([0.0f32; NEURONS], [0.0f32; NEURONS]);
    let first = first.get_mut(..model.rows(0)).ok_or(Error::Workspace)?;
    let rows = rows.get_mut(..model.neurons()).ok_or(Error::Workspace)?;
    first_rates(&Portable, model, norm, first);
    row_norms(&Portable, model, rows);
    // The Frobenius norm is at least the spectral one, and the rows' sum at least that.
    let mut spectral = [0.0f32; 8];
    let spectral = spectral.get_mut(..model.depth()).ok_or(Error::Workspace)?;
    let mut rest = &*rows;
    for (k, norm) in spectral.iter_mut().enumerate() {
        let (own, others) = rest.split_at_checked(model.rows(k)).ok_or(Error::Workspace)?;
        *norm = own.iter().sum::<f32>() * 1.001;
        rest = others;
    }
    let known = Known { first, rows, spectral };
    let query = Query {
        semantics: black_box(Semantics::Deployed),
        known: black_box(Some(known)),
        ..Query::margins(x, norm, class)
    };
    let mut nearest = [0.0f32; MOST[0]];
    let nearest = nearest.get_mut(..model.inputs()).ok_or(Error::Workspace)?;
    let arith = &mut Portable;
    let found: Simplex<2> = simplex(arith, model, &query, workspace.reborrow(), nearest)?;
    let mut violation = [0.0f32; MOST[0]];
    let violation = violation.get_mut(..model.inputs()).ok_or(Error::Workspace)?;
    let value = found.value;
    let nearest = nearest_violation(arith, model, &query, nearest, value, workspace, violation)?;
    black_box(nearest);
    Ok(found.radius())
}
