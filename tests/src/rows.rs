//! Rows over the last layer's pre-activations, as solvers are asked about them.

use certus::blob::{WeightKind, pack};
use certus::cpu::Runner;
use certus::network::Network;
use certus::slopes::Around;
use certus_engine::bounds::{Given, Method, Options, Semantics};
use certus_engine::model::Activation;
use certus_engine::region::Norm;
use certus_engine::spec::Spec;
use fastrand::Rng;

use crate::ask;
use crate::generate::{Kind, affine, case, network};
use crate::region::{Norm as Length, Region};
use crate::truth::Truth;

/// CROWN's bounds of rows and the ends that it found.
pub struct Crown {
    /// Of the rows.
    pub lower: Vec<f32>,
    /// Lower ends of all pre-activations.
    pub lo: Vec<f32>,
    /// Upper ends.
    pub hi: Vec<f32>,
}

/// None where the numbers are too large for it.
pub fn crown(
    runner: &mut Runner<'_>,
    around: &Around<'_>,
    semantics: Semantics,
    spec: &Spec<'_>,
) -> Option<Crown> {
    let options = Options { semantics, ..Options::new(Method::Crown) };
    let (region, given, mut lower) = (around.region(), Given::default(), Vec::new());
    let found =
        runner.lower_bounds_given(&region, spec, &options, &given, None, &mut lower).ok()?;
    let (lo, hi) = (found.lo.to_vec(), found.hi.to_vec());
    Some(Crown { lower, lo, hi })
}

/// A row of an oracle's case and the row negated, over a ball.
pub struct Asked {
    /// The case's name.
    pub name: String,
    /// The network.
    pub words: Vec<u32>,
    /// Both rows.
    pub matrix: Vec<f32>,
    /// What is true of them.
    pub truth: Truth,
    center: Vec<f32>,
    epsilon: f64,
    norm: Norm,
}

impl Asked {
    /// Case `index`; none where it is not over a ball, or ends in an activation.
    ///
    /// # Panics
    /// If the case does not pack or is empty.
    pub fn draw(seed: u64, index: u64) -> Option<Self> {
        let mut case = case(seed, Kind::ALL[index as usize % Kind::ALL.len()], index);
        ask::storable(&mut case.net);
        let Region::Ball { center, eps, norm } = &case.region else { return None };
        let norm = match norm {
            Length::L1 => Norm::L1,
            Length::L2 => Norm::L2,
            Length::Linf => Norm::Linf,
        };
        if case.net.layers.last()?.activation != Activation::Identity {
            return None;
        }
        let row = std::slice::from_ref(&case.spec_row);
        let truth = Truth::find(&case.net, &case.region, row).expect("not empty");
        let both = [1.0, -1.0].iter().flat_map(|s| case.spec_row.iter().map(move |c| s * c));
        Some(Self {
            matrix: both.collect(),
            words: pack(&case.net, WeightKind::F32).expect("packs"),
            truth,
            center: center.clone(),
            epsilon: *eps,
            norm,
            name: case.name,
        })
    }

    /// The ball.
    pub fn around(&self) -> Around<'_> {
        let Self { center, epsilon, norm, .. } = self;
        Around { center, epsilon: *epsilon, norm: *norm, clip: None }
    }
}

/// A random network with an activation between layers of these widths.
pub fn random(rng: &mut Rng, sizes: &[usize], activation: Activation) -> Network {
    let depth = sizes.len() - 1;
    let layers = sizes.windows(2).enumerate().map(|(k, pair)| {
        let scale = 2.5 / (pair[0] as f32).sqrt();
        let mut draw = |n: usize| -> Vec<f32> {
            (0..n).map(|_| scale * (rng.f32() + rng.f32() - 1.0)).collect()
        };
        let rows: Vec<Vec<f32>> = (0..pair[1]).map(|_| draw(pair[0])).collect();
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        affine(
            &rows,
            &draw(pair[1]),
            if k + 1 == depth { Activation::Identity } else { activation },
        )
    });
    network(layers.collect())
}
