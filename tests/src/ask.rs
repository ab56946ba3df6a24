//! The engine asked in every way it offers.

use std::fmt::Debug;

use certus::cpu::Fast;
use certus::network::Network;
use certus_engine::bounds::{
    self, Arithmetic, Error, Method, Options, Portable, Semantics, Size, Tighten, Workspace,
};
use certus_engine::model::{Activation, Model};
use certus_engine::region as engine;
use certus_engine::relax::LowerSlope;
use certus_engine::spec::Spec;

use crate::region::{Norm, Region};

/// Every lower slope.
pub const SLOPES: [LowerSlope; 4] =
    [LowerSlope::Adaptive, LowerSlope::Zero, LowerSlope::One, LowerSlope::SameAsUpper];

/// Every method.
pub const METHODS: [Method; 6] = [
    Method::Ibp,
    Method::CrownIbp,
    Method::FastLin,
    Method::Forward,
    Method::ForwardBackward,
    Method::Crown,
];

/// Both semantics.
pub const SEMANTICS: [Semantics; 2] = [Semantics::Real, Semantics::Deployed];

/// An arithmetic and the block that its workspace has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sums {
    /// The engine's own.
    Portable(usize),
    /// The host's.
    Fast(usize),
}

impl Sums {
    /// What the tests run.
    pub const ALL: [Sums; 3] = [Sums::Portable(1), Sums::Portable(8), Sums::Fast(8)];
}

/// Every combination of options that differs from the others.
pub fn all_options() -> Vec<Options> {
    let mut all = Vec::new();
    for semantics in SEMANTICS {
        for method in METHODS {
            let slopes = match method {
                Method::Ibp | Method::FastLin => &SLOPES[..1],
                _ => &SLOPES[..],
            };
            for &lower in slopes {
                let usual = Options { semantics, lower, ..Options::new(method) };
                let flags = match method {
                    Method::Ibp | Method::CrownIbp => 1,
                    // Slopes do not change which neurons are carried.
                    Method::Forward | Method::ForwardBackward if lower != SLOPES[0] => 2,
                    _ => 4,
                };
                for flags in 0..flags {
                    let (intersect, every_neuron) = (flags & 1 == 0, flags & 2 != 0);
                    all.push(Options { intersect, every_neuron, ..usual });
                }
                if lower == SLOPES[0] {
                    all.push(Options { early: true, ..usual });
                }
                if method.walks_neurons() {
                    all.push(Options { tighten: Tighten::Both, ..usual });
                    if lower == SLOPES[0] {
                        all.push(Options { tighten: Tighten::Cheapest, ..usual });
                    }
                }
            }
        }
    }
    all
}

/// Raises subnormal slopes, which the blob refuses, to the smallest normal number.
pub fn storable(net: &mut Network) {
    for layer in &mut net.layers {
        if let Activation::LeakyRelu(slope) = &mut layer.activation
            && slope.is_subnormal()
        {
            *slope = f32::MIN_POSITIVE;
        }
    }
}

/// The region as the engine takes it.
pub fn engine_region(region: &Region) -> engine::Region<'_> {
    let of = |norm| match norm {
        Norm::L1 => engine::Norm::L1,
        Norm::L2 => engine::Norm::L2,
        Norm::Linf => engine::Norm::Linf,
    };
    match region {
        Region::Ball { center, eps, norm } => engine::Region::ball(center, *eps, of(*norm)),
        Region::Box { lo, hi } => engine::Region::Box { lo, hi },
        Region::BallInBox { center, eps, norm, lo, hi } => {
            engine::Region::ball_in_box(center, *eps, of(*norm), lo, hi)
        }
    }
}

/// What the engine answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Lower bounds of the specification's rows.
    pub lower: Vec<f32>,
    /// Lower ends of all pre-activations, layer after layer.
    pub lo: Vec<f32>,
    /// Upper ends.
    pub hi: Vec<f32>,
}

impl Answer {
    /// Panics if a bound is wrong: above the largest valid one, or an interval that does not hold
    /// the exact range.
    ///
    /// # Panics
    /// See above.
    pub fn refute(&self, name: &str, valid: &[f32], pre: &[(f32, f32)], how: &dyn Debug) {
        assert_eq!(self.lower.len(), valid.len(), "{name}: rows");
        for (row, (found, most)) in self.lower.iter().zip(valid).enumerate() {
            assert!(found <= most, "{name}: row {row}: {found:e} above {most:e}: {how:?}");
        }
        assert_eq!((self.lo.len(), self.hi.len()), (pre.len(), pre.len()), "{name}: neurons");
        for (i, ((lo, hi), (min, max))) in self.lo.iter().zip(&self.hi).zip(pre).enumerate() {
            assert!(
                lo <= min && hi >= max,
                "{name}: neuron {i}: [{lo:e}, {hi:e}] does not hold [{min:e}, {max:e}]: {how:?}"
            );
        }
    }
}

/// The engine on one model, with memory that holds garbage before each call.
#[derive(Debug)]
pub struct Engine<'m> {
    /// The model.
    pub model: Model<'m>,
    /// The host's arithmetic, the same for all calls: what it keeps must not go stale.
    pub fast: Fast,
    floats: Vec<f32>,
    indices: Vec<u32>,
}

impl<'m> Engine<'m> {
    /// On a checked blob.
    ///
    /// # Panics
    /// If the blob is none.
    pub fn new(words: &'m [u32]) -> Self {
        let model = Model::from_words(words).expect("a valid blob");
        let fast = Fast::new(model.depth(), false);
        Self { model, fast, floats: Vec::new(), indices: Vec::new() }
    }

    /// Bounds of `spec` over `region`.
    ///
    /// # Errors
    /// The engine's.
    ///
    /// # Panics
    /// If an answer is NaN.
    pub fn ask(
        &mut self,
        region: &engine::Region<'_>,
        spec: &Spec<'_>,
        options: &Options,
        sums: Sums,
    ) -> Result<Answer, Error> {
        match sums {
            Sums::Portable(block) => self.with(options, block, |workspace, model, out| {
                run(&mut Portable, model, region, spec, options, workspace, out)
            }),
            Sums::Fast(block) => {
                // Lent out, so that the memory can be borrowed beside it.
                let mut fast = std::mem::replace(&mut self.fast, Fast::new(0, false));
                let answer = self.with(options, block, |workspace, model, out| {
                    run(&mut fast, model, region, spec, options, workspace, out)
                });
                self.fast = fast;
                answer
            }
        }
        .map(|mut answer| {
            answer.lower.truncate(spec.count(self.model.outputs()));
            let all = answer.lower.iter().chain(&answer.lo).chain(&answer.hi);
            assert!(all.clone().all(|x| !x.is_nan()), "NaN: {answer:?} {options:?} {sums:?}");
            answer
        })
    }

    fn with<T>(
        &mut self,
        options: &Options,
        block: usize,
        call: impl FnOnce(Workspace<'_>, &Model<'_>, Vec<f32>) -> T,
    ) -> T {
        let crown = Options { method: Method::Crown, ..*options };
        let options = if options.carries() { options } else { &crown };
        let size = Size::of_options(&self.model, options, block);
        self.floats.clear();
        self.floats.resize(size.floats, f32::NAN);
        self.indices.clear();
        self.indices.resize(size.indices, 1);
        let workspace = Workspace { floats: &mut self.floats, indices: &mut self.indices };
        let rows = 2 * self.model.outputs() + 2;
        call(workspace, &self.model, vec![f32::NAN; rows])
    }
}

fn run<A: Arithmetic>(
    arith: &mut A,
    model: &Model<'_>,
    region: &engine::Region<'_>,
    spec: &Spec<'_>,
    options: &Options,
    workspace: Workspace<'_>,
    mut out: Vec<f32>,
) -> Result<Answer, Error> {
    let found = bounds::lower_bounds(arith, model, region, spec, options, workspace, &mut out)?;
    let (lo, hi) = (found.lo.to_vec(), found.hi.to_vec());
    Ok(Answer { lower: out, lo, hi })
}
